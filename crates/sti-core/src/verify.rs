//! Verification: both sides of every project, compared value by value in the database, in one snapshot.
//!
//! [`verify`] reads every project and every subtype row, in both directions, and sorts them into [`Class`]es:
//! *findings*, which mean that the two sides do not agree, and *notices*, which are worth knowing before the legacy
//! columns are dropped. It is read-only and uses none of the code that writes subtype rows, so that it can
//! contradict it. [`repair`] is a room of its own, and the only one here that writes.
//!
//! [`counts`] is the cheap part: how many projects and rows there are, and the coverage.

mod breakdown;
mod class;
mod coverage;
mod error;
mod excerpt;
mod findings;
mod ids;
mod named;
pub mod repair;
mod report;
mod samples;
mod scan;
mod traits;

pub use breakdown::{Breakdown, FieldCounts, Split};
pub use class::{Class, Severity};
pub use coverage::{Counts, Coverage, counts};
pub use error::VerifyError;
pub use excerpt::{EXCERPT, Excerpt, Side};
pub use findings::{ClassCount, LegacyProfile};
pub use ids::{Finding, FindingSink, Lines};
pub(crate) use named::classes_of;
pub use report::VerifyReport;
pub use samples::{ClassSample, FieldSides, MAX_SAMPLE, Sample};
pub use traits::{Fields, Traits};

pub use crate::models::PerKind;

use crate::db::{AnyConnection, read_snapshot};

use scan::{Scan, scan};
use traits::Scope;

/// What a verification reports beside its counts.
#[derive(Default)]
pub struct VerifyOptions<'s> {
    /// How many projects of each class are shown, the first by id; at most [`MAX_SAMPLE`], more is cut to that.
    pub sample: u32,
    /// Takes every finding.
    pub ids: Option<&'s mut dyn FindingSink>,
}

impl std::fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("sample", &self.sample)
            .field("ids", &self.ids.as_ref().map(|_| "sink"))
            .finish()
    }
}

/// Compares both sides of every project, in one snapshot and without row locks.
///
/// The comparison is one statement over the whole tables, which PostgreSQL runs in parallel (about 1.5 s for a
/// million projects); the samples and the ids are further statements of the same snapshot.
///
/// # Errors
/// [`VerifyError`]: a table is missing, the legacy columns were dropped, the pass did not see every row of its
/// snapshot, the sink failed, or whatever the database says. In none of these cases is there an answer.
pub fn verify(
    connection: &mut AnyConnection,
    options: VerifyOptions<'_>,
) -> Result<VerifyReport, VerifyError> {
    read_snapshot(connection, |connection| {
        let scan = scan(connection, Scope::Values)?;
        let samples = samples::samples(connection, &scan, options.sample, |_| true)?;
        if let Some(sink) = options.ids {
            ids::stream(connection, &scan, sink)?;
        }
        Ok(VerifyReport::of(&scan, samples))
    })
}

/// One pass over everything, inside a transaction that somebody else has opened: the guarded drop's, in which nobody
/// else can write, or the snapshot of its plan.
pub(crate) struct Pass(Scan);

impl Pass {
    /// As [`verify`], whose errors it has.
    pub(crate) fn run(connection: &mut AnyConnection) -> Result<Self, VerifyError> {
        Ok(Self(scan(connection, Scope::Values)?))
    }

    /// The report, with the first `sample` projects of the classes that `wanted` names.
    pub(crate) fn report(
        &self,
        connection: &mut AnyConnection,
        sample: u32,
        wanted: impl Fn(Class) -> bool,
    ) -> Result<VerifyReport, VerifyError> {
        let samples = samples::samples(connection, &self.0, sample, wanted)?;
        Ok(VerifyReport::of(&self.0, samples))
    }
}
