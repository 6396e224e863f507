//! The repository on the database that a Django application made.

use diesel::result::DatabaseErrorKind;
use sti_core::db::DbError;
use sti_core::db::sql_types::Integer;
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, NewProject, ProjectRecord, Referrer, RepositoryError};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectId, ProjectRepository, WriteMode, both_backends, db::AnyConnection};

use super::rig::{LEGACY, MODES, details_of, id, new_school, open, publish, start};

both_backends! {
    django:
    every_project_reads_as_the_tables_say_in_every_mode,
    publishing_in_dual_mode_makes_the_row_equal_and_touches_no_legacy_value,
    an_owner_who_does_not_exist_fails_at_commit,
    a_project_with_dates_cannot_be_deleted,
}

fn all(repository: &ProjectRepository, connection: &mut AnyConnection) -> Vec<ProjectRecord> {
    let mut all: Vec<ProjectRecord> = Vec::new();
    loop {
        let after = all.last().map(|record| record.project.id);
        let query = ListQuery { after, limit: 3000, ..ListQuery::default() };
        let page = repository.list(connection, &query).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// id, type and the details of each project, by plain SQL; `source` makes the expression of a column.
fn by_sql(database: &TestDatabase, source: impl Fn(Kind, &str) -> String) -> Vec<(ProjectId, Vec<String>)> {
    let mut columns = vec!["p.id".to_owned(), "p.project_type".to_owned()];
    for kind in Kind::ALL {
        columns.extend(kind.columns().iter().map(|column| source(kind, column)));
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = database.select(
        &columns,
        "FROM projects_project p LEFT JOIN projects_schoolproject school ON school.project_id = p.id \
         LEFT JOIN projects_selfstudyproject self_study ON self_study.project_id = p.id ORDER BY p.id",
    );
    rows.into_iter()
        .map(|row| {
            let mut texts = row.into_iter().map(Option::unwrap_or_default);
            let (id, project_type) = (texts.next().unwrap(), texts.next().unwrap());
            let details: Vec<String> = texts.collect();
            let details = match project_type.as_str() {
                "school" => details[..3].to_vec(),
                "self_study" => details[3..].to_vec(),
                _ => Vec::new(),
            };
            (id.parse().unwrap(), details)
        })
        .collect()
}

fn every_project_reads_as_the_tables_say_in_every_mode(database: &TestDatabase) {
    super::rig::migrate(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let found: Vec<_> = all(&repository, &mut connection)
            .iter()
            .map(|record| (record.project.id, details_of(record)))
            .collect();
        let expected = by_sql(database, |kind, column| match mode {
            WriteMode::Subtype => format!("{kind}.{column}"),
            WriteMode::Legacy | WriteMode::Dual => format!("p.{column}"),
        });
        assert_eq!(found.len(), 10_000);
        assert!(found == expected, "{mode}");
    }
}

fn publishing_in_dual_mode_makes_the_row_equal_and_touches_no_legacy_value(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    let legacy = database.digest("projects_project", "id", &LEGACY);
    let unused = ["syllabus", "school_project_id", "self_study_project_id", "owner_id", "created_at"];
    let others = database.digest("projects_project", "id", &unused);
    for record in all(&repository, &mut connection).into_iter().step_by(20) {
        let after = repository.update(&mut connection, record.project.id, &publish()).unwrap();
        assert_eq!(details_of(&after), details_of(&record));
        if let Some(kind) = record.project.project_type.kind() {
            assert_eq!(super::rig::row(database, kind, record.project.id), Some(details_of(&record)));
        }
    }
    assert_eq!(database.digest("projects_project", "id", &LEGACY), legacy);
    assert_eq!(database.digest("projects_project", "id", &unused), others);
}

fn an_owner_who_does_not_exist_fails_at_commit(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    let nobody = NewProject { owner_id: Integer(999_999), ..new_school(1, "", "", "") };
    let error = repository.create(&mut connection, &nobody).unwrap_err();
    let RepositoryError::Database(DbError { source, .. }) = &error else { panic!("{error:?}") };
    assert!(
        matches!(source, diesel::result::Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)),
        "{error:?}"
    );
    let owner = database.value("SELECT min(id) FROM auth_user").parse().unwrap();
    let somebody = NewProject { owner_id: Integer(owner), ..nobody };
    repository.create(&mut connection, &somebody).unwrap();
    repository.delete(&mut connection, id(1)).unwrap();
    assert_eq!(database.count("projects_project"), 10_000);
}

fn a_project_with_dates_cannot_be_deleted(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    // Of those that no other project's pointer holds, the first.
    let dated: ProjectId = database
        .value(
            "SELECT CAST(project_id AS TEXT) FROM projects_importantdate d WHERE NOT EXISTS (SELECT 1 FROM \
             projects_project p WHERE d.project_id IN (p.school_project_id, p.self_study_project_id)) \
             ORDER BY id LIMIT 1",
        )
        .parse()
        .unwrap();
    let error = repository.delete(&mut connection, dated).unwrap_err();
    let RepositoryError::Referenced { id: of, referrer: Referrer::ForeignKey { table, .. } } = error else {
        panic!("{error:?}")
    };
    assert_eq!(of, Some(dated));
    assert_eq!(table.as_deref(), (database.backend_name() == "postgres").then_some("projects_importantdate"));
    assert_eq!(repository.get(&mut connection, dated).unwrap().project.id, dated);
}
