//! Whether what is there is what the tools need. Pure.

use super::found::{Found, FoundTable};
use super::misfit::Misfit;
use super::note::Note;
use super::shape::{self, COMMON, ColumnShape, Nulls, Width, subtype, text_width};
use crate::db::Backend;
use crate::db::catalog::{Column, Relation};
use crate::db::migrations::{PREFIX, PROJECTS, RECORD};
use crate::mapping::LEGACY_COLUMNS;
use crate::models::Kind;

/// What became of the five legacy columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyColumns {
    /// All five are there.
    Present,
    /// All five are gone, and `sti_drop_event` records the drop.
    Dropped,
    /// These are gone although no drop of all five is recorded.
    Missing(Vec<&'static str>),
    /// There is no `projects_project`.
    NoTable,
}

impl LegacyColumns {
    pub(super) fn of(found: &Found) -> Self {
        let parent = found.parent();
        if !parent.is_there() {
            return Self::NoTable;
        }
        let missing: Vec<&str> =
            LEGACY_COLUMNS.into_iter().filter(|name| parent.column(name).is_none()).collect();
        match missing.len() {
            0 => Self::Present,
            5 if found.drop_recorded => Self::Dropped,
            _ => Self::Missing(missing),
        }
    }
}

/// Everything that does not fit, in the order of the tables and their columns.
pub(super) fn misfits(found: &Found) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    parent(found, &mut misfits);
    for (kind, table) in Kind::ALL.into_iter().zip(&found.tables[1..]) {
        subtype_table(found, kind, table, &mut misfits);
    }
    own_tables(found, &mut misfits);
    if let Some(record) = &found.record {
        ordinary(found, RECORD, record, &mut misfits);
    }
    misfits
}

fn parent(found: &Found, misfits: &mut Vec<Misfit>) {
    let table = found.parent();
    if !usable(found, table, misfits) {
        return;
    }
    columns(found.backend, table, &COMMON, misfits);
    let legacy: Vec<ColumnShape> = shape::legacy().collect();
    let there: Vec<ColumnShape> =
        legacy.into_iter().filter(|shape| table.column(shape.name).is_some()).collect();
    columns(found.backend, table, &there, misfits);
    if let LegacyColumns::Missing(missing) = LegacyColumns::of(found) {
        let expected = "all five legacy columns, or none after sti-migrate drop-legacy";
        for name in missing {
            misfits.push(Misfit::column(table.name, name, expected, "no such column, and no drop recorded"));
        }
    }
}

fn subtype_table(found: &Found, kind: Kind, table: &FoundTable, misfits: &mut Vec<Misfit>) {
    if !usable(found, table, misfits) {
        return;
    }
    let shapes = subtype(kind, |column| legacy_width(found, column));
    columns(found.backend, table, &shapes, misfits);
    let others = |column: &&Column| shapes.iter().all(|shape| shape.name != column.name);
    for column in table.columns.iter().filter(others).filter(|column| must_be_given(column)) {
        let expected = "a column that is not ours to take NULL or to have a default";
        misfits.push(Misfit::column(table.name, &column.name, expected, describe(column)));
    }
}

/// Values of this legacy column can be so long. Once it is dropped, what the subtype column takes is the measure.
fn legacy_width(found: &Found, column: &str) -> Width {
    let parent = found.parent();
    match (parent.column(column), parent.is_there()) {
        (Some(legacy), _) => text_width(found.backend, &legacy.data_type).unwrap_or(Width::Chars(0)),
        (None, true) => Width::Chars(0),
        (None, false) => shape::width_of_ours(column),
    }
}

/// Whether the columns are worth a look: the table is there, and is one.
fn usable(found: &Found, table: &FoundTable, misfits: &mut Vec<Misfit>) -> bool {
    match &table.relation {
        Some(relation) => ordinary(found, table.name, relation, misfits),
        None if found.is_recorded(PROJECTS) => {
            misfits.push(recorded_but_gone(table.name, PROJECTS));
            false
        }
        None => false,
    }
}

/// Reports a relation that is no ordinary table of the schema in which tables are made.
fn ordinary(found: &Found, name: &str, relation: &Relation, misfits: &mut Vec<Misfit>) -> bool {
    if relation.kind != Relation::TABLE {
        let expected = "an ordinary table, or nothing of this name";
        misfits.push(Misfit::table(name, expected, describe_relation(relation)));
        return false;
    }
    if found.server.schema.as_ref() != Some(&relation.schema) {
        let first = found.server.schema.as_deref().unwrap_or("none");
        let expected = format!(
            "in schema {first}, the first of search_path, where new tables are made (put another first in the URL: \
             ?options=-csearch_path%3D{})",
            relation.schema
        );
        misfits.push(Misfit::table(name, expected, format!("in schema {}", relation.schema)));
    }
    if relation.hides_rows {
        let expected = "every row to be visible to this role (connect as a role with BYPASSRLS)";
        misfits.push(Misfit::table(name, expected, "row-level security that hides rows from it"));
    }
    true
}

