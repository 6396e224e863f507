//! One server: its folder, its process, its end.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection, PgConnection};
use tempfile::TempDir;

use super::account::Account;
use super::admin_url::AdminUrl;
use super::{Binaries, ServerError};

/// Longest wait for the first connection, in seconds.
const READY_SECONDS: u64 = 60;

/// A test database of a million projects and its log fit in less.
const ROOM_NEEDED_KIB: u64 = 2 * 1024 * 1024;

/// What a test gives up for speed, and the sessions that many tests at once need.
const IN_A_HURRY: [&str; 4] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"];

/// Runs as a shell between us and the server. Commands come on its standard input, whose other end only this
/// process holds: when that is gone, also by abort or `kill -9`, `read` fails and server and folder go too.
/// The trap keeps an answer that nobody reads from ending it before that.
const KEEPER: &str = r#"
folder=$1; shift
trap : PIPE
p=
while read -r word; do
  case $word in
    start) "$@" >>"$folder/log" 2>&1 & p=$!; echo "$p" ;;
    stop) kill -QUIT "$p"; wait "$p"; p=; echo stopped ;;
  esac
done
[ -z "$p" ] || { kill -QUIT "$p"; wait "$p"; }
cd /; rm -rf "$folder"
"#;

/// Settings beyond the defaults of a test server (which trade durability for speed).
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    settings: Vec<String>,
    as_installed: bool,
}

impl ServerOptions {
    /// No setting beyond the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the settings that PostgreSQL comes with, its data in the temporary folder: what a benchmark needs, where a
    /// test would rather be fast than durable.
    #[must_use]
    pub fn as_installed(mut self) -> Self {
        self.as_installed = true;
        self
    }

    /// Adds `-c name=value`; it wins over a default of the same name.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("{name}={value}"));
        self
    }
}

/// A running server, reachable only through a socket in its folder. Dropping it stops it and removes the folder;
/// so does the end of this process.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    url: AdminUrl,
    keeper: Mutex<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    child: Child,
    /// `None` only while the server is being dropped.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: u32,
}

impl Server {
    /// Makes a cluster and starts it: on shared memory where there is room, else in the temporary folder; as user
    /// `postgres` or `nobody` where this process is root's. Takes about half a second on shared memory.
    ///
    /// # Errors
    /// When a program of PostgreSQL fails, or the server does not answer within a minute (its log is quoted).
    pub fn start(binaries: &Binaries, options: &ServerOptions) -> Result<Self, ServerError> {
        let account = Account::choose()?;
        let (base, folder) = new_folder(account, !options.as_installed)?;
        make_cluster(binaries, account, folder.path())?;
        let mut settings = settings(&base, folder.path(), options.as_installed);
        if !options.as_installed {
            settings.extend(IN_A_HURRY.map(str::to_owned));
        }
        settings.extend_from_slice(&options.settings);
        Self::launch(binaries, account, folder, &settings)
    }

    /// Makes a copy of this server that follows it: a standby called `name` that streams and replays. This server is
    /// stopped and started for it, which cuts every session. The copy of a stopped cluster needs none of the client's
    /// programs, which bundles of server programs leave out.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn standby(&self, binaries: &Binaries, name: &str) -> Result<Self, ServerError> {
        let account = Account::choose()?;
        let (base, folder) = new_folder(account, true)?;
        self.checkpoint()?;
        self.stop_immediate()?;
        let copied = copy_cluster(account, &self.folder, folder.path());
        self.start_again()?;
        copied?;
        let mut settings = settings(&base, folder.path(), false);
        settings.extend(IN_A_HURRY.map(str::to_owned));
        settings.push(format!("primary_conninfo=host={} user=postgres", self.folder.display()));
        settings.push(format!("cluster_name={name}"));
        Self::launch(binaries, account, folder, &settings)
    }

    /// Writes everything that was committed to the data folder: a commit here does not wait for that, and stopping in
    /// immediate mode is a crash.
    fn checkpoint(&self) -> Result<(), ServerError> {
        let failed = |output: String| ServerError::Program { program: "CHECKPOINT".to_owned(), output };
        let mut connection =
            PgConnection::establish(&self.url("postgres")).map_err(|error| failed(error.to_string()))?;
        connection.batch_execute("CHECKPOINT").map_err(|error| failed(error.to_string()))
    }

    /// Starts the server whose cluster is in `folder`.
    fn launch(
        binaries: &Binaries,
        account: Account,
        folder: TempDir,
        settings: &[String],
    ) -> Result<Self, ServerError> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sti-postgres-keeper"]).arg(folder.path());
        let server = binaries.command(&binaries.folder().join("postgres"));
        command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg(server.get_program()).arg("-D").arg(folder.path().join("data"));
        for setting in settings {
            command.args(["-c", setting]);
        }
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).process_group(0);
        account.run(&mut command);
        let keeper = Keeper::start(&mut command)?;

        // From here on the keeper removes the folder.
        let folder = folder.keep();
        let url = AdminUrl::of_socket(&folder.to_string_lossy());
        let server = Self { folder, url, keeper: Mutex::new(keeper) };
        server.start_again()?;
        Ok(server)
    }

    /// The superuser's URL of `database`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url.database(database)
    }

    /// The process id of the server's first process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.keeper().pid
    }

    /// The folder of socket, log and data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the server as a crash would (`SIGQUIT`: sessions are cut, nothing is flushed) and waits for its end.
    /// The data stays, [`Server::start_again`] recovers it.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn stop_immediate(&self) -> Result<(), ServerError> {
        self.keeper().ask("stop").map(drop)
    }

    /// Starts the stopped server on the same data and socket, and waits until it answers.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn start_again(&self) -> Result<(), ServerError> {
        {
            let mut keeper = self.keeper();
            keeper.pid = keeper.ask("start")?.parse().unwrap_or_default();
        }
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS);
        loop {
            match PgConnection::establish(&self.url("postgres")) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(ServerError::NotReady {
                        folder: self.folder.clone(),
                        seconds: READY_SECONDS,
                        reason: error.to_string(),
                        log: self.log_tail(),
                    });
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    pub(in crate::test_support) fn admin(&self) -> &AdminUrl {
        &self.url
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join(" | ")
    }

    fn keeper(&self) -> std::sync::MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(keeper.commands.take());
        // Its exit code says nothing that a test could act on.
        let _ = keeper.child.wait();
    }
}

