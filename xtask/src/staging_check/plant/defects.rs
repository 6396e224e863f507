//! The list.

use serde_json::{Value, json};

use super::sql::{emptied, longer, plain, removed};
use super::{Defect, Way, When};
use crate::staging_check::database::Database;

const fn defect(step: &'static str, name: &'static str, words: &'static str, way: Way) -> Defect {
    Defect { name, step, words, way }
}

use Way::{Answer, Sql};
use When::{After, Before};

/// In the order of the steps.
pub(super) const ALL: [Defect; 34] = [
    defect("expand", "value-trimmed", "the migration changes a project's name", Sql(After, name_longer)),
    defect(
        "counts",
        "miscount",
        "the tool counts one project more",
        Answer(|answer| {
            let count = answer.report.pointer("/projects/school/non_draft").and_then(Value::as_i64);
            answer.set("/projects/school/non_draft", json!(count.unwrap_or_default() + 1));
        }),
    ),
    defect("dry-run", "dry-run-writes", "the dry run changes a row", Sql(After, name_longer)),
    defect(
        "flag-off",
        "ran-without-flag",
        "the refused run is in the ledger",
        Sql(After, |_| {
            plain(
                "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
         started_by) VALUES ('done', false, 1, 0, CURRENT_TIMESTAMP, 'x', 'planted')",
                "DELETE FROM sti_backfill_run WHERE started_by = 'planted'",
            )
        }),
    ),
    defect(
        "kill",
        "row-lost-at-kill",
        "a row that the ledger counts is not there",
        Sql(After, unpointed_school_row),
    ),
    defect(
        "guard-incomplete",
        "refused-with-0",
        "the guard refuses, and exits with 0",
        Answer(|answer| {
            answer.exit = Some(0);
        }),
    ),
    defect(
        "resume",
        "counted-twice",
        "a chunk counts a project twice",
        Sql(After, |_| {
            plain(
                "UPDATE sti_backfill_chunk SET locked = locked + 1, created_school = created_school + 1 WHERE number = 1",
                "UPDATE sti_backfill_chunk SET locked = locked - 1, created_school = created_school - 1 WHERE number = 1",
            )
        }),
    ),
    defect(
        "resume",
        "chunk-lost",
        "the resume forgets a chunk",
        Sql(After, |database| removed(database, "sti_backfill_chunk", "id", "number = 2")),
    ),
    defect(
        "backfill",
        "row-removed",
        "a subtype row is gone after the backfill",
        Sql(After, unpointed_school_row),
    ),
    defect(
        "drafts",
        "draft-left-out",
        "a draft's values are in the legacy columns only",
        Sql(After, draft_row),
    ),
    defect("dual-write", "one-side-only", "a service's write reaches one side only", Sql(After, service_row)),
    defect(
        "trap",
        "guard-that-counts",
        "the guard answers as the plan's does",
        Answer(|answer| {
            answer.exit = Some(0);
            let gates = answer.report["gates"].as_array_mut().map_or(&mut [][..], Vec::as_mut_slice);
            for gate in gates {
                gate["verdict"] = json!("pass");
            }
        }),
    ),
    defect(
        "verify",
        "finding-not-told",
        "the verification does not tell what is missing",
        Answer(|answer| {
            answer.set("/findings/missing/total", json!(0));
        }),
    ),
    defect(
        "repair",
        "wrong-kind",
        "a project has a row of the wrong kind only",
        Sql(After, |database| {
            let kept = removed(database, "projects_schoolproject", "project_id", UNPOINTED);
            plain(
                &format!(
                    "{}; INSERT INTO projects_selfstudyproject SELECT project_id, 'planted', '' FROM staging_check_kept",
                    kept.plant
                ),
                &format!(
                    "DELETE FROM projects_selfstudyproject WHERE goal_description = 'planted'; {}",
                    kept.undo
                ),
            )
        }),
    ),
    defect(
        "repair",
        "both-kinds",
        "a project has a row of each kind",
        Sql(After, |_| {
            plain(
                "INSERT INTO projects_selfstudyproject SELECT project_id, 'planted', '' FROM projects_schoolproject \
         ORDER BY project_id LIMIT 1",
                "DELETE FROM projects_selfstudyproject WHERE goal_description = 'planted'",
            )
        }),
    ),
    defect(
        "clean",
        "drifted-field",
        "one field of a subtype row differs",
        Sql(Before, |_| longer("projects_schoolproject", "project_id", "course_code", UNPOINTED)),
    ),
    defect("clean", "orphan", "a subtype row is without its project", Sql(Before, orphan)),
    defect(
        "guard",
        "view-on-a-column",
        "a view reads a legacy column",
        Sql(Before, |_| {
            plain(
                "CREATE VIEW staging_check_view AS SELECT course_name FROM projects_project",
                "DROP VIEW staging_check_view",
            )
        }),
    ),
    defect(
        "guard",
        "draft-only-in-legacy",
        "a draft's values are in the legacy columns only",
        Sql(Before, draft_row),
    ),
    defect(
        "digest",
        "wrong-digest-accepted",
        "another digest is taken",
        Answer(|answer| {
            answer.exit = Some(0);
            answer.set("/outcome", json!("done"));
        }),
    ),
    defect(
        "rehearsal",
        "rehearsal-changes",
        "the rehearsal leaves a change behind",
        Sql(After, |_| longer("projects_selfstudyproject", "project_id", "study_frequency", "1 = 1")),
    ),
    defect(
        "rehearsal",
        "stray-value",
        "a value of the other kind turns up that no waiver covers",
        Sql(Before, |_| {
            plain(
                "CREATE TABLE staging_check_kept AS SELECT id FROM projects_project WHERE project_type = 'school' \
         AND goal_description IS NULL AND study_frequency IS NULL ORDER BY id LIMIT 1; \
         UPDATE projects_project SET goal_description = 'planted' WHERE id IN (SELECT id FROM staging_check_kept)",
                "UPDATE projects_project SET goal_description = NULL WHERE id IN (SELECT id FROM staging_check_kept); \
         DROP TABLE staging_check_kept",
            )
        }),
    ),
    defect(
        "rehearsal",
        "unknown-type",
        "a project becomes of a type that nobody knows, and no waiver covers",
        Sql(Before, |_| {
            plain(
                "CREATE TABLE staging_check_kept AS SELECT id FROM projects_project WHERE project_type = 'school' \
         AND name NOT LIKE 'staging-check %' ORDER BY id LIMIT 1; \
         UPDATE projects_project SET project_type = 'planted' WHERE id IN (SELECT id FROM staging_check_kept)",
                "UPDATE projects_project SET project_type = 'school' WHERE id IN (SELECT id FROM staging_check_kept); \
         DROP TABLE staging_check_kept",
            )
        }),
    ),
    defect(
        "drop",
        "archive-row-missing",
        "a project is not in the archive",
        Sql(After, |database| removed(database, "sti_legacy_archive", "project_id", "1 = 1")),
    ),
    defect(
        "drop",
        "archive-null-emptied",
        "the archive keeps '' for a NULL",
        Sql(After, |_| emptied("sti_legacy_archive", "project_id", "course_name", "project_type = 'school'")),
    ),
    defect("service", "write-lost", "a service's write is lost after the drop", Sql(After, service_row)),
    defect(
        "restore",
        "refill-altered",
        "the refill alters a value",
        Sql(After, |_| longer("projects_project", "id", "course_name", "project_type = 'school'")),
    ),
    defect(
        "restore",
        "changed-after-the-drop",
        "a row that no service touched says something else than at the drop",
        Sql(Before, |_| longer("projects_schoolproject", "project_id", "course_name", UNPOINTED)),
    ),
    defect(
        "restore",
        "stray-value-changed",
        "a stray value comes back as another",
        Sql(After, |_| {
            plain(
                "CREATE TABLE staging_check_kept AS SELECT id, goal_description FROM projects_project \
         WHERE project_type = 'school' AND goal_description <> '' ORDER BY id LIMIT 1; \
         UPDATE projects_project SET goal_description = 'planted' WHERE id IN (SELECT id FROM staging_check_kept)",
                "UPDATE projects_project SET goal_description = (SELECT goal_description FROM staging_check_kept) \
         WHERE id IN (SELECT id FROM staging_check_kept); DROP TABLE staging_check_kept",
            )
        }),
    ),
    defect(
        "restore",
        "null-emptied",
        "a NULL comes back as ''",
        Sql(After, |_| emptied("projects_project", "id", "course_name", "project_type = 'school'")),
    ),
    defect("finish", "trigger-left", "a trigger of the restore is left over", Sql(After, trigger)),
    defect(
        "legacy",
        "legacy-write-lost",
        "legacy mode loses a write",
        Sql(After, |_| longer("projects_project", "id", "teacher_name", "name LIKE 'staging-check %'")),
    ),
    defect("drift-found", "drift-left", "the repair leaves a row as it was", Sql(After, service_row)),
    defect(
        "drift-found",
        "image-lost",
        "the repair keeps no image of what it overwrites",
        Sql(After, |database| {
            let last = "id = (SELECT max(id) FROM sti_repair_log)";
            removed(database, "sti_repair_log", "id", last)
        }),
    ),
];

