-- On PostgreSQL a drop does most of its work ahead of its lock and keeps a log of what is written meanwhile. On SQLite
-- all of it is one transaction during which nobody else writes: these tables stay empty, and are here so that both
-- backends have the same ones.

CREATE TABLE sti_drop_run (
    id integer NOT NULL PRIMARY KEY,
    event_id bigint UNIQUE REFERENCES sti_drop_event (id) CHECK (event_id = id),
    begun_at datetime NOT NULL,
    seen_at datetime NOT NULL,
    pid integer NOT NULL,
    rehearsal bool NOT NULL,
    abandoned bool NOT NULL DEFAULT false
);

CREATE TABLE sti_change_log (
    project_id char(32),
    written text NOT NULL,
    row_due text,
    "transaction" bigint NOT NULL,
    taken bool NOT NULL DEFAULT false
);
