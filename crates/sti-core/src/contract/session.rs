//! A session for steps that can be repeated, and that looks up what became of one whose COMMIT got no clear answer.
//!
//! An answer that says no means rolled back. Everything else, a lost connection above all, says nothing: then a fresh
//! connection waits until the lost session has ended, and looks at what the step would have left behind.

use std::time::Duration;

use diesel::result::Error;

use super::confirm::until_answered;
use crate::db::dialect::{self, Limits};
use crate::db::error::{Doing as _, Fault};
use crate::db::{AnyConnection, ConnectError, DbError, Failed, write_transaction, write_transaction_phased};

/// Where connections come from.
pub(crate) type Connector<'a> = &'a mut dyn FnMut() -> Result<AnyConnection, ConnectError>;

/// How long the server may take to end a session that was lost.
const OUTWAIT: Duration = Duration::from_secs(10);

/// What became of a step, as the database says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// What it would have left behind is there.
    Done,
    /// It is not.
    NotDone,
    /// What is there is neither.
    Unclear(String),
}

impl Became {
    /// [`Became::Done`] if it is so.
    pub(crate) const fn done_if(it_is_so: bool) -> Self {
        if it_is_so { Self::Done } else { Self::NotDone }
    }
}

/// Why a step did not come to its end.
#[derive(Debug)]
pub(crate) enum Undone<E> {
    /// The work itself failed; rolled back.
    Work(E),
    /// BEGIN failed, or COMMIT did and nothing of the step is there.
    Database(DbError),
    /// The connection was lost at COMMIT, and nothing of the step is there. The session has a fresh connection.
    Lost(DbError),
    /// COMMIT got no clear answer, and what became of it could not be found out.
    Unknown(Unknown),
}

/// A COMMIT without a clear answer.
#[derive(Debug)]
pub struct Unknown {
    /// What the database, or the wire, said to the COMMIT.
    pub source: DbError,
    /// What the look found, or why there was none.
    pub seen: String,
}

/// A connection, and where a fresh one comes from.
pub(crate) struct Session<'a> {
    connector: Connector<'a>,
    connection: AnyConnection,
}

impl<'a> Session<'a> {
    pub(crate) fn open(connector: Connector<'a>) -> Result<Self, ConnectError> {
        let connection = connector()?;
        Ok(Self { connector, connection })
    }

    /// A transaction that may write, though it does not: a standby, which may lag behind, is none to ask.
    fn ask(
        &mut self,
        mut became: impl FnMut(&mut AnyConnection) -> Result<Became, DbError>,
    ) -> Result<Became, String> {
        until_answered(|| {
            // The old one is closed by this: it must not stand in the way of the fresh one.
            self.connection = (self.connector)().map_err(|error| error.to_string())?;
            write_transaction(&mut self.connection, |connection| {
                let limits = Limits { lock: OUTWAIT, statement: OUTWAIT * 2 };
                dialect::limit_transaction(connection, limits).doing("limiting the transaction")?;
                became(connection)
            })
            .map_err(|error: DbError| error.to_string())
        })
    }
}

/// What can carry out a step.
pub(crate) trait Steps {
    fn connection(&mut self) -> &mut AnyConnection;

    /// Runs `work` in a write transaction. Where its COMMIT gets no clear answer, `became` is asked, in a transaction of
    /// a fresh connection whose locks may wait for the end of the lost session. Its first statement must wait for a
    /// lock that `work` held.
    fn transaction<T, E>(
        &mut self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
        became: impl FnMut(&mut AnyConnection, &T) -> Result<Became, DbError>,
    ) -> Result<T, Undone<E>>;
}

/// What became of a step that is carried out without a fresh connection to ask.
pub(crate) fn not_asked<T>(_: &mut AnyConnection, _: &T) -> Result<Became, DbError> {
    Ok(Became::Unclear("nobody was asked".to_owned()))
}

/// For steps of which nobody has to know what became of them: without a fresh connection, nobody can be asked.
impl Steps for AnyConnection {
    fn connection(&mut self) -> &mut AnyConnection {
        self
    }

    fn transaction<T, E>(
        &mut self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
        _: impl FnMut(&mut AnyConnection, &T) -> Result<Became, DbError>,
    ) -> Result<T, Undone<E>> {
        write_transaction_phased(self, work).map_err(|failed| match failed {
            Failed::Body(error) => Undone::Work(error),
            Failed::Begin(error) => Undone::Database(error.into()),
            Failed::Commit(error) => {
                let source = DbError { doing: "committing".to_owned(), source: error };
                if says_no(source.fault()) {
                    return Undone::Database(source);
                }
                Undone::Unknown(Unknown { source, seen: "nobody was asked".to_owned() })
            }
        })
    }
}

/// The fresh connection is this session's from then on.
impl Steps for Session<'_> {
    fn connection(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    fn transaction<T, E>(
        &mut self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
        mut became: impl FnMut(&mut AnyConnection, &T) -> Result<Became, DbError>,
    ) -> Result<T, Undone<E>> {
        let mut worked = None;
        let committed = write_transaction_phased(&mut self.connection, |connection| {
            worked = Some(work(connection)?);
            Ok(())
        });
        let source = match (committed, worked) {
            (Ok(()), Some(value)) => return Ok(value),
            (Err(Failed::Body(error)), _) => return Err(Undone::Work(error)),
            (Err(Failed::Commit(error)), Some(value)) => {
                let source = DbError { doing: "committing".to_owned(), source: error };
                if says_no(source.fault()) {
                    return Err(Undone::Database(source));
                }
                match self.ask(|connection| became(connection, &value)) {
                    Ok(Became::Done) => return Ok(value),
                    Ok(Became::NotDone) if source.fault() == Fault::ConnectionLost => {
                        return Err(Undone::Lost(source));
                    }
                    Ok(Became::NotDone) => source,
                    Ok(Became::Unclear(seen)) => return Err(Undone::Unknown(Unknown { source, seen })),
                    Err(error) => {
                        let seen = format!("the database could not be asked: {error}");
                        return Err(Undone::Unknown(Unknown { source, seen }));
                    }
                }
            }
            (Err(Failed::Begin(error) | Failed::Commit(error)), _) => error.into(),
            // A transaction that commits has done its work.
            (Ok(()), None) => Error::NotInTransaction.into(),
        };
        Err(Undone::Database(source))
    }
}

/// Whether this answer to COMMIT can only mean that everything was rolled back.
const fn says_no(fault: Fault) -> bool {
    matches!(fault, Fault::Row | Fault::Transient | Fault::LockTimeout | Fault::ReadOnly)
}
