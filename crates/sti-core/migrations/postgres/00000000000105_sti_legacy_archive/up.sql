-- What the drop of the legacy columns leaves behind, so that it can be taken back without losing a value.

ALTER TABLE sti_drop_event
    -- The digest of the plan that was confirmed.
    ADD COLUMN digest text,
    -- JSON: every gate with its verdict, its count and its evidence, as found under the lock.
    ADD COLUMN gates text,
    -- JSON: the waivers, each with the gate, the count that was allowed and the count that was found.
    ADD COLUMN waivers text,
    -- JSON: how each of the five columns was defined, and the statements that make it again.
    ADD COLUMN definitions text,
    -- Rows written to sti_legacy_archive: one for each project.
    ADD COLUMN archived bigint,
    -- Milliseconds under the lock until this row was written.
    ADD COLUMN lock_ms bigint,
    -- The columns are back, and empty. restored_at says that they are filled and verified.
    ADD COLUMN restore_began_at timestamp with time zone,
    -- The last project whose columns were refilled; all before it in the order of ids are refilled too.
    ADD COLUMN refilled_through uuid,
    -- The triggers of the restore are gone.
    ADD COLUMN finished_at timestamp with time zone;

-- Both sides of every project as they were under the lock of the drop. NULL and '' are kept apart.
CREATE TABLE sti_legacy_archive (
    event_id bigint NOT NULL REFERENCES sti_drop_event (id),
    -- No foreign key: projects go, the archive stays.
    project_id uuid NOT NULL,
    project_type text NOT NULL,
    course_name text,
    course_code text,
    teacher_name text,
    goal_description text,
    study_frequency text,
    -- The subtype rows; their columns are NULL where there was no row.
    has_school boolean NOT NULL,
    school_course_name text,
    school_course_code text,
    school_teacher_name text,
    has_self_study boolean NOT NULL,
    self_study_goal_description text,
    self_study_study_frequency text,
    PRIMARY KEY (event_id, project_id)
);

-- What the drop's own SQL asks for: a row that says that this very transaction has passed the gates. The foreign key
-- refers to a row that cannot exist (every id is greater than 0) and is checked at COMMIT, so that no permit can
-- outlive its transaction: it is consumed, or nothing is committed.
CREATE TABLE sti_drop_permit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (id > 0),
    -- The transaction's id.
    transaction text NOT NULL,
    never_commits bigint NOT NULL DEFAULT 0 CHECK (never_commits = 0)
        REFERENCES sti_drop_permit (id) DEFERRABLE INITIALLY DEFERRED
);
