//! The triggers that write the change log. PostgreSQL only. What is made for the tables as our migrations make them is in
//! `snapshots/`, to be read.
//!
//! An application's role owns none of our tables and must go on writing: the functions work with their owner's rights
//! and therefore name every schema. They fire for replication roles, too (`ENABLE ALWAYS`).

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Bool, Text};

use super::TABLE;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, DbError, catalog};
use crate::expand::TABLES;
use crate::mapping::{PARENT, is_kind_sql, mapped_sql};
use crate::models::Kind;

/// The triggers of each table.
const TRIGGERS: [&str; 2] = ["sti_change_log_row", "sti_change_log_truncate"];

/// The functions: that of `projects_project`, and that of the subtype tables.
const FUNCTIONS: [&str; 2] = ["sti_change_log_project", "sti_change_log_subtype"];

/// Whether all triggers of all three tables are there, and fire always.
pub(in crate::contract) fn are_complete(connection: &mut AnyConnection) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        complete: bool,
    }
    let all = TABLES.len() * TRIGGERS.len();
    let row: Row = diesel::sql_query(format!(
        "SELECT count(*) = {all} AS complete FROM pg_catalog.pg_trigger WHERE tgenabled = 'A' \
         AND tgrelid IN (to_regclass('{}')) AND tgname IN ('{}')",
        TABLES.join("'), to_regclass('"),
        TRIGGERS.join("', '")
    ))
    .get_result(connection)
    .doing("looking for the triggers of the change log")?;
    Ok(row.complete)
}

/// The tables on which some of the triggers are.
pub(in crate::contract) fn tables(connection: &mut AnyConnection) -> Result<Vec<&'static str>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        triggers: i64,
    }
    let mut found = Vec::new();
    for table in TABLES {
        let row: Row = diesel::sql_query(format!(
            "SELECT count(*) AS triggers FROM pg_catalog.pg_trigger WHERE tgrelid = to_regclass($1) \
             AND tgname IN ('{}')",
            TRIGGERS.join("', '")
        ))
        .bind::<Text, _>(table)
        .get_result(connection)
        .doing("looking for the triggers of the change log")?;
        if row.triggers > 0 {
            found.push(table);
        }
    }
    Ok(found)
}

/// Whether one of the functions is there.
pub(in crate::contract) fn functions_are_there(connection: &mut AnyConnection) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        there: bool,
    }
    let row: Row = diesel::sql_query(format!(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_class c ON c.oid = to_regclass($1) \
         WHERE p.pronamespace = c.relnamespace AND p.proname IN ('{}')) AS there",
        FUNCTIONS.join("', '")
    ))
    .bind::<Text, _>(PARENT)
    .get_result(connection)
    .doing("looking for the functions of the change log")?;
    Ok(row.there)
}

/// Makes the functions; replaces those that are there.
pub(in crate::contract) fn make_functions(connection: &mut AnyConnection) -> Result<(), DbError> {
    let schema = catalog::place(connection, PARENT)?.schema;
    let log = catalog::place(connection, TABLE)?.name;
    connection.batch_execute(&functions(&schema, &log)).doing("making the functions of the change log")
}

/// Makes the functions do nothing, which takes no lock on a table.
pub(in crate::contract) fn silence(connection: &mut AnyConnection) -> Result<(), DbError> {
    let schema = catalog::place(connection, PARENT)?.schema;
    let script = FUNCTIONS.map(|name| function(&schema, name, "RETURN NULL;")).concat();
    connection.batch_execute(&script).doing("silencing the change log")
}

/// Makes the triggers of `table`, to be called under a lock on it.
pub(in crate::contract) fn install(connection: &mut AnyConnection, table: &str) -> Result<(), DbError> {
    let schema = catalog::place(connection, PARENT)?.schema;
    let place = catalog::place(connection, table)?.name;
    let script = creation(&schema, &place, table);
    connection.batch_execute(&script).doing(format!("making the change log's triggers on {table}"))
}

/// Takes the triggers of `table` away, to be called under a lock on it against everybody.
pub(in crate::contract) fn remove(connection: &mut AnyConnection, table: &str) -> Result<(), DbError> {
    let place = catalog::place(connection, table)?.name;
    connection
        .batch_execute(&removal(&place))
        .doing(format!("taking away the change log's triggers on {table}"))
}

/// Takes the functions away, whose triggers are gone.
pub(in crate::contract) fn remove_functions(connection: &mut AnyConnection) -> Result<(), DbError> {
    let schema = catalog::place(connection, PARENT)?.schema;
    let script = FUNCTIONS.map(|name| format!("DROP FUNCTION IF EXISTS {schema}.{name}();\n")).concat();
    connection.batch_execute(&script).doing("taking away the functions of the change log")
}

