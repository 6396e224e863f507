//! What the drop of the legacy columns tells.

use std::time::Duration;

use metrics::{counter, gauge};

use super::catalogue::{DROP, DROP_GATE, DROP_HELD, DROP_RETRIES};
use crate::contract::DropPlan;

/// Tells every gate of a plan.
pub fn drop_planned(plan: &DropPlan) {
    DROP.iter().for_each(|metric| metric.describe());
    counter!(DROP_RETRIES.name).increment(0);
    for result in &plan.gates {
        let open = if result.verdict.is_open() { 1.0 } else { 0.0 };
        gauge!(DROP_GATE.name, "gate" => result.gate.as_str()).set(open);
    }
}

/// Tells that the locks were not to be had, and are tried for again.
pub fn drop_locks_retried() {
    DROP.iter().for_each(|metric| metric.describe());
    counter!(DROP_RETRIES.name).increment(1);
}

/// Tells how long the locks were held.
pub fn drop_locks_held(held: Duration) {
    DROP.iter().for_each(|metric| metric.describe());
    gauge!(DROP_HELD.name).set(held.as_secs_f64());
}
