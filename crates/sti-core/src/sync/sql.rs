//! The triggers and their function, as SQL. What it makes for the tables as our migrations make them is in
//! `snapshots/`, to be read.

mod body;

use crate::db::catalog::{self, Dependent, Place};
use crate::db::{AnyConnection, Backend, DbError};
use crate::mapping::{LEGACY_COLUMNS, PARENT, is_kind_sql};
use crate::models::Kind;

/// The name of the function, without its schema.
pub(super) const FUNCTION: &str = "sti_sync";

/// What the function is set to: it works with its owner's rights, so nobody else may say what a name means.
pub(super) const SEARCH_PATH: &str = "pg_catalog, pg_temp";

/// A trigger of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A new project.
    Insert,
    /// A project of which something differs that a subtype row says.
    Update,
    /// A project that goes.
    Delete,
}

impl Trigger {
    pub(super) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    /// Triggers fire in the order of their names. The one for DELETE must come before the foreign keys' own
    /// (`RI_ConstraintTrigger_…`), which on a key that is not deferred refuse while a subtype row refers to the project.
    /// A trigger BEFORE DELETE would not do: where another one cancels the DELETE, the rows would be gone.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Insert => "sti_sync_insert",
            Self::Update => "sti_sync_update",
            Self::Delete => "0_sti_sync_delete",
        }
    }

    /// `pg_trigger.tgtype`: for each row (1), after INSERT (4), DELETE (8), UPDATE (16).
    pub(super) const fn catalogue_type(self) -> i32 {
        match self {
            Self::Insert => 1 + 4,
            Self::Delete => 1 + 8,
            Self::Update => 1 + 16,
        }
    }

    const fn event(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// Whether a dependent of the legacy columns is one of ours, which go with the columns.
pub(crate) fn is_ours(dependent: &Dependent) -> bool {
    let unquoted = dependent.name.replace('"', "");
    match dependent.kind.as_str() {
        "trigger" => Trigger::ALL.iter().any(|trigger| {
            unquoted.starts_with(&format!("{} on ", trigger.name())) && unquoted.ends_with(PARENT)
        }),
        "trigger function" | "function" => unquoted.rsplit('.').next() == Some("sti_sync()"),
        _ => false,
    }
}

/// What refers to the rows of a kind from `projects_project`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pointer {
    /// There is no such column.
    None,
    /// A column with a foreign key: the database itself refuses to leave it pointing at nothing.
    Key,
    /// A column without one.
    Bare,
}

/// What the SQL depends on, as the catalogue has it.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) parent: Place,
    /// The subtype tables, by kind.
    pub(super) tables: [Place; 2],
    /// `sti_repair_log`.
    pub(super) log: Place,
    /// By kind.
    pub(super) pointers: [Pointer; 2],
}

impl Places {
    /// Looks. All four tables must be there.
    pub(super) fn find(connection: &mut AnyConnection) -> Result<Self, DbError> {
        let columns = catalog::columns(connection, PARENT)?;
        let mut pointers = [Pointer::None; 2];
        for kind in Kind::ALL {
            if columns.iter().any(|column| column.name == kind.pointer()) {
                let key = catalog::refers_to(connection, PARENT, kind.table())?;
                pointers[kind as usize] = if key { Pointer::Key } else { Pointer::Bare };
            }
        }
        let [school, self_study] = Kind::ALL.map(|kind| catalog::place(connection, kind.table()));
        Ok(Self {
            parent: catalog::place(connection, PARENT)?,
            tables: [school?, self_study?],
            log: catalog::place(connection, "sti_repair_log")?,
            pointers,
        })
    }

    /// The function with its schema and its (empty) list of arguments.
    pub(super) fn function(&self) -> String {
        format!("{}.{FUNCTION}()", self.parent.schema)
    }

    fn table(&self, kind: Kind) -> &str {
        &self.tables[kind as usize].name
    }

    fn pointer(&self, kind: Kind) -> Pointer {
        self.pointers[kind as usize]
    }

