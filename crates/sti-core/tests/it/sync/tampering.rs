//! What somebody has changed about the triggers is told, and mended.

use sti_core::test_support::TestDatabase;

use super::rig::{assert_level, insert_sql, installed, ours, problems, run};

const FUNCTION: &str = "function public.sti_sync()";
const DIFFERS: &str = "is not as this version of sti-migrate makes it";

/// Changes something, and expects to be told of it in these words, until it is mended.
#[track_caller]
fn told(database: &TestDatabase, change: &str, expected: &[String]) {
    database.execute(change);
    assert_eq!(problems(database).as_deref(), Some(expected), "{change}");
    assert_eq!(installed(database), expected, "{change}");
    assert_eq!(problems(database), Some(Vec::new()), "{change}");
}

#[test]
fn every_part_that_is_not_as_it_should_be() {
    let database = ours();
    let parent = "ALTER TABLE projects_project";
    for (change, expected) in [
        ("DROP TRIGGER sti_sync_insert ON projects_project", "trigger sti_sync_insert is missing"),
        (&format!("{parent} DISABLE TRIGGER sti_sync_update"), "trigger sti_sync_update is disabled"),
        (
            &format!("{parent} ENABLE REPLICA TRIGGER sti_sync_update"),
            "trigger sti_sync_update fires for replication only",
        ),
        (
            &format!("{parent} ENABLE ALWAYS TRIGGER \"0_sti_sync_delete\""),
            "trigger 0_sti_sync_delete fires for replication too",
        ),
        (
            "CREATE OR REPLACE TRIGGER sti_sync_update AFTER UPDATE ON projects_project FOR EACH ROW \
             WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION sti_sync()",
            &format!("trigger sti_sync_update {DIFFERS}"),
        ),
        (
            "CREATE OR REPLACE TRIGGER sti_sync_insert BEFORE INSERT ON projects_project FOR EACH ROW \
             EXECUTE FUNCTION sti_sync()",
            &format!("trigger sti_sync_insert {DIFFERS}"),
        ),
        (
            "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE OR REPLACE TRIGGER sti_sync_insert AFTER INSERT ON projects_project FOR EACH ROW \
             EXECUTE FUNCTION other()",
            "trigger sti_sync_insert calls another function",
        ),
        (
            "CREATE OR REPLACE FUNCTION sti_sync() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
             SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'",
            &format!("{FUNCTION} {DIFFERS}"),
        ),
        (
            "ALTER FUNCTION sti_sync() SECURITY INVOKER",
            &format!("{FUNCTION} does not work with its owner's rights"),
        ),
        ("ALTER FUNCTION sti_sync() RESET search_path", &format!("{FUNCTION} has no fixed search_path")),
        (
            "ALTER FUNCTION sti_sync() SET search_path = public",
            &format!("{FUNCTION} has no fixed search_path"),
        ),
        (
            "GRANT EXECUTE ON FUNCTION sti_sync() TO PUBLIC",
            &format!("{FUNCTION} may be executed by everybody"),
        ),
    ] {
        told(&database, change, &[expected.to_owned()]);
    }
    told(
        &database,
        &format!("{parent} DISABLE TRIGGER ALL"),
        &["sti_sync_insert", "sti_sync_update", "0_sti_sync_delete"]
            .map(|name| format!("trigger {name} is disabled")),
    );
    run(&database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    assert_level(&database);
}

/// Not mended by an install of somebody else: who owns it has to give it back or take it away.
#[test]
fn an_owner_without_rights() {
    let database = ours();
    let _ = database.application_role();
    let role = format!("{}_app", database.value("SELECT current_database()"));
    database.execute(&format!(
        "REVOKE DELETE ON projects_schoolproject FROM {role}; ALTER FUNCTION sti_sync() OWNER TO {role}"
    ));
    let lacks = "DELETE on projects_schoolproject, INSERT on sti_repair_log";
    assert_eq!(problems(&database), Some(vec![format!("{FUNCTION} belongs to {role}, who lacks {lacks}")]));
    database.execute("DROP FUNCTION sti_sync() CASCADE");
    assert_eq!(problems(&database), None);
}

/// What pg_dump writes of them makes the same triggers.
#[test]
fn as_a_dump_brings_them_back() {
    let database = ours();
    let statements = database.column(
        "statement",
        "FROM (SELECT 1 AS nth, pg_get_functiondef('public.sti_sync()'::regprocedure) AS statement UNION ALL \
         SELECT 2, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE tgname LIKE '%sti_sync%' UNION ALL \
         SELECT 3, format('COMMENT ON TRIGGER %I ON projects_project IS %L', tgname, \
                          obj_description(oid, 'pg_trigger')) \
         FROM pg_trigger WHERE tgname LIKE '%sti_sync%') s ORDER BY nth",
    );
    super::rig::removed(&database);
    for statement in statements.iter().flatten() {
        database.execute(statement);
    }
    database.execute("REVOKE ALL ON FUNCTION sti_sync() FROM PUBLIC");
    assert_eq!(problems(&database), Some(Vec::new()));
}
