//! What became of a drop whose COMMIT has no answer: the catalogue says it, to a fresh connection.

use std::time::Duration;

use super::attempt::legacy_columns;
use super::error::ContractError;
use super::event::{self, DropEvent, Recorded};
use crate::db::dialect;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, ConnectError, retry, write_transaction};
use crate::expand::TABLES;
use crate::mapping::LEGACY_COLUMNS;

/// How often a fresh connection is tried, with rests in between.
const TRIES: u32 = 5;

/// How long the server may take to end the session that was lost.
const OUTWAIT: Duration = Duration::from_secs(10);

/// What the catalogue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The columns are gone, and our event is there.
    Done(Box<DropEvent>),
    /// The columns are there, and our event is not.
    NotDone,
    /// Anything else, or nobody could be asked.
    Unclear(String),
}

/// Asks over connections of `connector`.
pub(super) fn confirm(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    event: &Recorded,
) -> Seen {
    let seen = until_answered(|| {
        let mut connection = connector().map_err(|error| error.to_string())?;
        ask(&mut connection, event).map_err(|error| error.to_string())
    });
    seen.unwrap_or_else(|error| Seen::Unclear(format!("the database could not be asked: {error}")))
}

/// Asks until there is an answer, [`TRIES`] times with rests in between; else gives the last error.
pub(super) fn until_answered<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let mut attempt = 1;
    loop {
        match ask() {
            Err(_) if attempt < TRIES => std::thread::sleep(retry::rest(attempt)),
            answer => return answer,
        }
        attempt += 1;
    }
}

/// A transaction that may write, though it does not: a standby, which may lag behind, is none to ask. Its first
/// statement waits until the lost transaction is over: its session may still be on its way to COMMIT.
fn ask(connection: &mut AnyConnection, event: &Recorded) -> Result<Seen, ContractError> {
    write_transaction(connection, |connection| {
        dialect::outwait_exclusive(connection, &TABLES, OUTWAIT)
            .doing("waiting for the end of the session that was lost")?;
        let columns = legacy_columns(connection)?;
        let recorded = event::find(connection, event)?;
        Ok(match (columns, recorded) {
            (0, Some(recorded)) => Seen::Done(Box::new(recorded)),
            (5, None) => Seen::NotDone,
            (columns, recorded) => Seen::Unclear(format!(
                "{columns} of the {} legacy columns are there, and event {} is {}on record",
                LEGACY_COLUMNS.len(),
                event.id,
                if recorded.is_some() { "" } else { "not " },
            )),
        })
    })
}