impl Keeper {
    fn start(command: &mut Command) -> Result<Self, ServerError> {
        let mut child = command.spawn().map_err(ServerError::io("start `sh`"))?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for as pipes");
        };
        Ok(Self { child, commands: Some(commands), answers: BufReader::new(answers), pid: 0 })
    }

    /// Sends a word and waits for the one-line answer.
    fn ask(&mut self, word: &str) -> Result<String, ServerError> {
        if let Some(commands) = &mut self.commands {
            writeln!(commands, "{word}").map_err(ServerError::io(format!("tell the server to {word}")))?;
        }
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(ServerError::io(format!("see the server {word}")))?;
        Ok(answer.trim().to_owned())
    }
}

/// Shared memory if it is wanted and big enough, else the temporary folder, else `/tmp`; whatever `account` may write
/// to.
fn base_folder(account: Account, memory: bool) -> Result<PathBuf, ServerError> {
    // The address of a socket is limited to 107 bytes, hence no long temporary folder.
    let short = |folder: &PathBuf| folder.as_os_str().len() < 70;
    let shared_memory = PathBuf::from("/dev/shm");
    let room = |folder: &PathBuf| free_kib(account, folder);
    if memory && room(&shared_memory).is_some_and(|kib| kib >= ROOM_NEEDED_KIB) {
        return Ok(shared_memory);
    }
    [env::temp_dir(), PathBuf::from("/tmp")]
        .into_iter()
        .find(|folder| short(folder) && room(folder).is_some())
        .ok_or_else(|| ServerError::Io {
            action: "find a temporary folder that the server's user may write to".to_owned(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        })
}

/// Free room in `folder`, if `account` may write there.
fn free_kib(account: Account, folder: &Path) -> Option<u64> {
    let mut command = Command::new("sh");
    command.args(["-c", r#"[ -w "$1" ] && cd "$1" && df -Pk ."#, "sh"]).arg(folder).current_dir("/");
    account.run(&mut command);
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// A folder for a new server, and where it is.
fn new_folder(account: Account, memory: bool) -> Result<(PathBuf, TempDir), ServerError> {
    let base = base_folder(account, memory)?;
    let folder = tempfile::Builder::new()
        .prefix("sti-pg-")
        .tempdir_in(&base)
        .map_err(ServerError::io(format!("make a folder in {}", base.display())))?;
    account.own(folder.path())?;
    Ok((base, folder))
}

/// Copies the data of a stopped server, and makes a standby of it.
fn copy_cluster(account: Account, from: &Path, to: &Path) -> Result<(), ServerError> {
    let mut command = Command::new("sh");
    command.args(["-c", r#"cp -a "$1/data" "$2/data" && touch "$2/data/standby.signal""#, "sh"]);
    command.arg(from).arg(to).current_dir("/").stdin(Stdio::null());
    account.run(&mut command);
    let output = command.output().map_err(ServerError::io("run cp"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(ServerError::Program {
        program: format!("cp of {}", from.display()),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn make_cluster(binaries: &Binaries, account: Account, folder: &Path) -> Result<(), ServerError> {
    let mut command = binaries.command(&binaries.folder().join("initdb"));
    command.arg("-D").arg(folder.join("data"));
    command.args(["-U", "postgres", "--auth=trust", "--locale=C", "-E", "UTF8", "--no-sync"]);
    command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null());
    account.run(&mut command);
    let output = command.output().map_err(ServerError::io("run initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(ServerError::Program {
        program: format!("initdb in {}", folder.display()),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn settings(base: &Path, folder: &Path, as_installed: bool) -> Vec<String> {
    let mut settings =
        vec!["listen_addresses=".to_owned(), format!("unix_socket_directories={}", folder.display())];
    if base != Path::new("/dev/shm") && !as_installed {
        // Shared memory was found too small (containers often have 64 MB): parallel queries must not need it.
        settings.push("dynamic_shared_memory_type=mmap".to_owned());
    }
    settings
}
