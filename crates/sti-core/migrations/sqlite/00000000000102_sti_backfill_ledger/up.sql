-- The backfill's ledger. A run is one walk over all projects, made of sweeps; a chunk is a range of keys of one
-- sweep. A chunk's rows, its counts and its state commit in one transaction: what the ledger says is done, is
-- done, and nothing else is. The totals of a run are sums over its chunks.
CREATE TABLE sti_backfill_run (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- active: to be worked on, or to be resumed. done: finished. abandoned: --restart began a new one.
    -- failed: stopped for good, stop_reason says why.
    state text NOT NULL CHECK (state IN ('active', 'done', 'abandoned', 'failed')),
    -- What binds a resume: which projects are in scope, and which mapping made their rows.
    include_drafts bool NOT NULL,
    mapping_version integer NOT NULL,
    -- The sweep that is under way, from 1; those after the first catch up with what came behind the cursor.
    sweep integer NOT NULL DEFAULT 1,
    -- The greatest id of this sweep that a chunk has been leased for; the next chunk begins after it.
    leased_through char(32),
    -- In-scope projects when the run began, for the progress display.
    eligible bigint NOT NULL,
    started_at datetime NOT NULL,
    finished_at datetime,
    stop_reason text,
    tool_version text NOT NULL,
    started_by text NOT NULL
);

CREATE UNIQUE INDEX sti_backfill_run_one_active ON sti_backfill_run (state) WHERE state = 'active';

CREATE TABLE sti_backfill_chunk (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    run_id bigint NOT NULL REFERENCES sti_backfill_run (id),
    sweep integer NOT NULL,
    number integer NOT NULL,
    -- The range of keys: after (exclusive, NULL for the beginning) and through (inclusive).
    after_id char(32),
    through_id char(32) NOT NULL,
    state text NOT NULL CHECK (state IN ('leased', 'done')),
    -- Who works on it: only a transaction that knows the token can commit this chunk.
    token text NOT NULL,
    owner text NOT NULL,
    lease_expires_at datetime NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    -- What the committed chunk did; locked is the sum of all that follow it.
    locked bigint NOT NULL DEFAULT 0,
    created_school bigint NOT NULL DEFAULT 0,
    created_self_study bigint NOT NULL DEFAULT 0,
    equal_school bigint NOT NULL DEFAULT 0,
    equal_self_study bigint NOT NULL DEFAULT 0,
    conflict_school bigint NOT NULL DEFAULT 0,
    conflict_self_study bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    duration_ms bigint,
    finished_at datetime,
    UNIQUE (run_id, sweep, number)
);

-- Open leases are few; they are looked for before each new chunk.
CREATE INDEX sti_backfill_chunk_leased ON sti_backfill_chunk (run_id, lease_expires_at) WHERE state = 'leased';
