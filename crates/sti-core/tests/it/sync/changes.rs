//! What a writer of the legacy columns does reaches the subtype rows: inserts, updates, changes of type, many rows at
//! once.

use diesel::{Connection as _, ExecuteCopyFromDsl as _, PgConnection};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;

use super::rig::{assert_level, both_schemas, insert_sql, only, rows, run, save_sql};
use crate::repository::rig::{id, texts};

both_schemas! {
    new_projects_get_their_row,
    an_update_writes_the_row,
    values_are_copied_exactly,
    a_save_that_changes_nothing_writes_nothing,
    a_change_of_type_moves_the_row,
    a_row_that_is_missing_comes_with_the_next_change,
    a_row_that_the_same_transaction_made_stays,
    what_other_triggers_make_of_it,
    many_rows_at_once,
    on_conflict,
    copy_in,
}

fn new_projects_get_their_row(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), None, Some(""), Some("stray"), None]));
    assert_eq!(only(database, School, 1), texts(&["a", "", ""]));
    run(database, &insert_sql(2, "self_study", [None, None, None, None, None]));
    assert_eq!(only(database, SelfStudy, 2), texts(&["", ""]));
    for (number, other) in [(3, "SCHOOL"), (4, ""), (5, "other")] {
        run(database, &insert_sql(number, other, [Some("a"), None, None, Some("b"), None]));
        assert_eq!(rows(database, number), [None, None], "{other}");
    }
    run(
        database,
        &format!(
            "{}; UPDATE projects_project SET is_draft = true WHERE id = '{}'",
            insert_sql(6, "school", [Some("draft"), None, None, None, None]),
            id(6)
        ),
    );
    assert_eq!(only(database, School, 6), texts(&["draft", "", ""]));
    assert_level(database);
}

fn an_update_writes_the_row(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), Some("b"), None, None, None]));
    run(database, &save_sql(1, "school", [Some("A"), None, Some("c"), Some("stray"), None]));
    assert_eq!(only(database, School, 1), texts(&["A", "", "c"]));
    run(database, &insert_sql(2, "self_study", [None; 5]));
    run(database, &save_sql(2, "self_study", [None, None, None, Some("goal"), Some("daily")]));
    assert_eq!(only(database, SelfStudy, 2), texts(&["goal", "daily"]));
    run(database, &save_sql(2, "self_study", [Some("stray"), None, None, Some("goal"), Some("Daily")]));
    assert_eq!(only(database, SelfStudy, 2), texts(&["goal", "Daily"]));
    assert_level(database);
}

fn values_are_copied_exactly(database: &TestDatabase) {
    let long = "x".repeat(100_000);
    for (number, text) in (1..).zip(["  a b  ", "tab\tnew\nline", "it's \\ \"quoted\"", "çà 👩‍👩‍👧 ß ẞ", "NULL"])
    {
        run(database, &insert_sql(number, "school", [Some(text), None, None, None, None]));
        assert_eq!(only(database, School, number), texts(&[text, "", ""]));
    }
    run(database, &insert_sql(9, "self_study", [None, None, None, Some(&long), None]));
    assert_eq!(only(database, SelfStudy, 9), texts(&[&long, ""]));
    assert_level(database);
}

/// Where the row is, and which transaction wrote it.
fn version(database: &TestDatabase, number: u32) -> String {
    database.value(&format!(
        "SELECT concat(ctid, ' ', xmin, ' ', xmax) FROM projects_schoolproject WHERE project_id = '{}'",
        id(number)
    ))
}

fn a_save_that_changes_nothing_writes_nothing(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), None, Some("c"), None, None]));
    let before = version(database, 1);
    run(database, &save_sql(1, "school", [Some("a"), None, Some("c"), None, None]));
    // What a form makes of a NULL, and a value of the row the same way.
    run(database, &save_sql(1, "school", [Some("a"), Some(""), Some("c"), Some(""), None]));
    assert_eq!(version(database, 1), before);
    run(database, &save_sql(1, "school", [Some("b"), Some(""), Some("c"), Some(""), None]));
    assert_ne!(version(database, 1), before, "a version that never changes shows nothing");
}

fn a_change_of_type_moves_the_row(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), Some("b"), None, Some("goal"), None]));
    // A legacy-only writer may leave the old values where they are.
    run(database, &save_sql(1, "self_study", [Some("a"), Some("b"), None, Some("goal"), Some("daily")]));
    assert_eq!(only(database, SelfStudy, 1), texts(&["goal", "daily"]));
    run(database, &save_sql(1, "school", [Some("new"), None, None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["new", "", ""]));
    run(database, &save_sql(1, "School", [Some("new"), None, None, None, None]));
    assert_eq!(rows(database, 1), [None, None], "case makes a difference");
    run(database, &save_sql(1, "other", [Some("newer"), None, None, None, None]));
    assert_eq!(rows(database, 1), [None, None]);
    run(database, &format!("UPDATE projects_project SET project_type = 'school' WHERE id = '{}'", id(1)));
    assert_eq!(only(database, School, 1), texts(&["newer", "", ""]));
    assert_level(database);
}

fn a_row_that_is_missing_comes_with_the_next_change(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), Some("b"), None, None, None]));
    database.execute(&format!("DELETE FROM projects_schoolproject WHERE project_id = '{}'", id(1)));
    run(database, &save_sql(1, "school", [Some("a"), Some("b"), None, None, None]));
    assert_eq!(rows(database, 1), [None, None], "nothing has changed");
    run(database, &save_sql(1, "school", [Some("a"), Some("c"), None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["a", "c", ""]));
}

