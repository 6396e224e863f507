-- What every repair changed, as it was before. A row is written in the transaction of the change that it records,
-- so there is one exactly if the change happened. Rows are kept: they are the only way back.
CREATE TABLE sti_repair_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repaired_at timestamp with time zone NOT NULL,
    -- The digest of the plan that was confirmed, and the side that was taken for right: legacy or subtype.
    digest text NOT NULL,
    direction text NOT NULL,
    -- No foreign key: the project may be gone, or may never have been there (an orphan).
    project_id uuid NOT NULL,
    -- The table and what was done there: update_row, delete_row, create_row, delete_orphan, update_legacy,
    -- clear_pointer.
    table_name text NOT NULL,
    action text NOT NULL,
    -- JSON: the subtype row, the five legacy values, or the pointer. NULL where there was nothing (create_row).
    before_image text
);
