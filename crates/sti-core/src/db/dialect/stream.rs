//! Rows one by one, however many there are.

use diesel::connection::DefaultLoadingMode;
use diesel::deserialize::QueryableByName;
use diesel::pg::{Pg, PgRowByRowLoadingMode};
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, RunQueryDsl as _};

use crate::db::connection::AnyConnection;
use crate::db::error::{DbError, Doing as _};

/// Hands every row of a statement to `each` as it arrives, and never holds more than one of them. (On PostgreSQL the
/// plan is the same as for a statement that is read at once, a parallel one included; a cursor would not have that.)
/// `each` ends it with an error; what the server sends after that is thrown away.
///
/// # Errors
/// What `each` says, or the database.
pub fn each_row<R, E>(
    connection: &mut AnyConnection,
    sql: &str,
    doing: &str,
    mut each: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E>
where
    R: QueryableByName<Pg> + QueryableByName<Sqlite> + 'static,
    E: From<DbError>,
{
    let mut take = |row: QueryResult<R>| each(row.doing(doing)?);
    let query = diesel::sql_query(sql);
    match connection {
        AnyConnection::Pg(c) => {
            query.load_iter::<R, PgRowByRowLoadingMode>(c).doing(doing)?.try_for_each(&mut take)
        }
        AnyConnection::Sqlite(c) => {
            query.load_iter::<R, DefaultLoadingMode>(c).doing(doing)?.try_for_each(&mut take)
        }
    }
}
