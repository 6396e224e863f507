//! Writing one subtype row, inserted or updated, from a parent row that is locked.

use diesel::sql_types::Text;

use crate::db::sql_types::DbUuid;
use crate::db::statement::Statement;
use crate::db::{AnyConnection, DbError, dialect};
use crate::mapping;
use crate::models::{Kind, ProjectId};

/// A column of a subtype table (the legacy column has the same name) and the value that a caller gives it.
pub(crate) type Field = (&'static str, String);

/// Where a row's values come from, and which of them a row that is already there takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// All from the legacy columns, whether the row is new or not: they are the side that is read.
    FromLegacy,
    /// A new row's from the legacy columns. A row that is there takes only the caller's fields: it is the side
    /// that is read, so its other values stay as they are.
    NewFromLegacy,
    /// There are no legacy columns: the caller's fields, and `''` for a new row's other columns.
    FieldsOnly,
}

/// One subtype row to be written.
#[derive(Clone, Debug)]
pub(crate) struct RowWrite {
    /// The project, whose parent row the caller has locked.
    pub(crate) id: ProjectId,
    /// The table.
    pub(crate) kind: Kind,
    /// Where the values come from.
    pub(crate) values: Values,
    /// The caller's fields; the legacy columns, where they are there, hold them already.
    pub(crate) fields: Vec<Field>,
}

/// Updates the parent row and writes the subtype row from what the update returns: one statement on PostgreSQL, so
/// that both sides are equal by construction; two on SQLite, where nobody can come between.
///
/// `update` adds the text `UPDATE projects_project SET … WHERE id = …` to a statement.
pub(crate) fn update_parent_and_row(
    connection: &mut AnyConnection,
    update: impl FnOnce(Statement) -> Statement,
    row: &RowWrite,
) -> Result<(), DbError> {
    let doing = format!("writing project {} and its row in {}", row.id, row.kind.table());
    if dialect::backend(connection).has_writing_ctes() {
        let statement = update(Statement::new("WITH p AS (")).sql(row.returning()).sql(") ");
        row.insert_from(statement, "p").sql(row.on_conflict()).execute(connection, doing)?;
        return Ok(());
    }
    update(Statement::new("")).execute(connection, doing)?;
    write_row(connection, row)
}

/// Writes the subtype row from the parent row as it is. The caller holds the parent's lock, or has just inserted
/// the parent in the same transaction.
pub(crate) fn write_row(connection: &mut AnyConnection, row: &RowWrite) -> Result<(), DbError> {
    let doing = format!("writing the row of project {} in {}", row.id, row.kind.table());
    row.insert_from(Statement::new(""), &format!("{} p", mapping::PARENT))
        .sql(" WHERE p.id = ")
        .bind::<DbUuid, _>(row.id)
        .sql(row.on_conflict())
        .execute(connection, doing)?;
    Ok(())
}

impl RowWrite {
    /// ` RETURNING …` with what [`RowWrite::insert_from`] reads.
    fn returning(&self) -> String {
        let legacy = match self.values {
            Values::FromLegacy | Values::NewFromLegacy => self.kind.columns(),
            Values::FieldsOnly => &[],
        };
        let columns: Vec<&str> = std::iter::once("id").chain(legacy.iter().copied()).collect();
        format!(" RETURNING {}", columns.join(", "))
    }

    /// Adds `INSERT INTO … SELECT … FROM source`; the source goes by the name `p`.
    fn insert_from(&self, statement: Statement, source: &str) -> Statement {
        let (table, columns) = (self.kind.table(), self.kind.columns());
        let mut statement =
            statement.sql(format!("INSERT INTO {table} (project_id, {}) SELECT p.id", columns.join(", ")));
        for column in columns {
            statement = self.value(statement.sql(", "), column);
        }
        statement.sql(format!(" FROM {source}"))
    }

    /// Adds the value of `column` in a new row.
    fn value(&self, statement: Statement, column: &str) -> Statement {
        match self.values {
            Values::FromLegacy | Values::NewFromLegacy => statement.sql(mapping::mapped_sql("p", column)),
            Values::FieldsOnly => match self.fields.iter().find(|(name, _)| *name == column) {
                Some((_, value)) => statement.bind::<Text, _>(value.clone()),
                None => statement.sql("''"),
            },
        }
    }

    /// ` ON CONFLICT …`: what a row that is already there takes over.
    fn on_conflict(&self) -> String {
        let columns: Vec<&str> = match self.values {
            Values::FromLegacy => self.kind.columns().to_vec(),
            Values::NewFromLegacy | Values::FieldsOnly => self.fields.iter().map(|(name, _)| *name).collect(),
        };
        if columns.is_empty() {
            return " ON CONFLICT (project_id) DO NOTHING".to_owned();
        }
        let sets: Vec<String> =
            columns.iter().map(|column| format!("{column} = EXCLUDED.{column}")).collect();
        format!(" ON CONFLICT (project_id) DO UPDATE SET {}", sets.join(", "))
    }
}
