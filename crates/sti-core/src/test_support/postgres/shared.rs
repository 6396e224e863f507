//! The one server that the tests of a run share.

use std::env;
use std::sync::OnceLock;

use super::admin_url::AdminUrl;
use super::{Binaries, SERVER_VARIABLE, Server, ServerError, ServerOptions};

/// The server of this test run: each test makes a database of its own on it. A test that stops its server starts
/// one with [`Server::start`].
#[derive(Debug)]
pub struct Shared {
    url: AdminUrl,
    /// Never dropped, since it lives in a static: the end of the process ends it.
    _own: Option<Server>,
}

/// The server that `STI_TEST_POSTGRES` names, else one that this process starts once and that ends with it.
///
/// # Panics
/// Without PostgreSQL, with the line to run: a test never passes by being skipped.
pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| match env::var(SERVER_VARIABLE) {
        Ok(text) => {
            let url = AdminUrl::parse(&text).unwrap_or_else(|| {
                panic!("{SERVER_VARIABLE} is not of the form postgres://USER@HOST/DATABASE or postgres:///DATABASE?user=USER&host=FOLDER")
            });
            Shared { url, _own: None }
        }
        Err(_) => start().unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}")),
    })
}

fn start() -> Result<Shared, ServerError> {
    let server = Server::start(&Binaries::from_environment()?, &ServerOptions::new())?;
    Ok(Shared { url: server.admin().clone(), _own: Some(server) })
}

impl Shared {
    /// The superuser's URL of `database`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url.database(database)
    }

    pub(in crate::test_support) fn admin(&self) -> &AdminUrl {
        &self.url
    }
}
