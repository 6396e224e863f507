//! What a command ends with: the exit codes, and one failure type.

use std::fmt::Display;

use sti_core::db::Fault;
use sti_core::db::error::quoting_words;

/// The exit codes of all three binaries. They are part of the interface: scripts decide by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or clean.
    Done,
    /// 1: a negative answer: findings, refused, rows that failed.
    Negative,
    /// 2: could not: usage, connection, schema, a bug. Nothing was written, unless the message says so.
    Failed,
    /// 3: stopped early; the same command resumes.
    Stopped,
    /// 4: the outcome is unknown: the connection was lost at a commit and the database cannot be asked.
    Unknown,
}

impl Exit {
    /// What work in chunks ends with that the database has failed: stopped, if that passes with time, and failed if it
    /// takes a person.
    #[must_use]
    pub const fn of(fault: Fault) -> Self {
        match fault {
            Fault::LockTimeout | Fault::Transient | Fault::StatementTimeout | Fault::ConnectionLost => {
                Self::Stopped
            }
            _ => Self::Failed,
        }
    }

    /// The number that the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Negative => 1,
            Self::Failed => 2,
            Self::Stopped => 3,
            Self::Unknown => 4,
        }
    }
}

/// What the help of every command says about its exit codes.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, or clean
  1  a negative answer: findings, refused, rows that failed
  2  could not: usage, connection, schema, a bug
  3  stopped early; the same command resumes
  4  the outcome is unknown: look before you run it again";

/// Why a command has no answer: one message, and the exit code that goes with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the process exits with.
    pub exit: Exit,
    /// One clear message that names the thing and the next step.
    pub message: String,
    /// Words of the database in it that may quote a row: they are for the person, and for no log above debug.
    pub quotes: Option<String>,
}

impl Failure {
    /// A failure with exit code 2.
    #[must_use]
    pub fn failed(message: impl Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string(), quotes: None }
    }

    /// A refusal, with exit code 1.
    #[must_use]
    pub fn refused(message: impl Display) -> Self {
        Self { exit: Exit::Negative, message: message.to_string(), quotes: None }
    }

    /// A failure that `error` is the cause of.
    #[must_use]
    pub fn of(exit: Exit, message: impl Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { exit, message: message.to_string(), quotes: quoting_words(error) }
    }
}

/// Every error of the library is a failure with exit code 2, unless a command says otherwise.
impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(Exit::Failed, &error, &error)
    }
}

/// What a command returns.
pub type Answer = Result<Exit, Failure>;
