//! The body of the function that all three triggers call.
//!
//! Whoever comes here holds the project's row, and subtype rows come after it. Each statement of a function has a snapshot
//! of its own in READ COMMITTED, so a row that a backfill has made meanwhile is seen. In a transaction that looks at
//! an old snapshot it is not: an INSERT … ON CONFLICT finds it all the same and fails there, as any write to a row that
//! has changed does, so such an INSERT is made before a DELETE that could pass over it.

use super::{Places, Pointer};
use crate::db::Backend;
use crate::mapping::{LEGACY_COLUMNS, differs_sql, is_kind_sql, mapped_list_sql, mapped_sql};
use crate::models::Kind;

const EXACT: &str = Backend::Postgres.exact();

/// What the function calls the project as it is now. Not NEW: where another trigger has changed the project once more,
/// its change has been here before, and NEW would bring back what is no longer so.
const PROJECT: &str = "project";

/// SQL: the type in `new` is another than it was.
pub(super) fn retyped(new: &str) -> String {
    format!("OLD.project_type {EXACT} <> {new}.project_type {EXACT}")
}

/// SQL: a legacy column in `new` is another than it was, as a subtype row would say it.
pub(super) fn changed(column: &str, new: &str) -> String {
    format!("{} {EXACT} <> {} {EXACT}", mapped_sql("OLD", column), mapped_sql(new, column))
}

impl Places {
    pub(in crate::sync) fn body(&self) -> String {
        let [school, self_study] = Kind::ALL;
        format!(
            "
DECLARE
    {PROJECT} record;
    retyped boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
{delete_school}{delete_self_study}        RETURN NULL;
    END IF;

    SELECT p.id, p.project_type, {legacy} INTO {PROJECT} FROM {parent} p WHERE p.id = NEW.id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    IF TG_OP = 'INSERT' THEN
        -- A row that is there already was written by somebody who knows of it, in this transaction: it stays.
        IF {is_school} THEN
            {insert_school}
            ON CONFLICT (project_id) DO NOTHING;
        ELSIF {is_self_study} THEN
            {insert_self_study}
            ON CONFLICT (project_id) DO NOTHING;
        END IF;
        RETURN NULL;
    END IF;

    retyped := {retyped};

    -- Rows of a type that the project has no longer go, and with them its own pointer.
{leave_school}{leave_self_study}
    -- The row of its type gets what has changed; after a change of type all of it.
{write_school}{write_self_study}    RETURN NULL;
END
",
            delete_school = self.delete(school),
            delete_self_study = self.delete(self_study),
            legacy = LEGACY_COLUMNS.map(|column| format!("p.{column}")).join(", "),
            parent = self.parent.name,
            is_school = is_kind_sql(school, PROJECT, EXACT),
            is_self_study = is_kind_sql(self_study, PROJECT, EXACT),
            insert_school = self.insert(school),
            insert_self_study = self.insert(self_study),
            retyped = retyped(PROJECT),
            leave_school = self.leave(school),
            leave_self_study = self.leave(self_study),
            write_school = self.write(school),
            write_self_study = self.write(self_study),
        )
    }

    /// A project went: its row goes with it. Its own pointer is gone, and one of another project makes the foreign key
    /// refuse, as it would have without us.
    fn delete(&self, kind: Kind) -> String {
        format!(
            "{refuse}        DELETE FROM {table} WHERE project_id = OLD.id;\n",
            refuse = self.refuse_pointers(kind, "OLD.id"),
            table = self.table(kind),
        )
    }

    fn insert(&self, kind: Kind) -> String {
        format!(
            "INSERT INTO {table} AS r (project_id, {columns})\n            VALUES ({PROJECT}.id, {values})",
            table = self.table(kind),
            columns = kind.columns().join(", "),
            values = mapped_list_sql(kind, PROJECT),
        )
    }

