//! The dry run, and the live run that a flag forbids.

use std::fs;
use std::path::Path;

use sti_core::test_support::RowSetDigest;

use crate::failure::Failure;
use crate::staging_check::census::Census;
use crate::staging_check::ledger::{self, Totals};
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::sides::Kind;
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn run(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let census = Census::take(walk.database())?;
    let before = walk.everything()?;
    let file = walk.database().url().sqlite_path().map(Path::to_path_buf);
    let bytes = file.as_deref().map(bytes).transpose()?;
    let ran = walk.run(row, "ENABLE_STI=true sti backfill --dry-run --format json")?;
    row.exit(&ran, 0);
    walk.look(row);
    if let (Some(path), Some(before)) = (&file, bytes) {
        let now = self::bytes(path)?;
        row.equal("the SQLite file, byte for byte", before, now);
    }
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    let totals = Totals::to_come(&census);
    row.equal("outcomes: our SQL, and the tool's report", totals, Totals::said(&ran.json()?));
    walk.memory.totals = Some(totals);
    walk.memory.rows_before = census.rows();
    walk.memory.runs_before = ledger::runs(walk.database())?;
    let database = walk.database();
    let school = Kind::School.rows_to_come(database, "NOT p.is_draft")?;
    walk.memory.rows_to_come = Some([school, Kind::SelfStudy.rows_to_come(database, "NOT p.is_draft")?]);
    Ok(())
}

/// Length and digest of a file.
fn bytes(path: &Path) -> Result<String, Failure> {
    let content = fs::read(path).map_err(Failure::during(format!("read {}", path.display())))?;
    let mut digest = RowSetDigest::default();
    // Hexadecimal or not, the digest takes texts; bytes that are no text count as well.
    for (number, part) in content.chunks(65_536).enumerate() {
        let text: String = part.iter().map(|byte| char::from(*byte)).collect();
        digest.add(&number.to_string(), &[Some(text)]);
    }
    Ok(format!("{} bytes, digest {digest}", content.len()))
}

pub(in crate::staging_check) fn flag_off(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let (before, runs) = (walk.everything()?, ledger::runs(walk.database())?);
    for line in ["sti backfill --format json", "ENABLE_STI=false sti backfill --format json"] {
        let ran = walk.run(row, line)?;
        row.exit(&ran, 1);
    }
    walk.look(row);
    row.equal("runs in the ledger", runs, ledger::runs(walk.database())?);
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    Ok(())
}
