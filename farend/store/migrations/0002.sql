-- Offers of updates, and what became of each board. An offer for all has no customer.
CREATE TABLE offers (
	id {serial},
	bundle TEXT NOT NULL,
	version TEXT NOT NULL,
	board TEXT NOT NULL,
	build BIGINT NOT NULL,
	share DOUBLE PRECISION NOT NULL,
	customer BIGINT REFERENCES customers (id) ON DELETE CASCADE,
	stop_after BIGINT NOT NULL,
	at_once BOOLEAN NOT NULL,
	enabled BOOLEAN NOT NULL,
	made BIGINT NOT NULL
);
CREATE TABLE offer_boards (
	offer BIGINT NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
	customer BIGINT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
	serial TEXT NOT NULL,
	phase TEXT NOT NULL,
	token TEXT,
	bytes BIGINT NOT NULL,
	because TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (offer, customer, serial)
);
CREATE INDEX offer_boards_phase ON offer_boards (offer, phase);
-- A board without an own path to fetch by has no token.
CREATE UNIQUE INDEX offer_boards_token ON offer_boards (token);
