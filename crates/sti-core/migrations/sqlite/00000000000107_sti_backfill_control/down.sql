DROP TABLE sti_backfill_wait;
DROP TABLE sti_backfill_control;
ALTER TABLE sti_backfill_chunk DROP COLUMN leased_at;
