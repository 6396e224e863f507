//! Both sides of the split, in our own SQL: which value goes where, and digests of what is there.

use sti_core::test_support::RowSetDigest;

use super::database::Database;
use crate::failure::Failure;

/// The five legacy columns.
pub(super) const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

/// Joins a project `p` to its rows `s` and `f`.
pub(super) const JOIN: &str = "LEFT JOIN projects_schoolproject s ON s.project_id = p.id \
    LEFT JOIN projects_selfstudyproject f ON f.project_id = p.id";
pub(super) const SCHOOL_EQUAL: &str = "s.course_name = COALESCE(p.course_name, '') \
    AND s.course_code = COALESCE(p.course_code, '') AND s.teacher_name = COALESCE(p.teacher_name, '')";
pub(super) const SELF_STUDY_EQUAL: &str = "f.goal_description = COALESCE(p.goal_description, '') \
    AND f.study_frequency = COALESCE(p.study_frequency, '')";
pub(super) const HAS_SCHOOL: &str = "COALESCE(p.course_name, '') <> '' OR COALESCE(p.course_code, '') <> '' \
    OR COALESCE(p.teacher_name, '') <> ''";
pub(super) const HAS_SELF_STUDY: &str =
    "COALESCE(p.goal_description, '') <> '' OR COALESCE(p.study_frequency, '') <> ''";

/// One of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    School,
    SelfStudy,
}

impl Kind {
    pub(super) const BOTH: [Self; 2] = [Self::School, Self::SelfStudy];

    /// The text in `project_type`, and the name in the tools' JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::SelfStudy => "self_study",
        }
    }

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::School => "projects_schoolproject",
            Self::SelfStudy => "projects_selfstudyproject",
        }
    }

    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::School => &LEGACY[..3],
            Self::SelfStudy => &LEGACY[3..],
        }
    }

    /// `SELECT` of the row that a project of this kind must have, `condition` says for which projects `p`.
    fn mapped(self, condition: &str) -> String {
        let values: Vec<String> =
            self.columns().iter().map(|column| format!("COALESCE(p.{column}, '') AS {column}")).collect();
        let (values, name) = (values.join(", "), self.name());
        format!(
            "SELECT p.id AS project_id, {values} FROM projects_project p WHERE p.project_type = '{name}' AND {condition}"
        )
    }

    fn keyed_columns(self) -> Vec<&'static str> {
        [&["project_id"], self.columns()].concat()
    }

    /// The digest of the subtype table.
    pub(super) fn rows(self, database: &Database) -> Result<RowSetDigest, Failure> {
        database.digest(&self.keyed_columns(), &format!("FROM {}", self.table()))
    }

    /// The digest that the table has once every project of this kind that `condition` names and that lacks its row has
    /// it, and rows that are there were left alone.
    pub(super) fn rows_to_come(self, database: &Database, condition: &str) -> Result<RowSetDigest, Failure> {
        let (columns, table) = (self.keyed_columns().join(", "), self.table());
        let lacking =
            format!("NOT EXISTS (SELECT 1 FROM {table} c WHERE c.project_id = p.id) AND {condition}");
        let union = format!("SELECT {columns} FROM {table} UNION ALL {}", self.mapped(&lacking));
        database.digest(&self.keyed_columns(), &format!("FROM ({union}) AS rows_to_come"))
    }

    /// The digest that the table has where both sides agree for every project.
    pub(super) fn rows_of_legacy(self, database: &Database) -> Result<RowSetDigest, Failure> {
        database.digest(&self.keyed_columns(), &format!("FROM ({}) AS mapped", self.mapped("1 = 1")))
    }
}

/// The digest of the five legacy columns of the projects that `condition` names.
pub(super) fn legacy_values(database: &Database, condition: &str) -> Result<RowSetDigest, Failure> {
    let columns: Vec<&str> = std::iter::once("id").chain(LEGACY).collect();
    database.digest(&columns, &format!("FROM projects_project WHERE {condition}"))
}

/// The digest of every other column of these projects.
pub(super) fn other_values(database: &Database, condition: &str) -> Result<RowSetDigest, Failure> {
    others_but(database, &[], condition)
}

/// The digest of what no step may change: a repair clears pointers at rows that go.
pub(super) fn lasting_values(database: &Database, condition: &str) -> Result<RowSetDigest, Failure> {
    others_but(database, &["school_project_id", "self_study_project_id"], condition)
}

fn others_but(database: &Database, left_out: &[&str], condition: &str) -> Result<RowSetDigest, Failure> {
    let mut columns = vec!["id".to_owned()];
    let others = database.columns("projects_project")?.into_iter().map(|(name, _)| name);
    let counts = |name: &&String| {
        *name != "id" && !LEGACY.contains(&name.as_str()) && !left_out.contains(&name.as_str())
    };
    columns.extend(others.filter(|name| counts(&name)));
    database.digest(&columns, &format!("FROM projects_project WHERE {condition}"))
}

/// The digests of both subtype tables.
pub(super) fn subtype_rows(database: &Database) -> Result<[RowSetDigest; 2], Failure> {
    Ok([Kind::School.rows(database)?, Kind::SelfStudy.rows(database)?])
}

/// A digest for the report: `2,690 rows, 0123456789abcdef`.
pub(super) fn shown(digest: &RowSetDigest) -> String {
    format!("{} rows, digest {digest}", digest.rows)
}
