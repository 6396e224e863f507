//! What the columns must be when they come back: as they were, and never narrower than the subtype columns are now.

use std::fmt;

use super::error::RestoreError;
use crate::contract::event::DropEvent;
use crate::db::catalog::{self, Column, ColumnDefinition, Definitions};
use crate::db::{AnyConnection, Backend, dialect};
use crate::expand::text_width;
use crate::mapping::PARENT;
use crate::models::Kind;

/// A legacy column that comes back wider than it was, because its subtype column is. Otherwise a value that a service
/// writes to the subtype row might not fit, and its call would fail at our trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widened {
    /// The column.
    pub column: &'static str,
    /// Its type before the drop.
    pub was: String,
    /// Its type now, that of the subtype column.
    pub is: String,
}

impl fmt::Display for Widened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |data_type: &str| data_type.replace("character varying", "varchar");
        write!(
            f,
            "{} is {} now and was {}: as wide as the subtype column, whose values must fit",
            self.column,
            short(&self.is),
            short(&self.was)
        )
    }
}

/// The definitions of the columns `names`, and which of them are wider than they were.
pub(super) fn definitions(
    connection: &mut AnyConnection,
    event: &DropEvent,
    names: &[&'static str],
) -> Result<(Definitions, Vec<Widened>), RestoreError> {
    let backend = dialect::backend(connection);
    let mut definitions = match &event.definitions {
        Some(json) => serde_json::from_str::<Definitions>(json)
            .map_err(|error| RestoreError::Definitions { event: event.id, reason: error.to_string() })?,
        None => Definitions { backend, schema: String::new(), columns: Vec::new() },
    };
    // Where the table is now: it may have been moved, or the definitions may be another's.
    if let Some(table) = catalog::relation(connection, PARENT)? {
        definitions.schema = table.schema;
    }
    let mut widened = Vec::new();
    let mut columns = Vec::new();
    for kind in Kind::ALL {
        let subtype = catalog::columns(connection, kind.table())?;
        for name in kind.columns().iter().copied().filter(|name| names.contains(name)) {
            let known = definitions.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            let mut column = known.cloned().unwrap_or_else(|| usual(name));
            widened.extend(widen(backend, name, &mut column, &subtype));
            columns.push(column);
        }
    }
    definitions.columns = columns;
    Ok((definitions, widened))
}

/// A column of which nothing is on record: as our own migration makes it.
fn usual(name: &str) -> ColumnDefinition {
    let data_type = match name {
        "goal_description" => "text",
        "course_code" | "study_frequency" => "varchar(50)",
        _ => "varchar(255)",
    };
    ColumnDefinition {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        collation: None,
        default: None,
        storage: None,
        compression: None,
        statistics: None,
        options: None,
        comment: None,
        grants: Vec::new(),
    }
}

fn widen(
    backend: Backend,
    name: &'static str,
    column: &mut ColumnDefinition,
    subtype: &[Column],
) -> Option<Widened> {
    if !backend.enforces_length() {
        return None;
    }
    let subtype = subtype.iter().find(|column| column.name == name)?;
    let was = column.data_type.to_lowercase().replace("varchar", "character varying");
    if text_width(backend, &subtype.data_type)? <= text_width(backend, &was)? {
        return None;
    }
    column.data_type.clone_from(&subtype.data_type);
    Some(Widened { column: name, was, is: subtype.data_type.clone() })
}
