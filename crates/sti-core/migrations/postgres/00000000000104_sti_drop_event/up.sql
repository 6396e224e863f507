-- One row for each drop of the legacy columns. A service that finds all five columns gone goes on without them
-- only if this table says that we dropped them: its role therefore reads the table, whatever that role is.
CREATE TABLE sti_drop_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dropped_at timestamp with time zone NOT NULL,
    restored_at timestamp with time zone,
    tool_version text NOT NULL
);

GRANT SELECT ON sti_drop_event TO PUBLIC;
