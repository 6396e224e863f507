//! Views and triggers of SQLite, tried out: two databases in memory have the tables as names of columns and nothing
//! else, one with the columns in question and one without. What works in the first and not in the second, or gives
//! other columns there, depends on them.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};

use super::sqlite::{Entry, TableColumn, dependent};
use super::{Dependent, Effect};
use crate::db::catalog::quote::identifier;
use crate::db::catalog::sqlite_text::{Word, WordKind, offset, words};
use crate::db::error::{DbError, Doing as _};

/// The two databases and what is tried in them.
pub(super) struct Trial<'t> {
    with: SqliteConnection,
    without: SqliteConnection,
    entries: &'t [Entry],
    table: &'t str,
    columns: &'t [&'t str],
}

/// What a try gave.
#[derive(PartialEq, Eq)]
enum Answer {
    /// It works; for a view, these are its columns.
    Works(Vec<String>),
    Fails,
}

impl<'t> Trial<'t> {
    pub(super) fn new(
        entries: &'t [Entry],
        all_columns: &[TableColumn],
        table: &'t str,
        columns: &'t [&'t str],
    ) -> Result<Self, DbError> {
        let gone = |column: &TableColumn| {
            column.table.eq_ignore_ascii_case(table)
                && columns.iter().any(|wanted| wanted.eq_ignore_ascii_case(&column.name))
        };
        let with = build(entries, all_columns, |_| true, columns)?;
        let without = build(entries, all_columns, |column| !gone(column), columns)?;
        Ok(Self { with, without, entries, table, columns })
    }

    /// The views and triggers that depend on the columns.
    pub(super) fn dependents(mut self) -> Vec<Dependent> {
        let mut found = Vec::new();
        for entry in self.entries {
            let depends = match entry.kind.as_str() {
                "view" => self.view_depends(entry),
                "trigger" => self.trigger_depends(entry),
                _ => false,
            };
            if depends {
                found.push(dependent(&entry.kind, entry.name.clone(), Effect::Breaks, &entry.sql));
            }
        }
        found
    }

    fn view_depends(&mut self, view: &Entry) -> bool {
        match (view_columns(&mut self.with, &view.name), view_columns(&mut self.without, &view.name)) {
            (Answer::Fails, _) => self.mentions(view),
            (before, after) => before != after,
        }
    }

    fn trigger_depends(&mut self, trigger: &Entry) -> bool {
        if self.fires_on_one_of_them(trigger) {
            return true;
        }
        let sql = plain_names(&trigger.sql, self.columns);
        match (fire(&mut self.with, &sql, trigger), fire(&mut self.without, &sql, trigger)) {
            (Answer::Fails, _) => self.mentions(trigger),
            (before, after) => before != after,
        }
    }

    /// Whether `UPDATE OF` names a column: without it the trigger stays and never fires.
    fn fires_on_one_of_them(&self, trigger: &Entry) -> bool {
        let words = words(&trigger.sql);
        let of_the_table = trigger.of.eq_ignore_ascii_case(self.table);
        let head = words.iter().skip_while(|word| !word.is("OF")).skip(1).take_while(|word| !word.is("ON"));
        let before_begin = words.iter().position(|word| word.is("BEGIN")).unwrap_or(words.len());
        let has_list = words[..before_begin].windows(2).any(|pair| pair[0].is("UPDATE") && pair[1].is("OF"));
        of_the_table && has_list && head.into_iter().any(|word| word.names_one_of(self.columns))
    }

    /// For what cannot be tried because it calls functions of the application: whether its text names a column.
    fn mentions(&self, entry: &Entry) -> bool {
        words(&entry.sql).iter().skip(3).any(|word| word.names_one_of(self.columns))
    }
}

/// A database in memory with the tables and views. What cannot be made there fails when it is tried.
fn build(
    entries: &[Entry],
    all_columns: &[TableColumn],
    keep: impl Fn(&TableColumn) -> bool,
    columns: &[&str],
) -> Result<SqliteConnection, DbError> {
    let mut connection = in_memory()?;
    make_tables(&mut connection, entries, all_columns, keep);
    for view in entries.iter().filter(|entry| entry.kind == "view") {
        let _ = connection.batch_execute(&plain_names(&view.sql, columns));
    }
    Ok(connection)
}