/// School rows that no pointer of Django's refers to.
const UNPOINTED: &str = "NOT EXISTS (SELECT 1 FROM projects_project p \
    WHERE p.school_project_id = projects_schoolproject.project_id) \
    AND project_id IN (SELECT id FROM projects_project WHERE project_type = 'school' AND NOT is_draft \
                       AND name NOT LIKE 'staging-check %')";

fn name_longer(_: &Database) -> super::sql::Planting {
    longer("projects_project", "id", "name", "1 = 1")
}

fn unpointed_school_row(database: &Database) -> super::sql::Planting {
    removed(database, "projects_schoolproject", "project_id", UNPOINTED)
}

fn draft_row(database: &Database) -> super::sql::Planting {
    let draft = "project_id IN (SELECT id FROM projects_project WHERE project_type = 'self_study' AND is_draft \
        AND goal_description <> '' AND name NOT LIKE 'staging-check %')";
    removed(database, "projects_selfstudyproject", "project_id", draft)
}

/// A row that a service of ours wrote.
fn service_row(_: &Database) -> super::sql::Planting {
    let ours = "project_id IN (SELECT id FROM projects_project WHERE name LIKE 'staging-check %')";
    longer("projects_schoolproject", "project_id", "teacher_name", ours)
}

/// Only a session without foreign keys can make one.
fn orphan(database: &Database) -> super::sql::Planting {
    let (id, insert) = (
        "00000000000000000000000000000000",
        "INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000000', '', '', '')",
    );
    let without_keys =
        database.either("SET session_replication_role = replica; ", "PRAGMA foreign_keys = OFF; ");
    plain(
        &format!("{without_keys}{insert}"),
        &format!("{without_keys}DELETE FROM projects_schoolproject WHERE project_id = '{id}'"),
    )
}

fn trigger(database: &Database) -> super::sql::Planting {
    if database.is_postgres() {
        return plain(
            "CREATE FUNCTION sti_planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
             CREATE TRIGGER sti_planted AFTER UPDATE ON projects_schoolproject FOR EACH ROW \
             EXECUTE FUNCTION sti_planted()",
            "DROP FUNCTION sti_planted() CASCADE",
        );
    }
    plain(
        "CREATE TRIGGER sti_planted AFTER UPDATE ON projects_schoolproject BEGIN SELECT 1; END",
        "DROP TRIGGER sti_planted",
    )
}
