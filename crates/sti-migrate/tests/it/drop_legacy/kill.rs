//! `kill -9` in the middle of a drop: nothing is lost, nothing is left over, and the next command goes on. Before the
//! first write there is nothing that a kill could leave behind but locks.

mod catching_up;
mod cleaning_up;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use sti_core::test_support::{Session, TestDatabase};

use crate::held::{Held, kill, kill_at_ddl, wait_until_gone};

use crate::rig::on;

use super::rig::{ARCHIVING, DROP, archived, digest, drop_legacy, json, legacy, ready, state};

/// Where the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The drop is being recorded; nothing is written yet.
    Event,
    /// Some projects are archived.
    Archive,
    /// All are; the permit is being given.
    Permit,
    /// The columns are gone; the migration is being recorded.
    Migration,
    /// Everything is written; the event is being completed.
    Complete,
    /// The COMMIT is under way: PostgreSQL finishes it after its client has died.
    Commit,
}

impl Point {
    const fn held(self) -> Held {
        let (table, event, condition) = match self {
            Self::Archive => return ARCHIVING,
            Self::Event => ("sti_drop_event", "BEFORE INSERT", "true"),
            Self::Permit => ("sti_drop_permit", "BEFORE INSERT", "true"),
            Self::Migration => ("__diesel_schema_migrations", "BEFORE INSERT", "true"),
            Self::Complete => ("sti_drop_event", "BEFORE UPDATE", "true"),
            Self::Commit => ("sti_drop_event", "AFTER UPDATE", "true"),
        };
        Held { table, event, condition, at_commit: matches!(self, Self::Commit) }
    }
}

fn start(database: &TestDatabase, digest: &str) -> Child {
    // The statement that is held must not run into its limit, which follows --max-lock.
    let arguments = ["--execute", "--confirm", digest, "--max-lock", "600s"];
    drop_legacy(database, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill_at(database: &TestDatabase, point: Point) {
    ready(database);
    let (values, before) = (legacy(database), state(database));
    let limits = ["--max-lock", "600s"];
    let plan = json(&mut drop_legacy(database, &limits), 0);
    let digest = plan["digest"].as_str().unwrap();
    point.held().kill(database, DROP, || start(database, digest));
    let was_made = point == Point::Commit && database.backend_name() == "postgres";
    if !was_made {
        if database.backend_name() == "sqlite" {
            assert_eq!(state(database), before, "nothing is lost and nothing is left over");
        } else {
            // What was done ahead of the locks is there, and is seen; nobody takes it for a drop.
            assert_eq!((legacy(database), database.count("sti_drop_event")), (values.clone(), 0));
            let status = json(&mut on(database, &["status"]), 0);
            let left = status["left_behind"].as_array().unwrap();
            assert!(left.iter().any(|line| line.as_str().unwrap().contains("was not made")), "{left:?}");
            assert_eq!((&status["drop_at_work"], &status["drops"]), (&false.into(), &serde_json::json!([])));
        }
        let again = json(&mut drop_legacy(database, &limits), 0);
        assert_eq!(again["outcome"], "shown");
        if point == Point::Permit {
            // Whoever gives up on the drop gets rid of it, too.
            json(&mut on(database, &["up"]), 0);
            assert_eq!(state(database), before);
        }
    }
    let execute = [&["--execute", "--confirm", digest], &limits[..]].concat();
    let done = json(&mut drop_legacy(database, &execute), 0);
    assert_eq!(done["outcome"], "done");
    assert_eq!(done["answer"], if was_made { "earlier" } else { "commit" });
    assert_eq!(archived(database), values);
    assert_eq!(database.count("sti_legacy_archive"), 5, "of this event alone");
    let after = state(database);
    for line in [
        "legacy columns: 0",
        "sti_drop_event: 1 rows",
        "sti_drop_permit: 0 rows",
        "sti_change_log: 0 rows",
        "triggers: 0",
    ] {
        assert!(after.contains(&line.to_owned()), "{line}: {after:#?}");
    }
}

macro_rules! kill_points {
    ($($case:ident: $point:ident;)+) => { $(
        mod $case {
            use super::*;
            #[test]
            fn postgres() {
                kill_at(&TestDatabase::postgres(), Point::$point);
            }
            #[test]
            fn sqlite() {
                kill_at(&TestDatabase::sqlite(), Point::$point);
            }
        }
    )+ };
}

kill_points! {
    while_recording_the_event: Event;
    while_archiving: Archive;
    while_giving_the_permit: Permit;
    while_recording_the_migration: Migration;
    while_completing_the_event: Complete;
    while_committing: Commit;
}

/// Everything is archived, and the columns are about to go.
#[test]
fn while_dropping_the_columns() {
    let database = TestDatabase::postgres();
    ready(&database);
    let (values, before) = (legacy(&database), state(&database));
    let limits = ["--max-lock", "600s"];
    let plan = json(&mut drop_legacy(&database, &limits), 0);
    let digest = plan["digest"].as_str().unwrap();
    kill_at_ddl(&database, DROP, "ALTER TABLE", || start(&database, digest));
    assert_eq!(state(&database), before);
    let execute = [&["--execute", "--confirm", digest], &limits[..]].concat();
    assert_eq!(json(&mut drop_legacy(&database, &execute), 0)["answer"], "commit");
    assert_eq!(archived(&database), values);
}

/// Killed between two attempts, or in the middle of one that waits for its locks.
#[test]
fn while_trying_for_the_locks() {
    let database = TestDatabase::postgres();
    ready(&database);
    let values = legacy(&database);
    let digest = digest(&database);
    let reader = Session::open(&database, "reports");
    reader.run("BEGIN; SELECT count(*) FROM projects_project");
    let arguments = ["--execute", "--confirm", &digest, "--attempts", "1000"];
    let mut child =
        drop_legacy(&database, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("attempt 2 of 1000: ")));
    kill(&mut child);
    wait_until_gone(&database, DROP);
    // Nothing stands in the way of the application.
    let writer = Session::open(&database, "web");
    writer.run("UPDATE projects_project SET name = name");
    reader.run("COMMIT");
    assert_eq!((legacy(&database), database.count("sti_drop_event")), (values, 0));
    let done = json(&mut drop_legacy(&database, &["--execute", "--confirm", &digest]), 0);
    assert_eq!(done["outcome"], "done");
    assert!(state(&database).contains(&"triggers: 0".to_owned()));
}
