//! The files of the project: all but what is built and what git keeps.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// All files below `root`, sorted, without `target` and hidden folders other than `.ci`.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let failed = |error| Failure::during(format!("read {}", folder.display()))(error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && name != "target" && (!name.starts_with('.') || name == ".ci") {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `file` as the person sees it.
pub(crate) fn shown(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).display().to_string()
}
