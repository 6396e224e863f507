//! Where PostgreSQL's programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BINARIES_VARIABLE, ServerError};

/// The line to run where PostgreSQL is missing.
pub const INSTALL_HINT: &str =
    "install it with `apt-get install postgresql`, or name its folder in STI_POSTGRES_BIN";

const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// A folder that holds `initdb` and `postgres`.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
    /// Set for a folder that the caller named: such a bundle brings its libraries in `../lib`.
    libraries: Option<PathBuf>,
}

impl Binaries {
    /// Finds the server's programs: the folder that `STI_POSTGRES_BIN` names, else as [`Binaries::find`].
    ///
    /// # Errors
    /// [`ServerError::NotFound`], which says what was searched and the line to run.
    pub fn from_environment() -> Result<Self, ServerError> {
        Self::find(env::var_os(BINARIES_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    /// Finds the server's programs: in `given` and nowhere else if there is one, else on `PATH` (symbolic links
    /// resolved), else in the highest version below `/usr/lib/postgresql`.
    ///
    /// # Errors
    /// [`ServerError::NotFound`], which says what was searched and the line to run.
    pub fn find(given: Option<PathBuf>) -> Result<Self, ServerError> {
        if let Some(folder) = given {
            if !holds_server(&folder) {
                return Err(ServerError::NotFound { searched: folder.display().to_string() });
            }
            let libraries = folder.parent().map(|parent| parent.join("lib")).filter(|lib| lib.is_dir());
            return Ok(Self { folder, libraries });
        }
        let on_path = search_path().filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok());
        on_path
            .filter_map(|program| program.parent().map(Path::to_path_buf))
            .chain(debian_folders())
            .find(|folder| holds_server(folder))
            .map(|folder| Self { folder, libraries: None })
            .ok_or_else(|| ServerError::NotFound {
                searched: format!("PATH and {DEBIAN_FOLDER}/*/bin; {BINARIES_VARIABLE} is not set"),
            })
    }

    /// The folder that holds them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `postgres --version` prints.
    ///
    /// # Errors
    /// When the program does not run.
    pub fn version(&self) -> Result<String, ServerError> {
        version_of(self.command(&self.folder.join("postgres")))
    }

    /// `pg_restore`: the one beside the server, else the first on `PATH`, else Debian's highest. Bundles of
    /// server programs leave it out.
    ///
    /// # Errors
    /// [`ServerError::NotFound`].
    pub fn pg_restore(&self) -> Result<Command, ServerError> {
        let beside = self.folder.join("pg_restore");
        if beside.is_file() {
            return Ok(self.command(&beside));
        }
        search_path()
            .chain(debian_folders())
            .map(|folder| folder.join("pg_restore"))
            .find(|program| program.is_file())
            .map(Command::new)
            .ok_or_else(|| ServerError::NotFound {
                searched: format!(
                    "pg_restore in {}, on PATH and in {DEBIAN_FOLDER}/*/bin",
                    self.folder.display()
                ),
            })
    }

    /// What `pg_restore --version` prints, for the program that [`Binaries::pg_restore`] finds.
    ///
    /// # Errors
    /// When there is none, or it does not run.
    pub fn pg_restore_version(&self) -> Result<String, ServerError> {
        version_of(self.pg_restore()?)
    }

    /// A command of this folder, with the libraries that came with it.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

fn version_of(mut command: Command) -> Result<String, ServerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.arg("--version").output().map_err(ServerError::io(format!("run {program}")))?;
    if !output.status.success() {
        return Err(ServerError::Program {
            program: format!("{program} --version"),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn holds_server(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// Debian's version folders, the highest version first.
fn debian_folders() -> impl Iterator<Item = PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN_FOLDER)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, folder)| folder)
}