pub(super) fn in_memory() -> Result<SqliteConnection, DbError> {
    SqliteConnection::establish(":memory:").map_err(|error| DbError {
        doing: "opening a database in memory to try the views and triggers in".to_owned(),
        source: diesel::result::Error::QueryBuilderError(Box::new(error)),
    })
}

/// The tables as names of columns.
pub(super) fn make_tables(
    connection: &mut SqliteConnection,
    entries: &[Entry],
    all_columns: &[TableColumn],
    keep: impl Fn(&TableColumn) -> bool,
) {
    for entry in entries.iter().filter(|entry| entry.kind == "table") {
        let kept: Vec<String> = all_columns
            .iter()
            .filter(|column| column.table == entry.name && keep(column))
            .map(|column| identifier(&column.name))
            .collect();
        // sqlite_sequence and its like cannot be made, and need not be.
        let _ = connection.batch_execute(&format!(
            "CREATE TABLE {} ({})",
            identifier(&entry.name),
            kept.join(", ")
        ));
    }
}

/// The statement with `"course_name"` as `[course_name]`: SQLite takes the first for a text where no such column is.
fn plain_names(sql: &str, columns: &[&str]) -> String {
    let mut plain = String::with_capacity(sql.len());
    let mut copied = 0;
    let quoted = |word: &&Word<'_>| {
        word.kind == WordKind::Quoted && word.text.starts_with('"') && word.names_one_of(columns)
    };
    for word in words(sql).iter().filter(quoted) {
        let start = offset(sql, word);
        plain.push_str(&sql[copied..start]);
        plain.push('[');
        plain.push_str(&word.text[1..word.text.len() - 1]);
        plain.push(']');
        copied = start + word.text.len();
    }
    plain.push_str(&sql[copied..]);
    plain
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The columns of a table or view that can be written; none where it cannot be asked.
pub(super) fn table_columns(connection: &mut SqliteConnection, table: &str) -> Vec<String> {
    let rows: Result<Vec<Row>, _> = diesel::sql_query("SELECT name FROM pragma_table_info($1) ORDER BY cid")
        .bind::<Text, _>(table)
        .load(connection);
    rows.map(|rows| rows.into_iter().map(|row| row.name).collect()).unwrap_or_default()
}

fn view_columns(connection: &mut SqliteConnection, view: &str) -> Answer {
    let rows: Result<Vec<Row>, _> = diesel::sql_query("SELECT name FROM pragma_table_xinfo($1) ORDER BY cid")
        .bind::<Text, _>(view)
        .load(connection);
    match rows.doing("trying a view") {
        Ok(rows) if !rows.is_empty() => Answer::Works(rows.into_iter().map(|row| row.name).collect()),
        _ => Answer::Fails,
    }
}

/// Makes the trigger, compiles the statements that would fire it, and removes it.
fn fire(connection: &mut SqliteConnection, create: &str, trigger: &Entry) -> Answer {
    let Answer::Works(columns) = view_columns(connection, &trigger.of) else { return Answer::Fails };
    let of = identifier(&trigger.of);
    let set: Vec<String> = columns.iter().map(|name| format!("{0} = {0}", identifier(name))).collect();
    let made = connection.batch_execute(create);
    let compiled = made.and_then(|()| {
        connection.batch_execute(&format!(
            "EXPLAIN INSERT INTO {of} DEFAULT VALUES; EXPLAIN UPDATE {of} SET {}; EXPLAIN DELETE FROM {of}",
            set.join(", ")
        ))
    });
    let _ = connection.batch_execute(&format!("DROP TRIGGER IF EXISTS {}", identifier(&trigger.name)));
    match compiled {
        Ok(()) => Answer::Works(Vec::new()),
        Err(_) => Answer::Fails,
    }
}
