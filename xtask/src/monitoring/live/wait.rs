//! Waiting for what must come.

use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::failure::Failure;

/// Asks until `there` says yes; a failure that names `what` when it does not come.
pub(super) fn until(what: &str, mut there: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begun = Instant::now();
    while !there()? {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(format!("in {} s it did not come that {what}", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
