-- The last step of the split, in a set of migrations of its own: `sti-migrate up` never runs it, and neither does a
-- harness that is given the others. Only `sti-migrate drop-legacy` has what it asks for: a permit of this very
-- transaction, given under the locks after every gate was asked and every value archived. One statement, so that a
-- tool that goes on after an error gets no further.

-- No client is left that uses the columns: that is what the permit stands for.
-- squawk-ignore-file ban-drop-column
DO $drop$
DECLARE
    permits bigint;
BEGIN
    DELETE FROM sti_drop_permit WHERE transaction = pg_current_xact_id()::text;
    GET DIAGNOSTICS permits = ROW_COUNT;
    IF permits <> 1 THEN
        RAISE EXCEPTION 'the legacy columns are dropped by "sti-migrate drop-legacy" only'
            USING HINT = 'It checks that no value is lost, and keeps an archive. Nothing was changed.';
    END IF;
    ALTER TABLE projects_project
        DROP COLUMN course_name,
        DROP COLUMN course_code,
        DROP COLUMN teacher_name,
        DROP COLUMN goal_description,
        DROP COLUMN study_frequency;
END
$drop$;
