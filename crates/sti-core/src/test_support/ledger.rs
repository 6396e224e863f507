//! Whether the backfill's ledger is sound, told without any of the library's code.

use super::database::TestDatabase;

/// Fails when a chunk of the ledger begins before the one in front of it ended, or behind it; when a chunk's counts do
/// not add up to the projects that it locked; or when a run that has ended has a chunk that has not.
///
/// Catch-up sweeps have no gap either: their chunks reach from one project that lacked its row to the next.
#[track_caller]
pub fn check_ledger(database: &TestDatabase) {
    let mut wrong = Vec::new();
    let chunks = database.select(
        &["run_id", "sweep", "number", "after_id", "through_id"],
        "FROM sti_backfill_chunk WHERE sweep > 0 ORDER BY run_id, sweep, through_id",
    );
    let mut before: Option<&Vec<Option<String>>> = None;
    for chunk in &chunks {
        let same_sweep = before.filter(|before| before[..2] == chunk[..2]);
        let expected = same_sweep.and_then(|before| before[4].clone());
        if chunk[3] != expected {
            wrong.push(format!("{chunk:?} begins elsewhere than behind {expected:?}"));
        }
        if chunk[3] >= chunk[4] {
            wrong.push(format!("{chunk:?} ends before it begins"));
        }
        before = Some(chunk);
    }
    let sums = "created_school + created_self_study + equal_school + equal_self_study + conflict_school \
                + conflict_self_study + unknown + error_school + error_self_study";
    let count = |what: &str, rows: &str| {
        let rows = database.select(&["id", "run_id", "number"], &format!("FROM sti_backfill_chunk {rows}"));
        rows.iter().map(|row| format!("{what}: {row:?}")).collect::<Vec<_>>()
    };
    wrong.extend(count("the counts do not add up", &format!("WHERE locked <> {sums}")));
    wrong.extend(count(
        "open in a run that has ended",
        "WHERE state = 'leased' AND run_id IN (SELECT id FROM sti_backfill_run WHERE state = 'done')",
    ));
    wrong.extend(count("open and counted", "WHERE state = 'leased' AND locked <> 0"));
    assert!(wrong.is_empty(), "the ledger is not sound:\n{}", wrong.join("\n"));
}