fn functions(schema: &str, log: &str) -> String {
    let [project, subtype] = FUNCTIONS;
    let subtype = function(schema, subtype, &subtype_body(log));
    function(schema, project, &project_body(log)) + &subtype
}

/// The triggers of `table`, which is at `place`.
fn creation(schema: &str, place: &str, table: &str) -> String {
    let kind = Kind::ALL.into_iter().find(|kind| kind.table() == table);
    let (function, written) = match kind {
        None => (FUNCTIONS[0], "project"),
        Some(kind) => (FUNCTIONS[1], kind.as_str()),
    };
    let [row, truncate] = TRIGGERS;
    format!(
        "{}CREATE TRIGGER {row} AFTER INSERT OR UPDATE OR DELETE ON {place} \
            FOR EACH ROW EXECUTE FUNCTION {schema}.{function}('{written}');\n\
         CREATE TRIGGER {truncate} AFTER TRUNCATE ON {place} \
            FOR EACH STATEMENT EXECUTE FUNCTION {schema}.{function}('{written}');\n\
         ALTER TABLE {place} ENABLE ALWAYS TRIGGER {row}, ENABLE ALWAYS TRIGGER {truncate};\n",
        removal(place)
    )
}

fn removal(place: &str) -> String {
    TRIGGERS.map(|trigger| format!("DROP TRIGGER IF EXISTS {trigger} ON {place};\n")).concat()
}

fn function(schema: &str, name: &str, body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp AS $sti$\nBEGIN\n{body}\nEND $sti$;\n\
         REVOKE ALL ON FUNCTION {schema}.{name}() FROM PUBLIC;\n"
    )
}

/// An update that makes the legacy columns of the project's type say something else, or gives it another type, makes
/// its subtype row due in the same transaction.
fn project_body(log: &str) -> String {
    let exact = Backend::Postgres.exact();
    let due = Kind::ALL.map(|kind| {
        let differs: Vec<String> = kind
            .columns()
            .iter()
            .map(|column| {
                format!("{} {exact} <> {} {exact}", mapped_sql("OLD", column), mapped_sql("NEW", column))
            })
            .collect();
        format!(
            "WHEN {} AND (OLD.project_type {exact} <> NEW.project_type {exact} OR {}) THEN '{kind}'",
            is_kind_sql(kind, "NEW", exact),
            differs.join(" OR ")
        )
    });
    format!(
        "  IF TG_OP = 'UPDATE' THEN\n    \
             INSERT INTO {log} (project_id, written, row_due) \
               VALUES (NEW.id, TG_ARGV[0], CASE {} END);\n    \
             IF OLD.id <> NEW.id THEN\n      \
               INSERT INTO {log} (project_id, written) VALUES (OLD.id, TG_ARGV[0]);\n    \
             END IF;\n  \
           ELSIF TG_OP = 'INSERT' THEN\n    \
             INSERT INTO {log} (project_id, written) VALUES (NEW.id, TG_ARGV[0]);\n  \
           ELSIF TG_OP = 'DELETE' THEN\n    \
             INSERT INTO {log} (project_id, written) VALUES (OLD.id, TG_ARGV[0]);\n  \
           ELSE\n    \
             INSERT INTO {log} (project_id, written) VALUES (NULL, TG_ARGV[0]);\n  \
           END IF;\n  \
           RETURN NULL;",
        due.join(" ")
    )
}

fn subtype_body(log: &str) -> String {
    format!(
        "  IF TG_OP IN ('INSERT', 'UPDATE') THEN\n    \
             INSERT INTO {log} (project_id, written) VALUES (NEW.project_id, TG_ARGV[0]);\n  \
           END IF;\n  \
           IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.project_id <> NEW.project_id) THEN\n    \
             INSERT INTO {log} (project_id, written) VALUES (OLD.project_id, TG_ARGV[0]);\n  \
           ELSIF TG_OP = 'TRUNCATE' THEN\n    \
             INSERT INTO {log} (project_id, written) VALUES (NULL, TG_ARGV[0]);\n  \
           END IF;\n  \
           RETURN NULL;"
    )
}

/// Whether a function that depends on the legacy columns is one of these.
pub(in crate::contract) fn is_ours(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| name.ends_with(&format!(".{function}()")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_made() {
        let triggers = TABLES.map(|table| creation("public", &format!("public.{table}"), table));
        let script = format!("{}\n{}", functions("public", "public.sti_change_log"), triggers.join("\n"));
        insta::assert_snapshot!("all", script);
    }

    #[test]
    fn all_that_is_taken_away() {
        insta::assert_snapshot!("removal", TABLES.map(|table| removal(&format!("public.{table}"))).concat());
    }
}
