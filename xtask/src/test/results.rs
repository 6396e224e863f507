//! What `cargo test` says about its tests, added up.

/// Sums over all test binaries and doc tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Results {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
    postgres: u64,
    sqlite: u64,
}

impl Results {
    /// Takes in one line of output; lines of no interest are let by.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... ok")) {
            self.postgres += u64::from(name.ends_with("postgres"));
            self.sqlite += u64::from(name.ends_with("sqlite"));
            return;
        }
        let Some((_, sums)) = line.split_once("test result: ") else { return };
        self.binaries += 1;
        // "ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s"
        for part in sums.split("; ") {
            let words: Vec<&str> = part.split_whitespace().collect();
            let [.., number, word] = words.as_slice() else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match *word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Passed, passed by name on PostgreSQL, on SQLite, failed, ignored, test binaries.
    pub(crate) fn figures(&self) -> [u64; 6] {
        [self.passed, self.postgres, self.sqlite, self.failed, self.ignored, self.binaries]
    }

    /// Why these results prove less than they seem to. A `whole` run must have covered both backends.
    pub(crate) fn complaints(&self, whole: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.passed + self.failed == 0 {
            complaints.push("no test ran".to_owned());
        }
        if whole && self.ignored > 0 {
            complaints.push(format!("{} tests were ignored: a test here runs or is removed", self.ignored));
        }
        for (backend, count) in [("PostgreSQL", self.postgres), ("SQLite", self.sqlite)] {
            if whole && self.failed == 0 && count == 0 {
                complaints.push(format!("no test ran on {backend}"));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(lines: &[&str]) -> Results {
        let mut results = Results::default();
        for line in lines {
            results.read(line);
        }
        results
    }

    #[test]
    fn sums_are_over_all_binaries() {
        let found = results(&[
            "test support::case::postgres ... ok",
            "test support::case::sqlite ... ok",
            "test support::other::sqlite ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1.01s",
            "test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "all doctests ran in 1.90s; merged doctests compilation took 1.72s",
        ]);
        assert_eq!(found, Results { binaries: 2, passed: 7, failed: 1, ignored: 2, postgres: 1, sqlite: 1 });
    }

    #[test]
    fn a_run_without_tests_is_no_success() {
        let nothing = results(&[
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0s",
        ]);
        assert_eq!(nothing.complaints(false), ["no test ran"]);
    }

    #[test]
    fn a_whole_run_covers_both_backends_and_ignores_nothing() {
        let half = results(&[
            "test a::sqlite ... ok",
            "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0s",
        ]);
        assert_eq!(
            half.complaints(true),
            ["1 tests were ignored: a test here runs or is removed", "no test ran on PostgreSQL"]
        );
        assert!(half.complaints(false).is_empty());
    }
}
