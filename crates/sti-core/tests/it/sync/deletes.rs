//! Projects that go, and pointers at rows that would go with them.

use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;

use super::rig::{
    assert_level, both_schemas, insert_sql, installed, only, ours, rows, run, save_sql, try_run,
};
use crate::repository::rig::{add_pointers, id, texts};

both_schemas! {
    the_row_goes_with_the_project,
    also_where_the_foreign_key_is_checked_at_once,
    also_where_the_writer_deletes_the_rows_it_knows_of,
    a_delete_that_another_trigger_cancels_keeps_the_row,
    what_another_table_refers_to_stays,
    a_project_s_own_pointer_goes_with_its_row,
}

fn plant(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    run(database, &insert_sql(2, "self_study", [None, None, None, Some("goal"), None]));
}

fn delete(number: u32) -> String {
    format!("DELETE FROM projects_project WHERE id = '{}'", id(number))
}

fn the_row_goes_with_the_project(database: &TestDatabase) {
    plant(database);
    // A row of each kind is a finding; both must go.
    database.execute(&format!("INSERT INTO projects_selfstudyproject VALUES ('{}', '', '')", id(1)));
    run(database, &delete(1));
    run(database, &delete(2));
    assert_eq!([rows(database, 1), rows(database, 2)], [[None, None], [None, None]]);
    assert_level(database);
}

fn also_where_the_foreign_key_is_checked_at_once(database: &TestDatabase) {
    plant(database);
    run(database, &format!("BEGIN; SET CONSTRAINTS ALL IMMEDIATE; {}; COMMIT", delete(1)));
    for (table, action) in
        [("projects_schoolproject", ""), ("projects_selfstudyproject", "ON DELETE RESTRICT")]
    {
        let key = database.value(&format!(
            "SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'f' AND conrelid = '{table}'::regclass"
        ));
        database.execute(&format!(
            "ALTER TABLE {table} DROP CONSTRAINT {key}, \
             ADD FOREIGN KEY (project_id) REFERENCES projects_project (id) {action} NOT DEFERRABLE"
        ));
    }
    run(database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    run(database, &format!("DELETE FROM projects_project WHERE id IN ('{}', '{}')", id(1), id(2)));
    assert_eq!([rows(database, 1), rows(database, 2)], [[None, None], [None, None]]);
    assert_level(database);
}

fn also_where_the_writer_deletes_the_rows_it_knows_of(database: &TestDatabase) {
    plant(database);
    run(
        database,
        &format!(
            "BEGIN; DELETE FROM projects_schoolproject WHERE project_id = '{}'; {}; COMMIT",
            id(1),
            delete(1)
        ),
    );
    assert_level(database);
}

fn a_delete_that_another_trigger_cancels_keeps_the_row(database: &TestDatabase) {
    plant(database);
    database.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE projects_project SET is_draft = \
         true WHERE id = OLD.id; RETURN NULL; END'; \
         CREATE TRIGGER z_keep BEFORE DELETE ON projects_project FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    run(database, &delete(1));
    assert_eq!(only(database, School, 1), texts(&["a", "", ""]));
    assert_level(database);
}

fn what_another_table_refers_to_stays(database: &TestDatabase) {
    plant(database);
    database.execute(&format!(
        "CREATE TABLE of_the_host (project_id uuid REFERENCES projects_project (id) DEFERRABLE INITIALLY DEFERRED); \
         INSERT INTO of_the_host VALUES ('{}')",
        id(1)
    ));
    let error = try_run(database, &delete(1)).unwrap_err();
    assert!(error.contains("violates foreign key constraint"), "{error}");
    assert_eq!(only(database, School, 1), texts(&["a", "", ""]));
}

fn with_pointers(database: &TestDatabase) {
    let there = database.count(
        "information_schema.columns WHERE table_name = 'projects_project' AND column_name = 'school_project_id'",
    );
    if there == 0 {
        add_pointers(database);
        assert_eq!(
            installed(database),
            ["function public.sti_sync() is not as this version of sti-migrate makes it"]
        );
    }
    plant(database);
}

fn point(database: &TestDatabase, from: u32, at: u32) {
    database.execute(&format!(
        "UPDATE projects_project SET school_project_id = '{}' WHERE id = '{}'",
        id(at),
        id(from)
    ));
}

fn pointer(database: &TestDatabase, number: u32) -> String {
    database.value(&format!("SELECT school_project_id FROM projects_project WHERE id = '{}'", id(number)))
}

fn a_project_s_own_pointer_goes_with_its_row(database: &TestDatabase) {
    with_pointers(database);
    point(database, 1, 1);
    run(database, &save_sql(1, "self_study", [Some("a"), None, None, None, None]));
    assert_eq!(only(database, SelfStudy, 1), texts(&["", ""]));
    assert_eq!(pointer(database, 1), "NULL");
    run(database, &save_sql(1, "school", [Some("a"), None, None, None, None]));
    point(database, 1, 1);
    run(database, &delete(1));
    // Another project's pointer at the row keeps it, and the project: the foreign key says so at COMMIT.
    run(database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    point(database, 2, 1);
    for write in [delete(1), save_sql(1, "self_study", [None; 5]), save_sql(1, "other", [None; 5])] {
        let error = try_run(database, &write).unwrap_err();
        assert!(error.contains("violates foreign key constraint"), "{error}");
    }
    assert_eq!(only(database, School, 1), texts(&["a", "", ""]));
    assert_eq!(pointer(database, 2), id(1).to_string());
    assert_level(database);
}

#[test]
fn a_pointer_without_a_foreign_key_does_not_dangle() {
    let database = ours();
    database.execute("ALTER TABLE projects_project ADD COLUMN school_project_id uuid");
    installed(&database);
    plant(&database);
    point(&database, 1, 1);
    run(&database, &save_sql(1, "self_study", [None; 5]));
    assert_eq!(pointer(&database, 1), "NULL");
    run(&database, &save_sql(1, "school", [None; 5]));
    point(&database, 2, 1);
    for write in [delete(1), save_sql(1, "self_study", [None; 5])] {
        let error = try_run(&database, &write).unwrap_err();
        let expected = format!(
            "the row of project {} in projects_schoolproject must stay: school_project_id of another project points \
             at it",
            id(1)
        );
        assert_eq!(error, expected);
    }
    assert_eq!(only(&database, School, 1), texts(&["", "", ""]));
    // One at a row that is not there stands in nobody's way.
    database.execute(&format!("DELETE FROM projects_schoolproject WHERE project_id = '{}'", id(1)));
    run(&database, &delete(1));
}
