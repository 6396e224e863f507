//! What the tests of the binary share.

use std::process::Command;

use sti_core::test_support::{TestDatabase, binary, places};
pub(crate) use sti_core::test_support::{migrate, report as json, shown};

/// The binary, with nothing of this process's settings.
pub(crate) fn sti(arguments: &[&str]) -> Command {
    binary(env!("CARGO_BIN_EXE_sti"), arguments)
}

/// The binary on a database, with dual writes on.
pub(crate) fn sti_on(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = sti(arguments);
    command.args(["--database-url", database.url()]).env("ENABLE_STI", "true");
    command
}

/// Filters what differs from run to run, and names no place of this machine.
pub(crate) fn settings(database: Option<&TestDatabase>) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (place, name) in places(database) {
        settings.add_filter(&place, name);
    }
    // A slow machine has more to tell.
    settings.add_filter(r"(?m)^after \d+ (s|min): .*\n?", "");
    settings.add_filter(r"[\d,]+/s, ETA \d+ s", "[rate]");
    settings.add_filter(r"\d+ ms", "[ms]");
    settings.add_filter(r"about \d+ s", "about [seconds]");
    settings
}
