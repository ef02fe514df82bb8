-- Customers, sources, streams, servers, events, analyses.
-- Times are µs since 1970, 0 for none. {serial} is the type of a column that numbers its rows.
CREATE TABLE customers (
	id {serial},
	name TEXT NOT NULL UNIQUE,
	key_hash TEXT NOT NULL UNIQUE,
	cameras_max BIGINT NOT NULL,
	analyses TEXT NOT NULL,
	valid_until BIGINT NOT NULL,
	enabled BOOLEAN NOT NULL,
	record_bytes BIGINT NOT NULL,
	record_age BIGINT NOT NULL,
	made BIGINT NOT NULL
);
-- id is the utilization id as JSON: "5" and 5 are two.
CREATE TABLE sources (
	id TEXT PRIMARY KEY,
	customer BIGINT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	made BIGINT NOT NULL,
	used BIGINT NOT NULL,
	board TEXT NOT NULL,
	board_at BIGINT NOT NULL
);
CREATE INDEX sources_customer ON sources (customer, used);
CREATE TABLE streams (
	id TEXT PRIMARY KEY,
	source TEXT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
	customer BIGINT NOT NULL,
	server TEXT NOT NULL,
	ssrc BIGINT NOT NULL,
	asker TEXT NOT NULL,
	encrypted BOOLEAN NOT NULL,
	place TEXT NOT NULL,
	width BIGINT NOT NULL,
	height BIGINT NOT NULL,
	since BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	ended BIGINT NOT NULL,
	because TEXT NOT NULL,
	stats TEXT NOT NULL,
	stats_at BIGINT NOT NULL
);
-- A source has one stream at a time, whoever grants it.
CREATE UNIQUE INDEX streams_active ON streams (source) WHERE ended = 0;
CREATE INDEX streams_of_source ON streams (source);
CREATE INDEX streams_ended ON streams (ended);
CREATE TABLE servers (
	name TEXT PRIMARY KEY,
	host TEXT NOT NULL,
	control TEXT NOT NULL,
	secret TEXT NOT NULL,
	version TEXT NOT NULL,
	capacity BIGINT NOT NULL,
	streams BIGINT NOT NULL,
	seen_at BIGINT NOT NULL
);
CREATE TABLE events (
	id {serial},
	at BIGINT NOT NULL,
	customer BIGINT NOT NULL,
	source TEXT NOT NULL,
	stream TEXT NOT NULL,
	kind TEXT NOT NULL,
	words TEXT NOT NULL
);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_source ON events (source);
CREATE TABLE analyses (
	source TEXT PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
	at BIGINT NOT NULL,
	data TEXT NOT NULL,
	per_second DOUBLE PRECISION NOT NULL,
	delay BIGINT NOT NULL
);
