//! The statements of a chunk: for each project and column, which value is the one that must be there.

use crate::db::Backend;
use crate::keyset::in_sql;
use crate::mapping::{LEGACY_COLUMNS, PARENT, is_kind_sql, mapped_sql};
use crate::models::{Kind, ProjectId};

/// The aliases of the subtype tables; the parent is `p`, the archive `a`.
const fn alias(kind: Kind) -> &'static str {
    match kind {
        Kind::School => "s",
        Kind::SelfStudy => "f",
    }
}

/// SQL: the value that the column must hold.
///
/// - A project that is not in the archive was made after the drop: what its row says.
/// - No row of the kind now: the archived value; but NULL where there was one then and the project is of another type
///   now, as a change of type leaves it. A row that merely went is no reason to lose its values.
/// - A row that says what it said then, or what the archived value maps to: the archived value, which knows NULL from
///   `''`. Any other row: what it says.
/// - But an empty field of a row that was not there at the drop is nobody's word against an archived value: who made the
///   row could not see that value. See [`beside_empty_sql`].
fn target_sql(kind: Kind, column: &str, exact: &str) -> String {
    let (row, then) = (alias(kind), format!("a.{kind}_{column}"));
    let archived = mapped_sql("a", column);
    let of_kind = is_kind_sql(kind, "p", exact);
    format!(
        "CASE WHEN a.project_id IS NULL THEN COALESCE({row}.{column}, p.{column}) \
              WHEN {row}.project_id IS NULL THEN CASE WHEN a.has_{kind} AND NOT {of_kind} THEN NULL ELSE a.{column} END \
              WHEN {row}.{column} {exact} = {archived} {exact} THEN a.{column} \
              WHEN a.has_{kind} AND {row}.{column} {exact} = {then} {exact} THEN a.{column} \
              WHEN {beside_empty} THEN a.{column} \
              ELSE {row}.{column} END",
        beside_empty = beside_empty_sql(kind, column, exact)
    )
}

/// SQL: true where an archived value comes back although today's row has an empty field: the row was made after the drop,
/// for a project whose type was set or changed, and a field that nobody touches begins as `''`. Both sides differ then,
/// which the verification says, so that somebody decides; the other way about the value would be in the archive only.
fn beside_empty_sql(kind: Kind, column: &str, exact: &str) -> String {
    let row = alias(kind);
    format!("(NOT a.has_{kind} AND {row}.{column} {exact} = '' AND a.{column} {exact} <> '')")
}

/// SQL: true where the column holds a value that neither the archive nor the subtype row holds. Nobody but another
/// tool's hand has put it there, after the columns had come back; it is not overwritten.
fn foreign_sql(kind: Kind, column: &str, exact: &str) -> String {
    let is_not = |other: &str| format!("p.{column} {exact} IS DISTINCT FROM {other}.{column} {exact}");
    format!("(p.{column} {exact} <> '' AND {} AND {})", is_not(alias(kind)), is_not("a"))
}

/// SQL: for each project its id, whether it is in the archive, and for each column what it holds (`was_`), what it
/// must hold (`is_`), what is archived (`then_`), whether a foreign value is left alone (`left_`), and whether an archived
/// one comes back beside an empty field (`beside_`).
fn values_sql(backend: Backend, event: i64, ids: &[ProjectId]) -> String {
    let exact = backend.exact();
    let of_column = |(kind, c): (Kind, &str)| {
        let (target, foreign) = (target_sql(kind, c, exact), foreign_sql(kind, c, exact));
        format!(
            ", p.{c} AS was_{c}, a.{c} AS then_{c}, CASE WHEN {foreign} THEN p.{c} ELSE {target} END AS is_{c}, \
             CASE WHEN {foreign} THEN 1 ELSE 0 END AS left_{c}, \
             CASE WHEN {foreign} THEN 0 WHEN {beside} THEN 1 ELSE 0 END AS beside_{c}",
            beside = beside_empty_sql(kind, c, exact)
        )
    };
    let columns = Kind::ALL.into_iter().flat_map(|kind| kind.columns().iter().map(move |c| (kind, *c)));
    let columns: String = columns.map(of_column).collect();
    let rows = Kind::ALL.map(|kind| backend.left_join_one(kind.table(), alias(kind), "x.project_id = p.id"));
    let then = format!("x.event_id = {event} AND x.project_id = p.id");
    format!(
        "SELECT p.id AS id, CASE WHEN a.project_id IS NULL THEN 0 ELSE 1 END AS archived{columns} FROM {PARENT} p{}{} \
         WHERE {}",
        backend.left_join_one("sti_legacy_archive", "a", &then),
        rows.concat(),
        in_sql("p.id", ids.iter().copied())
    )
}

/// SQL: true where a project's columns have to be changed.
fn changes_sql(exact: &str) -> String {
    let each = LEGACY_COLUMNS.map(|c| format!("v.was_{c} {exact} IS DISTINCT FROM v.is_{c} {exact}"));
    format!("({})", each.join(" OR "))
}

/// The statement that counts what there is to do.
pub(super) fn count(backend: Backend, event: i64, ids: &[ProjectId]) -> String {
    let exact = backend.exact();
    let superseded = LEGACY_COLUMNS.map(|c| {
        format!(
            "CASE WHEN v.then_{c} {exact} <> '' AND v.then_{c} {exact} IS DISTINCT FROM v.is_{c} {exact} \
                 THEN 1 ELSE 0 END"
        )
    });
    let left = LEGACY_COLUMNS.map(|c| format!("v.left_{c}"));
    let beside = LEGACY_COLUMNS.map(|c| format!("v.beside_{c}"));
    let sum = |terms: &str| format!("CAST(COALESCE(sum({terms}), 0) AS bigint)");
    format!(
        "SELECT count(*) AS projects, {} AS archived, {} AS changed, {} AS superseded, {} AS left_alone, \
         {} AS beside_empty FROM ({}) v",
        sum("v.archived"),
        sum(&format!("CASE WHEN {} THEN 1 ELSE 0 END", changes_sql(exact))),
        sum(&superseded.join(" + ")),
        sum(&left.join(" + ")),
        sum(&beside.join(" + ")),
        values_sql(backend, event, ids)
    )
}

/// The statement that changes what has to be changed; `lock` ends the inner SELECT.
pub(super) fn update(backend: Backend, event: i64, ids: &[ProjectId], lock: &str) -> String {
    let sets = LEGACY_COLUMNS.map(|c| format!("{c} = v.is_{c}"));
    format!(
        "UPDATE {PARENT} AS t SET {} FROM ({} {lock}) v WHERE v.id = t.id AND {} AND {}",
        sets.join(", "),
        values_sql(backend, event, ids),
        in_sql("t.id", ids.iter().copied()),
        changes_sql(backend.exact())
    )
}
