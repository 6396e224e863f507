//! `table!` held against both live databases: the one that our migrations make, and the one that Django made.

use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Bool, Date, Nullable, Text};
use sti_core::db::sql_types::{DbInteger, DbTimestamp, DbUuid, Integer, Timestamp};
use sti_core::db::{Access, AnyConnection, DatabaseUrl, catalog, connect, migrations};
use sti_core::schema::{projects_project, projects_schoolproject, projects_selfstudyproject};
use sti_core::test_support::TestDatabase;
use sti_core::{Project, ProjectId, ProjectType, SchoolProject, SelfStudyProject, both_backends};

both_backends! { the_migrated_database_has_these_columns_and_no_others, a_typed_row_goes_in_and_comes_back }
both_backends! { django: the_django_database_has_these_columns, a_typed_row_goes_into_the_django_database }

/// What `table!` says of a column.
struct Expected {
    name: &'static str,
    nullable: bool,
    /// The types of the catalogue that go with it, up to a length in parentheses: PostgreSQL's, then SQLite's.
    families: [&'static [&'static str]; 2],
}

/// The types of the catalogue that a SQL type of diesel stands for.
trait Family {
    const NULLABLE: bool = false;
    const FAMILIES: [&'static [&'static str]; 2];
}

macro_rules! family {
    ($($sql:ty: $postgres:expr, $sqlite:expr;)+) => { $(
        impl Family for $sql {
            const FAMILIES: [&'static [&'static str]; 2] = [&$postgres, &$sqlite];
        }
    )+ };
}

family! {
    DbUuid: ["uuid"], ["char"];
    DbInteger: ["integer", "bigint"], ["integer"];
    DbTimestamp: ["timestamp with time zone"], ["datetime"];
    Text: ["character varying", "text"], ["varchar", "text"];
    Bool: ["boolean"], ["bool"];
    Date: ["date"], ["date"];
}

impl<T: Family + diesel::sql_types::SqlType> Family for Nullable<T> {
    const NULLABLE: bool = true;
    const FAMILIES: [&'static [&'static str]; 2] = T::FAMILIES;
}

/// The columns of a table with what their types say. A column that is forgotten here fails the test.
macro_rules! expected {
    ($table:ident: $($column:ident),+) => {{
        let expected = [$({
            type Sql = <$table::$column as Expression>::SqlType;
            Expected {
                name: <$table::$column as Column>::NAME,
                nullable: Sql::NULLABLE,
                families: Sql::FAMILIES,
            }
        }),+];
        let named: Vec<&str> = expected.iter().map(|column| column.name).collect();
        assert_eq!(named, columns_of(&$table::all_columns), "a column of table! is missing in this test");
        (stringify!($table), expected.into_iter().collect::<Vec<_>>())
    }};
}

/// The names in the list of all columns that diesel makes of a table.
fn columns_of(all_columns: &impl QueryFragment<diesel::pg::Pg>) -> Vec<String> {
    let sql = diesel::debug_query::<diesel::pg::Pg, _>(all_columns).to_string();
    let list = sql.split(" -- ").next().unwrap();
    list.split(", ").map(|name| name.rsplit('.').next().unwrap().trim_matches('"').to_owned()).collect()
}

