//! `sti-migrate up`: the plan, carried out in one transaction under short locks.

use std::time::Duration;

use super::error::UpError;
use super::misfit::Misfit;
use super::plan::{Plan, TableAction, look, plan};
use super::shape::TABLES;
use super::widen::widen;
use crate::db::dialect::{self, Against, Limits, LockHolder, MissingGrant};
use crate::db::error::{DbError, Doing as _};
use crate::db::{AnyConnection, Failed, Fault, migrations, retry, write_transaction_phased};
use crate::mapping::PARENT;

/// How [`up`] goes about its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpOptions {
    /// How often to try, at least once.
    pub attempts: u32,
    /// The longest wait for a lock on PostgreSQL: as long may the application's writers queue behind us. Cut to less
    /// than half of the server's `deadlock_timeout`, so that we are never the reason for a deadlock check. On SQLite
    /// the busy timeout of the connection counts.
    pub lock_timeout: Duration,
}

impl Default for UpOptions {
    /// 20 attempts, about half a minute with the rests between them; 300 ms for a lock.
    fn default() -> Self {
        Self { attempts: 20, lock_timeout: Duration::from_millis(300) }
    }
}

/// An attempt that failed and is to be repeated.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The number of the attempt that failed, from 1.
    pub attempt: u32,
    /// How many there will be at most.
    pub attempts: u32,
    /// What the database said.
    pub reason: String,
    /// Who held a lock right after it.
    pub holders: Vec<LockHolder>,
    /// The rest before the next one.
    pub rest: Duration,
}

/// What [`up`] did, or, unless it was executed, would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpReport {
    /// What was found, and what was to be done.
    pub plan: Plan,
    /// Whether it was done; false for a dry run.
    pub executed: bool,
    /// In how many attempts.
    pub attempts: u32,
    /// What roles that work with `projects_project` lack on the subtype tables. Nothing is granted here.
    pub missing_grants: Vec<MissingGrant>,
}

impl UpReport {
    /// The report of a dry run.
    #[must_use]
    pub const fn dry(plan: Plan) -> Self {
        Self { plan, executed: false, attempts: 0, missing_grants: Vec::new() }
    }

    /// Whether anything was made or recorded.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.executed && !self.plan.is_done()
    }
}

/// Adopts the tables that are there, makes those that are missing, and runs our pending migrations, all in one
/// transaction; does nothing when nothing is pending.
///
/// Locks: an advisory lock against a second `up`; where a subtype table has to be made, SHARE ROW EXCLUSIVE on
/// `projects_project` for its foreign key, which waits for the table's writers, and they for it, no longer than
/// [`UpOptions::lock_timeout`]. An attempt that does not get its locks is rolled back, `retrying` is told, and it is
/// tried again after a rest.
///
/// # Errors
/// [`UpError`]. Nothing was changed then, but for [`UpError::Unknown`].
pub fn up(
    connection: &mut AnyConnection,
    options: UpOptions,
    retrying: &mut dyn FnMut(&Retry),
) -> Result<UpReport, UpError> {
    let attempts = options.attempts.max(1);
    let mut attempt = 1;
    loop {
        let error = match once(connection, options.lock_timeout) {
            Ok(plan) => return report(connection, plan, attempt),
            Err(UpError::Db(error)) if matches!(error.fault(), Fault::LockTimeout | Fault::Transient) => {
                error
            }
            Err(error) => return Err(error),
        };
        let holders = dialect::lock_holders(connection, &TABLES, Against::Writers)
            .doing("asking who holds the lock")?;
        if attempt == attempts {
            return Err(UpError::Locked { attempts, holders, source: error });
        }
        let rest = retry::rest(attempt);
        retrying(&Retry { attempt, attempts, reason: error.to_string(), holders, rest });
        std::thread::sleep(rest);
        attempt += 1;
    }
}

/// One attempt.
fn once(connection: &mut AnyConnection, lock_timeout: Duration) -> Result<Plan, UpError> {
    // Without a lock first: a refusal, or nothing to do, is no reason to stand in anybody's way.
    let before = checked(plan(connection)?)?;
    if before.is_done() {
        return Ok(before);
    }
    let limits = limits(connection, lock_timeout).doing("asking for deadlock_timeout")?;
    write_transaction_phased(connection, |connection| {
        dialect::limit_transaction(connection, limits).doing("setting the limits of the transaction")?;
        dialect::lock_schema(connection).doing("waiting for another sti-migrate")?;
        // Another one may have done it all meanwhile; what counts is what is there under the lock.
        let now = checked(look(connection)?)?;
        if now.is_done() {
            return Ok(now);
        }
        migrations::run_pending(connection)?;
        widen(connection, &now.widened)?;
        expect_done(&look(connection)?)?;
        Ok(now)
    })
    .map_err(|failed| match failed {
        Failed::Begin(source) => DbError { doing: "beginning the transaction".to_owned(), source }.into(),
        Failed::Body(error) => error,
        Failed::Commit(source) => {
            let error = DbError { doing: "committing".to_owned(), source };
            if error.fault() == Fault::ConnectionLost { UpError::Unknown(error) } else { error.into() }
        }
    })
}

fn checked(plan: Plan) -> Result<Plan, UpError> {
    if !plan.misfits.is_empty() {
        return Err(UpError::Refused(plan.misfits));
    }
    if !plan.obstacles.is_empty() {
        return Err(UpError::Obstacles(plan.obstacles));
    }
    Ok(plan)
}

/// Expected is what a second `up` would find: nothing to do, and nothing that does not fit.
fn expect_done(after: &Plan) -> Result<(), UpError> {
    let mut wrong = after.misfits.clone();
    for migration in &after.pending {
        wrong.push(Misfit::table(
            migrations::RECORD,
            format!("{migration} to be recorded"),
            "no such version",
        ));
    }
    for table in after.tables.iter().filter(|table| table.action == TableAction::Create) {
        wrong.push(Misfit::table(table.name, "the table", "nothing"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(UpError::Unexpected(wrong)) }
}

/// Making a few empty tables takes milliseconds; whatever takes seconds is better given up.
const STATEMENT: Duration = Duration::from_secs(10);

fn limits(connection: &mut AnyConnection, lock: Duration) -> diesel::QueryResult<Limits> {
    let deadlock_timeout = dialect::deadlock_timeout(connection)?;
    Ok(Limits { lock: short_of(lock, deadlock_timeout), statement: STATEMENT })
}

/// Two fifths of the deadlock timeout at most.
fn short_of(lock: Duration, deadlock_timeout: Option<Duration>) -> Duration {
    deadlock_timeout.map_or(lock, |timeout| lock.min(timeout.saturating_mul(2) / 5))
}

fn report(connection: &mut AnyConnection, plan: Plan, attempts: u32) -> Result<UpReport, UpError> {
    let mut missing_grants = Vec::new();
    for table in TABLES.into_iter().filter(|table| *table != PARENT) {
        let missing = dialect::missing_grants(connection, PARENT, table).doing("reading the privileges")?;
        missing_grants.extend(missing);
    }
    Ok(UpReport { plan, executed: true, attempts, missing_grants })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_waited_for_less_than_half_of_the_deadlock_timeout() {
        let [lock, second] = [300, 1000].map(Duration::from_millis);
        assert_eq!(short_of(lock, Some(second)), lock);
        assert_eq!(short_of(lock, Some(Duration::from_millis(100))), Duration::from_millis(40));
        assert_eq!(short_of(second, Some(second)), Duration::from_millis(400));
        assert_eq!(short_of(lock, None), lock);
    }
}
