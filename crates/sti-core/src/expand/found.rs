//! What is there, read from the catalogue in one go.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::shape::TABLES;
use crate::db::catalog::{self, Column, Relation, Server};
use crate::db::error::{DbError, Doing as _};
use crate::db::migrations::{self, DROP, OURS, OurMigration};
use crate::db::{AnyConnection, Backend, dialect};
use crate::mapping::PARENT;

/// Everything that the fit check looks at.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub backend: Backend,
    pub server: Server,
    /// The three tables, in the order of [`TABLES`].
    pub tables: Vec<FoundTable>,
    /// The tables of our migrations.
    pub own: Vec<FoundOwn>,
    /// diesel's record of migrations, if there is one.
    pub record: Option<Relation>,
    /// All recorded versions.
    pub recorded: Vec<String>,
    /// Whether `sti_drop_event` says that the legacy columns are dropped.
    pub drop_recorded: bool,
}

#[derive(Clone, Debug)]
pub(super) struct FoundTable {
    pub name: &'static str,
    pub relation: Option<Relation>,
    pub columns: Vec<Column>,
    pub refers_to_parent: bool,
}

#[derive(Clone, Debug)]
pub(super) struct FoundOwn {
    pub name: &'static str,
    pub migration: &'static OurMigration,
    pub relation: Option<Relation>,
}

impl Found {
    /// Reads the catalogue, diesel's record and the drop events.
    pub(super) fn read(connection: &mut AnyConnection) -> Result<Self, DbError> {
        let tables = TABLES.into_iter().map(|name| read_table(connection, name)).collect::<Result<_, _>>()?;
        let mut own = Vec::new();
        for migration in OURS {
            for name in migration.tables.iter().copied() {
                let relation = catalog::relation(connection, name)?;
                own.push(FoundOwn { name, migration, relation });
            }
        }
        let record = catalog::relation(connection, migrations::RECORD)?;
        let recorded = migrations::recorded(connection)?;
        let mut found = Self {
            backend: dialect::backend(connection),
            server: catalog::server(connection)?,
            tables,
            own,
            record,
            recorded,
            drop_recorded: false,
        };
        found.drop_recorded = found.has_own("sti_drop_event") && drop_recorded(connection)?;
        Ok(found)
    }

    /// The parent table.
    pub(super) fn parent(&self) -> &FoundTable {
        &self.tables[0]
    }

    pub(super) fn is_recorded(&self, version: &str) -> bool {
        self.recorded.iter().any(|recorded| recorded == version)
    }

    /// Our migrations that are not recorded.
    pub(super) fn pending(&self) -> impl Iterator<Item = &'static OurMigration> {
        OURS.iter().filter(|migration| !self.is_recorded(migration.version))
    }

    /// Recorded versions of somebody else.
    pub(super) fn others(&self) -> impl Iterator<Item = &String> {
        let ours = || OURS.iter().chain([&DROP]);
        self.recorded.iter().filter(move |version| !ours().any(|ours| ours.version == **version))
    }

    /// Whether a table of ours is there, made by our migration.
    pub(super) fn has_own(&self, name: &str) -> bool {
        self.own
            .iter()
            .any(|own| own.name == name && own.relation.is_some() && self.is_recorded(own.migration.version))
    }
}

impl FoundTable {
    pub(super) fn is_there(&self) -> bool {
        self.relation.is_some()
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn read_table(connection: &mut AnyConnection, name: &'static str) -> Result<FoundTable, DbError> {
    let relation = catalog::relation(connection, name)?;
    let columns = catalog::columns(connection, name)?;
    let refers_to_parent = relation.is_some() && catalog::refers_to(connection, name, PARENT)?;
    Ok(FoundTable { name, relation, columns, refers_to_parent })
}

fn drop_recorded(connection: &mut AnyConnection) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        dropped: i64,
    }
    let row: Row =
        diesel::sql_query("SELECT count(*) AS dropped FROM sti_drop_event WHERE restored_at IS NULL")
            .get_result(connection)
            .doing("reading the drop events")?;
    Ok(row.dropped > 0)
}
