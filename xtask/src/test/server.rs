//! The server that all test binaries of a run share: one that is there, or one of our own.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sti_core::db::{Access, DatabaseUrl, catalog, connect};
use sti_core::test_support::postgres::{
    BINARIES_VARIABLE, BOUNCER_HINT, Binaries, SERVER_VARIABLE, Server, ServerOptions, bouncer_is_installed,
};

use super::bundle;
use super::versions::{self, Release, Wanted};
use crate::failure::Failure;

/// Where the server of a run comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The one that `STI_TEST_POSTGRES` names.
    Running { url: String, binaries: Binaries },
    /// One of our own, with these programs.
    Programs(Binaries),
    /// One of our own, which must be of this version.
    Release(&'static Release, Binaries),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { .. } => f.write_str(SERVER_VARIABLE),
            Self::Programs(binaries) => write!(f, "{}", binaries.folder().display()),
            Self::Release(release, _) => write!(f, "{}", release.major),
        }
    }
}

/// What a person asked for, found; the installed one, or the running one, if that is nothing.
pub(super) fn sources(wanted: &[Wanted], folders: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    install_bouncer()?;
    let releases = versions::resolve(wanted);
    if releases.is_empty() && folders.is_empty() {
        let binaries = find_or_install()?;
        return Ok(vec![match env::var(SERVER_VARIABLE) {
            Ok(url) => Source::Running { url, binaries },
            Err(_) => Source::Programs(binaries),
        }]);
    }
    if env::var_os(SERVER_VARIABLE).is_some() {
        return Err(Failure::new(format!(
            "{SERVER_VARIABLE} names a running server, and the command line asks for others: unset it"
        )));
    }
    let mut sources = Vec::new();
    for release in releases {
        sources.push(Source::Release(release, binaries_in(bundle::get(release)?)?));
    }
    for folder in folders {
        let folder = std::path::absolute(folder).map_err(Failure::during("read the working folder"))?;
        sources.push(Source::Programs(binaries_in(folder)?));
    }
    Ok(sources)
}

fn binaries_in(folder: PathBuf) -> Result<Binaries, Failure> {
    Binaries::find(Some(folder)).map_err(|error| Failure::new(error.to_string()))
}

/// A server with the superuser's URL; an own one ends when this is dropped.
pub(super) struct TestServer {
    url: String,
    _own: Option<Server>,
    pub(super) binaries: Binaries,
    /// What the server itself says: `15.18 (Debian 15.18-0+deb12u1)`.
    pub(super) version: String,
}

impl TestServer {
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// Starts the server, if it is to be our own, and says what it is.
pub(super) fn start(source: Source) -> Result<TestServer, Failure> {
    let (binaries, own, url, expected) = match source {
        Source::Running { url, binaries } => (binaries, None, url, None),
        Source::Programs(binaries) => {
            let server = own_server(&binaries)?;
            let url = server.url("postgres");
            (binaries, Some(server), url, None)
        }
        Source::Release(release, binaries) => {
            let server = own_server(&binaries)?;
            let url = server.url("postgres");
            (binaries, Some(server), url, Some(release.major.to_string()))
        }
    };
    let version = ask_version(&url)?;
    match &own {
        Some(server) => println!(
            "PostgreSQL {version}: programs in {}, process {}, socket in {}",
            binaries.folder().display(),
            server.pid(),
            server.folder().display()
        ),
        None => println!("PostgreSQL {version}: the running server that {SERVER_VARIABLE} names"),
    }
    if let Some(expected) = expected.filter(|expected| major(&version) != Some(expected.as_str())) {
        return Err(Failure::new(format!("the server says that it is {version}, asked for was {expected}")));
    }
    say_if_the_restore_may_fail(&binaries)?;
    Ok(TestServer { url, _own: own, binaries, version })
}

/// A server of our own with the installed programs, whatever the environment names.
pub(crate) fn start_own() -> Result<Server, Failure> {
    own_server(&find_or_install()?)
}

fn own_server(binaries: &Binaries) -> Result<Server, Failure> {
    let during = format!("start the PostgreSQL server of {}", binaries.folder().display());
    Server::start(binaries, &ServerOptions::new()).map_err(Failure::during(during))
}

fn ask_version(url: &str) -> Result<String, Failure> {
    let url = DatabaseUrl::parse(url).map_err(|error| Failure::new(error.to_string()))?;
    let failed = "ask the server for its version";
    let mut connection = connect(&url, Access::Read, "cargo xtask test").map_err(Failure::during(failed))?;
    Ok(catalog::server(&mut connection).map_err(Failure::during(failed))?.version)
}

fn find_or_install() -> Result<Binaries, Failure> {
    match Binaries::from_environment() {
        Ok(binaries) => Ok(binaries),
        Err(_) if env::var_os(BINARIES_VARIABLE).is_none() && may_install() => {
            install("postgresql")?;
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

/// The tests start a pgbouncer, too.
fn install_bouncer() -> Result<(), Failure> {
    if bouncer_is_installed() {
        return Ok(());
    }
    if !may_install() {
        return Err(Failure::new(format!("no pgbouncer for the tests; {BOUNCER_HINT}")));
    }
    install("pgbouncer")
}

fn install(package: &str) -> Result<(), Failure> {
    for line in ["apt-get update".to_owned(), format!("apt-get install -y {package}")] {
        println!("no {package} here and this is root on Debian, so: {line}");
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

/// The Django fixture is a dump of PostgreSQL 15: an older `pg_restore` may not read it.
fn say_if_the_restore_may_fail(binaries: &Binaries) -> Result<(), Failure> {
    let restore = binaries
        .pg_restore_version()
        .map_err(|error| Failure::new(format!("{error} (the tests restore a dump with pg_restore)")))?;
    // "pg_restore (PostgreSQL) 15.18 (Debian …)"
    let version = restore.split_whitespace().nth(2).and_then(major);
    if version.and_then(|version| version.parse::<u32>().ok()).is_none_or(|version| version < 15) {
        println!(
            "note: `{restore}` is older than the Django dump (15): if the dump is not restored, put a newer one"
        );
        println!("      on PATH");
    }
    Ok(())
}

/// The 15 of `15.18 (Debian 15.18-0+deb12u1)` and of `15beta2`.
fn major(version: &str) -> Option<&str> {
    let digits = version.find(|character: char| !character.is_ascii_digit()).unwrap_or(version.len());
    Some(&version[..digits]).filter(|major| !major.is_empty())
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_have_a_major_number() {
        assert_eq!(major("15.18 (Debian 15.18-0+deb12u1)"), Some("15"));
        assert_eq!(major("18beta2"), Some("18"));
        assert_eq!(major("18"), Some("18"));
        assert_eq!(major("what"), None);
    }
}
