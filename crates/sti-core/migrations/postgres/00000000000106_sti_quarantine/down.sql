ALTER TABLE sti_backfill_chunk
    DROP COLUMN error_school,
    DROP COLUMN error_self_study,
    DROP COLUMN postponed;
DROP TABLE sti_backfill_quarantine;
