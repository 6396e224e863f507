//! The report for a program.

use serde_json::{Value, json};

use super::super::row::{Row, Verdict};
use super::Report;
use crate::failure::Failure;

/// All of it, indented.
pub(super) fn text(report: &Report) -> Result<String, Failure> {
    let passes = report.passes();
    let steps: Vec<Value> = report.rows.iter().map(step).collect();
    let document = json!({
        "verdict": if passes { "pass" } else { "fail" },
        "exit_code": u8::from(!passes),
        "summary": {
            "steps": report.rows.len(),
            "passed": report.count(Verdict::Pass),
            "failed": report.count(Verdict::Fail),
            "not_run": report.count(Verdict::NotRun),
            "left_out": report.count(Verdict::LeftOut),
        },
        "environment": report.environment,
        "place": report.place,
        "sample": report.sample.map(|(projects, seed)| json!({ "projects": projects, "seed": seed })),
        "planted": report.planted,
        "seconds": report.took.as_secs_f64(),
        "steps": steps,
    });
    let text =
        serde_json::to_string_pretty(&document).map_err(Failure::during("write the report as JSON"))?;
    Ok(text + "\n")
}

fn step(row: &Row) -> Value {
    let commands: Vec<Value> = row
        .commands
        .iter()
        .map(|ran| {
            json!({ "line": ran.line, "exit_code": ran.exit, "seconds": ran.seconds, "stderr": ran.stderr.trim() })
        })
        .collect();
    json!({
        "step": row.id,
        "title": row.title,
        "verdict": row.verdict,
        "why": row.why,
        "seconds": row.took.as_secs_f64(),
        "commands": commands,
        "checks": row.checks,
    })
}
