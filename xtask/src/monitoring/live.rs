//! The monitoring of a rollout, live: a real Prometheus with the shipped rules, Alertmanager, postgres_exporter and
//! backfills, at sixty times the speed.

mod api;
mod backfill;
mod dashboard;
mod processes;
mod scaled;
mod services;
mod wait;
mod webhook;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Failure;
use crate::monitoring::binaries;
use backfill::Backfills;
use dashboard::Panels;
use services::Services;
use wait::until;

/// Every alert that must come and go.
const ALERTS: [&str; 4] =
    ["HighAPIErrorRate", "STIBackfillErrorRate", "STIBackfillStalled", "STIBackfillInterrupted"];

/// Plays the story; gives what went wrong in it.
pub(super) fn run(root: &Path) -> Result<Vec<String>, Failure> {
    let binaries = binaries::build(root)?;
    let begun = Instant::now();
    let say = |what: &str| println!("{:5.1} s  {what}", begun.elapsed().as_secs_f64());
    let services = Services::start(root, binaries)?;
    say("Prometheus, Alertmanager, postgres_exporter, an API and PostgreSQL are up");
    let panels = Panels::read(root)?;
    let outcome = play(&services, &say);
    if let Err(failure) = outcome {
        services.show_logs();
        return Err(failure);
    }
    let mut findings = panels.findings(begun, &services)?;
    findings.extend(services.types_that_differ()?);
    for alert in ALERTS {
        for state in ["firing", "resolved"] {
            if !services.webhook.heard(alert, state) {
                findings.push(format!("Alertmanager never told the webhook that {alert} is {state}"));
            }
        }
    }
    say("over");
    Ok(findings)
}

fn play(services: &Services, say: &dyn Fn(&str)) -> Result<(), Failure> {
    services.measured()?;
    services.baseline()?;
    say("the baseline is frozen and loaded");
    until("the gate says go", || Ok(services.gate()? == 0))?;
    say("gate: 0");

    // One process stands still in a chunk, and the other waits for it: it runs and makes no progress.
    let mut backfills = Backfills::start(services)?;
    services.api.fail(true);
    say("two backfills run, one of them stands still; the API and the backfill meet errors");
    for alert in ["STIBackfillErrorRate", "HighAPIErrorRate"] {
        until(&format!("{alert} fires"), || services.is_firing(alert))?;
        services.was_pending(alert)?;
        say(&format!("{alert} fires"));
        if alert == "STIBackfillErrorRate" {
            // At once: a fast machine is soon through with the chunks that have errors.
            all_read(&services.gate_report()?)?;
            say("the gate sees the errors of the backfill");
        }
    }
    until("the gate says stop", || Ok(services.gate()? == 1))?;
    say("gate: 1");
    services.api.fail(false);
    for alert in ["HighAPIErrorRate", "STIBackfillErrorRate"] {
        services.is_over(alert)?;
    }
    say("both are over");
    until("the gate says go again", || Ok(services.gate()? == 0))?;
    say("gate: 0");
    until("STIBackfillStalled fires", || services.is_firing("STIBackfillStalled"))?;
    services.was_pending("STIBackfillStalled")?;
    say("STIBackfillStalled fires");

    backfills.kill();
    until("STIBackfillInterrupted fires", || services.is_firing("STIBackfillInterrupted"))?;
    services.was_pending("STIBackfillInterrupted")?;
    services.is_over("STIBackfillStalled")?;
    say("killed: STIBackfillInterrupted fires, STIBackfillStalled is over");
    backfills.complete(services)?;
    services.is_over("STIBackfillInterrupted")?;
    say("completed by a third process: STIBackfillInterrupted is over");
    backfills.end()?;
    for alert in ALERTS {
        let heard = || Ok(services.webhook.heard(alert, "resolved"));
        until(&format!("the webhook hears that {alert} is over"), heard)?;
    }
    Ok(())
}

/// Every trigger of a report has a number, and the backfill's says stop.
fn all_read(report: &Value) -> Result<(), Failure> {
    let triggers = report["triggers"].as_array().cloned().unwrap_or_default();
    let errors = triggers.iter().find(|trigger| trigger["name"] == "backfill-errors-now");
    if errors.is_none_or(|errors| errors["answer"] != "stop") {
        return Err(Failure::new(format!("the gate does not see the errors of the backfill:\n{report:#}")));
    }
    match triggers.iter().find(|trigger| !trigger["value"].is_number()) {
        None if !triggers.is_empty() => Ok(()),
        _ => Err(Failure::new(format!("the gate cannot read everything:\n{report:#}"))),
    }
}

/// The time that anything may take before the test gives up on it: a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
