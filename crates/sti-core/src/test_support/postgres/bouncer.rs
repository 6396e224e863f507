//! pgbouncer in transaction mode: a proxy that gives each transaction whichever session is free.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel::{Connection as _, PgConnection};

use super::ServerError;
use super::account::Account;
use crate::test_support::TestDatabase;

/// The line to run where pgbouncer is missing.
pub const BOUNCER_HINT: &str = "install it with `apt-get install pgbouncer`";

/// Longest wait for the first connection.
const READY: Duration = Duration::from_secs(30);

/// A shell between us and pgbouncer. Only this process holds the other end of its standard input: when that is gone,
/// however it ended, pgbouncer and its folder go too.
const KEEPER: &str = r#"
"$1" -q "$2/pgbouncer.ini" & p=$!
read -r word
kill -INT "$p"; wait "$p"
cd /; rm -rf "$2"
"#;

/// A running pgbouncer, reachable through a socket in its folder. Dropping it ends it.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    folder: PathBuf,
    keeper: Child,
}

impl PgBouncer {
    /// Stands in front of `database` with `sessions` of the server for any number of clients. Each transaction gets the
    /// session that has rested longest, so that two in a row seldom have the same.
    ///
    /// # Errors
    /// [`ServerError::NoBouncer`] where the program is not installed; what it says when it does not start.
    pub fn before(database: &TestDatabase, sessions: usize) -> Result<Self, ServerError> {
        let program = find()?;
        let account = Account::choose()?;
        let folder = tempfile::Builder::new()
            .prefix("sti-pgb-")
            .tempdir_in("/tmp")
            .map_err(ServerError::io("make a folder in /tmp"))?;
        let path = folder.path().display().to_string();
        let (server, name) = behind(database.url());
        let configuration = format!(
            "[databases]\n{name} = {server}\n[pgbouncer]\npool_mode = transaction\nserver_round_robin = 1\nserver_login_retry = 1\n\
             default_pool_size = {sessions}\nmin_pool_size = {sessions}\nmax_client_conn = 100\nauth_type = any\n\
             listen_port = 6432\nunix_socket_dir = {path}\nlogfile = {path}/log\n"
        );
        fs::write(folder.path().join("pgbouncer.ini"), configuration)
            .map_err(ServerError::io("write pgbouncer.ini"))?;
        account.own(folder.path())?;
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sti-pgbouncer-keeper"]).arg(program).arg(folder.path());
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        account.run(&mut command);
        let keeper = command.spawn().map_err(ServerError::io("start `sh`"))?;
        // From here on the keeper removes the folder.
        let folder = folder.keep();
        let url = format!("postgres:///{name}?user=postgres&host={path}&port=6432");
        let bouncer = Self { url, folder, keeper };
        bouncer.wait()?;
        Ok(bouncer)
    }

    /// The URL of the database behind it, through it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn wait(&self) -> Result<(), ServerError> {
        let begun = Instant::now();
        loop {
            match PgConnection::establish(&self.url) {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > READY => {
                    return Err(ServerError::NotReady {
                        folder: self.folder.clone(),
                        seconds: READY.as_secs(),
                        reason: error.to_string(),
                        log: fs::read_to_string(self.folder.join("log")).unwrap_or_default(),
                    });
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Its exit code says nothing that a test could act on.
        let _ = self.keeper.wait();
    }
}

/// Debian has it in a folder that is not on an ordinary user's PATH.
fn find() -> Result<PathBuf, ServerError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| Path::is_file(program))
        .ok_or(ServerError::NoBouncer)
}

/// Where a database is, as pgbouncer has it, and its name.
fn behind(database: &str) -> (String, String) {
    let url = url::Url::parse(database).unwrap_or_else(|error| panic!("{database}: {error}"));
    let mut parts: Vec<(String, String)> = url
        .query_pairs()
        .into_owned()
        .filter(|(key, _)| ["host", "port", "user", "password"].contains(&key.as_str()))
        .collect();
    let of_authority = [
        ("host", url.host_str().unwrap_or_default().to_owned()),
        ("port", url.port().map(|port| port.to_string()).unwrap_or_default()),
        ("user", url.username().to_owned()),
        ("password", url.password().unwrap_or_default().to_owned()),
    ];
    parts.extend(
        of_authority.into_iter().filter(|(_, value)| !value.is_empty()).map(|(k, v)| (k.to_owned(), v)),
    );
    let server: Vec<String> = parts.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (server.join(" "), url.path().trim_start_matches('/').to_owned())
}

/// Whether pgbouncer is here.
#[must_use]
pub fn bouncer_is_installed() -> bool {
    find().is_ok()
}
