//! `sti-migrate drop-legacy`

mod json;
mod plan_file;
mod progress;
mod report;
mod sections;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sti_cli::answer::EXIT_CODES;
use sti_cli::stderr::say;
use sti_cli::{Answer, Common, Exit, Report as _, Target, digest};
use sti_core::contract::{self, DropOptions, Leftovers, Outcome, Rehearsal, Waiver};
use sti_core::db::{Access, dialect};
use sti_core::metrics;

use self::plan_file::PlanFile;
use self::progress::Watch;
use self::report::{DropReport, Stage};

/// The longest value of `--max-lock`.
const LONGEST_LOCK: Duration = Duration::from_secs(60 * 60);

const AFTER_HELP: &str = "\
What each ending means here:
  0  the plan is shown and every gate is open; or it was rehearsed; or the columns are dropped
  1  refused by a gate or by the digest; or the locks were not to be had; or the connection was lost and the
     database says that the drop was not made; or it was lost in a rehearsal. No project and no column was changed;
     what could not be taken away of what was made for it is named
  2  could not: usage, connection, rights, the columns are dropped already. Nothing was changed
  3  SIGINT or SIGTERM: nothing was dropped, and what was made is taken away as far as that could be done. The same
     command starts anew
  4  the connection was lost at COMMIT and nobody could be asked: the same command again says what became of it. Or a
     second signal came (a rehearsal: 3): sti-migrate status says what became of it; the same command would go on";

/// Drop the five legacy columns, once nothing can be lost by it.
///
/// Without --rehearse or --execute it reads one snapshot and shows the plan: every gate with its evidence and the
/// command that mends it, what would be dropped, who is connected, how to go back, and the digest that confirms it.
/// --rehearse does everything that the drop does, rolls the last transaction back and takes the rest away.
/// --execute --confirm DIGEST does it.
///
/// On PostgreSQL writers go on while it works: triggers on the three tables keep a log of what is written, everything
/// is compared and archived in one snapshot, and what was written since is worked off until little is left. Then the
/// locks (ACCESS EXCLUSIVE on all three tables) are waited for, 0.1 s at a time, so long may the application's
/// statements queue behind them; they are given up and tried again after a rest, up to --attempts times. Under them
/// there is only what is left, every gate again, and the drop: a fraction of a second on a table of any size. Between its
/// steps it asks whether --max-lock is over, and then all is rolled back; none of its statements runs for longer than half
/// of that. A client that stands still under the locks loses its session, and they go, when the rest of --max-lock is over,
/// or 0.5 s if that is longer. SIGINT or SIGTERM before the locks ends the command, which takes away what it has made; an attempt
/// that has its locks goes on to its end. What a command that was killed has left behind, the next --rehearse or
/// --execute takes away, or sti-migrate up; sti-migrate status shows it.
///
/// On SQLite all of it is one transaction, and writers wait for the whole of it; a signal is seen between its statements.
///
/// There is no way to force it. A waiver names one of the two gates whose values the archive keeps and nothing else
/// does, unknown-type and stray-values, and the number of projects that are known; it is recorded, and fails when there
/// are more.
///
/// To take it back: sti-migrate restore-legacy.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXIT_CODES}\n\n{AFTER_HELP}"))]
pub(crate) struct Options {
    /// Do all of it, then roll back and take away what was made: nothing is changed. Shows how long the locks are held.
    #[arg(long, conflicts_with = "execute")]
    rehearse: bool,
    /// Drop the columns. Needs --confirm.
    #[arg(long, requires = "confirm")]
    execute: bool,
    /// The digest that the plan or the rehearsal shows; good for 24 hours. Nothing is done if the plan of now is
    /// another one.
    #[arg(long, value_name = "DIGEST", requires = "execute", value_parser = digest::parse)]
    confirm: Option<String>,
    /// Write the plan to FILE too, as Markdown for a pull request that is not to be merged before the rollout is through.
    /// An earlier plan there is replaced; anything else, such as a pipe, is refused.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rehearse", "execute"])]
    plan_out: Option<PathBuf>,
    /// Allow a gate to find up to COUNT projects, as in --waive stray-values=3. May be given once for each gate.
    #[arg(long = "waive", value_name = "GATE=COUNT")]
    waivers: Vec<Waiver>,
    /// The longest time under the locks, in seconds (2, 0.5s) or milliseconds (500ms). On PostgreSQL all is rolled back
    /// at the next step once it is over (after 0.5 s at the earliest if the client stands still); on SQLite nothing is
    /// locked at all if the estimate is above it.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = lock_time)]
    max_lock: Duration,
    /// How often to try to get the locks.
    #[arg(long, value_name = "N", default_value_t = DropOptions::default().attempts,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: u32,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let mut how = DropOptions::default().waive(options.waivers.iter().copied())?;
    how.max_lock = options.max_lock;
    how.attempts = options.attempts;
    let target = common.database.resolve("sti-migrate drop-legacy")?;
    match (&options.confirm, options.rehearse) {
        (Some(digest), _) => execute(common, &target, &how, digest),
        (None, true) => rehearse(common, &target, &how),
        (None, false) => show(common, &target, &how, options.plan_out.as_deref()),
    }
}

