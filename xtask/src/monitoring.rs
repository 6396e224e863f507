//! `cargo xtask monitoring`: whether metrics, rules, dashboard and their documentation agree.

mod binaries;
mod dashboard;
mod expressions;
mod live;
mod metrics_md;
mod rules;
mod tools;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::failure::{Failure, Outcome, workspace};
use expressions::Names;

/// Check docs/monitoring: by itself, with promtool and amtool, and with what the real binaries emit.
///
/// By itself: every metric and label that rules and dashboard name is in the catalogue, the dashboard fits Grafana's
/// schema, each alert has its entry in the runbook and a test where it fires and one where it is silent. With the tools
/// (Debian: prometheus, prometheus-alertmanager): rules, their tests, both configurations, and the binaries' metrics.
///
/// Exit 0 if all is well, 1 with findings, 2 if a tool is missing: it never passes by leaving something out.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only write what is generated: docs/monitoring/metrics.md.
    #[arg(long)]
    write: bool,
    /// Only play the live story: Prometheus with the shipped rules at sixty times the speed, Alertmanager,
    /// postgres_exporter, backfills that stall, are killed and completed, and the gate. Under a minute. Also needs
    /// Debian's prometheus-postgres-exporter.
    #[arg(long, conflicts_with = "write")]
    live: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let root = workspace();
    if options.write {
        let written = fs::write(root.join(metrics_md::PATH), metrics_md::render());
        written.map_err(Failure::during(format!("write {}", metrics_md::PATH)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let findings = if options.live {
        tools::need(&["prometheus", "prometheus-alertmanager", "prometheus-postgres-exporter"])?;
        live::run(&root)?
    } else {
        tools::need(&["promtool", "amtool"])?;
        let mut findings = check_files(&root)?;
        findings.extend(tools::check(&root)?);
        findings
    };
    println!();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("monitoring: fine");
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}

/// What needs no tool.
fn check_files(root: &Path) -> Result<Vec<String>, Failure> {
    let shipped = rules::read(root, rules::RULES)?;
    let baseline = rules::read(root, rules::BASELINE)?;
    let recorded = shipped.iter().chain(&baseline).filter_map(|rule| rule.record.clone()).collect();
    let names = Names::new(recorded);
    let mut findings = rules::check(root, &shipped, &names)?;
    findings.extend(dashboard::check(root, &names)?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_dashboard_and_runbook_name_only_what_there_is() {
        assert_eq!(check_files(&workspace()).unwrap(), [""; 0]);
    }
}
