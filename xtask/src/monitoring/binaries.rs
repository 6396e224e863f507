//! What the real binaries emit.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::finish;
use crate::failure::Failure;

/// Builds the three binaries and gives their folder.
pub(super) fn build(root: &Path) -> Result<PathBuf, Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = ["-p", "sti-cli", "-p", "sti-verify", "-p", "sti-migrate"];
    finish(Command::new(cargo).current_dir(root).arg("build").args(packages).arg("--bins"), &[0])?;
    // This program is built beside them.
    let here = env::current_exe().map_err(Failure::during("find this program"))?;
    here.parent().map(Path::to_path_buf).ok_or_else(|| Failure::new("this program is in no folder"))
}

/// Runs each of them on a small database in `folder`; gives what they left in their metrics files.
pub(super) fn metrics(root: &Path, folder: &Path) -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let binaries = build(root)?;
    let url = format!("sqlite:{}", folder.join("sample.db").display());
    let mut made = Vec::new();
    // The sample has conflicts, which make exit code 1.
    for (name, binary, arguments) in [
        ("sti-migrate up", "sti-migrate", &["up", "--create"][..]),
        ("sti backfill", "sti", &["backfill"]),
        ("sti-verify", "sti-verify", &["--sample", "0"]),
    ] {
        let file = folder.join(format!("{}.prom", name.replace(' ', "-")));
        let mut command = Command::new(binaries.join(binary));
        command
            .current_dir(folder)
            .args(arguments)
            .args(["--database-url", &url, "--metrics-textfile"])
            .arg(&file);
        finish(command.env("ENABLE_STI", "true").env_remove("DATABASE_URL"), &[0, 1])?;
        made.push((name, file));
        if binary == "sti-migrate" {
            let mut sample = Command::new(env::current_exe().map_err(Failure::during("find this program"))?);
            finish(
                sample.args(["sample", "--projects", "500", "--seed", "1", "--database-url", &url]),
                &[0],
            )?;
        }
    }
    Ok(made)
}
