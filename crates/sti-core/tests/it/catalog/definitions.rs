//! Columns come back as they were defined.

use sti_core::both_backends;
use sti_core::db::catalog::{Definitions, definitions};
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect};
use sti_core::mapping::{LEGACY_COLUMNS, PARENT};
use sti_core::test_support::TestDatabase;

both_backends! { odd_columns_come_back_as_they_were, columns_that_are_not_there_are_left_out }
both_backends! { django: the_legacy_columns_come_back_as_they_were }

fn open(database: &TestDatabase) -> AnyConnection {
    connect(&DatabaseUrl::parse(database.url()).unwrap(), Access::Write, "test").unwrap()
}

/// Drops the columns, makes them again from what JSON kept of them, and compares.
#[track_caller]
fn round_trip(database: &TestDatabase, table: &str, columns: &[&str]) -> Definitions {
    let before = definitions(&mut open(database), table, columns).unwrap();
    let names: Vec<&str> = before.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, columns);
    let kept = serde_json::to_string(&before).unwrap();
    for column in columns {
        database.execute(&format!("ALTER TABLE {table} DROP COLUMN \"{column}\""));
    }
    assert!(definitions(&mut open(database), table, columns).unwrap().columns.is_empty());
    let read: Definitions = serde_json::from_str(&kept).unwrap();
    assert_eq!(read, before);
    for statement in read.statements(table) {
        database.execute(&statement);
    }
    assert_eq!(definitions(&mut open(database), table, columns).unwrap(), before);
    before
}

fn the_legacy_columns_come_back_as_they_were(database: &TestDatabase) {
    let found = round_trip(database, PARENT, &LEGACY_COLUMNS);
    let types: Vec<String> = found.columns.iter().map(ToString::to_string).collect();
    let varchar = database.either("character varying", "varchar");
    let expected = [
        format!("\"course_name\" {varchar}(255)"),
        format!("\"course_code\" {varchar}(50)"),
        format!("\"teacher_name\" {varchar}(255)"),
        "\"goal_description\" text".to_owned(),
        format!("\"study_frequency\" {varchar}(50)"),
    ];
    assert_eq!(types, expected);
    let added = database.either("one ALTER TABLE", "one for each column");
    assert_eq!(found.statements(PARENT).len(), if added == "one ALTER TABLE" { 1 } else { 5 });
    let null = LEGACY_COLUMNS.map(|column| format!("{column} IS NULL")).join(" AND ");
    assert_eq!(database.count(&format!("{PARENT} WHERE {null}")), 10_000);
}

fn odd_columns_come_back_as_they_were(database: &TestDatabase) {
    if database.backend_name() == "sqlite" {
        database.execute(
            "CREATE TABLE t (id text PRIMARY KEY, plain, \"quo\"\"ted\" Varchar (20) COLLATE NoCase DEFAULT 'it''s', \
             number decimal(5, 2) COLLATE \"RTRIM\" DEFAULT -1.5, none text DEFAULT NULL); \
             INSERT INTO t (id) VALUES ('1')",
        );
        // The quoted name must be doubled to be dropped.
        let found = definitions(&mut open(database), "t", &["quo\"ted"]).unwrap();
        assert_eq!(
            found.statements("t"),
            [
                "ALTER TABLE \"main\".\"t\" ADD COLUMN \"quo\"\"ted\" Varchar (20) COLLATE NoCase DEFAULT 'it''s'"
            ]
        );
        round_trip(database, "t", &["plain", "number", "none"]);
        return;
    }
    let role = database.application_role();
    assert!(role.contains("_app"), "{role}");
    let role = format!("{}_app", database.value("SELECT current_database()"));
    database.execute(&format!(
        "CREATE SCHEMA \"Odd\"; CREATE COLLATION \"Odd\".\"Mine\" (provider = libc, locale = 'C'); \
         CREATE TABLE t (id int PRIMARY KEY, plain text, \
             \"Quo\"\"ted\" varchar(20) COLLATE \"Odd\".\"Mine\" DEFAULT E'it''s \\\\ $x$', other text COLLATE \"C\"); \
         ALTER TABLE t ALTER plain SET STORAGE EXTERNAL, ALTER plain SET COMPRESSION pglz, \
             ALTER plain SET STATISTICS 500, ALTER plain SET (n_distinct = -0.5); \
         COMMENT ON COLUMN t.plain IS E'a \\\\ and a '' and $sti$'; \
         GRANT SELECT (plain), UPDATE (plain) ON t TO {role} WITH GRANT OPTION; \
         GRANT SELECT (other) ON t TO PUBLIC; INSERT INTO t (id) VALUES (1)"
    ));
    let before = definitions(&mut open(database), "t", &["plain", "Quo\"ted", "other"]).unwrap();
    database.execute("ALTER TABLE t DROP COLUMN \"Quo\"\"ted\"");
    let statements = before.statements("t");
    database.execute("ALTER TABLE t DROP COLUMN plain, DROP COLUMN other");
    for statement in &statements {
        database.execute(statement);
    }
    assert_eq!(definitions(&mut open(database), "t", &["plain", "Quo\"ted", "other"]).unwrap(), before);
    assert_eq!(before.columns[0].grants.len(), 2);
    assert_eq!(before.columns[2].grants[0].role, None);
    assert_eq!(database.value("SELECT \"Quo\"\"ted\" FROM t"), "NULL", "a row that is there gets no default");

    // A role that is gone by then keeps nothing from coming back.
    database.execute(&format!(
        "ALTER TABLE t DROP COLUMN plain, DROP COLUMN other, DROP \"Quo\"\"ted\"; \
        DROP OWNED BY {role}"
    ));
    for statement in &statements {
        database.execute(&statement.replace(&role, "nobody_of_this_name"));
    }
    let after = definitions(&mut open(database), "t", &["plain", "Quo\"ted", "other"]).unwrap();
    assert!(after.columns[0].grants.is_empty());
    assert_eq!(after.columns[2].grants.len(), 1);
}

fn columns_that_are_not_there_are_left_out(database: &TestDatabase) {
    database.execute("CREATE TABLE t (id text PRIMARY KEY, a text)");
    let found = definitions(&mut open(database), "t", &["b", "a"]).unwrap();
    assert_eq!(found.columns.len(), 1);
    let found = definitions(&mut open(database), "nowhere", &["b", "a"]).unwrap();
    assert!(found.statements("nowhere").is_empty());
}
