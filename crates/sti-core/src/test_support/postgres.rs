//! A PostgreSQL server of our own: found, started on a socket in a temporary folder, and gone when the process
//! that started it is gone, however that ended.

mod account;
mod admin_url;
mod binaries;
mod bouncer;
mod cutting_proxy;
mod error;
mod server;
mod shared;

pub(super) use admin_url::AdminUrl;
pub use binaries::{Binaries, INSTALL_HINT};
pub use bouncer::{BOUNCER_HINT, PgBouncer, bouncer_is_installed};
pub use cutting_proxy::{Cut, CuttingProxy};
pub use error::ServerError;
pub use server::{Server, ServerOptions};
pub use shared::{Shared, shared};

/// Names the folder that holds PostgreSQL's binaries; wins over `PATH` and the Debian folders.
pub const BINARIES_VARIABLE: &str = "STI_POSTGRES_BIN";

/// Names the superuser's URL of a running server that all test binaries shall share.
pub const SERVER_VARIABLE: &str = "STI_TEST_POSTGRES";

/// Makes `command` run as an ordinary user where this process is root's, who may write what is read-only.
///
/// # Errors
/// There is no such user.
pub fn as_ordinary_user(command: &mut std::process::Command) -> Result<(), ServerError> {
    account::Account::choose()?.run(command);
    Ok(())
}
