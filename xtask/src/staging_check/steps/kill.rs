//! `kill -9` in the middle of a backfill.

use std::thread::sleep;
use std::time::{Duration, Instant};

use sti_core::test_support::PlainConnection;

use crate::failure::Failure;
use crate::staging_check::census::Census;
use crate::staging_check::database::Database;
use crate::staging_check::ledger::Totals;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::tools::Running;
use crate::staging_check::walk::Walk;

/// The middle of all keys, where the command is held in the midst of a chunk.
const MIDDLE: &str = "80000000000000000000000000000000";

/// How long a command may take to get there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A writer that holds the SQLite file as long is the one that is held.
const HELD: Duration = Duration::from_millis(300);

/// The command that is killed and then typed again: small chunks, so that there are many.
pub(super) fn command(walk: &Walk) -> Result<String, Failure> {
    let published = walk.database().count("projects_project WHERE NOT is_draft")?;
    Ok(format!("ENABLE_STI=true sti backfill --chunk {}", (published / 25).clamp(5, 1000)))
}

pub(in crate::staging_check) fn kill(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let Some(expected) = walk.memory.totals else {
        return Err(Stop::NotRun("the dry run did not say what to expect".to_owned()));
    };
    if expected.locked == 0 {
        return Err(walk.nothing_to_do("there is no published project to stop at"));
    }
    let line = format!("{} --verbose", command(walk)?);
    let (ran, status) = if walk.place.is_real() {
        let mut running = walk.tools.start(walk.database(), &line)?;
        running.says("chunk 2:");
        running.kill()?
    } else {
        let hold = Hold::lay(walk.database())?;
        let mut running = walk.tools.start(walk.database(), &line)?;
        let held = hold.wait(walk.database(), &mut running);
        let killed = running.kill()?;
        hold.lift(walk.database())?;
        held?;
        killed
    };
    row.commands.push(ran);
    if status.code() == Some(0) || status.code() == Some(1) {
        walk.memory.too_fast = true;
        return Err(walk.nothing_to_do("the backfill was done before it could be killed"));
    }
    walk.memory.killed = true;
    walk.look(row);
    let database = walk.database();
    let ended = status.to_string();
    row.holds("the process ended by", "signal 9", &ended, ended.contains("signal: 9"));
    row.equal("runs that are still active", 1, database.count("sti_backfill_run WHERE state = 'active'")?);
    let recorded = Totals::recorded(database)?;
    let some = 0 < recorded.locked && recorded.locked < expected.locked;
    row.holds(
        "projects in chunks that are done",
        format!("some of {}", expected.locked),
        recorded.locked,
        some,
    );
    let made = Census::take(database)?.rows() - walk.memory.rows_before;
    row.equal("rows made: as recorded in the ledger, and counted in the tables", recorded.created(), made);
    Ok(())
}

/// What holds the command in the midst of a chunk: a trigger on the subtype table that waits, on PostgreSQL for a lock
/// of ours, on SQLite by computing for longer than anybody waits.
struct Hold {
    blocker: Option<PlainConnection>,
}

impl Hold {
    fn lay(database: &Database) -> Result<Self, Failure> {
        if !database.is_postgres() {
            database.execute(&format!(
                "CREATE TRIGGER staging_check_hold BEFORE INSERT ON projects_schoolproject \
                 WHEN NEW.project_id > '{MIDDLE}' BEGIN \
                 SELECT count(*) FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c \
                 WHERE n < 40000000000) SELECT n FROM c); END"
            ))?;
            return Ok(Self { blocker: None });
        }
        database.execute(&format!(
            "CREATE FUNCTION staging_check_hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.project_id > '{MIDDLE}' THEN PERFORM pg_advisory_xact_lock_shared(74716); END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER staging_check_hold BEFORE INSERT ON projects_schoolproject \
             FOR EACH ROW EXECUTE FUNCTION staging_check_hold()"
        ))?;
        let mut blocker = database.open()?;
        blocker.execute("SELECT pg_advisory_lock(74716)").map_err(Failure::during("hold the backfill"))?;
        Ok(Self { blocker: Some(blocker) })
    }

    /// Waits until the command stands there.
    fn wait(&self, database: &Database, running: &mut Running) -> Result<(), Failure> {
        let began = Instant::now();
        let mut probe = database.open()?;
        let mut held_since = None;
        if self.blocker.is_none() {
            probe
                .execute("PRAGMA busy_timeout = 0")
                .map_err(Failure::during("look whether the file is held"))?;
        }
        while began.elapsed() < PATIENCE && !running.has_ended() {
            let held = if self.blocker.is_some() {
                // In this database: another walk may be at the same step in another one of this server.
                let waiting = "pg_catalog.pg_locks WHERE locktype = 'advisory' AND objid = 74716 AND NOT granted \
                    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())";
                (database.count(waiting)? > 0).then_some(HELD)
            } else if probe.execute("BEGIN IMMEDIATE; ROLLBACK").is_err() {
                Some(held_since.get_or_insert_with(Instant::now).elapsed())
            } else {
                held_since = None;
                None
            };
            if held.is_some_and(|held| held >= HELD) {
                return Ok(());
            }
            sleep(Duration::from_millis(5));
        }
        Err(Failure::new("the backfill did not come to the middle of the keys, where it was to be killed"))
    }

    /// Takes the trigger away; on PostgreSQL the transaction of the dead process ends by itself then.
    fn lift(self, database: &Database) -> Result<(), Failure> {
        drop(self.blocker);
        database.execute(database.either(
            "DROP TRIGGER staging_check_hold ON projects_schoolproject; DROP FUNCTION staging_check_hold()",
            "DROP TRIGGER staging_check_hold",
        ))
    }
}