    /// Makes the function, or makes it anew.
    pub(super) fn create_function(&self) -> String {
        format!(
            "CREATE OR REPLACE FUNCTION {function} RETURNS trigger\n    \
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = {SEARCH_PATH}\n\
             AS $sti${body}$sti$;\n\
             REVOKE ALL ON FUNCTION {function} FROM PUBLIC;\n",
            function = self.function(),
            body = self.body(),
        )
    }

    /// Makes a trigger, or makes it anew; then it fires, whatever somebody had made of it.
    pub(super) fn create_trigger(&self, trigger: Trigger) -> String {
        format!(
            "CREATE OR REPLACE TRIGGER \"{name}\" AFTER {event} ON {parent}\n    \
             FOR EACH ROW{when} EXECUTE FUNCTION {function};\n\
             ALTER TABLE {parent} ENABLE TRIGGER \"{name}\";\n",
            name = trigger.name(),
            event = trigger.event(),
            parent = self.parent.name,
            when = when(trigger),
            function = self.function(),
        )
    }
}

/// The condition under which a trigger calls the function at all.
fn when(trigger: Trigger) -> String {
    let exact = Backend::Postgres.exact();
    match trigger {
        Trigger::Insert => {
            // Not IN (…), which a dump writes otherwise than the server then reads it.
            let kinds = Kind::ALL.map(|kind| is_kind_sql(kind, "NEW", exact));
            format!(" WHEN ({})", kinds.join(" OR "))
        }
        Trigger::Update => {
            let columns =
                LEGACY_COLUMNS.map(|column| format!("\n        OR {}", body::changed(column, "NEW")));
            format!(" WHEN (\n        {}{}\n    )", body::retyped("NEW"), columns.concat())
        }
        Trigger::Delete => String::new(),
    }
}

/// Takes away all of it, as far as it is there. `schema` and `parent` as [`Place`] has them.
pub(super) fn removal(parent: &Place) -> String {
    let triggers = Trigger::ALL
        .map(|trigger| format!("DROP TRIGGER IF EXISTS \"{}\" ON {};\n", trigger.name(), parent.name));
    format!("{}DROP FUNCTION IF EXISTS {}.{FUNCTION}();\n", triggers.concat(), parent.schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::catalog::Effect;

    fn places(pointers: [Pointer; 2]) -> Places {
        let place = |table: &str| Place { schema: "public".to_owned(), name: format!("public.{table}") };
        Places {
            parent: place(PARENT),
            tables: Kind::ALL.map(|kind| place(kind.table())),
            log: place("sti_repair_log"),
            pointers,
        }
    }

    fn script(places: &Places) -> String {
        let triggers = Trigger::ALL.map(|trigger| places.create_trigger(trigger));
        format!("{}\n{}", places.create_function(), triggers.join("\n"))
    }

    #[test]
    fn all_that_is_made() {
        insta::assert_snapshot!("ours", script(&places([Pointer::None; 2])));
        insta::assert_snapshot!("django", script(&places([Pointer::Key; 2])));
        insta::assert_snapshot!("pointers_without_keys", script(&places([Pointer::Bare; 2])));
        insta::assert_snapshot!("removal", removal(&places([Pointer::None; 2]).parent));
    }

    #[test]
    fn only_ours_are_ours() {
        let dependent = |kind: &str, name: &str| Dependent {
            kind: kind.to_owned(),
            name: name.to_owned(),
            effect: Effect::Blocks,
            definition: String::new(),
        };
        for (kind, name) in [
            ("trigger", "sti_sync_update on public.projects_project"),
            ("trigger", "\"0_sti_sync_delete\" on public.projects_project"),
            ("trigger function", "public.sti_sync()"),
            ("trigger function", "\"My App\".sti_sync()"),
            ("function", "public.sti_sync()"),
        ] {
            assert!(is_ours(&dependent(kind, name)), "{kind} {name}");
        }
        for (kind, name) in [
            ("trigger", "sti_sync_update on public.projects_importantdate"),
            ("trigger", "audit on public.projects_project"),
            ("trigger function", "public.my_sti_sync()"),
            ("view", "public.sti_sync"),
        ] {
            assert!(!is_ours(&dependent(kind, name)), "{kind} {name}");
        }
    }
}
