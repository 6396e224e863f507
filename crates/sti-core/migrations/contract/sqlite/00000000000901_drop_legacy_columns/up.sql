-- The last step of the split, in a set of migrations of its own: `sti-migrate up` never runs it, and neither does a
-- harness that is given the others. Only `sti-migrate drop-legacy` has what it asks for: a permit, given in this
-- transaction after every gate was asked and every value archived.

-- SQLite drops no column that a view names, and asks temporary views too. Where the permit was given, this name is
-- taken by a temporary table and nothing happens here; anywhere else, not one of the statements below can drop a
-- column, not even those of a tool that goes on after an error.
CREATE TEMP VIEW IF NOT EXISTS sti_drop_guard AS
    SELECT course_name, course_code, teacher_name, goal_description, study_frequency FROM main.projects_project;

-- Fails unless there is a permit, and consumes it.
CREATE TEMP TABLE sti_drop_permits (
    found integer CONSTRAINT "the legacy columns are dropped by sti-migrate drop-legacy only" CHECK (found = 1)
);
INSERT INTO temp.sti_drop_permits SELECT count(*) FROM main.sti_drop_permit;
DROP TABLE temp.sti_drop_permits;
DELETE FROM main.sti_drop_permit;

ALTER TABLE main.projects_project DROP COLUMN course_name;
ALTER TABLE main.projects_project DROP COLUMN course_code;
ALTER TABLE main.projects_project DROP COLUMN teacher_name;
ALTER TABLE main.projects_project DROP COLUMN goal_description;
ALTER TABLE main.projects_project DROP COLUMN study_frequency;

DROP TABLE temp.sti_drop_guard;
