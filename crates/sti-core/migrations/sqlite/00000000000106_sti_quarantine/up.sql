-- Projects whose subtype row the database refuses: the chunk goes on without them, they are counted as errors, and the
-- entry commits with the chunk. An entry goes when the row could be made (`sti quarantine retry`), or when a later run
-- is complete.
CREATE TABLE sti_backfill_quarantine (
    run_id bigint NOT NULL REFERENCES sti_backfill_run (id),
    -- No foreign key: a project may be deleted at any time.
    project_id char(32) NOT NULL,
    -- The chunk that met it last.
    chunk_id bigint NOT NULL REFERENCES sti_backfill_chunk (id),
    -- school or self_study: whose row it was to be.
    kind text NOT NULL,
    -- What kind of rule it broke, as in check_violation.
    class text NOT NULL,
    -- What the database said, without the detail that quotes the row.
    message text NOT NULL,
    at datetime NOT NULL,
    PRIMARY KEY (run_id, project_id)
);

-- locked is the sum of the outcomes, these included. A retry of quarantined projects is a chunk of sweep 0: what it
-- takes out of the quarantine counts below 0 here and above 0 elsewhere.
ALTER TABLE sti_backfill_chunk ADD COLUMN error_school bigint NOT NULL DEFAULT 0;
ALTER TABLE sti_backfill_chunk ADD COLUMN error_self_study bigint NOT NULL DEFAULT 0;
-- How often it was put off because a lock was not to be had.
ALTER TABLE sti_backfill_chunk ADD COLUMN postponed integer NOT NULL DEFAULT 0;
