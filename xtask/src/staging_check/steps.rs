//! The steps of the walk, in the order of the rollout plan. One file a group.

mod after;
mod backfill;
mod clean;
mod counts;
mod drop;
mod dry_run;
mod dual_write;
mod expand;
mod guard;
mod kill;
mod restore;
mod sample;
mod trap;

use super::row::{Row, Stop};
use super::walk::Walk;

/// One step.
pub(super) struct Step {
    /// Its name in reports, and in the list of defects.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) walk: fn(&mut Walk, &mut Row) -> Result<(), Stop>,
}

const fn step(
    id: &'static str,
    title: &'static str,
    walk: fn(&mut Walk, &mut Row) -> Result<(), Stop>,
) -> Step {
    Step { id, title, walk }
}

/// Every step.
pub(super) const ALL: [Step; 27] = [
    step("sample", "a database as Django made it, with awkward projects", sample::make),
    step("expand", "sti-migrate up adopts it and changes no row", expand::up),
    step("counts", "sti counts says what our own SQL counts", counts::compare),
    step("dry-run", "the dry run foretells every outcome and writes nothing", dry_run::run),
    step("flag-off", "a live run is refused while ENABLE_STI is off", dry_run::flag_off),
    step("kill", "kill -9 in the middle: what is recorded is what is there", kill::kill),
    step("guard-incomplete", "the guard refuses in the middle of a backfill", guard::incomplete),
    step("resume", "the same command resumes; every total is exact", backfill::resume),
    step("backfill", "every published project has exactly its row", backfill::rows),
    step("drafts", "so have the drafts, which the plan forgot", backfill::drafts),
    step("dual-write", "services in dual and subtype mode keep both sides level", dual_write::both_modes),
    step("trap", "numbers match and rows do not: the plan's guard passes, ours refuses", trap::guard),
    step("verify", "sti-verify finds exactly what our own SQL finds", trap::verify),
    step("repair", "backfill and repair mend it; the legacy columns stay as they are", clean::repair),
    step("clean", "both sides agree in every row and field", clean::verify),
    step("guard", "the guard passes with waivers by name and count, not without", guard::waivers),
    step("digest", "another digest is refused", guard::wrong_digest),
    step("rehearsal", "the rehearsal changes nothing", drop::rehearse),
    step("drop", "the columns go, every value is in the archive", drop::execute),
    step("service", "the services go on through the drop, legacy mode does not start", after::service),
    step("restore", "the columns come back with every value", restore::restore),
    step("restored", "both sides agree again, for the services too", restore::verify),
    step("finish", "nothing of the restore is left over", restore::finish),
    step("second-drop", "drop and restore once more: every value again", restore::again),
    step("legacy", "back to ENABLE_STI=false: legacy mode opens, reads and writes", after::legacy),
    step("drift-found", "what legacy mode left behind is found and mended", after::mend_after),
    step("tidy", "what the walk made is gone; the application's own is as it was", after::tidy),
];
