-- What people tell the backfill from another terminal, in the order in which they said it. The newest row that is no
-- cancel says whether the backfill is paused: on this database, whichever run is under way or begins next.
CREATE TABLE sti_backfill_control (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- pause: work on no chunk until a resume. cancel: give up the run run_id.
    action text NOT NULL CHECK (action IN ('pause', 'resume', 'cancel')),
    reason text NOT NULL,
    by_whom text NOT NULL,
    at timestamp with time zone NOT NULL,
    run_id bigint REFERENCES sti_backfill_run (id)
);

-- How long each process has waited for what, for the display: a row for each process and kind of reason.
CREATE TABLE sti_backfill_wait (
    run_id bigint NOT NULL REFERENCES sti_backfill_run (id),
    -- As in sti_backfill_chunk.
    owner text NOT NULL,
    -- paused, window, gate, replica_lag, unreadable, pace
    reason text NOT NULL,
    waited_ms bigint NOT NULL,
    -- Whether it waits now. A process that was killed leaves true behind: believe it while seen_at is young.
    waiting boolean NOT NULL,
    detail text NOT NULL,
    since timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    PRIMARY KEY (run_id, owner, reason)
);

-- When its owner took the lease; NULL in chunks of an older tool.
ALTER TABLE sti_backfill_chunk ADD COLUMN leased_at timestamp with time zone;
