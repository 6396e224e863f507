//! How the rows of a range are found: never by reading the whole table.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Bool;
use diesel::{QueryResult, RunQueryDsl as _};

use crate::db::connection::AnyConnection;

/// How a transaction finds the rows of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// By index; in the order of the rows' pages if the server prefers that.
    ByIndex,
    /// By index, in its order.
    InOrder,
}

impl Reading {
    pub(super) const fn set_local(self) -> &'static str {
        match self {
            Self::ByIndex => BY_INDEX,
            Self::InOrder => IN_ORDER,
        }
    }
}

/// How to read a range of keys of `table` and lock its rows. In the order of the index each page is touched once, which
/// is a quarter cheaper as long as the table stays in memory; in that of the pages the server can read ahead. (What it
/// expects of a range of UUIDs is chance, so it does not choose.) Takes no lock: the size is the one of the last ANALYZE.
///
/// # Errors
/// Whatever the database says.
pub fn best_reading(connection: &mut AnyConnection, table: &str) -> QueryResult<Reading> {
    let AnyConnection::Pg(connection) = connection else { return Ok(Reading::ByIndex) };
    let fits: bool = diesel::select(diesel::dsl::sql::<Bool>(&format!(
        "COALESCE((SELECT relpages::bigint * current_setting('block_size')::bigint FROM pg_class \
            WHERE oid = to_regclass('{table}')), 0) <= pg_size_bytes(current_setting('effective_cache_size'))"
    )))
    .get_result(connection)?;
    Ok(if fits { Reading::InOrder } else { Reading::ByIndex })
}

/// What cannot be read by index costs so much then, on paper, that the server would compile it first.
const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off";

/// [`BY_INDEX`], and no pages in their own order.
const IN_ORDER: &str =
    "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL enable_bitmapscan = off";

/// Makes the transaction that is open read by index, also where the server believes that reading the whole table is a
/// little cheaper: for a chunk, which it would do for every chunk, and the work would grow with the square of the table.
/// Nothing on SQLite, which joins by index anyway.
///
/// # Errors
/// Whatever the database says.
pub fn read_by_index(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(BY_INDEX),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// [`read_by_index`], in the order of the index: for a page of a table that may have just been filled. Without statistics the
/// server takes all of it for a few rows, and would sort them for every page.
///
/// # Errors
/// Whatever the database says.
pub fn read_in_order(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(IN_ORDER),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}
