//! Snapshot files: none pending, and none that no test compares with any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::tree;
use crate::failure::Failure;

/// Snapshots that a test wrote and nobody accepted.
pub(super) fn pending(root: &Path) -> Result<Vec<String>, Failure> {
    let pending = |file: &&PathBuf| {
        let name = file.to_string_lossy();
        name.ends_with(".snap.new") || name.ends_with(".pending-snap")
    };
    let files = tree::files(root)?;
    Ok(files.iter().filter(pending).map(|f| format!("{}: pending snapshot", tree::shown(root, f))).collect())
}

/// Snapshot files that are not in `references`, the list that insta wrote while every test ran. cargo-insta does
/// the same, but a fresh machine does not have it.
pub(crate) fn unreferenced(root: &Path, references: &Path) -> Result<Vec<String>, Failure> {
    // insta writes the list when a test first compares a snapshot file: no such test, no list.
    let text = if references.exists() {
        fs::read_to_string(references).map_err(Failure::during(format!("read {}", references.display())))?
    } else {
        String::new()
    };
    let used: BTreeSet<PathBuf> =
        text.lines().filter_map(|line| fs::canonicalize(root.join(line)).ok()).collect();
    let mut findings = Vec::new();
    for file in tree::files(root)? {
        let is_snapshot = file.extension().is_some_and(|extension| extension == "snap");
        let place = fs::canonicalize(&file).map_err(Failure::during(format!("find {}", file.display())))?;
        if is_snapshot && !used.contains(&place) {
            findings.push(format!(
                "{}: no test compares with this snapshot: remove it",
                tree::shown(root, &file)
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_no_test_uses_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/x/tests/snapshots");
        fs::create_dir_all(&folder).unwrap();
        for name in ["used.snap", "stale.snap", "new.snap.new"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let references = root.path().join("list");
        fs::write(&references, format!("{}\n", folder.join("../snapshots/used.snap").display())).unwrap();
        assert_eq!(
            unreferenced(root.path(), &references).unwrap(),
            ["crates/x/tests/snapshots/stale.snap: no test compares with this snapshot: remove it"]
        );
        assert_eq!(unreferenced(root.path(), &root.path().join("no list")).unwrap().len(), 2);
        assert_eq!(
            pending(root.path()).unwrap(),
            ["crates/x/tests/snapshots/new.snap.new: pending snapshot"]
        );
    }
}
