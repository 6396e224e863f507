//! The writers of the races: each does one thing to one project, in a transaction that commits at once.

use sti_core::WriteMode;
use sti_core::models::ProjectId;
use sti_core::repository::{SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;

use crate::repository::rig::{new_school, open, teacher};
use crate::verify::rig::{id, project_sql, row_sql};

/// What a drop must do about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// Keep what it wrote.
    Keep,
    /// Refuse, and name this project.
    Refuse(u32),
}

/// One writer.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    pub(super) name: &'static str,
    pub(super) must: Must,
    /// Writes; as the application, or as somebody with plain SQL.
    pub(super) write: fn(&TestDatabase),
}

pub(super) const DUAL: Writer = Writer {
    name: "a service in dual mode",
    must: Must::Keep,
    write: |database| {
        let (mut connection, repository) = open(database, WriteMode::Dual);
        repository.update(&mut connection, id(1), &teacher("late")).unwrap();
    },
};

pub(super) const LEGACY_ONLY: Writer = Writer {
    name: "SQL that writes the legacy columns only",
    must: Must::Refuse(1),
    write: |database| sql(database, 1, "UPDATE projects_project SET teacher_name = 'late' WHERE id = '{}'"),
};

pub(super) const ALL: [Writer; 11] = [
    DUAL,
    LEGACY_ONLY,
    Writer {
        name: "SQL that writes the subtype row only",
        must: Must::Refuse(2),
        write: |database| {
            let late =
                "UPDATE projects_selfstudyproject SET study_frequency = 'late' WHERE project_id = '{}'";
            sql(database, 2, late);
        },
    },
    Writer {
        name: "a service that deletes a project",
        must: Must::Keep,
        write: |database| {
            let (mut connection, repository) = open(database, WriteMode::Dual);
            repository.delete(&mut connection, id(2)).unwrap();
        },
    },
    Writer {
        name: "SQL that deletes a subtype row",
        must: Must::Refuse(2),
        write: |database| {
            sql(database, 2, "DELETE FROM projects_selfstudyproject WHERE project_id = '{}'");
        },
    },
    Writer {
        name: "a service that changes a type",
        must: Must::Keep,
        write: |database| {
            let (mut connection, repository) = open(database, WriteMode::Dual);
            let goal =
                SelfStudyPatch { goal_description: Some("late".to_owned()), ..SelfStudyPatch::default() };
            repository.change_type(&mut connection, id(1), &TypeChange::SelfStudy(goal)).unwrap();
        },
    },
    Writer {
        name: "SQL that changes a type in the legacy columns only",
        must: Must::Refuse(1),
        write: |database| {
            sql(database, 1, "UPDATE projects_project SET project_type = 'self_study' WHERE id = '{}'");
        },
    },
    Writer {
        name: "a service that makes a project",
        must: Must::Keep,
        write: |database| {
            let (mut connection, repository) = open(database, WriteMode::Dual);
            let new = new_school(77, "late", "l", "late");
            repository.create(&mut connection, &new).unwrap();
        },
    },
    Writer {
        name: "SQL that makes a project without its row",
        must: Must::Refuse(9),
        write: |database| {
            database.execute(&project_sql(9, "school", false, [Some("late"), None, None, None, None]));
        },
    },
    Writer {
        name: "SQL that writes a value of the other kind",
        must: Must::Refuse(1),
        write: |database| {
            sql(database, 1, "UPDATE projects_project SET goal_description = 'late' WHERE id = '{}'");
        },
    },
    Writer {
        name: "SQL that makes a second row",
        must: Must::Refuse(1),
        write: |database| {
            database.execute(&row_sql(1, sti_core::models::Kind::SelfStudy, &["late", "late"]));
        },
    },
];

fn sql(database: &TestDatabase, number: u32, sql: &str) {
    let id: ProjectId = id(number);
    database.execute(&sql.replace("{}", &id.hex()));
}