fn a_row_that_the_same_transaction_made_stays(database: &TestDatabase) {
    run(
        database,
        &format!(
            "BEGIN; INSERT INTO projects_schoolproject VALUES ('{}', 'only here', '', ''); {}; COMMIT",
            id(1),
            insert_sql(1, "school", [None; 5])
        ),
    );
    assert_eq!(only(database, School, 1), texts(&["only here", "", ""]));
}

/// Triggers of the application that change the project before it is written, and once more after it.
fn what_other_triggers_make_of_it(database: &TestDatabase) {
    database.execute(
        "CREATE FUNCTION trim_it() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN NEW.course_name := btrim(NEW.course_name); RETURN NEW; END'; \
         CREATE TRIGGER trim_it BEFORE INSERT OR UPDATE ON projects_project FOR EACH ROW \
            EXECUTE FUNCTION trim_it(); \
         CREATE FUNCTION code_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN \
            UPDATE projects_project SET course_code = upper(course_name), \
                project_type = CASE course_name WHEN ''move'' THEN ''self_study'' ELSE project_type END \
            WHERE id = NEW.id; RETURN NULL; END'; \
         CREATE TRIGGER a_code_it AFTER INSERT OR UPDATE OF course_name ON projects_project FOR EACH ROW \
            EXECUTE FUNCTION code_it(); \
         CREATE TRIGGER z_code_it AFTER INSERT OR UPDATE OF course_name ON projects_project FOR EACH ROW \
            EXECUTE FUNCTION code_it()",
    );
    run(database, &insert_sql(1, "school", [Some(" a "), Some("x"), None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["a", "A", ""]));
    run(database, &save_sql(1, "school", [Some(" b "), Some("y"), None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["b", "B", ""]));
    run(database, &save_sql(1, "school", [Some("move"), Some("y"), None, Some("goal"), None]));
    assert_eq!(only(database, SelfStudy, 1), texts(&["goal", ""]));
    assert_level(database);
}

fn many_rows_at_once(database: &TestDatabase) {
    for number in 1..=40 {
        let kind = if number % 2 == 0 { "school" } else { "self_study" };
        run(database, &insert_sql(number, kind, [Some("a"), None, None, Some("b"), None]));
    }
    run(
        database,
        "UPDATE projects_project SET course_name = left(concat(course_name, '!'), 255), goal_description = 'all'",
    );
    assert_eq!(only(database, School, 2), texts(&["a!", "", ""]));
    assert_level(database);
    run(
        database,
        "UPDATE projects_project SET project_type = CASE project_type WHEN 'school' THEN 'self_study' ELSE 'school' \
         END WHERE project_type IN ('school', 'self_study')",
    );
    assert_eq!(only(database, SelfStudy, 2), texts(&["all", ""]));
    assert_level(database);
    let numbers: Vec<String> = (1..=40).map(|number| format!("'{}'", id(number))).collect();
    run(database, &format!("DELETE FROM projects_project WHERE id IN ({})", numbers.join(", ")));
    assert_level(database);
}

fn on_conflict(database: &TestDatabase) {
    let upsert = |legacy| {
        format!(
            "{} ON CONFLICT (id) DO UPDATE SET course_name = EXCLUDED.course_name, project_type = \
             EXCLUDED.project_type",
            insert_sql(1, "school", legacy)
        )
    };
    run(database, &upsert([Some("a"), Some("b"), None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["a", "b", ""]));
    run(database, &upsert([Some("A"), Some("ignored"), None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["A", "b", ""]));
    run(database, &format!("{} ON CONFLICT DO NOTHING", insert_sql(1, "school", [Some("ignored"); 5])));
    assert_eq!(only(database, School, 1), texts(&["A", "b", ""]));
    assert_level(database);
}

diesel::table! {
    projects_project (id) {
        id -> Text,
        name -> Text,
        project_type -> Text,
        course_name -> Text,
        is_draft -> Bool,
        created_at -> Text,
        updated_at -> Text,
        owner_id -> Integer,
    }
}

fn copy_in(database: &TestDatabase) {
    use projects_project::dsl;
    let mut connection = PgConnection::establish(&database.application_role()).unwrap();
    let columns = (
        dsl::id,
        dsl::name,
        dsl::project_type,
        dsl::course_name,
        dsl::is_draft,
        dsl::created_at,
        dsl::updated_at,
        dsl::owner_id,
    );
    let copied = diesel::copy_from(dsl::projects_project)
        .from_raw_data(columns, |copy| {
            for (number, kind) in [(1, "school"), (2, "self_study"), (3, "other")] {
                writeln!(copy, "{}\tp\t{kind}\tcopied\tf\t2026-01-02\t2026-01-02\t1", id(number)).unwrap();
            }
            diesel::QueryResult::Ok(())
        })
        .execute(&mut connection)
        .unwrap();
    assert_eq!(copied, 3);
    assert_eq!(only(database, School, 1), texts(&["copied", "", ""]));
    assert_eq!(only(database, SelfStudy, 2), texts(&["", ""]));
    assert_eq!(rows(database, 3), [None, None]);
    assert_level(database);
}
