//! Servers that do not let `up` come to its end.

use std::fs;

use sti_core::expand::UpError;
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};

use super::rig::{create_tables, definitions, plan, up};

/// What comes out is looked at again before COMMIT.
#[test]
fn a_result_that_does_not_fit_is_rolled_back() {
    let database = TestDatabase::postgres();
    database.execute(
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF to_regclass('projects_schoolproject') IS NOT NULL THEN \
                 ALTER TABLE projects_schoolproject ALTER course_name DROP NOT NULL; \
             END IF; END $$; \
         CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION meddle()",
    );
    let before = definitions(&database);
    let error = up(&database).unwrap_err();
    assert!(matches!(error, UpError::Unexpected(_)), "{error:?}");
    insta::assert_snapshot!("unexpected", error);
    assert_eq!(definitions(&database), before);
    database.execute("DROP EVENT TRIGGER meddle");
    up(&database).unwrap();
}

/// The session dies inside COMMIT: only the database knows what became of it.
#[test]
fn a_connection_lost_at_commit_leaves_the_outcome_open() {
    let database = TestDatabase::postgres();
    database.execute(
        "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, \
             run_on timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP); \
         CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER die AFTER INSERT ON __diesel_schema_migrations \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()",
    );
    let error = up(&database).unwrap_err();
    assert!(matches!(error, UpError::Unknown(_)), "{error:?}");
    // All or nothing, and here it is nothing; the same command does it.
    assert!(!plan(&database).is_done());
    database.execute("DROP TRIGGER die ON __diesel_schema_migrations");
    assert!(up(&database).unwrap().changed());
}

#[test]
fn a_standby_takes_no_migrations() {
    let server = Server::start(&Binaries::from_environment().unwrap(), &ServerOptions::new()).unwrap();
    let ready = TestDatabase::postgres_on(&server);
    up(&ready).unwrap();
    let database = TestDatabase::postgres_on(&server);
    database.execute(&create_tables(&database).concat());
    database.execute("CHECKPOINT");
    server.stop_immediate().unwrap();
    fs::write(server.folder().join("data/standby.signal"), "").unwrap();
    server.start_again().unwrap();

    let error = up(&database).unwrap_err().to_string();
    let expected =
        "nothing was changed: the server is a standby and takes no writes: name the primary in the URL";
    assert_eq!(error, expected);
    assert!(!up(&ready).unwrap().changed(), "where nothing is to be done, a standby will do");
}
