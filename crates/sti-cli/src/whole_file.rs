//! Files that are whole or not there: written beside their place, and moved there when they are on disk.

use std::fs::Permissions;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Makes a temporary file in the folder of `path`, readable as the user's umask has it, like any file that a command
/// makes. It is gone when dropped, unless it has been given its name.
///
/// # Errors
/// The folder is not there, or takes no file.
pub fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.prefix(".sti-").tempfile_in(folder)
}
