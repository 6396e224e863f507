//! Verification: on the database that Django made, and with each class planted alone.

mod classes;
mod django;
mod ids;
mod refusals;

use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect, migrations};
use sti_core::test_support::TestDatabase;
use sti_core::verify::{VerifyError, VerifyOptions, VerifyReport, verify};

/// Opens the database as its owner.
pub(crate) fn open(database: &TestDatabase, access: Access) -> AnyConnection {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    connect(&url, access, "test").unwrap()
}

/// Creates our tables.
pub(crate) fn migrate(database: &TestDatabase) {
    migrations::run_pending(&mut open(database, Access::Write)).unwrap();
}

/// Verifies with samples of at most `sample` projects.
pub(crate) fn try_verify(database: &TestDatabase, sample: u32) -> Result<VerifyReport, VerifyError> {
    let options = VerifyOptions { sample, ids: None };
    verify(&mut open(database, Access::Read), options)
}

/// Verifies, with three samples of each class.
pub(crate) fn verified(database: &TestDatabase) -> VerifyReport {
    try_verify(database, 3).unwrap()
}
