//! Numbers that look random and are the same on every machine.

/// A stream of numbers (splitmix64). Each project has a stream of its own, so that a project does not change when
/// the one before it is made another way, and the first 1,000 of a million are the same as of 1,000.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of project `index` for `seed`.
    pub(super) fn of_project(seed: u64, index: u64) -> Self {
        let mut of_seed = Self(seed);
        Self(of_seed.next() ^ index.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((self.next() >> 32) * end) >> 32
    }

    /// True in `chance` of 1,000 cases.
    pub(super) fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }

    pub(super) fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        let index = self.below(list.len() as u64);
        &list[index as usize]
    }

    /// A version 4 UUID as 32 hex digits.
    pub(super) fn uuid(&mut self) -> String {
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() & !(0b11 << 62)) | (0b10 << 62);
        format!("{high:016x}{low:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_and_spread() {
        let ids: std::collections::BTreeSet<String> =
            (0..1000).map(|index| Random::of_project(7, index).uuid()).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            assert_eq!(id.len(), 32);
            assert_eq!(&id[12..13], "4");
            assert!("89ab".contains(&id[16..17]), "{id}");
        }
        let first: std::collections::BTreeSet<&str> = ids.iter().map(|id| &id[..1]).collect();
        assert_eq!(first.len(), 16);
    }
}
