//! SQLite keeps no record of what depends on a column. Indexes and constraints of the table are read from their
//! text; views and triggers, which can reach the column from anywhere, are tried out ([`super::trial`]).

use diesel::sql_types::{Bool, Nullable, Text};
use diesel::{RunQueryDsl as _, SqliteConnection};

use super::trial::Trial;
use super::unreadable::unreadable;
use super::{Dependent, Effect};
use crate::db::catalog::sqlite_text::{TableItem, Word, is_literal, table_items, words};
use crate::db::error::{DbError, Doing as _};

/// A row of `sqlite_schema` that has a text.
#[derive(Clone, Debug, diesel::QueryableByName)]
pub(super) struct Entry {
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    /// The table or view that an index or a trigger belongs to.
    #[diesel(sql_type = Text)]
    pub(super) of: String,
    #[diesel(sql_type = Text)]
    pub(super) sql: String,
}

/// A column of some table.
#[derive(Clone, Debug, diesel::QueryableByName)]
pub(super) struct TableColumn {
    #[diesel(sql_type = Text)]
    pub(super) table: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Bool)]
    pub(super) generated: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) dflt: Option<String>,
}

/// A column of another table, or of this one, that refers to a column of this table.
#[derive(Debug, diesel::QueryableByName)]
struct Reference {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    from: String,
    #[diesel(sql_type = Text)]
    to: String,
}

const ENTRIES: &str = "SELECT type AS kind, name, tbl_name AS \"of\", sql FROM sqlite_schema \
                       WHERE sql IS NOT NULL ORDER BY rowid";

/// Virtual tables are left out, here and below: without their module they cannot even be asked for their columns.
const COLUMNS: &str = "\
    SELECT s.name AS \"table\", x.name AS name, x.hidden IN (2, 3) AS generated, x.dflt_value AS dflt \
    FROM sqlite_schema s, pragma_table_xinfo(s.name) x \
    WHERE s.type = 'table' AND s.sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY s.rowid, x.cid";

const REFERENCES: &str = "\
    SELECT s.name AS \"table\", k.\"from\" AS \"from\", k.\"to\" AS \"to\" \
    FROM sqlite_schema s, pragma_foreign_key_list(s.name) k \
    WHERE s.type = 'table' AND s.sql NOT LIKE 'CREATE VIRTUAL %' AND lower(k.\"table\") = lower($1) AND k.\"to\" IS NOT NULL";

pub(super) fn dependents(
    connection: &mut SqliteConnection,
    table: &str,
    columns: &[&str],
) -> Result<Vec<Dependent>, DbError> {
    let doing = || format!("asking the schema what depends on the columns of {table}");
    let entries: Vec<Entry> = diesel::sql_query(ENTRIES).load(connection).doing(doing())?;
    let all_columns: Vec<TableColumn> = diesel::sql_query(COLUMNS).load(connection).doing(doing())?;
    let references: Vec<Reference> =
        diesel::sql_query(REFERENCES).bind::<Text, _>(table).load(connection).doing(doing())?;

    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.of.eq_ignore_ascii_case(table)) {
        match entry.kind.as_str() {
            "table" => table_text(entry, columns, &all_columns, &mut found),
            "index" if index_names(&entry.sql, columns) => {
                found.push(dependent("index", entry.name.clone(), Effect::Blocks, &entry.sql));
            }
            _ => {}
        }
    }
    let wanted = |name: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    for Reference { table: from_table, from, to } in references.into_iter().filter(|r| wanted(&r.to)) {
        let definition = format!("REFERENCES {table} ({to})");
        let name = format!("{from_table}.{from}");
        found.push(dependent("foreign key constraint", name, Effect::Breaks, &definition));
    }
    let broken = unreadable(connection, &entries, &all_columns)?;
    let tried = Trial::new(&entries, &all_columns, table, columns)?.dependents();
    let is_broken =
        |tried: &Dependent| broken.iter().any(|b| (&b.kind, &b.name) == (&tried.kind, &tried.name));
    found.extend(tried.into_iter().filter(|tried| !is_broken(tried)));
    found.extend(broken);
    Ok(found)
}

pub(super) fn dependent(kind: &str, name: impl Into<String>, effect: Effect, definition: &str) -> Dependent {
    Dependent { kind: kind.to_owned(), name: name.into(), effect, definition: definition.to_owned() }
}

/// Whether the columns or the condition of an index name one of `columns`; its own name may.
fn index_names(sql: &str, columns: &[&str]) -> bool {
    words(sql).iter().skip_while(|word| !word.is("ON")).any(|word| word.names_one_of(columns))
}

