//! docs/runbook.md has an entry for whatever a tool refuses, and its headings are words that the tools print.

use std::fs;
use std::path::{Path, PathBuf};

use sti_core::RepositoryError;
use sti_core::backfill::BackfillError;
use sti_core::contract::back_out::{BackOutError, Obstacle};
use sti_core::contract::purge::{PurgeError, PurgeRefusal};
use sti_core::contract::restore::{Finish, Restoration, RestoreError};
use sti_core::contract::{Blocked, ContractError, Outcome, Refusal};
use sti_core::expand::UpError;
use sti_core::sync::SyncError;
use sti_core::verify::VerifyError;
use sti_core::verify::repair::{Refusal as RepairRefusal, RepairError};

const RUNBOOK: &str = include_str!("../../../../docs/runbook.md");

/// The anchors of the entries; a variant that is new does not compile until it has one. `""`: no refusal, or the words
/// are those of another error.
macro_rules! entries {
    ($type:ty { $($pattern:pat => $anchor:literal,)+ }) => {{
        const fn _every_variant(value: &$type) {
            match value { $($pattern => (),)+ }
        }
        vec![$($anchor),+]
    }};
}

fn anchors() -> Vec<&'static str> {
    let all = [
        entries!(Refusal {
            Refusal::Gates => "gates-shut",
            Refusal::GatesMeanwhile => "gates-meanwhile",
            Refusal::Rewritten { .. } => "rewritten",
            Refusal::Outrun { .. } => "outrun",
            Refusal::LockTooLong { .. } => "lock-too-long",
            Refusal::GatesUnderLock => "gates-under-lock",
            Refusal::AnotherPlan { .. } => "another-plan",
            Refusal::Expired { .. } => "expired",
        }),
        entries!(Outcome {
            Outcome::Done(_) | Outcome::Refused { .. } => "",
            Outcome::Blocked(Blocked { by_another_drop: true, .. }) => "blocked-by-another",
            Outcome::Blocked(Blocked { by_another_drop: false, .. }) => "blocked",
            Outcome::NotDone { .. } => "not-done",
            Outcome::Unknown { .. } => "outcome-unknown",
        }),
        entries!(ContractError {
            ContractError::AlreadyDropped { .. } => "already-dropped",
            ContractError::Overtaken => "overtaken",
            ContractError::Stopped => "drop-stopped",
            ContractError::Unexpected { .. } => "unexpected",
            ContractError::Connect(_) => "cannot-connect",
            ContractError::Verify(_) | ContractError::Migration(_) | ContractError::Db(_) => "",
        }),
        entries!(Restoration {
            Restoration::NothingDropped => "nothing-dropped",
            Restoration::ArchiveIncomplete { .. } => "archive-incomplete",
            Restoration::Already { .. } => "already-restored",
            Restoration::Done(_) => "",
            Restoration::NotVerified { .. } => "not-verified",
            Restoration::NotBegun { .. } => "restore-not-begun",
            Restoration::Stopped(_) => "restore-stopped",
        }),
        entries!(RestoreError {
            RestoreError::NoTable => "restore-no-table",
            RestoreError::NoEvent => "no-event",
            RestoreError::SeveralOpen(_) => "several-open",
            RestoreError::Definitions { .. } => "definitions",
            RestoreError::SyncTriggers => "sync-in-the-way",
            RestoreError::Locked { .. } => "restore-locked",
            RestoreError::Stopped { .. } => "chunk-stopped",
            RestoreError::Interrupted { .. } => "interrupted",
            RestoreError::Unknown(_) => "unknown",
            RestoreError::Interfered { .. } => "interfered",
            RestoreError::Changed(_) => "changed",
            RestoreError::Connect(_) => "cannot-connect",
            RestoreError::Verify(_) | RestoreError::Db(_) => "",
        }),
        entries!(Finish {
            Finish::NothingDropped => "finish-nothing",
            Finish::NotRestored { .. } => "not-restored",
            Finish::StillNeeded { .. } => "still-needed",
            Finish::Stopped { .. } => "finish-stopped",
            Finish::Already { .. } => "finish-already",
            Finish::Done { .. } => "",
        }),
        entries!(PurgeRefusal {
            PurgeRefusal::NotRestored => "purge-not-restored",
            PurgeRefusal::NotFinished(_) => "purge-not-finished",
            PurgeRefusal::OtherOpen(_) => "purge-other-open",
            PurgeRefusal::ColumnsMissing => "purge-columns-missing",
        }),
        entries!(PurgeError {
            PurgeError::NoSuchEvent { .. } => "no-such-drop",
            PurgeError::Overtaken { .. } => "purge-overtaken",
            PurgeError::Locked { .. } => "purge-locked",
            PurgeError::Interrupted { .. } => "purge-interrupted",
            PurgeError::Unknown(_) => "unknown",
            PurgeError::Connect(_) => "cannot-connect",
            PurgeError::Db(_) => "",
        }),
        entries!(Obstacle {
            Obstacle::ColumnsMissing => "back-out-dropped",
            Obstacle::Restoring => "back-out-restoring",
            Obstacle::SyncTriggers => "sync-in-the-way",
            Obstacle::Backfill => "back-out-backfill",
            Obstacle::Differs(_) => "back-out-differs",
            Obstacle::Orphans(_) => "back-out-orphans",
            Obstacle::Pointers(_) => "back-out-pointers",
        }),
        entries!(BackOutError {
            BackOutError::Stopped { .. } => "back-out-stopped",
            BackOutError::Unknown { .. } => "unknown",
            BackOutError::Interfered { .. } => "interfered",
            BackOutError::Connect(_) => "cannot-connect",
            BackOutError::Verify(_) | BackOutError::Db(_) => "",
        }),
        entries!(UpError {
            UpError::Refused(_) => "up-refused",
            UpError::Obstacles(_) => "up-obstacles",
            UpError::Locked { .. } => "up-locked",
            UpError::Unexpected(_) => "up-unexpected",
            UpError::Unknown(_) => "up-unknown",
            UpError::Db(_) | UpError::Migration(_) => "",
        }),
        entries!(RepairError {
            RepairError::Stopped { .. } => "repair-stopped",
            RepairError::Unknown { .. } => "repair-unknown",
            RepairError::Interfered { .. } => "repair-interfered",
            RepairError::NoLog => "repair-no-log",
            RepairError::Verify(_) => "",
        }),
        entries!(RepairRefusal {
            RepairRefusal::AnotherPlan { .. } => "repair-another-plan",
            RepairRefusal::Pointers => "repair-pointers",
        }),
        entries!(VerifyError {
            VerifyError::NoTable { .. } => "no-table",
            VerifyError::NoColumn { .. } => "no-column",
            VerifyError::LegacyColumnsGone => "nothing-to-compare",
            VerifyError::Refilling => "refilling",
            VerifyError::ShortPass { .. } => "short-pass",
            VerifyError::NoSnapshot => "no-snapshot",
            VerifyError::Unfinished { .. } => "not-finished",
            VerifyError::ServerLimit { .. } => "server-limit",
            VerifyError::Sink(_) => "sink",
            VerifyError::Database(_) => "",
        }),
        entries!(BackfillError {
            BackfillError::SchemaNotReady { .. } => "backfill-no-schema",
            BackfillError::SchemaMisfit(_) => "misfit",
            BackfillError::LegacyColumnsGone => "backfill-gone",
            BackfillError::Refilling => "refilling",
            BackfillError::CannotResume { .. } => "cannot-resume",
            BackfillError::NoReplication => "no-replication",
            BackfillError::DoesNotAddUp { .. } => "does-not-add-up",
            BackfillError::LeaseLost { .. } => "lease-lost",
            BackfillError::Threads(_) => "threads",
            BackfillError::Unknown { .. } => "backfill-unknown",
            BackfillError::Connect(_) => "cannot-connect",
            BackfillError::NotBegun(_) | BackfillError::Fill(_) | BackfillError::Database(_) => "",
        }),
        entries!(SyncError {
            SyncError::PostgresOnly => "sync-postgres-only",
            SyncError::Obstacles(_) => "sync-owner",
            SyncError::Locked { .. } => "sync-locked",
            SyncError::Unexpected(_) => "sync-unexpected",
            SyncError::Unknown(_) => "unknown",
            SyncError::Connect(_) => "cannot-connect",
            SyncError::Db(_) => "",
        }),
        entries!(RepositoryError {
            RepositoryError::NotFound { .. } | RepositoryError::TypeMismatch { .. } => "",
            RepositoryError::Referenced { .. } => "referenced",
            RepositoryError::UnsupportedIsolation { .. } => "isolation",
            RepositoryError::SchemaNotReady { .. } => "schema-not-ready",
            RepositoryError::LegacyColumnsGone => "legacy-gone",
            RepositoryError::Database(_) => "",
        }),
    ];
    all.concat().into_iter().filter(|anchor| !anchor.is_empty()).collect()
}

