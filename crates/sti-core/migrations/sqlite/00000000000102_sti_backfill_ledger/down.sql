DROP TABLE sti_backfill_chunk;
DROP TABLE sti_backfill_run;
