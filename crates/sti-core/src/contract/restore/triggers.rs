//! The triggers that keep the legacy columns level with the subtype rows while the columns are coming back: a service
//! that has not noticed them yet writes the subtype row alone. What is made for the tables as our migrations make them
//! is in `snapshots/`, to be read.
//!
//! What one writes is one project's, and what it writes is what the subtype row says now. So the parent row is locked
//! before it is compared: without the lock a statement passes over a row that looks level in its snapshot while a
//! refill has already, without having committed, put an older value there.
//!
//! An update levels the columns of the fields that it changes, and no others: what stands apart beside them was written by
//! another hand, or came back from the archive beside an empty field, and somebody has yet to decide. For the same reason
//! a row that is made with an empty field does not empty a column that came back from the archive: whoever makes it for
//! a project that had no such row at the drop cannot have seen that value.
//!
//! A legacy NULL and a subtype row's `''` are level, so an untouched NULL stays NULL. When a subtype row goes, its
//! kind's legacy columns become NULL as far as they hold what the row held: a value that no row holds is not touched.
//!
//! When a trigger had something to level, it leaves the time behind: once everything is refilled, that is the trace of
//! a writer that still writes subtype rows only. On PostgreSQL the time is the value of a sequence, which no transaction
//! has to wait for; on SQLite the only row of a table.

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};

use crate::db::catalog::Dependent;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, DbError, catalog, dialect};
use crate::mapping::{PARENT, differs_sql};
use crate::models::Kind;

/// What the names of all our triggers and their functions begin with.
const PREFIX: &str = "sti_restore_";

/// The triggers of each subtype table on PostgreSQL.
const PG_TRIGGERS: [&str; 2] = ["sti_restore_row", "sti_restore_truncate"];

/// What happens to a row that a trigger of SQLite answers to.
const SQLITE_EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// Where the triggers leave the time: a sequence of microseconds since 1970 on PostgreSQL, a table on SQLite.
pub(super) const LEVELLED: &str = "sti_restore_levelled";

/// The drops on record, and what they have archived.
const EVENT: &str = "sti_drop_event";
const ARCHIVE: &str = "sti_legacy_archive";

/// How many of the triggers are there, and fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// None.
    No,
    /// Some, or some that are disabled: somebody else took the others away.
    InPart,
    /// All.
    Yes,
}

/// Looks which of the triggers are there.
pub(in crate::contract) fn installed(connection: &mut AnyConnection) -> Result<Installed, DbError> {
    let mut found = 0;
    for kind in Kind::ALL {
        found += count(connection, kind)?;
    }
    let all = match dialect::backend(connection) {
        Backend::Postgres => PG_TRIGGERS.len() * Kind::ALL.len(),
        Backend::Sqlite => SQLITE_EVENTS.len() * Kind::ALL.len(),
    };
    Ok(match usize::try_from(found) {
        Ok(0) => Installed::No,
        Ok(found) if found == all => Installed::Yes,
        _ => Installed::InPart,
    })
}

fn count(connection: &mut AnyConnection, kind: Kind) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        triggers: i64,
    }
    let sql = match dialect::backend(connection) {
        Backend::Postgres => format!(
            "SELECT count(*) AS triggers FROM pg_catalog.pg_trigger \
             WHERE tgrelid = to_regclass($1) AND tgenabled = 'A' AND tgname IN ('{}')",
            PG_TRIGGERS.join("', '")
        ),
        Backend::Sqlite => format!(
            "SELECT count(*) AS triggers FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = $1 \
             AND name IN ('{}')",
            SQLITE_EVENTS.map(|event| sqlite_name(kind, event)).join("', '")
        ),
    };
    let row: Row = diesel::sql_query(sql)
        .bind::<Text, _>(kind.table())
        .get_result(connection)
        .doing("looking for the triggers of the restore")?;
    Ok(row.triggers)
}