#[test]
fn whatever_is_refused_has_its_entry() {
    let missing: Vec<&str> = anchors()
        .into_iter()
        .filter(|anchor| !RUNBOOK.contains(&format!("<a id=\"{anchor}\"></a>\"")))
        .collect();
    assert_eq!(missing, [""; 0], "docs/runbook.md lacks these");
}

/// What a text must contain to have a heading in it: its pieces between `…` and `N`, in this order.
fn pieces(heading: &str) -> Vec<String> {
    let gap = |word: &str| word == "N" || word == "…" || word == "…,";
    let mut pieces = vec![String::new()];
    for word in heading.split_whitespace() {
        if gap(word) {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            *piece = format!("{piece} {word}").trim().to_owned();
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// How long that may be which stands for `…` or `N`.
const GAP: usize = 200;

fn says(text: &str, pieces: &[String]) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return true };
    text.match_indices(first.as_str()).any(|(at, _)| {
        let mut at = at + first.len();
        rest.iter().all(|piece| match text[at..].find(piece.as_str()) {
            Some(behind) if behind <= GAP => {
                at += behind + piece.len();
                true
            }
            _ => false,
        })
    })
}

/// Everything that the tools can print: their sources, with the lines of a text joined, and their snapshots.
fn sources() -> String {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            if entry.path().is_dir() {
                collect(&entry.path(), into);
            } else if entry.path().extension().is_some_and(|end| end == "rs" || end == "snap") {
                into.push(entry.path());
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for name in ["sti-core", "sti-cli", "sti-verify", "sti-migrate"] {
        collect(&crates.join(name).join("src"), &mut files);
        collect(&crates.join(name).join("tests/it/snapshots"), &mut files);
    }
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let lines = text.lines().map(|line| line.strip_suffix('\\').map_or(format!("{line} "), str::to_owned));
    lines.map(|line| line.trim_start().to_owned()).collect()
}

#[test]
fn every_heading_is_what_a_tool_prints() {
    let sources = sources();
    let runbook = RUNBOOK.split_once("## Refusals and errors").unwrap().1.split_once("## During").unwrap().0;
    // From the quotation mark behind `**`, or behind an anchor, to the one before `**`.
    let headings: Vec<&str> = runbook
        .split("\"**")
        .filter_map(|before| before.rfind("**").map(|at| &before[at + 2..]))
        .filter_map(|heading| heading.find("\"").map(|_| heading.rsplit("</a>").next().unwrap_or(heading)))
        .filter_map(|heading| heading.strip_prefix('"'))
        .collect();
    assert!(headings.len() > 60, "{}", headings.len());
    let foreign: Vec<&&str> = headings.iter().filter(|heading| !says(&sources, &pieces(heading))).collect();
    assert!(foreign.is_empty(), "nobody prints these: {foreign:#?}");
}
