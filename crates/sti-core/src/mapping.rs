//! The mapping from the legacy columns to the subtype rows: which column goes where, what a NULL becomes, and
//! when two values are equal. The single source of truth; pure, no database is touched.
//!
//! A legacy NULL becomes `''`. Everything else is copied exactly: no trimming, no case folding, any Unicode.
//! Values are compared byte by byte, whatever collation a column has.

use crate::models::Kind;

/// The table that holds every project.
pub const PARENT: &str = "projects_project";

/// The five legacy columns, in the order in which they are always named.
pub const LEGACY_COLUMNS: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

/// The version of this mapping. A backfill resumes only under the version that it was started with.
pub const VERSION: i32 = 1;

impl Kind {
    /// The subtype table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::School => "projects_schoolproject",
            Self::SelfStudy => "projects_selfstudyproject",
        }
    }

    /// The legacy columns of this kind; the columns of its subtype table have the same names.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::School => &["course_name", "course_code", "teacher_name"],
            Self::SelfStudy => &["goal_description", "study_frequency"],
        }
    }

    /// The column of `projects_project` that may point at this kind's row (unused by the application).
    #[must_use]
    pub const fn pointer(self) -> &'static str {
        match self {
            Self::School => "school_project_id",
            Self::SelfStudy => "self_study_project_id",
        }
    }
}

/// A legacy value as the subtype row holds it.
#[must_use]
pub fn mapped(legacy: Option<&str>) -> &str {
    legacy.unwrap_or("")
}

/// SQL: a legacy column as the subtype row holds it; `parent` is the alias of the table.
#[must_use]
pub fn mapped_sql(parent: &str, column: &str) -> String {
    format!("COALESCE({parent}.{column}, '')")
}

/// SQL: the columns of `kind`, mapped, in the order of [`Kind::columns`].
#[must_use]
pub fn mapped_list_sql(kind: Kind, parent: &str) -> String {
    kind.columns().iter().map(|column| mapped_sql(parent, column)).collect::<Vec<_>>().join(", ")
}

/// SQL: true for a project whose type is exactly `kind`; `parent` is the alias of the table.
#[must_use]
pub fn is_kind_sql(kind: Kind, parent: &str, exact: &str) -> String {
    format!("{parent}.project_type {exact} = '{}'", kind.as_str())
}

/// SQL: true where the legacy column `column` and the subtype row's differ.
#[must_use]
pub fn differs_sql(parent: &str, subtype: &str, column: &str, exact: &str) -> String {
    format!("({} {exact} <> {subtype}.{column} {exact})", mapped_sql(parent, column))
}

/// SQL: true where any column of `kind` differs. `exact` is the dialect's byte-wise collation clause
/// ([`crate::db::Backend::exact`]).
#[must_use]
pub fn any_differs_sql(kind: Kind, parent: &str, subtype: &str, exact: &str) -> String {
    let each: Vec<String> =
        kind.columns().iter().map(|column| differs_sql(parent, subtype, column, exact)).collect();
    format!("({})", each.join(" OR "))
}

/// SQL: true where a legacy column of `kind` holds a value, that is neither NULL nor `''`.
#[must_use]
pub fn holds_value_sql(kind: Kind, parent: &str, exact: &str) -> String {
    let each: Vec<String> =
        kind.columns().iter().map(|column| format!("{} {exact} <> ''", mapped_sql(parent, column))).collect();
    format!("({})", each.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_legacy_column_belongs_to_exactly_one_kind() {
        let of_kinds: Vec<&str> = Kind::ALL.iter().flat_map(|kind| kind.columns()).copied().collect();
        assert_eq!(of_kinds, LEGACY_COLUMNS);
    }

    #[test]
    fn null_becomes_empty_and_nothing_else_changes() {
        assert_eq!(mapped(None), "");
        assert_eq!(mapped(Some("")), "");
        assert_eq!(mapped(Some("  NULL \n")), "  NULL \n");
    }
}
