//! What is there is taken as it is, what is missing is made, and nothing else is touched.

use sti_core::both_backends;
use sti_core::db::migrations::{self, OURS};
use sti_core::expand::{LegacyColumns, Note, TableAction};
use sti_core::test_support::TestDatabase;

use super::rig::{create_tables, data, definitions, open, plan, up, without_ours};

both_backends! {
    an_empty_database_gets_all_of_it,
    only_what_is_missing_is_made,
    a_parent_that_comes_late_leaves_subtype_tables_without_foreign_key,
    the_list_of_our_tables_is_complete,
    a_column_of_the_application_that_must_be_given_is_pointed_out,
}
both_backends! { django: a_database_that_django_made_is_adopted_as_it_is, a_plan_changes_nothing, it_can_be_undone }

const TABLES: [&str; 3] = ["projects_project", "projects_schoolproject", "projects_selfstudyproject"];

fn a_database_that_django_made_is_adopted_as_it_is(database: &TestDatabase) {
    let (schema, rows) = (definitions(database), data(database));
    let report = up(database).unwrap();
    assert!(report.changed());
    assert_eq!(report.plan.legacy, LegacyColumns::Present);
    assert_eq!(report.plan.notes, []);
    assert_eq!(report.plan.pending, OURS);
    for table in &report.plan.tables {
        assert_eq!(table.action, TableAction::Adopt, "{}", table.name);
    }
    let others = ["syllabus", "school_project_id", "self_study_project_id"];
    assert_eq!(report.plan.tables[0].left_alone, others);
    assert_eq!(report.missing_grants, []);

    let after = definitions(database);
    assert_eq!(without_ours(&after), schema.iter().collect::<Vec<_>>());
    assert_eq!(data(database), rows);

    // A second time there is nothing to do, and nothing is done.
    let again = up(database).unwrap();
    assert!(!again.changed());
    assert!(again.plan.tables.iter().all(|table| table.action == TableAction::Keep));
    assert_eq!(definitions(database), after);
}

fn a_plan_changes_nothing(database: &TestDatabase) {
    let before = definitions(database);
    let planned = plan(database);
    assert!(!planned.is_done());
    assert!(planned.tables.iter().all(|table| table.action == TableAction::Adopt));
    assert_eq!(definitions(database), before);
}

fn an_empty_database_gets_all_of_it(database: &TestDatabase) {
    assert_eq!(plan(database).legacy, LegacyColumns::NoTable);
    let report = up(database).unwrap();
    assert!(report.plan.tables.iter().all(|table| table.action == TableAction::Create));
    let after = plan(database);
    assert!(after.is_done());
    assert_eq!((after.misfits, after.notes, after.legacy), (vec![], vec![], LegacyColumns::Present));
    for table in TABLES {
        assert_eq!(database.count(table), 0);
    }
}

/// Every selection of the three tables, as the application may have them.
fn only_what_is_missing_is_made(database: &TestDatabase) {
    let create = create_tables(database);
    for there in 1..8_usize {
        let is_there = |index: usize| there & (1 << index) != 0;
        for index in (0..3).filter(|index| is_there(*index)) {
            let statement = &create[index];
            // A subtype table cannot refer to a parent that is not there.
            let statement =
                if is_there(0) || index == 0 { statement.clone() } else { without_key(statement) };
            database.execute(&statement);
        }
        let before = definitions(database);
        let report = up(database).unwrap();
        for (index, table) in report.plan.tables.iter().enumerate() {
            let expected = if is_there(index) { TableAction::Adopt } else { TableAction::Create };
            assert_eq!(table.action, expected, "{} with {there:03b}", table.name);
        }
        let after = definitions(database);
        assert!(before.iter().all(|line| after.contains(line)), "{there:03b}");
        assert!(plan(database).misfits.is_empty(), "{there:03b}");
        drop_everything(database);
    }
}

fn a_parent_that_comes_late_leaves_subtype_tables_without_foreign_key(database: &TestDatabase) {
    database.execute(&without_key(&create_tables(database)[1]));
    let report = up(database).unwrap();
    assert_eq!(report.plan.notes, [Note::NoForeignKey { table: "projects_schoolproject" }]);
}

fn a_column_of_the_application_that_must_be_given_is_pointed_out(database: &TestDatabase) {
    let parent = create_tables(database)[0].replace("owner_id", "level integer NOT NULL, owner_id");
    database.execute(&parent);
    let report = up(database).unwrap();
    assert_eq!(report.plan.notes, [Note::RequiredColumn { column: "level".to_owned() }]);
    assert_eq!(report.plan.tables[0].left_alone, ["level"]);
}

