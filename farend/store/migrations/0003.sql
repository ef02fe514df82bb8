-- The lease of a stream, in µs, is that of its grant: several gateways may ask their sources at different
-- periods. What was granted before has the longest there is, four times ten minutes.
ALTER TABLE streams ADD COLUMN lease BIGINT NOT NULL DEFAULT 2400000000;
