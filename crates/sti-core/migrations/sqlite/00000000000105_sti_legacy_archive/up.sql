-- What the drop of the legacy columns leaves behind, so that it can be taken back without losing a value.

-- The digest of the plan that was confirmed.
ALTER TABLE sti_drop_event ADD COLUMN digest text;
-- JSON: every gate with its verdict, its count and its evidence, as found under the lock.
ALTER TABLE sti_drop_event ADD COLUMN gates text;
-- JSON: the waivers, each with the gate, the count that was allowed and the count that was found.
ALTER TABLE sti_drop_event ADD COLUMN waivers text;
-- JSON: how each of the five columns was defined, and the statements that make it again.
ALTER TABLE sti_drop_event ADD COLUMN definitions text;
-- Rows written to sti_legacy_archive: one for each project.
ALTER TABLE sti_drop_event ADD COLUMN archived bigint;
-- Milliseconds under the lock until this row was written.
ALTER TABLE sti_drop_event ADD COLUMN lock_ms bigint;
-- The columns are back, and empty. restored_at says that they are filled and verified.
ALTER TABLE sti_drop_event ADD COLUMN restore_began_at datetime;
-- The last project whose columns were refilled; all before it in the order of ids are refilled too.
ALTER TABLE sti_drop_event ADD COLUMN refilled_through char(32);
-- The triggers of the restore are gone.
ALTER TABLE sti_drop_event ADD COLUMN finished_at datetime;

-- Both sides of every project as they were under the lock of the drop. NULL and '' are kept apart.
CREATE TABLE sti_legacy_archive (
    event_id bigint NOT NULL REFERENCES sti_drop_event (id),
    -- No foreign key: projects go, the archive stays.
    project_id char(32) NOT NULL,
    project_type text NOT NULL,
    course_name text,
    course_code text,
    teacher_name text,
    goal_description text,
    study_frequency text,
    -- The subtype rows; their columns are NULL where there was no row.
    has_school bool NOT NULL,
    school_course_name text,
    school_course_code text,
    school_teacher_name text,
    has_self_study bool NOT NULL,
    self_study_goal_description text,
    self_study_study_frequency text,
    PRIMARY KEY (event_id, project_id)
);

-- What the drop's own SQL asks for: a row that says that this very transaction has passed the gates. The foreign key
-- refers to a row that cannot exist (every id is greater than 0) and is checked at COMMIT, so that no permit can
-- outlive its transaction: it is consumed, or nothing is committed.
CREATE TABLE sti_drop_permit (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
    -- Which transaction it is for; SQLite has only one that writes.
    "transaction" text NOT NULL,
    never_commits integer NOT NULL DEFAULT 0 CHECK (never_commits = 0)
        REFERENCES sti_drop_permit (id) DEFERRABLE INITIALLY DEFERRED
);
