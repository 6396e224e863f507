//! How often, and after what rest, a transaction that failed for no fault of its own is run again.

use std::time::Duration;

/// How many times a transaction is run again after the first failure.
pub const RETRIES: u32 = 5;

/// The rest before retry number `retry` (counted from 1): 0.1 s doubled each time up to 1.6 s, of which a
/// random half is waited, so that two rivals do not meet again.
#[must_use]
pub fn rest(retry: u32) -> Duration {
    let whole = 100_u64 << retry.saturating_sub(1).min(4);
    Duration::from_millis(whole / 2 + fastrand::u64(0..=whole / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_stay_in_bounds() {
        for (retry, whole) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1600), (50, 1600)] {
            let rest = u64::try_from(rest(retry).as_millis()).unwrap();
            assert!((whole / 2..=whole).contains(&rest), "retry {retry}: {rest} ms");
        }
    }
}
