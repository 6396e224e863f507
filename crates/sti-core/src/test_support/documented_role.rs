//! A role with the rights that docs/sti_rollout.md names, and no others.

use std::path::Path;

use super::database::TestDatabase;

/// The role's name in the document.
const ROLE: &str = "sti_tool";

/// The statements of the document.
#[track_caller]
fn grants() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sti_rollout.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let after = text.split_once("```sql\n").unwrap_or_else(|| panic!("no SQL in {}", path.display())).1;
    after.split_once("```").map_or(after, |(block, _)| block).to_owned()
}

/// The URL of a role of this PostgreSQL database that has been granted what docs/sti_rollout.md says; with `reading`,
/// SELECT alone on the same tables. Our migrations must have run.
#[must_use]
#[track_caller]
pub fn documented_role(database: &TestDatabase, reading: bool) -> String {
    let url = database.application_role();
    let role = database.value("SELECT current_database() || '_app'");
    let grants = grants().replace(ROLE, &role);
    let all = "SELECT, INSERT, UPDATE, DELETE";
    let grants = if reading { grants.replace(all, "SELECT") } else { grants };
    assert!(grants.contains(&role), "{grants}");
    database.execute(&grants);
    url
}
