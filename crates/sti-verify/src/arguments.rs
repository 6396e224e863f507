//! The command line.

use std::path::PathBuf;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Common, digest};
use sti_core::verify::MAX_SAMPLE;
use sti_core::verify::repair::Direction;

const AFTER_HELP: &str = "\
What an ending of a verification means here:
  0  every row of one snapshot was compared, and there is no finding
  1  every row of one snapshot was compared, and there are findings
  2  could not; nothing is known
  3  not finished: out of time, a signal, cancelled, in a standby's way; nothing is known, and
     the same command begins anew";

/// Verify, row by row and field by field, that the legacy columns and the subtype rows agree; repair what does not.
///
/// Without --repair nothing is written: one snapshot, no row locks; a standby (read replica) will do. Findings (missing,
/// wrong kind, both kinds, orphans, drift) make exit code 1; notices never do, and say what dropping the legacy columns
/// would mean. A pass that was stopped, or did not see every row of its snapshot, claims nothing at all.
///
/// With --repair the plan of a repair is shown, with a digest; --execute --confirm DIGEST carries it out, in short
/// transactions that lock the projects first and look at both sides again. What is changed or deleted is kept in
/// sti_repair_log as it was before. Rows that are missing are left to `sti backfill`. A plan ends with exit code 0, a
/// refusal with 1. SIGINT or SIGTERM stops an execution behind the plan or the chunk that is under way, with exit code 3; a new
/// plan goes on from there.
#[derive(Debug, clap::Parser)]
#[command(name = "sti-verify", version, after_help = format!("{EXIT_CODES}\n\n{AFTER_HELP}"))]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Show the first N projects of each class, by id, with the values of both sides; 0 to 10000.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_SAMPLE)))]
    pub(crate) sample: u32,
    /// Write every finding to FILE, a line each: class, id and fields, with tabs between them. The file is
    /// complete or not there.
    #[arg(long, value_name = "FILE", conflicts_with = "repair")]
    pub(crate) ids_out: Option<PathBuf>,
    /// Give up after N seconds, with exit code 3: not finished, nothing is known. On PostgreSQL the server itself ends
    /// the statement then, whatever statement_timeout this role has otherwise.
    #[arg(long, value_name = "N", conflicts_with = "repair", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_seconds: Option<u32>,
    /// Plan a repair instead of verifying. Needs --from.
    #[arg(long, requires = "from")]
    repair: bool,
    /// The side that is right. `legacy`: subtype rows are made to agree with the legacy columns, rows of the wrong
    /// kind and orphans go. `subtype`: legacy columns are made to agree with the right subtype rows.
    #[arg(long, value_name = "SIDE", requires = "repair")]
    from: Option<From>,
    /// Carry the plan out. Needs --confirm.
    #[arg(long, requires_all = ["repair", "confirm"])]
    execute: bool,
    /// The digest that the plan shows: nothing is done if the plan of now is another one.
    #[arg(long, value_name = "DIGEST", requires = "execute", value_parser = digest::parse)]
    confirm: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum From {
    Legacy,
    Subtype,
}

/// What `--repair` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepairArguments {
    pub(crate) direction: Direction,
    /// With `--execute`: the digest that confirms the plan.
    pub(crate) confirm: Option<String>,
}

impl sti_cli::Arguments for Arguments {
    fn common(&self) -> &Common {
        &self.common
    }
}

impl Arguments {
    pub(crate) fn repair(&self) -> Option<RepairArguments> {
        let direction = match self.from.filter(|_| self.repair)? {
            From::Legacy => Direction::Legacy,
            From::Subtype => Direction::Subtype,
        };
        Some(RepairArguments { direction, confirm: self.confirm.clone() })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Option<RepairArguments>, clap::error::ErrorKind> {
        let all = ["sti-verify"].iter().chain(arguments);
        Arguments::try_parse_from(all).map(|arguments| arguments.repair()).map_err(|error| error.kind())
    }

    #[test]
    fn a_repair_names_its_side_and_an_execution_its_plan() {
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument, ValueValidation};
        assert_eq!(parsed(&[]), Ok(None));
        let plan = RepairArguments { direction: Direction::Subtype, confirm: None };
        assert_eq!(parsed(&["--repair", "--from", "subtype"]), Ok(Some(plan)));
        let confirmed = ["--repair", "--from", "legacy", "--execute", "--confirm", "0123456789AB"];
        let execute =
            RepairArguments { direction: Direction::Legacy, confirm: Some("0123456789ab".to_owned()) };
        assert_eq!(parsed(&confirmed), Ok(Some(execute)));
        for incomplete in [
            &["--repair"][..],
            &["--from", "legacy"],
            &["--repair", "--from", "legacy", "--execute"],
            &["--repair", "--from", "legacy", "--confirm", "0123456789ab"],
            &["--execute", "--confirm", "0123456789ab"],
        ] {
            assert_eq!(parsed(incomplete), Err(MissingRequiredArgument), "{incomplete:?}");
        }
        let with_file = ["--repair", "--from", "legacy", "--ids-out", "x"];
        assert_eq!(parsed(&with_file), Err(ArgumentConflict));
        let short = ["--repair", "--from", "legacy", "--execute", "--confirm", "012"];
        assert_eq!(parsed(&short), Err(ValueValidation));
        assert_eq!(parsed(&["--sample", "10001"]), Err(ValueValidation));
        assert_eq!(parsed(&["--max-seconds", "0"]), Err(ValueValidation));
        let with_limit = ["--repair", "--from", "legacy", "--max-seconds", "9"];
        assert_eq!(parsed(&with_limit), Err(ArgumentConflict));
    }
}