fn tables() -> [(&'static str, Vec<Expected>); 3] {
    [
        expected!(
            projects_project: id, name, project_type, owner_id, course_name, course_code, teacher_name,
            goal_description, study_frequency, start_date, end_date, is_draft, created_at, updated_at
        ),
        expected!(projects_schoolproject: project_id, course_name, course_code, teacher_name),
        expected!(projects_selfstudyproject: project_id, goal_description, study_frequency),
    ]
}

fn open(database: &TestDatabase) -> AnyConnection {
    connect(&DatabaseUrl::parse(database.url()).unwrap(), Access::Write, "test").unwrap()
}

/// Each column of `table!` is there and fits; `unused` are the only others.
#[track_caller]
fn compare(database: &TestDatabase, unused: &[&str]) {
    let mut connection = open(database);
    for (table, expected) in tables() {
        let found = catalog::columns(&mut connection, table).unwrap();
        for column in &expected {
            let Some(live) = found.iter().find(|live| live.name == column.name) else {
                panic!("{table}.{} is not in the database", column.name)
            };
            assert_eq!(column.nullable, live.nullable, "nullability of {table}.{}", column.name);
            let family = live.data_type.split('(').next().unwrap();
            let families = column.families[usize::from(database.backend_name() == "sqlite")];
            assert!(families.contains(&family), "{table}.{}: {families:?} is {family}", column.name);
            let first = column.name == expected[0].name;
            assert_eq!(live.primary_key, first, "primary key of {table}: {}", column.name);
        }
        let others: Vec<&str> = found
            .iter()
            .map(|live| live.name.as_str())
            .filter(|name| !expected.iter().any(|column| column.name == *name) && !unused.contains(name))
            .collect();
        assert_eq!(others, Vec::<&str>::new(), "{table} has columns that table! does not name");
    }
}

fn the_migrated_database_has_these_columns_and_no_others(database: &TestDatabase) {
    migrations::run_pending(&mut open(database)).unwrap();
    compare(database, &[]);
}

fn the_django_database_has_these_columns(database: &TestDatabase) {
    compare(database, &["syllabus", "school_project_id", "self_study_project_id"]);
}

fn a_typed_row_goes_in_and_comes_back(database: &TestDatabase) {
    migrations::run_pending(&mut open(database)).unwrap();
    round_trip(database, Integer(i64::from(i32::MAX) + 1));
}

fn a_typed_row_goes_into_the_django_database(database: &TestDatabase) {
    round_trip(database, Integer(database.value("SELECT min(id) FROM auth_user").parse().unwrap()));
}

/// A row of each table through diesel's own query builder, with every column of `table!`.
fn round_trip(database: &TestDatabase, owner_id: Integer) {
    use projects_project as p;
    let mut connection = open(database);
    let id = ProjectId::random();
    let now = Timestamp::now();
    let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29);
    let legacy = (Some("course"), None::<&str>, Some("teacher \u{1f40b}"), None::<&str>, Some(""));
    diesel::insert_into(p::table)
        .values((
            (
                p::id.eq(id),
                p::name.eq("Reefs"),
                p::project_type.eq(ProjectType::School),
                p::owner_id.eq(owner_id),
            ),
            (p::course_name.eq(legacy.0), p::course_code.eq(legacy.1), p::teacher_name.eq(legacy.2)),
            (p::goal_description.eq(legacy.3), p::study_frequency.eq(legacy.4)),
            (p::start_date.eq(day), p::end_date.eq(None::<chrono::NaiveDate>), p::is_draft.eq(true)),
            (p::created_at.eq(now), p::updated_at.eq(now)),
        ))
        .execute(&mut connection)
        .unwrap();
    let project: Project = p::table.find(id).select(Project::as_select()).first(&mut connection).unwrap();
    let expected = Project {
        id,
        name: "Reefs".into(),
        project_type: ProjectType::School,
        owner_id,
        start_date: day,
        end_date: None,
        is_draft: true,
        created_at: now,
        updated_at: now,
    };
    assert_eq!(project, expected);
    let columns = (p::course_name, p::course_code, p::teacher_name, p::goal_description, p::study_frequency);
    type Legacy = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);
    let found: Legacy = p::table.find(id).select(columns).first(&mut connection).unwrap();
    assert_eq!(found.0.as_deref(), legacy.0);
    assert_eq!(found.1.as_deref(), legacy.1);
    assert_eq!(found.2.as_deref(), legacy.2);
    assert_eq!(found.3.as_deref(), legacy.3);
    assert_eq!(found.4.as_deref(), legacy.4);
    subtype_rows(&mut connection, id);
}

fn subtype_rows(connection: &mut AnyConnection, id: ProjectId) {
    use {projects_schoolproject as school, projects_selfstudyproject as self_study};
    diesel::insert_into(school::table)
        .values((
            school::project_id.eq(id),
            school::course_name.eq("course"),
            school::course_code.eq(""),
            school::teacher_name.eq("teacher"),
        ))
        .execute(connection)
        .unwrap();
    diesel::insert_into(self_study::table)
        .values((
            self_study::project_id.eq(id),
            self_study::goal_description.eq("goal"),
            self_study::study_frequency.eq("daily"),
        ))
        .execute(connection)
        .unwrap();
    let found: SchoolProject =
        school::table.find(id).select(SchoolProject::as_select()).first(connection).unwrap();
    let expected = SchoolProject {
        project_id: id,
        course_name: "course".into(),
        course_code: String::new(),
        teacher_name: "teacher".into(),
    };
    assert_eq!(found, expected);
    let found: SelfStudyProject =
        self_study::table.find(id).select(SelfStudyProject::as_select()).first(connection).unwrap();
    let expected =
        SelfStudyProject { project_id: id, goal_description: "goal".into(), study_frequency: "daily".into() };
    assert_eq!(found, expected);
}
