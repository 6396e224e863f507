//! What does not fit, by name.

use std::fmt;

/// Something that is not as it must be: a table, or a column of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The table.
    pub table: String,
    /// The column, unless it is about the table as a whole.
    pub column: Option<String>,
    /// What would fit.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Misfit {
    pub(super) fn table(table: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { table: table.to_owned(), column: None, expected: expected.into(), found: found.into() }
    }

    pub(super) fn column(
        table: &str,
        column: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { column: Some(column.to_owned()), ..Self::table(table, expected, found) }
    }

    /// `table`, or `table.column`.
    #[must_use]
    pub fn object(&self) -> String {
        match &self.column {
            Some(column) => format!("{}.{column}", self.table),
            None => self.table.clone(),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.object(), self.expected, self.found)
    }
}