fn show(common: &Common, target: &Target, how: &DropOptions, plan_out: Option<&Path>) -> Answer {
    let plan_file = plan_out.map(PlanFile::at).transpose()?;
    let mut connection = target.connect(Access::Read)?;
    // Before the plan, so that its digest is not said to be good for longer than it is.
    let at = dialect::clock(&mut connection)?;
    let plan = contract::plan(&mut connection, how)?;
    if let (Some(file), Some(path)) = (plan_file, plan_out) {
        let report = DropReport::new(target, how, Stage::Shown(&plan), Some(Leftovers::default()));
        file.write(&report, &plan, at, target.url.backend())?;
        say(format_args!("the plan is in {}", path.display()));
    }
    print(common, target, how, Stage::Shown(&plan))
}

fn rehearse(common: &Common, target: &Target, how: &DropOptions) -> Answer {
    let watch = Watch::start(target, Exit::Stopped)?;
    let rehearsal = watch.over(how, |how, tell| contract::rehearse(&mut target.connector(), how, tell))?;
    print(common, target, how, Stage::Rehearsal(&rehearsal))
}

fn execute(common: &Common, target: &Target, how: &DropOptions, digest: &str) -> Answer {
    let watch = Watch::start(target, Exit::Unknown)?;
    let outcome =
        watch.over(how, |how, tell| contract::execute(&mut target.connector(), how, digest, tell))?;
    print(common, target, how, Stage::Drop(&outcome, digest))
}

fn print(common: &Common, target: &Target, how: &DropOptions, stage: Stage<'_>) -> Answer {
    match stage {
        Stage::Shown(plan) => metrics::drop_planned(plan),
        Stage::Rehearsal(Rehearsal::Rehearsed { plan, held, .. }) => {
            metrics::drop_planned(plan);
            metrics::drop_locks_held(*held);
        }
        Stage::Rehearsal(Rehearsal::Refused { plan, .. }) | Stage::Drop(Outcome::Refused { plan, .. }, _) => {
            metrics::drop_planned(plan);
        }
        Stage::Drop(Outcome::Done(dropped), _) => metrics::drop_locks_held(dropped.held),
        Stage::Rehearsal(Rehearsal::Blocked(_) | Rehearsal::NotDone { .. }) | Stage::Drop(_, _) => {}
    }
    let exit = exit(stage);
    DropReport::new(target, how, stage, left(target, stage, exit)).print(common.format)?;
    Ok(exit)
}

/// What this command has begun and could not take away; `None` if that cannot be known. Not asked where it has done so,
/// or has begun nothing.
fn left(target: &Target, stage: Stage<'_>, exit: Exit) -> Option<Leftovers> {
    let begun = match stage {
        Stage::Shown(_) => false,
        Stage::Rehearsal(_) => true,
        Stage::Drop(..) => exit == Exit::Negative,
    };
    if !begun {
        return Some(Leftovers::default());
    }
    let left = contract::leftovers(&mut target.connect(Access::Write).ok()?).ok()?;
    // Behind a rehearsal that was made nobody else can be at work, unless he has just begun.
    let may_be_ours = matches!(
        stage,
        Stage::Rehearsal(Rehearsal::NotDone { .. } | Rehearsal::Rehearsed { .. })
            | Stage::Drop(Outcome::NotDone { .. }, _)
    );
    match left.at_work() {
        // It may be another one's, or that of a session of ours that the server has not ended yet.
        true if may_be_ours => None,
        true => Some(Leftovers::default()),
        false => Some(left),
    }
}

/// The one place that decides how the command ends.
fn exit(stage: Stage<'_>) -> Exit {
    match stage {
        Stage::Shown(plan) if plan.is_open() => Exit::Done,
        Stage::Rehearsal(Rehearsal::Rehearsed { .. }) | Stage::Drop(Outcome::Done(_), _) => Exit::Done,
        Stage::Drop(Outcome::Unknown { .. }, _) => Exit::Unknown,
        Stage::Shown(_)
        | Stage::Rehearsal(Rehearsal::Refused { .. } | Rehearsal::Blocked(_) | Rehearsal::NotDone { .. })
        | Stage::Drop(Outcome::Refused { .. } | Outcome::Blocked(_) | Outcome::NotDone { .. }, _) => {
            Exit::Negative
        }
    }
}

/// `2`, `2s`, `0.5s`, `500ms`.
fn lock_time(text: &str) -> Result<Duration, String> {
    let (figure, seconds) = match text.strip_suffix("ms") {
        Some(figure) => (figure, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let plain = figure.chars().all(|c| c.is_ascii_digit() || c == '.');
    let time = figure.parse::<f64>().ok().filter(|_| plain);
    let time = time.and_then(|figure| Duration::try_from_secs_f64(figure * seconds).ok());
    time.filter(|time| (Duration::from_millis(1)..=LONGEST_LOCK).contains(time))
        .ok_or_else(|| "expected a time from 1ms to 3600s, as in 2s, 0.5s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_time_has_a_unit_or_is_in_seconds() {
        for (text, ms) in [("2", 2000), ("2s", 2000), ("0.5s", 500), ("500ms", 500), ("3600", 3_600_000)] {
            assert_eq!(lock_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "0", "-1", "2m", "3601", "inf", "NaN", "1e3", "2 s", "0.1ms"] {
            assert!(lock_time(text).is_err(), "{text}");
        }
    }
}