fn own_tables(found: &Found, misfits: &mut Vec<Misfit>) {
    for own in &found.own {
        let recorded = found.is_recorded(own.migration.version);
        match &own.relation {
            Some(relation) if recorded => {
                ordinary(found, own.name, relation, misfits);
            }
            Some(relation) => misfits.push(Misfit::table(
                own.name,
                format!("nothing of this name before migration {} makes it", own.migration),
                format!("somebody else's {}: rename or remove it", describe_relation(relation)),
            )),
            None if recorded => misfits.push(recorded_but_gone(own.name, own.migration.version)),
            None => {}
        }
    }
}

fn recorded_but_gone(table: &str, version: &str) -> Misfit {
    Misfit::table(
        table,
        format!("the table: migration {version} is recorded"),
        format!(
            "nothing: restore it; or, if nothing in it is missed, delete version {version} from {RECORD} so that \
             sti-migrate up makes it again"
        ),
    )
}

fn columns(backend: Backend, table: &FoundTable, shapes: &[ColumnShape], misfits: &mut Vec<Misfit>) {
    for shape in shapes {
        let expected = || expected(backend, *shape);
        match table.column(shape.name) {
            None => misfits.push(Misfit::column(table.name, shape.name, expected(), "no such column")),
            Some(column) if !fits(backend, *shape, column) => {
                let key = shape.of != shape::Type::Id || column.primary_key;
                let found = format!("{}{}", describe(column), if key { "" } else { ", no such primary key" });
                misfits.push(Misfit::column(table.name, shape.name, expected(), found));
            }
            Some(_) => {}
        }
    }
}

fn fits(backend: Backend, shape: ColumnShape, column: &Column) -> bool {
    let nulls = match shape.nulls {
        Nulls::Never => !column.may_hold_null,
        Nulls::Must => column.nullable,
        Nulls::May => true,
    };
    let key = shape.of != shape::Type::Id || column.primary_key;
    shape.of.accepts(backend, &column.data_type) && nulls && key && !column.generated
}

fn expected(backend: Backend, shape: ColumnShape) -> String {
    let nulls = match shape.nulls {
        Nulls::Never if shape.of == shape::Type::Id => ", NOT NULL, alone the primary key, not deferrable",
        Nulls::Never => ", NOT NULL",
        Nulls::Must => ", NULL allowed",
        Nulls::May => "",
    };
    format!("{}{nulls}", shape.of.expected(backend))
}

fn describe_relation(relation: &Relation) -> String {
    format!("{} in schema {}", relation.kind, relation.schema)
}

/// A column in the words of a CREATE TABLE.
fn describe(column: &Column) -> String {
    let short = match column.data_type.as_str() {
        "" => "no declared type".to_owned(),
        "timestamp with time zone" => "timestamptz".to_owned(),
        other => other.replace("character varying", "varchar"),
    };
    let nulls = match (column.nullable, column.may_hold_null) {
        (true, _) => " NULL",
        (false, true) => " NOT NULL NOT VALID",
        (false, false) => " NOT NULL",
    };
    let key = if column.primary_key { " PRIMARY KEY" } else { "" };
    let generated = if column.generated { " GENERATED" } else { "" };
    format!("{short}{nulls}{key}{generated}")
}

fn must_be_given(column: &Column) -> bool {
    !column.nullable && !column.has_default && !column.generated
}

/// Columns of a table that are not ours.
pub(super) fn others_columns(table: &FoundTable) -> Vec<&Column> {
    let ours = |name: &str| {
        let common = COMMON.iter().any(|shape| shape.name == name);
        let kinds = || Kind::ALL.iter().filter(|kind| kind.table() == table.name);
        let parent = kinds().next().is_none();
        (parent && (common || LEGACY_COLUMNS.contains(&name)))
            || kinds().any(|kind| name == "project_id" || kind.columns().contains(&name))
    };
    table.columns.iter().filter(|column| !ours(&column.name)).collect()
}

/// What is worth knowing about a schema that fits.
pub(super) fn notes(found: &Found) -> Vec<Note> {
    let mut notes = Vec::new();
    for table in found.tables[1..].iter().filter(|table| table.is_there() && !table.refers_to_parent) {
        notes.push(Note::NoForeignKey { table: table.name });
    }
    for column in others_columns(found.parent()).into_iter().filter(|column| must_be_given(column)) {
        notes.push(Note::RequiredColumn { column: column.name.clone() });
    }
    if LegacyColumns::of(found) == LegacyColumns::Dropped {
        notes.push(Note::LegacyDropped);
    }
    // diesel's own first migration has the version 0.
    let like_ours = |version: &&String| version.starts_with(PREFIX) && version.as_str() > "00000000000000";
    let unknown: Vec<String> = found.others().filter(like_ours).cloned().collect();
    if !unknown.is_empty() {
        notes.push(Note::UnknownVersions(unknown));
    }
    notes
}
