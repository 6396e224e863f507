//! What the drop tells the metrics.

use sti_core::both_backends;
use sti_core::test_support::TestDatabase;

use super::rig::{digest, drop_legacy, json, ready};
use crate::rig::on;

both_backends! { every_gate_is_told_and_how_long_the_locks_were_held }

fn every_gate_is_told_and_how_long_the_locks_were_held(database: &TestDatabase) {
    ready(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.prom");
    let textfile = ["--metrics-textfile", file.to_str().unwrap()];
    let read = || std::fs::read_to_string(&file).unwrap();

    let shut = json(on(database, &["drop-legacy"]).args(textfile), 1);
    let gates = shut["gates"].as_array().unwrap();
    for gate in gates {
        let open = ["pass", "waived"].contains(&gate["verdict"].as_str().unwrap());
        let line = format!("sti_drop_gate_open{{gate={}}} {}", gate["name"], u8::from(open));
        assert!(read().lines().any(|found| found == line), "{line} is not in\n{}", read());
    }
    assert_eq!(read().matches("\nsti_drop_gate_open{").count(), gates.len());
    assert!(gates.len() > 10, "{shut:#}");
    assert!(!read().contains("sti_drop_lock_held_seconds "), "nothing was locked");

    let confirmed = ["--execute", "--confirm", &digest(database)];
    json(drop_legacy(database, &confirmed).args(textfile), 0);
    assert!(read().contains("\nsti_drop_lock_held_seconds "), "{}", read());
    assert!(read().contains("command=\"sti-migrate drop-legacy\"} 0"), "{}", read());
}
