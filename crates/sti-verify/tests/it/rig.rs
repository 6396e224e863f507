//! What the tests of the binary share.

use std::process::{Command, Output};

use sti_core::test_support::{TestDatabase, binary, places};
pub(crate) use sti_core::test_support::{migrate, report as json, shown};

/// The binary, with nothing of this process's settings.
pub(crate) fn sti_verify(arguments: &[&str]) -> Command {
    binary(env!("CARGO_BIN_EXE_sti-verify"), arguments)
}

/// Runs the binary on a database.
pub(crate) fn run_on(database: &TestDatabase, arguments: &[&str]) -> Output {
    sti_verify(arguments).args(["--database-url", database.url()]).output().unwrap()
}

/// Filters what differs from run to run, and names no place of this machine.
pub(crate) fn settings(database: Option<&TestDatabase>) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (place, name) in places(database) {
        settings.add_filter(&place, name);
    }
    // A slow machine has more to tell.
    settings.add_filter(r"(?m)^after \d+ (s|min): .*\n?", "");
    settings
}
