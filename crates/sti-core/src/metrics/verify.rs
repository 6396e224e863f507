//! What a verification found.

use metrics::gauge;

use super::catalogue::{LAST_CHECK, PROJECTS, VERIFICATION, VERIFY_FINDINGS};
use super::now;
use crate::models::Kind;
use crate::verify::{Severity, VerifyReport};

/// Tells what a verification found: every class, those without a project included.
pub fn verified(report: &VerifyReport) {
    VERIFICATION.iter().for_each(|metric| metric.describe());
    for count in &report.classes {
        let severity = match count.class.severity() {
            Severity::Finding => "finding",
            Severity::Notice => "notice",
        };
        gauge!(VERIFY_FINDINGS.name, "severity" => severity, "class" => count.class.as_str())
            .set(count.total as f64);
    }
    let projects = |project_type: &'static str, coverage: &'static str, count: i64| {
        gauge!(PROJECTS.name, "project_type" => project_type, "coverage" => coverage).set(count as f64);
    };
    let counts = &report.counts;
    for kind in Kind::ALL {
        let [all, covered, equal] = [counts.projects, counts.covered, report.in_sync]
            .map(|breakdown| breakdown.of(Some(kind)).total());
        projects(kind.as_str(), "covered", equal);
        projects(kind.as_str(), "missing", all - covered);
        projects(kind.as_str(), "mismatch", covered - equal);
    }
    // They have no subtype table: nothing of them can be covered.
    projects("unknown", "covered", 0);
    projects("unknown", "missing", counts.projects.of(None).total());
    projects("unknown", "mismatch", 0);
    gauge!(LAST_CHECK.name).set(now());
}
