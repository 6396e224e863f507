-- One row for each drop of the legacy columns. A service that finds all five columns gone goes on without them
-- only if this table says that we dropped them.
CREATE TABLE sti_drop_event (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    dropped_at datetime NOT NULL,
    restored_at datetime,
    tool_version text NOT NULL
);
