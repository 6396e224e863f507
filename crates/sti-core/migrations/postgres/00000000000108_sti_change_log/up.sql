-- What a drop of the legacy columns needs to do most of its work ahead of its lock.

-- A drop, or its rehearsal, that has begun. It becomes a drop only with the row in sti_drop_event, which its last
-- transaction writes: before that nobody may take it for one, and what it has archived so far is worth nothing.
CREATE TABLE sti_drop_run (
    -- Also the event's, once there is one, and that of the archived rows.
    id bigint PRIMARY KEY,
    -- The drop that was made. As long as it refers to the event, neither event nor archive can go by mistake.
    event_id bigint UNIQUE REFERENCES sti_drop_event (id) CHECK (event_id = id),
    begun_at timestamp with time zone NOT NULL,
    -- When it last committed something: what has not been seen for a while, and whose session is gone, is dead.
    seen_at timestamp with time zone NOT NULL,
    -- The server process of its session, as in pg_stat_activity.
    pid integer NOT NULL,
    rehearsal boolean NOT NULL,
    -- Given up: it must not be made any more, and is being taken away.
    abandoned boolean NOT NULL DEFAULT false
);

INSERT INTO sti_drop_run (id, event_id, begun_at, seen_at, pid, rehearsal)
    SELECT id, id, dropped_at, dropped_at, 0, false FROM sti_drop_event;

-- Archived rows come before the event. The old constraint makes every row that is there fulfil the new one, so none is
-- looked at.
ALTER TABLE sti_legacy_archive
    -- The new one takes its place in the same statement.
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT sti_legacy_archive_event_id_fkey,
    ADD CONSTRAINT sti_legacy_archive_run_fkey FOREIGN KEY (event_id) REFERENCES sti_drop_run (id) NOT VALID;

-- Every write to the three tables while a drop is at work, by triggers that are there for so long only. Writers only
-- append, and nothing makes two of them wait for each other: no key, no sequence.
CREATE TABLE sti_change_log (
    -- The project, or the one that a subtype row belongs to; NULL: all of them (TRUNCATE).
    project_id uuid,
    -- project, school or self_study: the table that was written.
    written text NOT NULL,
    -- school or self_study where the legacy columns of a project of this type came to say something else, so that
    -- the same transaction had to write that row too.
    row_due text,
    -- The transaction.
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- Being worked on, by the transaction that has marked it.
    taken boolean NOT NULL DEFAULT false
);

-- Where everything is published, a table without a key could be appended to and never emptied.
ALTER TABLE sti_change_log REPLICA IDENTITY FULL;
