//! What a test needs around the library: a throw-away PostgreSQL server, a fresh database for each test on
//! either backend, the database that a Django application made, and digests of row sets.
//!
//! Behind the feature `test-support`. Nothing here is skipped when PostgreSQL is missing: it panics with the
//! line to run. Two environment variables are read, both optional:
//!
//! - `STI_TEST_POSTGRES`: the superuser's URL of a server that is already there (`cargo xtask test` sets it, so
//!   that all test binaries share one server);
//! - `STI_POSTGRES_BIN`: the folder of PostgreSQL's binaries, where this process starts a server itself.

mod command;
mod database;
mod digest;
mod django;
mod documented_role;
mod ledger;
pub mod postgres;
mod session;
mod text_rows;

pub use command::{binary, migrate, places, records, report, shown};
pub use database::TestDatabase;
pub use digest::RowSetDigest;
pub use documented_role::documented_role;
pub use ledger::check_ledger;
pub use session::{Session, comes_to_wait, wait_until_it_waits};
pub use text_rows::PlainConnection;

/// Makes each test case (a function that takes `&TestDatabase`) run as two named tests, `case::postgres` and
/// `case::sqlite`.
///
/// `both_backends! { case, other }` gives them an empty database, `both_backends! { django: case }` the one
/// that a Django application made (see `tests/data/django-10k/README.md`).
#[macro_export]
macro_rules! both_backends {
    (django: $($case:ident),+ $(,)?) => { $(
        mod $case {
            #[test]
            fn postgres() {
                super::$case(&$crate::test_support::TestDatabase::django_postgres());
            }
            #[test]
            fn sqlite() {
                super::$case(&$crate::test_support::TestDatabase::django_sqlite());
            }
        }
    )+ };
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            #[test]
            fn postgres() {
                super::$case(&$crate::test_support::TestDatabase::postgres());
            }
            #[test]
            fn sqlite() {
                super::$case(&$crate::test_support::TestDatabase::sqlite());
            }
        }
    )+ };
}