/// Makes all of them anew. To be called in the transaction that holds the locks on the three tables.
pub(in crate::contract) fn install(connection: &mut AnyConnection) -> Result<(), DbError> {
    remove(connection)?;
    let places = Places::find(connection)?;
    let trace = match dialect::backend(connection) {
        Backend::Postgres => places.postgres_trace(),
        Backend::Sqlite => format!(
            "CREATE TABLE {LEVELLED} (id integer PRIMARY KEY CHECK (id = 1), at datetime); \
             INSERT INTO {LEVELLED} (id) VALUES (1)"
        ),
    };
    connection.batch_execute(&trace).doing("making the place for the triggers' trace")?;
    for kind in Kind::ALL {
        let script = match dialect::backend(connection) {
            Backend::Postgres => places.postgres(kind),
            Backend::Sqlite => SQLITE_EVENTS.map(|event| sqlite(kind, event)).concat(),
        };
        connection
            .batch_execute(&script)
            .doing(format!("making the restore's triggers on {}", kind.table()))?;
    }
    Ok(())
}

/// Takes away those that are there. To be called in the transaction that holds the locks on the subtype tables.
pub(in crate::contract) fn remove(connection: &mut AnyConnection) -> Result<(), DbError> {
    let script = match dialect::backend(connection) {
        Backend::Postgres => {
            let places = Places::find(connection)?;
            let of_kinds = Kind::ALL.map(|kind| places.postgres_removal(kind)).concat();
            format!("{of_kinds}DROP SEQUENCE IF EXISTS {};", places.trace())
        }
        Backend::Sqlite => {
            let names = Kind::ALL.map(|kind| SQLITE_EVENTS.map(|event| sqlite_name(kind, event)));
            let triggers = names.concat();
            let triggers = triggers.iter().map(|name| format!("DROP TRIGGER IF EXISTS {name};\n"));
            format!("{}DROP TABLE IF EXISTS {LEVELLED};", triggers.collect::<String>())
        }
    };
    connection.batch_execute(&script).doing("taking away the triggers of the restore")
}

/// Whether a dependent of the legacy columns is one of these.
pub(in crate::contract) fn is_ours(dependent: &Dependent) -> bool {
    let unquoted = dependent.name.replace('"', "");
    Kind::ALL.into_iter().any(|kind| match dependent.kind.as_str() {
        // SQLite has one trigger of a name, and names no table.
        "trigger" => match unquoted.split_once(" on ") {
            Some((trigger, table)) => {
                PG_TRIGGERS.contains(&trigger) && table.rsplit('.').next() == Some(kind.table())
            }
            None => SQLITE_EVENTS.iter().any(|event| unquoted == sqlite_name(kind, event)),
        },
        "trigger function" | "function" => {
            unquoted.rsplit('.').next() == Some(format!("{PREFIX}{kind}()").as_str())
        }
        _ => false,
    })
}

/// Where the tables are, as SQL: a function without a search path has to be told.
struct Places {
    parent: catalog::Place,
    tables: [catalog::Place; 2],
    event: catalog::Place,
    archive: catalog::Place,
}

impl Places {
    fn find(connection: &mut AnyConnection) -> Result<Self, DbError> {
        let [school, self_study] = Kind::ALL.map(|kind| catalog::place(connection, kind.table()));
        Ok(Self {
            parent: catalog::place(connection, PARENT)?,
            tables: [school?, self_study?],
            event: catalog::place(connection, EVENT)?,
            archive: catalog::place(connection, ARCHIVE)?,
        })
    }

    fn table(&self, kind: Kind) -> &str {
        &self.tables[kind as usize].name
    }

    fn function(&self, kind: Kind) -> String {
        format!("{}.{PREFIX}{kind}()", self.parent.schema)
    }

    fn trace(&self) -> String {
        format!("{}.{LEVELLED}", self.parent.schema)
    }

    fn postgres_trace(&self) -> String {
        format!("CREATE SEQUENCE {};\n", self.trace())
    }

