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
mod watch;

pub use breakdown::{Breakdown, FieldCounts, Split};
pub use class::{Class, Severity};
pub use coverage::{Counts, Coverage, counts};
pub use error::{Unfinished, VerifyError};
pub use excerpt::{EXCERPT, Excerpt, Side};
pub use findings::{ClassCount, LegacyProfile};
pub use ids::{Finding, FindingSink, Lines};
pub(crate) use named::classes_of;
pub use report::VerifyReport;
pub use samples::{ClassSample, FieldSides, MAX_SAMPLE, Sample};
pub use traits::{Fields, Traits};
pub use watch::Step;

pub use crate::db::dialect::Standby;

pub use crate::interrupt::Interrupt;
pub use crate::models::PerKind;

use std::time::Duration;

use crate::db::{AnyConnection, read_snapshot};

use scan::{Scan, scan};
use traits::Scope;
use watch::{Reading, Watch};

/// What a verification reports beside its counts, and what may end it.
#[derive(Default)]
pub struct VerifyOptions<'s> {
    /// How many projects of each class are shown, the first by id; at most [`MAX_SAMPLE`], more is cut to that.
    pub sample: u32,
    /// Takes every finding.
    pub ids: Option<&'s mut dyn FindingSink>,
    /// The longest time that all of it may take; [`Unfinished::TimeLimit`] then. On PostgreSQL it stands in the place of
    /// the role's own `statement_timeout`.
    pub limit: Option<Duration>,
    /// How it is asked to stop; [`Unfinished::Asked`] then.
    pub interrupt: Option<Interrupt>,
    /// Told before each statement, and every thousand ids.
    pub progress: Option<&'s (dyn Fn(Step) + Sync)>,
}

impl std::fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("sample", &self.sample)
            .field("ids", &self.ids.as_ref().map(|_| "sink"))
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Compares both sides of every project, in one snapshot and without row locks. A standby will do.
///
/// The comparison is one statement over the whole tables, which PostgreSQL runs in parallel (about 1.5 s for a
/// million projects); the counts that it must add up to, the samples and the ids are further statements of the same
/// snapshot. Inside a transaction of the caller's, which must then be a snapshot, a limit stays set for the rest of it.
///
/// # Errors
/// [`VerifyError`]: a table is missing, the legacy columns were dropped, the pass did not see every row of its
/// snapshot, it was ended before it had its answer, the sink failed, or whatever the database says. In none of these
/// cases is there an answer.
pub fn verify(
    connection: &mut AnyConnection,
    options: VerifyOptions<'_>,
) -> Result<VerifyReport, VerifyError> {
    let VerifyOptions { sample, ids, limit, interrupt, progress } = options;
    let watch = Watch::new(limit, interrupt.as_ref().map(|interrupt| interrupt.signal.clone()), progress);
    let verified = read_snapshot(connection, |connection| {
        let reading = watch.begin(connection)?;
        reading.interruptible(interrupt.as_ref(), || {
            let scan = scan(connection, Scope::Values, &reading, &watch)?;
            let samples = samples::samples(connection, &scan, &reading, &watch, sample, |_| true)?;
            if let Some(sink) = ids {
                ids::stream(connection, &scan, &reading, &watch, sink)?;
            }
            Ok(VerifyReport::of(connection, &scan, samples, reading.standby)?)
        })
    });
    verified.map_err(|error| watch.judge(error))
}

/// One pass over everything, inside a transaction that somebody else has opened: the guarded drop's, in which nobody
/// else can write, or the snapshot of its plan.
pub(crate) struct Pass(Scan);

impl Pass {
    /// As [`verify`], whose errors it has.
    pub(crate) fn run(connection: &mut AnyConnection) -> Result<Self, VerifyError> {
        Ok(Self(scan(connection, Scope::Values, &Reading::unwatched(), &Watch::default())?))
    }

    /// The report, with the first `sample` projects of the classes that `wanted` names.
    pub(crate) fn report(
        &self,
        connection: &mut AnyConnection,
        sample: u32,
        wanted: impl Fn(Class) -> bool,
    ) -> Result<VerifyReport, VerifyError> {
        let (reading, watch) = (Reading::unwatched(), Watch::default());
        let samples = samples::samples(connection, &self.0, &reading, &watch, sample, wanted)?;
        Ok(VerifyReport::of(connection, &self.0, samples, None)?)
    }
}
