//! Every finding, one by one, with bounded memory.

use std::io::{self, Write};

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, dialect};
use crate::keyset::Keyset;
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};

use super::class::{Class, Severity};
use super::error::VerifyError;
use super::samples::having_sql;
use super::scan::{Scan, account, orphans_sql};
use super::traits::{Fields, Scope, Traits, joined_sql, traits_sql};

/// Findings in memory at once. Large, because each page may be a pass over the whole table.
const PAGE: u32 = 20_000;

/// A project, or an orphaned row, in a class that is a finding. A project in two classes is two findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The class.
    pub class: Class,
    /// The project.
    pub id: ProjectId,
    /// [`Class::fields`] of this project.
    pub fields: Fields,
}

/// Takes findings, in the order of ids: projects first, then the orphans of each table.
pub trait FindingSink {
    /// Takes one.
    ///
    /// # Errors
    /// Ends the verification with [`VerifyError::Sink`].
    fn finding(&mut self, finding: Finding) -> io::Result<()>;
}

/// Writes each finding as a line: class, id and the fields with commas between them, with tabs between the three.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: Write> FindingSink for Lines<W> {
    fn finding(&mut self, finding: Finding) -> io::Result<()> {
        let fields: Vec<&str> = finding.fields.names().collect();
        writeln!(self.0, "{}\t{}\t{}", finding.class, finding.id, fields.join(","))
    }
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
    #[diesel(sql_type = BigInt)]
    traits: i64,
}

/// Hands every finding to `sink`. In the snapshot of `scan`.
pub(super) fn stream(
    connection: &mut AnyConnection,
    scan: &Scan,
    sink: &mut dyn FindingSink,
) -> Result<(), VerifyError> {
    let with_finding = || scan.groups.iter().filter(|(traits, _)| Class::any_finding(*traits));
    if let Some(having) = having_sql(with_finding().map(|(traits, _)| *traits)) {
        let traits = traits_sql(Scope::Values, dialect::backend(connection));
        let from =
            format!("(SELECT p.id AS id, {traits} AS traits FROM {}) AS t WHERE {having}", joined_sql());
        let expected = with_finding().map(|(_, projects)| projects).sum();
        let found = pages(connection, &format!("SELECT id, traits FROM {from}"), "id", |row| {
            let traits = Traits::from_bits(row.traits);
            let found = |class: &Class| class.severity() == Severity::Finding && class.holds(traits);
            for class in Class::ALL.into_iter().filter(found) {
                sink.finding(Finding { class, id: row.id, fields: class.fields(traits) })?;
            }
            Ok(())
        })?;
        account(PARENT, expected, found)?;
    }
    for kind in Kind::ALL.into_iter().filter(|kind| scan.orphans.of(*kind) > 0) {
        let select =
            format!("SELECT r.project_id AS id, CAST(0 AS bigint) AS traits FROM {}", orphans_sql(kind));
        let found = pages(connection, &select, "r.project_id", |row| {
            sink.finding(Finding { class: Class::orphan(kind), id: row.id, fields: Fields::default() })
        })?;
        account(kind.table(), scan.orphans.of(kind), found)?;
    }
    Ok(())
}

/// Hands over every row of `select`, a page at a time, and counts them.
fn pages(
    connection: &mut AnyConnection,
    select: &str,
    key: &str,
    mut each: impl FnMut(&Row) -> io::Result<()>,
) -> Result<i64, VerifyError> {
    let mut found = 0;
    let mut walk = Some(Keyset::from_start());
    while let Some(here) = walk {
        let rows: Vec<Row> = diesel::sql_query(format!("{select}{}", here.page_sql(key, PAGE)))
            .load(connection)
            .doing("reading the ids of the findings")?;
        for row in &rows {
            each(row)?;
            found += 1;
        }
        walk = here.behind(rows.iter().map(|row| row.id), PAGE);
    }
    Ok(found)
}