    fn postgres_removal(&self, kind: Kind) -> String {
        let table = self.table(kind);
        let triggers = PG_TRIGGERS.map(|trigger| format!("DROP TRIGGER IF EXISTS {trigger} ON {table};\n"));
        format!("{}DROP FUNCTION IF EXISTS {};\n", triggers.concat(), self.function(kind))
    }

    /// One function for both triggers of a table. It works with its owner's rights, for a role that may write a
    /// subtype table need not be allowed to write the legacy columns; so it names every schema, and nobody may hang
    /// it on a table of his own.
    fn postgres(&self, kind: Kind) -> String {
        let exact = Backend::Postgres.exact();
        let (parent, table, function) = (&self.parent.name, self.table(kind), self.function(kind));
        let lock = |id: &str| format!("PERFORM 1 FROM {parent} p WHERE p.id = {id} FOR NO KEY UPDATE;");
        let (emptied, holds) = sets(kind, |c| {
            (
                format!("CASE WHEN p.{c} {exact} = OLD.{c} {exact} THEN NULL ELSE p.{c} END"),
                format!("p.{c} {exact} = OLD.{c} {exact}"),
            )
        });
        let (event, archive) = (&self.event.name, &self.archive.name);
        let (levelled, differs) = sets(kind, |c| {
            let differs = differs_sql("p", "NEW", c, exact);
            let kept = kept_sql(kind, c, exact, [event, archive], "p");
            // In an INSERT there is no OLD, and all of it is NULL.
            let level = format!(
                "({differs} AND CASE WHEN OLD.project_id = NEW.project_id \
                   THEN OLD.{c} {exact} <> NEW.{c} {exact} ELSE NOT {kept} END)"
            );
            (format!("CASE WHEN {level} THEN NEW.{c} ELSE p.{c} END"), level)
        });
        format!(
            "CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
             SET search_path = pg_catalog, pg_temp AS $sti$\n\
             BEGIN\n  \
               IF TG_OP = 'TRUNCATE' THEN\n    \
                 RAISE EXCEPTION 'TRUNCATE of {kind} rows while the legacy columns are being restored would leave \
                   the legacy columns behind'\n      \
                   USING HINT = 'delete the rows instead, or wait for sti-migrate restore-legacy --finish';\n  \
               END IF;\n  \
               IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.project_id <> NEW.project_id) THEN\n    \
                 {lock_old}\n    \
                 UPDATE {parent} AS p SET {emptied} WHERE p.id = OLD.project_id AND ({holds});\n  \
               END IF;\n  \
               IF TG_OP <> 'DELETE' THEN\n    \
                 {lock_new}\n    \
                 UPDATE {parent} AS p SET {levelled} WHERE p.id = NEW.project_id AND ({differs});\n    \
                 IF FOUND THEN\n      \
                   PERFORM setval('{trace}', (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint);\n    \
                 END IF;\n  \
               END IF;\n  \
               RETURN NULL;\n\
             END $sti$;\n\
             REVOKE ALL ON FUNCTION {function} FROM PUBLIC;\n\
             CREATE TRIGGER sti_restore_row AFTER INSERT OR UPDATE OR DELETE ON {table} \
               FOR EACH ROW EXECUTE FUNCTION {function};\n\
             CREATE TRIGGER sti_restore_truncate BEFORE TRUNCATE ON {table} \
               FOR EACH STATEMENT EXECUTE FUNCTION {function};\n\
             ALTER TABLE {table} ENABLE ALWAYS TRIGGER sti_restore_row, \
               ENABLE ALWAYS TRIGGER sti_restore_truncate;\n",
            lock_old = lock("OLD.project_id"),
            lock_new = lock("NEW.project_id"),
            trace = self.trace().replace('\'', "''"),
        )
    }
}