/// As docs/schema.md has it: the application keeps all of its own, and `up` may come again.
fn it_can_be_undone(database: &TestDatabase) {
    let (schema, rows) = (definitions(database), data(database));
    up(database).unwrap();
    let page = include_str!("../../../../../docs/schema.md");
    let (_, script) = page.split_once("```sql\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let script = match database.backend_name() {
        "sqlite" => script.replace(", ", "; DROP TABLE "),
        _ => script.to_owned(),
    };
    database.execute(&script);
    assert_eq!(without_ours(&definitions(database)), schema.iter().collect::<Vec<_>>());
    assert_eq!(plan(database).pending, OURS);
    assert!(up(database).unwrap().changed());
    assert_eq!(data(database), rows);
}

/// What the misfit check calls ours is what the migrations make.
fn the_list_of_our_tables_is_complete(database: &TestDatabase) {
    migrations::run_pending(&mut open(database)).unwrap();
    let found = database.column(
        "name",
        database.either(
            "FROM (SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public') t \
             WHERE name LIKE 'sti%' ORDER BY 1",
            "FROM sqlite_schema WHERE type = 'table' AND name LIKE 'sti%' ORDER BY 1",
        ),
    );
    let mut listed: Vec<&str> = OURS.iter().flat_map(|migration| migration.tables).copied().collect();
    listed.sort_unstable();
    assert_eq!(found.iter().flatten().collect::<Vec<_>>(), listed);
}

/// The statement of a subtype table without its foreign key.
fn without_key(statement: &str) -> String {
    let (before, rest) = statement.split_once("REFERENCES").unwrap();
    format!("{before}{}", &rest[rest.find(',').unwrap()..])
}

fn drop_everything(database: &TestDatabase) {
    let cascade = database.either(" CASCADE", "");
    let ours = OURS.iter().rev().flat_map(|migration| migration.tables.iter().rev());
    for table in ours.chain(TABLES.iter().rev()).chain(&["__diesel_schema_migrations"]) {
        database.execute(&format!("DROP TABLE {table}{cascade}"));
    }
}

/// A legacy column that is wider than ours: its values must fit into the table that we make.
#[test]
fn a_subtype_table_is_made_as_wide_as_the_legacy_columns() {
    let database = TestDatabase::postgres();
    let parent = create_tables(&database)[0]
        .replace("course_code varchar(50)", "course_code varchar(100)")
        .replace("teacher_name varchar(255)", "teacher_name text")
        .replace("study_frequency varchar(50)", "study_frequency varchar(20)");
    database.execute(&parent);
    let report = up(&database).unwrap();
    let widened: Vec<String> = report.plan.widened.iter().map(ToString::to_string).collect();
    assert_eq!(
        widened,
        [
            "projects_schoolproject.course_code is varchar(100), as wide as the legacy column",
            "projects_schoolproject.teacher_name is text, as wide as the legacy column",
        ]
    );
    assert!(plan(&database).misfits.is_empty());
    let lengths = database.select(
        &["column_name", "character_maximum_length"],
        "FROM information_schema.columns WHERE table_name IN ('projects_schoolproject', \
         'projects_selfstudyproject') AND column_name <> 'project_id' ORDER BY 1",
    );
    let lengths: Vec<(&str, Option<&str>)> =
        lengths.iter().map(|row| (row[0].as_deref().unwrap(), row[1].as_deref())).collect();
    assert_eq!(
        lengths,
        [
            ("course_code", Some("100")),
            ("course_name", Some("255")),
            ("goal_description", None),
            ("study_frequency", Some("50")),
            ("teacher_name", None),
        ]
    );
}

/// The subtype tables are made without a right for anybody else; who needs one is named, and nothing is granted.
#[test]
fn roles_that_lack_rights_on_a_new_table_are_named() {
    let database = TestDatabase::django_postgres();
    database.execute("DROP TABLE projects_schoolproject, projects_selfstudyproject CASCADE");
    database.grant_application(&["projects_project"]);
    database.execute("GRANT SELECT ON projects_project TO PUBLIC");
    let role = database.value("SELECT current_database()") + "_app";

    let report = up(&database).unwrap();
    let statements: Vec<String> = report.missing_grants.iter().map(ToString::to_string).collect();
    let mut expected = Vec::new();
    for table in ["projects_schoolproject", "projects_selfstudyproject"] {
        expected.push(format!("GRANT SELECT ON {table} TO PUBLIC;"));
        expected.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};"));
    }
    assert_eq!(statements, expected);
    for statement in statements {
        database.execute(&statement);
    }
    assert_eq!(up(&database).unwrap().missing_grants, []);
}
