//! Which database a command works on, and where its URL came from.

use std::fmt;
use std::sync::Arc;

use sti_core::backfill::StopSignal;
use sti_core::db::{Access, AnyConnection, ConnectError, DatabaseUrl, connect};
use sti_core::verify::Interrupt;

use crate::answer::Failure;
use crate::stderr::say;

/// `--database-url`, for every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DatabaseArgs {
    /// The database: postgres://USER@HOST/DATABASE or sqlite:PATH. Without it DATABASE_URL is taken from the
    /// environment, then from a file `.env` in the working folder.
    #[arg(long, value_name = "URL", global = true)]
    pub database_url: Option<String>,
}

/// Where a URL came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `--database-url`
    Flag,
    /// `DATABASE_URL` in the environment.
    Environment,
    /// `DATABASE_URL` in `.env` of the working folder.
    DotEnv,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "--database-url",
            Self::Environment => "DATABASE_URL",
            Self::DotEnv => "DATABASE_URL in .env",
        })
    }
}

/// The database that a command works on.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub url: DatabaseUrl,
    /// Where that was said.
    pub source: Source,
    command: String,
}

impl DatabaseArgs {
    /// Finds the URL and says on stderr which database `command` (as in `sti backfill`) works on: the first line
    /// of every command. The flag wins over the environment, the environment over `.env`.
    ///
    /// # Errors
    /// No URL anywhere, or one that cannot be used.
    pub fn resolve(&self, command: &str) -> Result<Target, Failure> {
        self.resolve_if_named(command)?.ok_or_else(|| {
            Failure::failed(
                "no database named: give --database-url, or set DATABASE_URL in the environment or in .env",
            )
        })
    }

    /// [`Self::resolve`] for a command that can do without a database; `None` when none is named.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub fn resolve_if_named(&self, command: &str) -> Result<Option<Target>, Failure> {
        let Some((text, source)) = self.find()? else { return Ok(None) };
        let url =
            DatabaseUrl::parse(&text).map_err(|e| Failure::failed(format_args!("{e} (from {source})")))?;
        let target = Target { url, source, command: command.to_owned() };
        say(&target);
        Ok(Some(target))
    }

    fn find(&self) -> Result<Option<(String, Source)>, Failure> {
        if let Some(text) = &self.database_url {
            return Ok(Some((text.clone(), Source::Flag)));
        }
        match std::env::var("DATABASE_URL") {
            Ok(text) if !text.trim().is_empty() => return Ok(Some((text, Source::Environment))),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Failure::failed("DATABASE_URL in the environment is not UTF-8"));
            }
            _ => {}
        }
        Ok(from_dot_env()?.map(|text| (text, Source::DotEnv)))
    }
}

/// `DATABASE_URL` out of `.env`; nothing else is read from that file, ENABLE_STI least of all.
fn from_dot_env() -> Result<Option<String>, Failure> {
    if !std::path::Path::new(".env").is_file() {
        return Ok(None);
    }
    // Its errors repeat the line, which may hold a password.
    let bad =
        |_| Failure::failed("cannot read .env of the working folder: give --database-url, or mend the file");
    for item in dotenvy::from_filename_iter(".env").map_err(bad)? {
        let (key, value) = item.map_err(bad)?;
        if key == "DATABASE_URL" && !value.trim().is_empty() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

impl Target {
    /// Opens a connection that names this command as its `application_name`.
    ///
    /// # Errors
    /// Unreachable server, missing or unreadable file.
    pub fn connect(&self, access: Access) -> Result<AnyConnection, Failure> {
        Ok(connect(&self.url, access, &self.command)?)
    }

    /// Opens as many connections as are asked for, each for writing: for work that asks a fresh one what became of a
    /// COMMIT whose answer was lost.
    pub fn connector(&self) -> impl FnMut() -> Result<AnyConnection, ConnectError> + '_ {
        || connect(&self.url, Access::Write, &self.command)
    }

    /// How work on this database is asked to stop by `signal`: a connection of its own then cancels its statement.
    #[must_use]
    pub fn interrupt(&self, signal: StopSignal, access: Access) -> Interrupt {
        let (url, command) = (self.url.clone(), self.command.clone());
        Interrupt { signal, connect: Arc::new(move || connect(&url, access, &command)) }
    }

    /// The command, as in `sti backfill`.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (from {})", self.command, self.url, self.source)
    }
}
