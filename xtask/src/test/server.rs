//! The server that all test binaries of a run share: one that is there, or one of our own.

use std::env;
use std::path::Path;
use std::process::Command;

use sti_core::test_support::postgres::{BINARIES_VARIABLE, Binaries, SERVER_VARIABLE, Server, ServerOptions};

use crate::failure::Failure;

/// A server with the superuser's URL; an own one ends when this is dropped.
pub(crate) enum TestServer {
    Given(String),
    Own(Server),
}

impl TestServer {
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(server) => server.url("postgres"),
        }
    }
}

/// The server that `STI_TEST_POSTGRES` names, or a new one.
pub(crate) fn start() -> Result<TestServer, Failure> {
    let binaries = find_or_install()?;
    say_if_the_restore_may_fail(&binaries)?;
    if let Ok(url) = env::var(SERVER_VARIABLE) {
        println!("PostgreSQL: the running server that {SERVER_VARIABLE} names");
        return Ok(TestServer::Given(url));
    }
    let failed = Failure::during("start a PostgreSQL server");
    let server = Server::start(&binaries, &ServerOptions::new()).map_err(failed)?;
    let version = binaries.version().map_err(Failure::during("run postgres"))?;
    let (folder, socket) = (binaries.folder().display(), server.folder().display());
    println!("PostgreSQL: {version} of {folder}, process {}, socket in {socket}", server.pid());
    Ok(TestServer::Own(server))
}

fn find_or_install() -> Result<Binaries, Failure> {
    match Binaries::from_environment() {
        Ok(binaries) => Ok(binaries),
        Err(_) if env::var_os(BINARIES_VARIABLE).is_none() && may_install() => {
            install()?;
            Binaries::from_environment().map_err(|error| Failure::new(error.to_string()))
        }
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// Root on Debian or a child of it.
fn may_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && Path::new("/etc/debian_version").exists()
}

fn install() -> Result<(), Failure> {
    for line in ["apt-get update", "apt-get install -y postgresql"] {
        println!("no PostgreSQL server here and this is root on Debian, so: {line}");
        let status = Command::new("apt-get")
            .args(line.split_whitespace().skip(1))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .map_err(Failure::during(format!("run `{line}`")))?;
        if !status.success() {
            return Err(Failure::new(format!("`{line}` failed ({status}); run it yourself and try again")));
        }
    }
    Ok(())
}

/// The Django fixture is a dump of PostgreSQL 15: an older `pg_restore` may not read it, and one that is newer than
/// the server may send settings that the server does not know.
fn say_if_the_restore_may_fail(binaries: &Binaries) -> Result<(), Failure> {
    let restore = binaries
        .pg_restore_version()
        .map_err(|error| Failure::new(format!("{error} (the tests restore a dump with pg_restore)")))?;
    let server = binaries.version().map_err(Failure::during("run postgres"))?;
    if major(&restore) != major(&server) {
        println!(
            "note: `{restore}` is not of the server's version ({server}): if the Django dump is not restored, "
        );
        println!("      put the pg_restore of that version on PATH");
    }
    Ok(())
}

/// The 15 of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<&str> {
    version.split_whitespace().nth(2)?.split(['.', 'd', 'b', 'r']).next()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_have_a_major_number() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some("15"));
        assert_eq!(major("pg_restore (PostgreSQL) 18beta2"), Some("18"));
        assert_eq!(major("what"), None);
    }
}
