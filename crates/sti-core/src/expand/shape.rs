//! What the three tables must look like, whoever made them. Pure: the rules on one side, what was found on the other.

use crate::db::Backend;
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::models::Kind;

/// The three tables, the parent first.
pub(crate) const TABLES: [&str; 3] = [PARENT, Kind::School.table(), Kind::SelfStudy.table()];

/// What a column must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColumnShape {
    pub name: &'static str,
    pub of: Type,
    pub nulls: Nulls,
}

/// What a column must take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// The primary key: `uuid`, or 32 hex digits in `char(32)` on SQLite.
    Id,
    /// Text of any length up to this, in characters.
    Text(Width),
    /// An integer of 4 or 8 bytes.
    Integer,
    Date,
    Boolean,
    /// A moment in UTC.
    Moment,
}

/// Whether a column must take NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    Never,
    /// It must: a change of type sets the old kind's columns to NULL.
    Must,
    May,
}

/// How long a text may be, in characters. SQLite enforces none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// At most this long; 0 stands for any column of text.
    Chars(u32),
    Unlimited,
}

const fn column(name: &'static str, of: Type, nulls: Nulls) -> ColumnShape {
    ColumnShape { name, of, nulls }
}

/// The columns of `projects_project` that every version has, without the legacy ones.
pub(super) const COMMON: [ColumnShape; 9] = [
    column("id", Type::Id, Nulls::Never),
    column("name", Type::Text(Width::Chars(255)), Nulls::Never),
    column("project_type", Type::Text(Width::Chars(20)), Nulls::Never),
    column("owner_id", Type::Integer, Nulls::Never),
    column("start_date", Type::Date, Nulls::May),
    column("end_date", Type::Date, Nulls::May),
    column("is_draft", Type::Boolean, Nulls::Never),
    column("created_at", Type::Moment, Nulls::Never),
    column("updated_at", Type::Moment, Nulls::Never),
];

/// The legacy columns, as they are while they are there.
pub(super) fn legacy() -> impl Iterator<Item = ColumnShape> {
    LEGACY_COLUMNS.iter().map(|name| column(name, Type::Text(Width::Chars(0)), Nulls::Must))
}

/// The columns of a subtype table. `width` says how long the values of a legacy column can be.
pub(super) fn subtype(kind: Kind, width: impl Fn(&str) -> Width) -> Vec<ColumnShape> {
    let own = kind.columns().iter().map(|name| column(name, Type::Text(width(name)), Nulls::Never));
    std::iter::once(column("project_id", Type::Id, Nulls::Never)).chain(own).collect()
}

/// The width of a legacy column that our migration makes.
pub(super) fn width_of_ours(column: &str) -> Width {
    match column {
        "goal_description" => Width::Unlimited,
        "course_code" | "study_frequency" => Width::Chars(50),
        _ => Width::Chars(255),
    }
}

/// How long the values of a column of text may be; `None` if its type is not one of text without padding.
pub(crate) fn text_width(backend: Backend, data_type: &str) -> Option<Width> {
    let (name, limit) = match data_type.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end_matches(')').trim().parse().ok()?)),
        None => (data_type, None),
    };
    match (backend, name) {
        (_, "text") | (Backend::Sqlite, "clob") => Some(Width::Unlimited),
        (Backend::Postgres, "character varying") => Some(limit.map_or(Width::Unlimited, Width::Chars)),
        // Any declared type with CHAR in it has the affinity of text, and no length is enforced.
        (Backend::Sqlite, "varchar" | "char" | "character" | "nvarchar" | "character varying") => {
            Some(Width::Unlimited)
        }
        _ => None,
    }
}

impl Type {
    /// Whether a column of this type of the backend will do.
    pub(super) fn accepts(self, backend: Backend, data_type: &str) -> bool {
        let one_of = |postgres: &[&str], sqlite: &[&str]| match backend {
            Backend::Postgres => postgres.contains(&data_type),
            Backend::Sqlite => sqlite.contains(&data_type),
        };
        match self {
            // On SQLite the affinity matters: hex digits in a column of type `uuid` would become numbers.
            Self::Id => one_of(&["uuid"], &["char(32)", "varchar(32)", "character(32)", "text"]),
            Self::Text(least) => text_width(backend, data_type).is_some_and(|width| width >= least),
            Self::Integer => one_of(&["integer", "bigint"], &["integer", "bigint", "int"]),
            Self::Date => one_of(&["date"], &["date"]),
            Self::Boolean => one_of(&["boolean"], &["bool", "boolean"]),
            Self::Moment => one_of(&["timestamp with time zone"], &["datetime", "timestamp"]),
        }
    }

    /// What [`Type::accepts`] takes, in words.
    pub(super) fn expected(self, backend: Backend) -> String {
        match (self, backend) {
            (Self::Id, Backend::Postgres) => "uuid".to_owned(),
            (Self::Id, Backend::Sqlite) => "char(32)".to_owned(),
            (Self::Text(Width::Chars(0)), _) | (Self::Text(_), Backend::Sqlite) => {
                "varchar or text".to_owned()
            }
            (Self::Text(Width::Chars(least)), _) => format!("varchar({least}) or wider or text"),
            (Self::Text(Width::Unlimited), _) => "text".to_owned(),
            (Self::Integer, _) => "integer or bigint".to_owned(),
            (Self::Date, _) => "date".to_owned(),
            (Self::Boolean, _) => "boolean".to_owned(),
            (Self::Moment, Backend::Postgres) => "timestamptz".to_owned(),
            (Self::Moment, Backend::Sqlite) => "datetime".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_padding_has_a_width() {
        let pg = |data_type| text_width(Backend::Postgres, data_type);
        assert_eq!(pg("text"), Some(Width::Unlimited));
        assert_eq!(pg("character varying"), Some(Width::Unlimited));
        assert_eq!(pg("character varying(50)"), Some(Width::Chars(50)));
        assert_eq!(pg("character(50)"), None);
        assert_eq!(pg("citext"), None);
        let sqlite = |data_type| text_width(Backend::Sqlite, data_type);
        assert_eq!(sqlite("varchar(50)"), Some(Width::Unlimited));
        assert_eq!(sqlite("integer"), None);
        assert_eq!(sqlite(""), None);
    }

    #[test]
    fn wider_is_wide_enough_and_narrower_is_not() {
        let name = Type::Text(Width::Chars(255));
        for (data_type, accepted) in [
            ("character varying(255)", true),
            ("character varying(300)", true),
            ("text", true),
            ("character varying(254)", false),
        ] {
            assert_eq!(name.accepts(Backend::Postgres, data_type), accepted, "{data_type}");
        }
        assert!(!Type::Text(Width::Unlimited).accepts(Backend::Postgres, "character varying(9999)"));
        assert!(name.accepts(Backend::Sqlite, "varchar(5)"), "SQLite enforces no length");
    }
}
