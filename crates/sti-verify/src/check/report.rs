//! What a verification reports.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sti_cli::{Document, Report, Table, number, percent};
use sti_core::models::Kind;
use sti_core::verify::{ClassCount, FieldCounts, Severity, VerifyReport};

use super::words::{meaning, next_steps};
use crate::samples;

/// The report of a verification.
#[derive(Debug)]
pub(crate) struct CheckReport<'a> {
    target: String,
    verified: &'a VerifyReport,
    ids_out: Option<String>,
}

/// A class in JSON.
#[derive(Debug, Serialize)]
struct ClassJson {
    total: i64,
    by_type: sti_core::verify::Breakdown,
    with_values: sti_core::verify::Split,
    fields: Map<String, Value>,
}

impl<'a> CheckReport<'a> {
    pub(crate) fn new(target: String, verified: &'a VerifyReport, ids_out: Option<&Path>) -> Self {
        Self { target, verified, ids_out: ids_out.map(|path| path.display().to_string()) }
    }

    fn verdict(&self) -> String {
        if self.verified.is_clean() {
            "Clean: no findings.".to_owned()
        } else {
            format!("Not clean: {} projects or rows have findings.", number(self.verified.affected))
        }
    }

    fn scope(&self) -> String {
        let counts = &self.verified.counts;
        format!(
            "Compared value by value in one snapshot: {} projects with {} school rows and {} self-study rows. {} \
             projects have their row with equal values.",
            number(counts.projects.total()),
            number(counts.subtype_rows.school),
            number(counts.subtype_rows.self_study),
            number(self.verified.in_sync.total()),
        )
    }

    fn standby(&self) -> Option<String> {
        let standby = self.verified.standby?;
        let until = match standby.replayed {
            Some(replayed) => format!(
                "The last change that it had replayed was committed on the primary at {}",
                sti_cli::time::utc(replayed)
            ),
            None => "It has not replayed any change since it was started".to_owned(),
        };
        Some(format!("Read from a standby. {until}; what the primary has committed later is not in here."))
    }

    fn coverage(&self) -> String {
        let counts = &self.verified.counts;
        let plan = counts.plan_coverage();
        let [published, drafts] = [false, true].map(|is_draft| {
            let coverage = counts.coverage_of_known(is_draft);
            let share = percent(coverage.part, coverage.whole);
            format!("{} of {} ({share})", number(coverage.part), number(coverage.whole))
        });
        format!(
            "Have the row of their own type: {published} published projects of a known type, {drafts} drafts. (The \
             plan's count, {} subtype rows to {} published projects, never looks whose rows they are.)",
            number(plan.part),
            number(plan.whole),
        )
    }

    fn classes(&self, severity: Severity, titles: [&str; 2]) -> Table {
        let [title, last] = titles;
        let mut table = Table::new([title, "total", "school", "self-study", "unknown", "drafts", last]);
        for count in self.verified.of_severity(severity) {
            let by_type = &count.projects;
            let mut cells = vec![count.class.to_string(), number(count.total)];
            if count.class.orphan_kind().is_some() {
                cells.extend(["-"; 4].map(str::to_owned));
            } else {
                cells.extend(
                    [by_type.school, by_type.self_study, by_type.unknown].map(|of| number(of.total())),
                );
                cells.push(number(by_type.all().draft));
            }
            cells.push(meaning(count));
            table = table.row(cells);
        }
        table
    }

    fn drift(&self) -> Option<Table> {
        let drift =
            self.verified.classes.iter().find(|count| count.class == sti_core::verify::Class::Drift)?;
        let mut table = Table::new(["drifted column", "rows"]);
        for (field, rows) in drift.fields.iter() {
            table = table.row([field.to_owned(), number(rows)]);
        }
        (drift.total > 0).then_some(table)
    }
}

impl Report for CheckReport<'_> {
    fn document(&self) -> Document {
        let mut document = Document::new().heading(self.verdict()).paragraph(self.scope());
        if let Some(standby) = self.standby() {
            document = document.paragraph(standby);
        }
        document = document
            .paragraph(self.coverage())
            .table(self.classes(Severity::Finding, ["finding", "what it is"]));
        if self.verified.count(sti_core::verify::Class::WrongKind) > 0 {
            document = document.paragraph(
                "A project with a row of the wrong kind only lacks the right one too: it is in wrong_kind and, unless \
                 its type is unknown or it is a draft without values, in missing or missing_draft.",
            );
        }
        if let Some(drift) = self.drift() {
            document = document.table(drift);
        }
        document = document.table(
            self.classes(Severity::Notice, ["notice", "what it means when the legacy columns are dropped"]),
        );
        document = samples::add_to(document, &self.verified.samples);
        if let Some(path) = &self.ids_out {
            document = document.paragraph(format!("Every finding, a line each: {path}"));
        }
        for (why, command) in next_steps(self.verified) {
            document = document.paragraph(why).command(command);
        }
        document
    }

    fn json(&self) -> serde_json::Result<Value> {
        let verified = self.verified;
        let counts = &verified.counts;
        let share = |kind: Kind| {
            json!({
                "non_draft": counts.coverage(kind, false),
                "draft": counts.coverage(kind, true),
            })
        };
        Ok(json!({
            "target": self.target,
            "clean": verified.is_clean(),
            "standby": verified.standby.map(|standby| json!({
                "replayed": standby.replayed.map(|at| at.0.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            })),
            "refilling": verified.refilling,
            "affected": verified.affected,
            "projects": counts.projects,
            "subtype_rows": counts.subtype_rows,
            "in_sync": verified.in_sync,
            "coverage": {
                "plan": counts.plan_coverage(),
                "by_row": { "school": share(Kind::School), "self_study": share(Kind::SelfStudy) },
            },
            "findings": classes_json(verified.of_severity(Severity::Finding))?,
            "notices": classes_json(verified.of_severity(Severity::Notice))?,
            "legacy": {
                "nulls": fields_json(&verified.legacy.nulls),
                "empties": fields_json(&verified.legacy.empties),
                "with_values": verified.legacy.with_values,
            },
            "samples": samples::json(&verified.samples),
            "ids_out": self.ids_out,
        }))
    }
}

fn classes_json<'a>(classes: impl Iterator<Item = &'a ClassCount>) -> serde_json::Result<Map<String, Value>> {
    classes
        .map(|count| {
            let class = ClassJson {
                total: count.total,
                by_type: count.projects,
                with_values: count.with_values,
                fields: fields_json(&count.fields),
            };
            Ok((count.class.to_string(), serde_json::to_value(class)?))
        })
        .collect()
}

fn fields_json(fields: &FieldCounts) -> Map<String, Value> {
    fields.iter().map(|(field, count)| (field.to_owned(), json!(count))).collect()
}
