//! An r2d2 pool that dispatches on the URL.

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::R2D2Connection as _;

use super::connection::{Access, AnyConnection, ConnectError, connect};
use super::url::DatabaseUrl;

/// Opens pooled connections; see [`pool`].
#[derive(Clone, Debug)]
pub struct ConnectionManager {
    url: DatabaseUrl,
    access: Access,
    application_name: String,
}

/// Why a pool has no connection to give.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The database could not be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An idle connection did not answer.
    #[error("a pooled connection no longer answers: {0}")]
    Broken(#[from] diesel::result::Error),
}

/// A pool of connections to one database.
pub type Pool = r2d2::Pool<ConnectionManager>;
/// A connection out of a [`Pool`].
pub type PooledConnection = r2d2::PooledConnection<ConnectionManager>;

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = AnyConnection;
    type Error = PoolError;

    fn connect(&self) -> Result<AnyConnection, PoolError> {
        Ok(connect(&self.url, self.access, &self.application_name)?)
    }

    fn is_valid(&self, connection: &mut AnyConnection) -> Result<(), PoolError> {
        Ok(connection.batch_execute("SELECT 1")?)
    }

    fn has_broken(&self, connection: &mut AnyConnection) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}

/// Makes a pool of at most `size` connections (at least 1).
///
/// The first connection is opened directly: r2d2 would hide its error behind the pool's timeout of 30 s.
///
/// # Errors
/// [`ConnectError`] of that first connection, or the pool's own reason.
pub fn pool(
    url: &DatabaseUrl,
    access: Access,
    application_name: &str,
    size: u32,
) -> Result<Pool, ConnectError> {
    connect(url, access, application_name)?;
    let manager =
        ConnectionManager { url: url.clone(), access, application_name: application_name.to_owned() };
    r2d2::Pool::builder()
        .max_size(size.max(1))
        .min_idle(Some(0))
        .build(manager)
        .map_err(|e| ConnectError::Unreachable { target: url.to_string(), reason: e.to_string() })
}
