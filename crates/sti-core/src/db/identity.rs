//! Which database this is, so that what was confirmed for one is not done to another.

use std::path::Path;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Text};

use super::connection::AnyConnection;
use super::error::{DbError, Doing as _};

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(diesel::QueryableByName)]
struct Server {
    #[diesel(sql_type = BigInt)]
    oid: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    may_ask: bool,
}

/// A text that is the same for every connection to this database and for no other database: on PostgreSQL its name,
/// its oid and, where the role may ask, the system identifier of the cluster; on SQLite the canonical path.
///
/// # Errors
/// Whatever the database says.
pub fn identity(connection: &mut AnyConnection) -> Result<String, DbError> {
    let doing = "asking which database this is";
    if let AnyConnection::Sqlite(sqlite) = connection {
        let main: Name =
            diesel::sql_query("SELECT file AS name FROM pragma_database_list WHERE name = 'main'")
                .get_result(sqlite)
                .doing(doing)?;
        let path = Path::new(&main.name).canonicalize().unwrap_or_else(|_| main.name.into());
        return Ok(format!("sqlite {}", path.display()));
    }
    let server: Server = diesel::sql_query(
        "SELECT oid::bigint AS oid, datname::text AS name, \
         has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_ask \
         FROM pg_catalog.pg_database WHERE datname = current_database()",
    )
    .get_result(connection)
    .doing(doing)?;
    let mut identity = format!("postgres {} {}", server.name, server.oid);
    if server.may_ask {
        let system: Name =
            diesel::sql_query("SELECT system_identifier::text AS name FROM pg_catalog.pg_control_system()")
                .get_result(connection)
                .doing(doing)?;
        identity = format!("{identity} {}", system.name);
    }
    Ok(identity)
}