/// What the CREATE TABLE says: constraints, columns computed from ours, and what ours bring along.
fn table_text(entry: &Entry, columns: &[&str], all: &[TableColumn], found: &mut Vec<Dependent>) {
    let table = &entry.name;
    for item in table_items(&entry.sql) {
        let text = item.text();
        match item.column() {
            None if names(&item.words, columns, table) => {
                let kind = constraint_kind(&item.words).unwrap_or("constraint");
                found.push(dependent(kind, format!("{text} on {table}"), Effect::Blocks, &text));
            }
            None => {}
            Some(column) if columns.iter().any(|wanted| wanted.eq_ignore_ascii_case(&column)) => {
                own_column(&item, &column, table, all, found);
            }
            Some(column) if names(&item.words[1..], columns, table) => {
                let is_it = |c: &&TableColumn| {
                    c.table.eq_ignore_ascii_case(table) && c.name.eq_ignore_ascii_case(&column)
                };
                let generated = all.iter().find(is_it).is_some_and(|column| column.generated);
                let kind = if generated { "generated column" } else { "check constraint" };
                found.push(dependent(kind, format!("{table}.{column}"), Effect::Blocks, &text));
            }
            Some(_) => {}
        }
    }
}

/// Constraints that are written with one of the columns, and a default that no column that is added can be given.
fn own_column(
    item: &TableItem<'_>,
    column: &str,
    table: &str,
    all: &[TableColumn],
    found: &mut Vec<Dependent>,
) {
    let name = format!("{table}.{column}");
    let top: Vec<Word<'_>> = item.words.iter().skip(1).filter(|word| word.depth == 1).copied().collect();
    if let Some(kind) = constraint_kind(&top) {
        let effect = if kind == "check constraint" { Effect::Goes } else { Effect::Blocks };
        found.push(dependent(kind, name.clone(), effect, &item.text()));
    }
    let is_it = |c: &&TableColumn| c.table.eq_ignore_ascii_case(table) && c.name.eq_ignore_ascii_case(column);
    let default = all.iter().find(is_it).and_then(|column| column.dflt.as_deref());
    if let Some(default) = default.filter(|default| !is_literal(default)) {
        found.push(dependent("computed default", name, Effect::Goes, &format!("DEFAULT ({default})")));
    }
}

/// The kind of the first constraint among the words.
fn constraint_kind(words: &[Word<'_>]) -> Option<&'static str> {
    let kinds = [
        ("CHECK", "check constraint"),
        ("UNIQUE", "unique constraint"),
        ("PRIMARY", "primary key constraint"),
        ("FOREIGN", "foreign key constraint"),
        ("REFERENCES", "foreign key constraint"),
    ];
    words.iter().find_map(|word| kinds.iter().find(|(keyword, _)| word.is(keyword)).map(|(_, kind)| *kind))
}

/// Whether the words name one of the columns of `table`. The columns that a foreign key refers to in another table
/// do not count.
fn names(words: &[Word<'_>], columns: &[&str], table: &str) -> bool {
    let mut depth_of_other = None;
    for (at, word) in words.iter().enumerate() {
        let after_references = at >= 1 && words[at - 1].is("REFERENCES");
        if after_references {
            depth_of_other = (!word.names_one_of(&[table])).then_some(word.depth);
            continue;
        }
        match depth_of_other {
            Some(depth) if word.depth > depth || word.text == "(" => continue,
            Some(_) => depth_of_other = None,
            None => {}
        }
        if word.names_one_of(columns) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(create_table: &str) -> Vec<(String, Effect)> {
        let entry = Entry {
            kind: "table".to_owned(),
            name: "t".to_owned(),
            of: "t".to_owned(),
            sql: create_table.to_owned(),
        };
        let mut found = Vec::new();
        table_text(&entry, &["a", "b"], &[], &mut found);
        found.into_iter().map(|dependent| (dependent.kind, dependent.effect)).collect()
    }

    #[test]
    fn a_foreign_key_to_a_column_of_the_same_name_elsewhere_is_none() {
        assert_eq!(kinds("CREATE TABLE t (a text, c text REFERENCES other (a) DEFERRABLE)"), []);
        assert_eq!(kinds("CREATE TABLE t (a text, c text, FOREIGN KEY (c) REFERENCES other (a))"), []);
        let own = [("foreign key constraint".to_owned(), Effect::Blocks)];
        assert_eq!(kinds("CREATE TABLE t (a text, c text, FOREIGN KEY (a) REFERENCES other (c))"), own);
    }

    #[test]
    fn constraints_that_name_a_column_are_found() {
        let check = [("check constraint".to_owned(), Effect::Blocks)];
        assert_eq!(kinds("CREATE TABLE t (a text, c text CHECK (c <> \"A\"))"), check);
        assert_eq!(kinds("CREATE TABLE t (a text, c text, CONSTRAINT x CHECK ([b] > ''))"), check);
        assert_eq!(kinds("CREATE TABLE t (a text, c text CHECK (c <> 'a'))"), []);
        let own = [("check constraint".to_owned(), Effect::Goes)];
        assert_eq!(kinds("CREATE TABLE t (a text CHECK (a <> ''), c text)"), own);
        let unique = [("unique constraint".to_owned(), Effect::Blocks)];
        assert_eq!(kinds("CREATE TABLE t (a text UNIQUE, c text)"), unique);
    }
}
