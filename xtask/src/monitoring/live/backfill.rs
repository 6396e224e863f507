//! The backfills of the story.

use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query};

use super::processes::Running;
use super::services::{PORTS, Services};
use super::wait::until;
use crate::failure::Failure;

/// The chunk in which the first process stands still.
const HELD: i32 = 3;

/// Two processes on one run.
pub(super) struct Backfills {
    running: Vec<Running>,
    connection: PgConnection,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Backfills {
    /// Starts both: the first stands still in its third chunk (SIGSTOP, while a lock holds the chunk), so that the
    /// second one does all the others and waits. A quarter of the school projects cannot have their row.
    pub(super) fn start(services: &Services) -> Result<Self, Failure> {
        let mut connection = PgConnection::establish(&services.database_url)
            .map_err(Failure::during("connect to the database"))?;
        let hold = format!(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$; \
             CREATE TRIGGER hold BEFORE UPDATE ON sti_backfill_chunk FOR EACH ROW WHEN (NEW.number = {HELD}) \
                EXECUTE FUNCTION hold(); \
             SELECT pg_advisory_lock(42); \
             ALTER TABLE projects_schoolproject ADD CONSTRAINT awkward \
                CHECK (right(project_id::text, 1) NOT IN ('0', '1', '2', '3')) NOT VALID"
        );
        connection.batch_execute(&hold).map_err(Failure::during("hold the third chunk"))?;
        let mut backfills = Self { running: Vec::new(), connection };
        let mut first = backfill(services, 0)?;
        until("the first process has its third chunk", || {
            if first.has_ended() {
                return Err(Failure::new(format!("the backfill has ended; it said:\n{}", first.said())));
            }
            backfills.is_leased()
        })?;
        first.signal("STOP")?;
        backfills.running.push(first);
        backfills.running.push(backfill(services, 1)?);
        Ok(backfills)
    }

    fn is_leased(&mut self) -> Result<bool, Failure> {
        let leased =
            format!("SELECT count(*) FROM sti_backfill_chunk WHERE number = {HELD} AND state = 'leased'");
        let count: Count =
            sql_query(leased).get_result(&mut self.connection).map_err(Failure::during("read the ledger"))?;
        Ok(count.count > 0)
    }

    /// Kills both, as `kill -9` does.
    pub(super) fn kill(&mut self) {
        self.running.clear();
    }

    /// A third process takes the run up and completes it; it waits for a scrape at its end.
    pub(super) fn complete(&mut self, services: &Services) -> Result<(), Failure> {
        let free = "SELECT pg_advisory_unlock(42); DROP FUNCTION hold() CASCADE";
        self.connection.batch_execute(free).map_err(Failure::during("free the third chunk"))?;
        self.running.push(backfill(services, 2)?);
        until("the run is completed", || {
            let count: Count = sql_query("SELECT count(*) FROM sti_backfill_run WHERE state = 'done'")
                .get_result(&mut self.connection)
                .map_err(Failure::during("read the ledger"))?;
            Ok(count.count == 1)
        })
    }

    /// Waits until the last process has been scraped, and has ended.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        until("the last process has ended", || Ok(self.running.iter_mut().all(Running::has_ended)))
    }
}

fn backfill(services: &Services, index: usize) -> Result<Running, Failure> {
    let mut command = Command::new(services.binaries.join("sti"));
    command
        .args([
            "backfill",
            "--chunk",
            "20",
            "--pace",
            "80%",
            "--max-error-rate",
            "100",
            "--verbose",
            "--database-url",
            &services.database_url,
        ])
        .arg(format!("--metrics-listen=127.0.0.1:{}", services.ports[PORTS.start + index]))
        .env("ENABLE_STI", "true");
    Running::start(services.folder(), &format!("backfill-{index}"), &command)
}
