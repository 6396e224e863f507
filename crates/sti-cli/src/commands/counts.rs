//! `sti counts`

use serde::Serialize;
use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, Document, Exit, Report, Table, number, percent};
use sti_core::db::Access;
use sti_core::models::Kind;
use sti_core::verify::{Counts, Coverage, counts};

/// Count projects and subtype rows: what the rollout plan's shell snippets print, drafts and unknown types beside it.
///
/// Reads one snapshot and takes no locks. The plan's coverage is a quotient of two counts and can reach 100 % while
/// projects have no row; the coverage by row looks at each project. What differs in value is the business of
/// `sti-verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti counts")?;
    let counts = counts(&mut target.connect(Access::Read)?)?;
    CountsReport { target: target.url.to_string(), counts, plan_coverage: counts.plan_coverage() }
        .print(common.format)?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct CountsReport {
    target: String,
    #[serde(flatten)]
    counts: Counts,
    plan_coverage: Coverage,
}

fn share(coverage: Coverage) -> [String; 3] {
    [number(coverage.part), number(coverage.whole), percent(coverage.part, coverage.whole)]
}

fn name(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::School) => "school",
        Some(Kind::SelfStudy) => "self-study",
        None => "unknown type",
    }
}

impl CountsReport {
    fn projects(&self) -> Table {
        let row = |name: &str, non_draft: i64, draft: i64| {
            [name.to_owned(), number(non_draft), number(draft), number(non_draft + draft)]
        };
        let mut table = Table::new(["projects", "non-draft", "draft", "all"]);
        for kind in [Some(Kind::School), Some(Kind::SelfStudy), None] {
            let split = self.counts.projects.of(kind);
            table = table.row(row(name(kind), split.non_draft, split.draft));
        }
        let all = self.counts.projects.all();
        table.row(row("all", all.non_draft, all.draft))
    }

    fn rows(&self) -> Table {
        let counts = &self.counts;
        let mut table = Table::new(["subtype rows", "rows", "of wrong kind", "without project"]);
        for kind in Kind::ALL {
            table = table.row([
                kind.table().to_owned(),
                number(counts.subtype_rows.of(kind)),
                number(counts.rows_of_wrong_kind.of(kind)),
                number(counts.orphans.of(kind)),
            ]);
        }
        table
    }

    fn coverage(&self) -> Table {
        let row = |name: String, coverage: Coverage| {
            let [part, whole, share] = share(coverage);
            [name, part, whole, share]
        };
        let mut table = Table::new(["coverage by row", "have their row", "of", "share"]);
        for (is_draft, state) in [(false, "non-draft"), (true, "draft")] {
            for kind in Kind::ALL {
                let coverage = self.counts.coverage(kind, is_draft);
                table = table.row(row(format!("{}, {state}", name(Some(kind))), coverage));
            }
        }
        table
    }

    /// What the plan's snippets print, and how it compares.
    fn plan(&self) -> String {
        let Coverage { part, whole } = self.plan_coverage;
        let by_row = self.counts.coverage_of_known(false);
        format!(
            "The plan's coverage: {} subtype rows / {} non-draft projects = {}. By row: {} of the {} non-draft projects \
             of a known type have theirs.",
            number(part),
            number(whole),
            percent(part, whole),
            number(by_row.part),
            number(by_row.whole),
        )
    }
}

impl Report for CountsReport {
    fn document(&self) -> Document {
        Document::new()
            .table(self.projects())
            .table(self.rows())
            .table(self.coverage())
            .paragraph(self.plan())
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}
