//! Processes that are killed, frozen, signalled and joined by others: the rows, the totals and the chunks of the ledger
//! are those of an undisturbed run.

mod at_random;
pub(crate) mod process;
mod takeover;
