//! Whose rights the triggers work with, and who may call them.

use super::rig::{assert_level, both_schemas, insert_sql, installed, only, removed, run, save_sql, try_run};
use crate::repository::rig::{id, texts};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;

both_schemas! { the_writer_needs_none_on_the_subtype_tables, nobody_else_gives_names_a_meaning }

fn role(database: &TestDatabase) -> String {
    format!("{}_app", database.value("SELECT current_database()"))
}

fn the_writer_needs_none_on_the_subtype_tables(database: &TestDatabase) {
    let _ = database.application_role();
    database.execute(&format!(
        "REVOKE ALL ON projects_schoolproject, projects_selfstudyproject FROM {}",
        role(database)
    ));
    assert!(
        try_run(database, "SELECT 1 FROM projects_schoolproject").unwrap_err().contains("permission denied")
    );
    run(database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    run(database, &save_sql(1, "school", [Some("b"), None, None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["b", "", ""]));
    run(database, &save_sql(1, "self_study", [Some("b"), None, None, Some("goal"), None]));
    assert_eq!(only(database, SelfStudy, 1), texts(&["goal", ""]));
    run(database, &format!("DELETE FROM projects_project WHERE id = '{}'", id(1)));
    assert_level(database);
}

fn nobody_else_gives_names_a_meaning(database: &TestDatabase) {
    let _ = database.application_role();
    let may = format!("SELECT has_function_privilege('{}', 'public.sti_sync()', 'EXECUTE')", role(database));
    assert_eq!(database.value(&may), "false");
    // What a caller could put before our names.
    run(
        database,
        &format!(
            "CREATE TEMP TABLE projects_schoolproject (LIKE projects_schoolproject); \
             CREATE TEMP TABLE projects_project (LIKE projects_project); \
             SET search_path = pg_temp; {}",
            insert_sql(1, "school", [Some("a"), None, None, None, None])
                .replace("INTO projects_project", "INTO public.projects_project")
        ),
    );
    assert_eq!(only(database, School, 1), texts(&["a", "", ""]));
    let error = try_run(
        database,
        "CREATE TEMP TABLE mine (id uuid); \
         CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.sti_sync()",
    );
    assert!(error.unwrap_err().contains("permission denied for function public.sti_sync"));
}

fn owner_of_the_function(database: &TestDatabase) -> String {
    database.value("SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'sti_sync'")
}

/// Whoever owns a subtype table may hang a trigger on it, which must not get a superuser's rights by ours.
#[test]
fn a_superuser_gives_the_function_to_the_owner_of_the_tables() {
    let database = TestDatabase::postgres();
    crate::repository::rig::migrate(&database);
    let owner = role(&database);
    for table in ["projects_project", "projects_schoolproject", "projects_selfstudyproject"] {
        database.execute(&format!("ALTER TABLE {table} OWNER TO {owner}"));
    }
    // Who cannot do what the function does cannot own it.
    installed(&database);
    assert_eq!(owner_of_the_function(&database), database.value("SELECT current_user::text"));
    database.execute(&format!("GRANT INSERT ON sti_repair_log TO {owner}"));
    removed(&database);
    installed(&database);
    assert_eq!(owner_of_the_function(&database), owner);
    database.execute(
        "CREATE TABLE seen (who text); GRANT INSERT ON seen TO PUBLIC; \
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NULL; END'; \
         CREATE TRIGGER look AFTER INSERT ON projects_schoolproject FOR EACH ROW EXECUTE FUNCTION look()",
    );
    database.execute(&insert_sql(1, "school", [Some("a"), None, None, None, None]));
    assert_eq!(database.value("SELECT who FROM seen"), owner);
    assert_level(&database);
}
