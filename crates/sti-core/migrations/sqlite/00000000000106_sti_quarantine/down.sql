ALTER TABLE sti_backfill_chunk DROP COLUMN error_school;
ALTER TABLE sti_backfill_chunk DROP COLUMN error_self_study;
ALTER TABLE sti_backfill_chunk DROP COLUMN postponed;
DROP TABLE sti_backfill_quarantine;
