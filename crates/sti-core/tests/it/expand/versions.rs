//! What a newer PostgreSQL can declare and an older one refuses: each case is carried out on every version, and shows
//! on the older ones that there is nothing to look for.

use sti_core::expand::{Note, UpError};
use sti_core::test_support::TestDatabase;

use super::rig::{create_tables, plan, up};

fn empty_tables() -> TestDatabase {
    let database = TestDatabase::postgres();
    for statement in create_tables(&database) {
        database.execute(&statement);
    }
    database
}

/// Whether the server has the syntax of version 18; an older one must refuse it.
fn declares(database: &TestDatabase, sql: &str) -> bool {
    let major: u32 =
        database.value("SELECT current_setting('server_version_num')::int / 10000").parse().unwrap();
    if major >= 18 {
        database.execute(sql);
        return true;
    }
    let refused = std::panic::catch_unwind(|| database.execute(sql));
    assert!(refused.is_err(), "version {major} takes {sql}");
    false
}

#[test]
fn not_null_that_was_never_validated_is_no_not_null() {
    let database = empty_tables();
    database.execute("ALTER TABLE projects_project ALTER project_type DROP NOT NULL");
    let sql = "ALTER TABLE projects_project ADD CONSTRAINT later NOT NULL project_type NOT VALID";
    let found = if declares(&database, sql) { "varchar(20) NOT NULL NOT VALID" } else { "varchar(20) NULL" };
    let Err(UpError::Refused(misfits)) = up(&database) else { panic!("it is not refused") };
    assert_eq!(misfits.len(), 1, "{misfits:?}");
    assert!(misfits[0].to_string().contains(found), "{}", misfits[0]);

    database.execute("ALTER TABLE projects_project ALTER project_type DROP NOT NULL");
    database.execute("ALTER TABLE projects_project ALTER project_type SET NOT NULL");
    assert_eq!(plan(&database).misfits, []);
}

#[test]
fn a_legacy_column_must_take_null_also_in_new_rows() {
    let database = empty_tables();
    let sql = "ALTER TABLE projects_project ADD CONSTRAINT later NOT NULL course_code NOT VALID";
    if declares(&database, sql) {
        let Err(UpError::Refused(misfits)) = up(&database) else { panic!("it is not refused") };
        assert_eq!(misfits.len(), 1, "{misfits:?}");
        assert!(misfits[0].to_string().contains("course_code"), "{}", misfits[0]);
    } else {
        assert_eq!(plan(&database).misfits, []);
    }
}

#[test]
fn a_foreign_key_that_is_not_enforced_is_none() {
    let database = empty_tables();
    let drop = "ALTER TABLE projects_schoolproject DROP CONSTRAINT projects_schoolproject_project_id_fkey";
    database.execute(drop);
    let sql = "ALTER TABLE projects_schoolproject ADD CONSTRAINT later FOREIGN KEY (project_id) \
               REFERENCES projects_project NOT ENFORCED";
    // Without it the note is the same: there is none.
    let _ = declares(&database, sql);
    assert_eq!(plan(&database).notes, [Note::NoForeignKey { table: "projects_schoolproject" }]);
    database.execute("ALTER TABLE projects_schoolproject DROP CONSTRAINT IF EXISTS later");
    database.execute(
        "ALTER TABLE projects_schoolproject ADD FOREIGN KEY (project_id) REFERENCES projects_project",
    );
    assert_eq!(plan(&database).notes, []);
}
