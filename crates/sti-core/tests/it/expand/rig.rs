//! What the schema's tests share.

use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect};
use sti_core::expand::{self, Plan, UpError, UpOptions, UpReport};
use sti_core::test_support::{RowSetDigest, TestDatabase};

pub(crate) fn open(database: &TestDatabase) -> AnyConnection {
    open_as(database.url(), "up")
}

pub(crate) fn open_as(url: &str, application_name: &str) -> AnyConnection {
    connect(&DatabaseUrl::parse(url).unwrap(), Access::Write, application_name).unwrap()
}

/// `up` that must get its locks at once.
pub(crate) fn up(database: &TestDatabase) -> Result<UpReport, UpError> {
    let options = UpOptions { attempts: 1, ..UpOptions::default() };
    expand::up(&mut open(database), options, &mut |retry| panic!("{retry:?}"))
}

pub(crate) fn plan(database: &TestDatabase) -> Plan {
    expand::plan(&mut open(database)).unwrap()
}

/// The script that makes the three tables, cut into its statements: parent, school, self-study.
pub(crate) fn create_tables(database: &TestDatabase) -> Vec<String> {
    let script = database.either(
        include_str!("../../../migrations/postgres/00000000000101_sti_projects/up.sql"),
        include_str!("../../../migrations/sqlite/00000000000101_sti_projects/up.sql"),
    );
    let statements = script.split_inclusive(';').filter(|statement| statement.contains("CREATE TABLE"));
    statements.map(str::to_owned).collect()
}

/// Everything that defines the schema, a line for each object: columns, constraints, indexes, triggers, rights.
pub(crate) fn definitions(database: &TestDatabase) -> Vec<String> {
    let lines = if database.backend_name() == "sqlite" {
        database.column("type || ' ' || name || ': ' || coalesce(sql, '')", "FROM sqlite_schema ORDER BY 1")
    } else {
        let ours = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
        database.column(
            "line",
            &format!(
                "FROM (SELECT concat_ws(' ', 'relation', c.relname, c.relkind, c.relacl, c.relowner, a.attname, \
                          format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                          pg_get_expr(d.adbin, d.adrelid)) AS line \
                      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
                      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE {ours} \
                      UNION ALL \
                      SELECT concat_ws(' ', 'constraint', k.conrelid::regclass, k.conname, \
                          pg_get_constraintdef(k.oid)) FROM pg_constraint k JOIN pg_namespace n \
                          ON n.oid = k.connamespace WHERE {ours} \
                      UNION ALL \
                      SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes n \
                          WHERE n.schemaname NOT IN ('pg_catalog', 'pg_toast') \
                      UNION ALL \
                      SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid)) FROM pg_trigger t \
                          WHERE NOT t.tgisinternal) AS l ORDER BY 1"
            ),
        )
    };
    lines.into_iter().flatten().collect()
}

/// Without what is ours: the tables and indexes of the tools, and diesel's record.
pub(crate) fn without_ours(definitions: &[String]) -> Vec<&String> {
    definitions.iter().filter(|line| !line.contains("sti_") && !line.contains("__diesel")).collect()
}

/// Each table of the application with the digest of all of its columns.
pub(crate) fn data(database: &TestDatabase) -> Vec<(String, RowSetDigest)> {
    let tables = database.column(
        "name",
        database.either(
            "FROM (SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public') t ORDER BY 1",
            "FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1",
        ),
    );
    let mut digests = Vec::new();
    for table in tables.into_iter().flatten().filter(|t| !t.starts_with("sti_") && !t.starts_with("__diesel"))
    {
        let from = database.either(
            "FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'TABLE' \
             ORDER BY ordinal_position",
            "FROM pragma_table_info('TABLE') ORDER BY cid",
        );
        let name = database.either("column_name", "name");
        let columns: Vec<String> =
            database.column(name, &from.replace("TABLE", &table)).into_iter().flatten().collect();
        let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let names: Vec<&str> = quoted.iter().map(String::as_str).collect();
        digests.push((table.clone(), database.digest(&table, names[0], &names[1..])));
    }
    assert!(!digests.is_empty(), "no tables to compare");
    digests
}
