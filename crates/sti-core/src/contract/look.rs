//! One look at everything that the gates ask, in the transaction that is open: the snapshot of a plan, or the drop's
//! own, under its locks.

use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::change_log::triggers;
use super::digest::{self, Covered};
use super::error::ContractError;
use super::estimate::estimate;
use super::event;
use super::gate::{Gate, GateResult, Verdict};
use super::gates;
use super::options::DropOptions;
use super::plan::{DropPlan, LockEstimate};
use super::restore::triggers as of_restore;
use super::tally::Tally;
use crate::db::catalog::{self, Definitions};
use crate::db::dialect::{self, Obstacle, SessionSeen};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, identity, migrations};
use crate::expand::{self, LegacyColumns, TABLES};
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::verify::{Counts, Pass};

/// The migration that makes what a drop is recorded in.
const ARCHIVE: &str = "00000000000105";

/// What was found.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) plan: DropPlan,
    pub(super) covered: Covered,
    pub(super) definitions: Definitions,
}

/// Where a look is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'p> {
    /// In the snapshot of a plan.
    Snapshot,
    /// Under the locks, some time after this plan was made. What cannot change or does not matter any more is taken
    /// from it: the estimate, and the sessions, who all wait now.
    UnderLocks(&'p DropPlan),
    /// Under locks that must be short, some time after the snapshot of this plan, with what is known of the values
    /// since: they are not compared again.
    Short(&'p DropPlan, &'p Tally),
}

/// Asks every gate.
pub(super) fn look(
    connection: &mut AnyConnection,
    options: &DropOptions,
    place: Place<'_>,
) -> Result<Look, ContractError> {
    let schema = expand::look(connection)?;
    if schema.legacy == LegacyColumns::Dropped {
        return Err(already_dropped(connection)?);
    }
    let readable =
        schema.misfits.is_empty() && schema.pending.is_empty() && schema.legacy == LegacyColumns::Present;
    // Under locks that must be short only what may have changed is asked: a right that is missing shows by itself.
    let obstacles = match place {
        Place::Short(..) => Vec::new(),
        Place::Snapshot | Place::UnderLocks(_) => obstacles(connection, readable)?,
    };
    let mut results = vec![gates::schema(&schema, &obstacles)];
    let definitions = catalog::definitions(connection, PARENT, &LEGACY_COLUMNS)?;
    let (mut counts, mut lock) = (None, None);
    if readable {
        (counts, lock) = ask(connection, options, place, &mut results)?;
    } else {
        let others = Gate::ALL.into_iter().filter(|gate| !matches!(gate, Gate::Schema | Gate::Quarantine));
        results.extend(others.map(gates::not_asked));
    }
    results.sort_by_key(|result| result.gate);

    let identity = match place {
        Place::Short(before, _) => before.identity.clone(),
        Place::Snapshot | Place::UnderLocks(_) => identity::identity(connection)?,
    };
    let schema = fingerprint(connection, &definitions)?;
    let covered = Covered::of(&identity, &schema, &results, options.waivers());
    let plan = DropPlan {
        digest: covered.digest(now(connection, options)?),
        identity,
        schema,
        definitions: definitions.statements(PARENT),
        gates: results,
        waivers: options.waivers().to_vec(),
        archive_rows: match place {
            Place::Short(_, tally) => tally.archived,
            _ => counts.map_or(0, |counts| counts.projects.total()),
        },
        counts,
        sessions: sessions(connection, place)?,
        estimate: lock,
        max_lock: options.max_lock,
        way_back: way_back(),
    };
    Ok(Look { plan, covered, definitions })
}

/// Asks the gates that need a schema that fits. Gives the counts, and the estimate where there is one.
fn ask(
    connection: &mut AnyConnection,
    options: &DropOptions,
    place: Place<'_>,
    results: &mut Vec<GateResult>,
) -> Result<(Option<Counts>, Option<LockEstimate>), ContractError> {
    results.push(gates::idle::backfill(connection)?);
    results.extend(gates::idle::quarantine(connection)?);
    let restore = gates::idle::restore(connection)?;
    let mut dependents = catalog::dependents(connection, PARENT, &LEGACY_COLUMNS)?;
    dependents.retain(|dependent| !triggers::is_ours(&dependent.name));
    // Those of a restore that is not finished are what its own gate is about, which says how they go.
    if !restore.verdict.is_open() {
        dependents.retain(|dependent| !of_restore::is_ours(dependent));
    }
    results.push(restore);
    results.push(gates::dependents(&dependents));
    let backend = dialect::backend(connection);
    if let Place::Short(before, tally) = place {
        results.extend(tally.gates(options.waivers()));
        results.push(gates::lock_time_bounded(options.max_lock));
        return Ok((before.counts, None));
    }
    results.push(gates::writers::unwatched(backend));
    let begun = Instant::now();
    let pass = Pass::run(connection)?;
    let compare = begun.elapsed();
    // A sample is a pass of its own: under the locks only for what refuses anyway.
    let sampled = |gate: Gate| matches!(place, Place::Snapshot) || !gate.may_be_waived();
    let report =
        pass.report(connection, GateResult::IDS, |class| gates::values::gate_of(class).is_some_and(sampled))?;
    results.extend(gates::values::all(&report, options.waivers()));
    if backend.works_ahead_of_locks() {
        results.push(gates::lock_time_bounded(options.max_lock));
        return Ok((Some(report.counts), None));
    }
    let lock = match place {
        Place::UnderLocks(DropPlan { estimate: Some(before), .. }) => before.clone(),
        _ => estimate(report.counts.projects.total(), compare),
    };
    results.push(gates::lock_time(&lock, options.max_lock));
    Ok((Some(report.counts), Some(lock)))
}