    fn leave(&self, kind: Kind) -> String {
        let table = self.table(kind);
        let clear = match (self.pointer(kind), kind.pointer()) {
            (Pointer::None, _) => String::new(),
            (Pointer::Key | Pointer::Bare, column) => format!(
                "        UPDATE {} SET {column} = NULL WHERE id = project.id AND {column} = project.id;\n",
                self.parent.name
            ),
        };
        format!(
            "    IF retyped AND NOT {is_kind} THEN
        PERFORM 1 FROM {table} r WHERE r.project_id = project.id FOR UPDATE;
{log}        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
            INSERT INTO {table} (project_id, {columns}) VALUES (project.id{empty})
            ON CONFLICT (project_id) DO NOTHING;
        END IF;
{refuse}{clear}        DELETE FROM {table} WHERE project_id = project.id;
    END IF;
",
            is_kind = is_kind_sql(kind, PROJECT, EXACT),
            log = self.log(kind, "delete_row", |_| None),
            columns = kind.columns().join(", "),
            empty = ", ''".repeat(kind.columns().len()),
            refuse = self.refuse_pointers(kind, "project.id"),
        )
    }

    fn write(&self, kind: Kind) -> String {
        let changed = |column: &str| format!("(retyped OR {})", changed(column, PROJECT));
        let sets: Vec<String> = kind
            .columns()
            .iter()
            .map(|c| format!("{c} = CASE WHEN {} THEN EXCLUDED.{c} ELSE r.{c} END", changed(c)))
            .collect();
        let differs: Vec<String> = kind
            .columns()
            .iter()
            .map(|c| format!("({} AND {})", changed(c), differs_sql(PROJECT, "r", c, EXACT)))
            .collect();
        format!(
            "    IF {is_kind} THEN
        PERFORM 1 FROM {table} r WHERE r.project_id = project.id FOR NO KEY UPDATE;
{log}        {insert}
        ON CONFLICT (project_id) DO UPDATE SET
            {sets}
        WHERE {differs};
    END IF;
",
            is_kind = is_kind_sql(kind, PROJECT, EXACT),
            table = self.table(kind),
            log = self.log(kind, "update_row", |column| Some(changed(column))),
            insert = self.insert(kind).replace("\n            ", "\n        "),
            sets = sets.join(",\n            "),
            differs = differs.join("\n            OR "),
        )
    }

    /// Keeps a row that says what neither the old nor the new legacy columns say, before it goes or is overwritten:
    /// where the subtype rows are read, that is what users saw.
    fn log(&self, kind: Kind, action: &str, and: impl Fn(&str) -> Option<String>) -> String {
        let columns = kind.columns();
        let image: Vec<String> = std::iter::once(&"project_id")
            .chain(columns)
            .map(|column| format!("'{column}', r.{column}"))
            .collect();
        let lost: Vec<String> = columns
            .iter()
            .map(|column| {
                let neither = [
                    Some(differs_sql("OLD", "r", column, EXACT)),
                    Some(differs_sql(PROJECT, "r", column, EXACT)),
                    and(column),
                ];
                format!("({})", neither.into_iter().flatten().collect::<Vec<_>>().join(" AND "))
            })
            .collect();
        format!(
            "        INSERT INTO {log} (repaired_at, digest, direction, project_id, table_name, action, before_image)
        SELECT clock_timestamp(), 'sync', 'legacy', r.project_id, '{name}', '{action}',
            json_build_object({image})::text
        FROM {table} r WHERE r.project_id = project.id AND (
            {lost}
        );
",
            log = self.log.name,
            name = kind.table(),
            image = image.join(", "),
            table = self.table(kind),
            lost = lost.join("\n            OR "),
        )
    }

    /// Nothing where a foreign key sees to it, or where there is no such column.
    fn refuse_pointers(&self, kind: Kind, id: &str) -> String {
        if self.pointer(kind) != Pointer::Bare {
            return String::new();
        }
        let column = kind.pointer();
        format!(
            "        IF EXISTS (SELECT 1 FROM {table} r WHERE r.project_id = {id})
            AND EXISTS (SELECT 1 FROM {parent} p WHERE p.{column} = {id} AND p.id <> {id}) THEN
            RAISE EXCEPTION 'the row of project % in {name} must stay: {column} of another project points at it', {id}
                USING ERRCODE = 'foreign_key_violation';
        END IF;
",
            table = self.table(kind),
            parent = self.parent.name,
            name = kind.table(),
        )
    }
}
