//! Every finding, one by one, with bounded memory.

use std::io::{self, Write};

use crate::db::{AnyConnection, dialect};
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};

use super::class::{Class, Severity};
use super::error::VerifyError;
use super::findings::affected;
use super::samples::having_sql;
use super::scan::{Scan, WithTraits, account, orphans_sql, traits_of_each_sql};
use super::traits::{Fields, Traits};
use super::watch::{Reading, Step, Watch};

/// The progress is told every so many rows.
const TELL: i64 = 1000;

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

/// Hands every finding to `sink`, in one statement for the projects and one for each table's orphans; no more than one
/// row of them is in memory at a time. In the snapshot of `scan`.
pub(super) fn stream(
    connection: &mut AnyConnection,
    scan: &Scan,
    reading: &Reading,
    watch: &Watch<'_>,
    sink: &mut dyn FindingSink,
) -> Result<(), VerifyError> {
    let mut handed = Handed { watch, done: 0, of: affected(scan) };
    let with_finding = || scan.groups.iter().filter(|(traits, _)| Class::any_finding(*traits));
    if let Some(having) = having_sql(with_finding().map(|(traits, _)| *traits)) {
        let sql = format!("{} WHERE {having} ORDER BY id", traits_of_each_sql(connection, reading));
        let expected = with_finding().map(|(_, projects)| projects).sum();
        let found = handed.each(connection, &sql, |row| {
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
        let sql = format!(
            "SELECT r.project_id AS id, CAST(0 AS bigint) AS traits FROM {} ORDER BY r.project_id",
            orphans_sql(kind, reading)
        );
        let found = handed.each(connection, &sql, |row| {
            sink.finding(Finding { class: Class::orphan(kind), id: row.id, fields: Fields::default() })
        })?;
        account(kind.table(), scan.orphans.of(kind), found)?;
    }
    Ok(())
}

/// Tells how far it has come.
struct Handed<'w> {
    watch: &'w Watch<'w>,
    done: i64,
    of: i64,
}

impl Handed<'_> {
    /// Hands over every row of `sql`, and counts them.
    fn each(
        &mut self,
        connection: &mut AnyConnection,
        sql: &str,
        mut each: impl FnMut(&WithTraits) -> io::Result<()>,
    ) -> Result<i64, VerifyError> {
        self.watch.enter(connection, Step::Ids { done: self.done, of: self.of })?;
        let before = self.done;
        let doing = "reading the ids of the findings";
        dialect::each_row(connection, sql, doing, |row: WithTraits| {
            each(&row)?;
            self.done += 1;
            if self.done % TELL == 0 {
                self.watch.go_on(Step::Ids { done: self.done, of: self.of }, doing)?;
            }
            Ok::<(), VerifyError>(())
        })?;
        Ok(self.done - before)
    }
}
