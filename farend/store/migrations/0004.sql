-- What is asked for often, of few rows among many: the sources that are disabled, each second; events and
-- boards of one customer, or of one stream.
CREATE INDEX sources_disabled ON sources (id) WHERE NOT enabled;
CREATE INDEX events_customer ON events (customer, id);
CREATE INDEX events_stream ON events (stream);
CREATE INDEX offer_boards_customer ON offer_boards (customer);
CREATE INDEX streams_customer ON streams (customer, ended);