/// What this role lacks. Tables of ours are looked at only where all of them are there.
fn obstacles(connection: &mut AnyConnection, migrated: bool) -> Result<Vec<Obstacle>, DbError> {
    let needed = [
        ("INSERT", "sti_drop_event"),
        ("UPDATE", "sti_drop_event"),
        ("UPDATE", "sti_drop_event_id_seq"),
        ("INSERT", "sti_legacy_archive"),
        ("DELETE", "sti_legacy_archive"),
        ("INSERT", "sti_drop_run"),
        ("UPDATE", "sti_drop_run"),
        ("DELETE", "sti_drop_run"),
        ("INSERT", "sti_change_log"),
        ("UPDATE", "sti_change_log"),
        ("DELETE", "sti_change_log"),
        ("INSERT", "sti_drop_permit"),
        ("INSERT", migrations::RECORD),
    ];
    let doing = "asking what this role may do";
    let needed = if migrated { &needed[..] } else { &[] };
    // No table is made, but functions are.
    let mut found = dialect::obstacles(connection, needed).doing(doing)?;
    for table in TABLES {
        found.extend(dialect::not_owner(connection, table).doing(doing)?);
    }
    Ok(found)
}

pub(super) fn already_dropped(connection: &mut AnyConnection) -> Result<ContractError, DbError> {
    let event = event::open_drop(connection)?.map_or(0, |event| event.id);
    Ok(ContractError::AlreadyDropped { event })
}

/// The columns of the three tables, how the five are defined, and our migrations that have run.
fn fingerprint(connection: &mut AnyConnection, definitions: &Definitions) -> Result<String, DbError> {
    let mut lines = Vec::new();
    for table in TABLES {
        for column in catalog::columns(connection, table)? {
            lines.push(format!("{table} {column:?}"));
        }
    }
    lines.extend(definitions.statements(PARENT));
    // A digest is good for one drop: after a restore the same plan has another one.
    if migrations::recorded(connection)?.iter().any(|version| version == ARCHIVE) {
        lines.extend(event::events(connection)?.last().map(|last| format!("after drop {}", last.id)));
    }
    let ours = |version: &String| migrations::OURS.iter().any(|ours| ours.version == version);
    lines.extend(migrations::recorded(connection)?.into_iter().filter(ours));
    Ok(digest::short(&Sha256::digest(lines.join("\n"))))
}

fn sessions(connection: &mut AnyConnection, place: Place<'_>) -> Result<Vec<SessionSeen>, DbError> {
    match place {
        Place::Snapshot => dialect::sessions(connection).doing("listing the sessions of this database"),
        Place::UnderLocks(before) | Place::Short(before, _) => Ok(before.sessions.clone()),
    }
}

/// The minute of now, by the database's clock.
pub(super) fn now(connection: &mut AnyConnection, options: &DropOptions) -> Result<i64, DbError> {
    let now = dialect::clock_minutes(connection).doing("asking the database's clock")?;
    Ok(now - options.minutes_ago())
}

fn way_back() -> Vec<String> {
    [
        "sti-migrate restore-legacy: re-adds the five columns as they were and fills them from the archive, or from \
         the subtype row where that was changed since",
        "sti-verify: compares both sides again",
        "sti-migrate restore-legacy --finish: takes the restore's triggers away, once every service writes both sides",
        "ENABLE_STI=true: services read the legacy columns; then false, if they are to write nothing else",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl Verdict {
    /// Of a gate that expects to find nothing.
    pub(super) const fn of(found: i64) -> Self {
        if found == 0 { Self::Pass } else { Self::Refused }
    }
}
