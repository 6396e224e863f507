//! The report for a ticket.

use std::fmt::Write as _;

use super::super::row::{Row, Verdict};
use super::Report;

/// All of it.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    let environment = &report.environment;
    writeln!(out, "# staging-check: {}\n", report.verdict())?;
    writeln!(out, "| | |\n| --- | --- |")?;
    let mut line = |what: &str, value: &str| writeln!(out, "| {what} | {} |", cell(value));
    line("began", &environment.began_at)?;
    line("took", &format!("{:.1} s", report.took.as_secs_f64()))?;
    line("database", &environment.database)?;
    line("that is", &report.place)?;
    if let Some((projects, seed)) = report.sample {
        line("sample", &format!("{projects} projects, seed {seed}"))?;
    }
    line("server", &environment.server)?;
    line("tools", &environment.tools.join(", "))?;
    line("commit", environment.commit.as_deref().unwrap_or("unknown"))?;
    line("system", &environment.system)?;
    if let Some(planted) = &report.planted {
        line("planted on purpose", planted)?;
    }
    writeln!(
        out,
        "\nEvery verdict comes from plain SQL of `cargo xtask staging-check` itself; exit codes and reports of the tools \
         are compared with it. The commands have the database in `DATABASE_URL`.\n\n## Summary\n"
    )?;
    writeln!(
        out,
        "| | step | verdict | checks | seconds | what |\n| ---: | --- | --- | ---: | ---: | --- |"
    )?;
    for (number, row) in (1..).zip(&report.rows) {
        let Row { id, title, .. } = row;
        let hold = row.checks.iter().filter(|check| check.holds).count();
        let (checks, seconds, verdict) = (row.checks.len(), row.took.as_secs_f64(), shown(row.verdict));
        writeln!(out, "| {number} | {id} | {verdict} | {hold} of {checks} | {seconds:.1} | {title} |")?;
    }
    (1..).zip(&report.rows).try_for_each(|(number, row)| write_row(number, row, out))
}

fn write_row(number: u32, row: &Row, out: &mut String) -> std::fmt::Result {
    let (id, title, verdict) = (row.id, row.title, shown(row.verdict));
    writeln!(out, "\n## {number}. {id}: {verdict}\n\n{title}.\n")?;
    if let Some(why) = &row.why {
        writeln!(out, "{}\n", because(row.verdict, why))?;
    }
    if !row.commands.is_empty() {
        writeln!(out, "```console")?;
        for ran in &row.commands {
            writeln!(out, "$ {}\n# exit code {}, {:.2} s", ran.line, ran.exit_words(), ran.seconds)?;
        }
        writeln!(out, "```\n")?;
    }
    if !row.checks.is_empty() {
        writeln!(out, "| what | expected | found | |\n| --- | --- | --- | --- |")?;
    }
    for check in &row.checks {
        let word = if check.holds { "ok" } else { "**FAIL**" };
        writeln!(
            out,
            "| {} | {} | {} | {word} |",
            cell(&check.what),
            cell(&check.expected),
            cell(&check.found)
        )?;
    }
    // What the tool said where it was not as expected.
    if row.verdict == Verdict::Fail {
        for ran in row.commands.iter().filter(|ran| !ran.stderr.trim().is_empty()) {
            writeln!(out, "\n`{}` said:\n\n```\n{}\n```", ran.line, ran.stderr.trim())?;
        }
    }
    Ok(())
}

fn because(verdict: Verdict, why: &str) -> String {
    match verdict {
        Verdict::Fail => format!("Stopped: {why}"),
        Verdict::NotRun => format!("It should have run, and did not: {why}"),
        Verdict::LeftOut | Verdict::Pass => format!("Left out: {why}"),
    }
}

fn shown(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "**FAIL**",
        Verdict::NotRun => "**NOT RUN**",
        other => other.word(),
    }
}

fn cell(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { text.replace('|', "\\|").replace('\n', " ") }
}
