//! The database: where it is, how it is opened, what differs between the two backends.
//!
//! Depends on nothing else in the crate. [`dialect`] is the only place that knows which backend a statement
//! runs on; everything else takes an [`AnyConnection`].

pub mod catalog;
mod connection;
pub mod dialect;
pub mod error;
pub mod identity;
pub mod migrations;
mod pool;
pub mod retry;
pub mod sql_types;
pub(crate) mod statement;
mod transaction;
mod url;

pub use connection::{Access, AnyConnection, ConnectError, MultiBackend, connect};
pub use error::{DbError, Fault};
pub use pool::{ConnectionManager, Pool, PooledConnection, pool};
pub use transaction::{
    Failed, count_snapshot, in_transaction, lease_transaction, limited_transaction, read_snapshot,
    write_transaction, write_transaction_phased, writing_snapshot,
};
pub use url::{Backend, DatabaseUrl, UrlError};