/// SQL: what follows SET, and a condition that is true where it changes something; `column` gives both for one column.
fn sets(kind: Kind, column: impl Fn(&str) -> (String, String)) -> (String, String) {
    let (sets, conditions): (Vec<String>, Vec<String>) = kind
        .columns()
        .iter()
        .map(|name| {
            let (value, condition) = column(name);
            (format!("{name} = {value}"), condition)
        })
        .unzip();
    (sets.join(", "), conditions.join(" OR "))
}

/// SQL: true where a row that is made has an empty field beside a value that came back from the archive of a drop at
/// which the project had no such row. Until the drop is recorded as restored: from then on no verification would tell of
/// it, and the two sides are what counts.
fn kept_sql(kind: Kind, column: &str, exact: &str, [event, archive]: [&str; 2], parent: &str) -> String {
    format!(
        "(NEW.{column} {exact} = '' AND EXISTS (SELECT 1 FROM {archive} a JOIN {event} e ON e.id = a.event_id \
           WHERE a.project_id = NEW.project_id AND e.restored_at IS NULL AND NOT a.has_{kind} \
             AND a.{column} {exact} = {parent}.{column} {exact}))"
    )
}

fn sqlite_name(kind: Kind, event: &str) -> String {
    format!("{PREFIX}{kind}_{event}")
}

/// One trigger of SQLite, where nobody can come between and a statement of a trigger takes no alias.
fn sqlite(kind: Kind, event: &str) -> String {
    let exact = Backend::Sqlite.exact();
    let (emptied, holds) = sets(kind, |c| {
        let holds = format!("{c} {exact} = OLD.{c} {exact}");
        (format!("CASE WHEN {holds} THEN NULL ELSE {c} END"), holds)
    });
    let (levelled, differs) = sets(kind, |c| {
        let differs = differs_sql(PARENT, "NEW", c, exact);
        let kept = kept_sql(kind, c, exact, [EVENT, ARCHIVE], PARENT);
        let level = match event {
            "insert" => format!("({differs} AND NOT {kept})"),
            _ => format!(
                "({differs} AND CASE WHEN OLD.project_id = NEW.project_id \
                   THEN OLD.{c} {exact} <> NEW.{c} {exact} ELSE NOT {kept} END)"
            ),
        };
        (format!("CASE WHEN {level} THEN NEW.{c} ELSE {c} END"), level)
    });
    let empty = format!("UPDATE {PARENT} SET {emptied} WHERE id = OLD.project_id AND ({holds})");
    let now = Backend::Sqlite.now();
    let level = format!(
        "UPDATE {PARENT} SET {levelled} WHERE id = NEW.project_id AND ({differs}); \
         UPDATE {LEVELLED} SET at = {now} WHERE changes() > 0;"
    );
    let work = match event {
        "insert" => level,
        "delete" => format!("{empty};"),
        _ => format!("{empty} AND OLD.project_id <> NEW.project_id; {level}"),
    };
    format!(
        "CREATE TRIGGER {} AFTER {event} ON {} BEGIN {work} END;\n",
        sqlite_name(kind, event),
        kind.table()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let place = |table: &str| catalog::Place { schema: "public".into(), name: format!("public.{table}") };
        Places {
            parent: place(PARENT),
            tables: Kind::ALL.map(|kind| place(kind.table())),
            event: place(EVENT),
            archive: place(ARCHIVE),
        }
    }

    #[test]
    fn all_that_is_made() {
        let places = places();
        let triggers = Kind::ALL.map(|kind| places.postgres(kind));
        insta::assert_snapshot!("postgres", format!("{}\n{}", places.postgres_trace(), triggers.join("\n")));
        let triggers = Kind::ALL.map(|kind| SQLITE_EVENTS.map(|event| sqlite(kind, event)).concat());
        insta::assert_snapshot!("sqlite", triggers.join("\n"));
    }

    #[test]
    fn all_that_is_taken_away() {
        let places = places();
        insta::assert_snapshot!("removal", Kind::ALL.map(|kind| places.postgres_removal(kind)).concat());
    }
}
