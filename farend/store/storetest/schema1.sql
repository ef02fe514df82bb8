-- A database as the first version left it: its schema, and a row of each table. It is never changed.
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
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
INSERT INTO settings VALUES ('schema', '1');
INSERT INTO settings VALUES ('colour', 'green');
INSERT INTO customers (name, key_hash, cameras_max, analyses, valid_until, enabled, record_bytes, record_age, made)
	VALUES ('old', '2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683', 3, '["faces"]', 1795867200123456, true,
	1000, 3600000000000, 1795867200123456);
INSERT INTO sources VALUES ('"text"', 1, 'front door', true, 1795867200123456, 1795867201123456,
	'{"serial":"10000000abcdef01","board":"rpi","temperature_c":48.5}', 1795867202123456);
INSERT INTO sources VALUES ('5', 1, '', false, 1795867200123456, 0, '{}', 0);
INSERT INTO streams VALUES ('s1', '"text"', 1, 'one', 4000000000, '2001:db8::5', true,
	'{"Host":"video.example","RTPPort":5004,"RTCPPort":5005,"RTX":true,"Transport":3,"CaptureTime":5}', 640, 480,
	1795867200123456, 1795867201123456, 0, '', '{"state":"streaming","packets":7,"rtt_ns":12000000}', 1795867202123456);
INSERT INTO servers VALUES ('one', 'v1.example', 'https://v1.example:8081', 's', 'v2', 50, 3, 1795867200123456);
INSERT INTO events (at, customer, source, stream, kind, words)
	VALUES (1795867200123456, 1, '"text"', 's1', 'granted', '640x480');
INSERT INTO analyses VALUES ('"text"', 1795867200123456, '[1]', 24.5, 90000000);
