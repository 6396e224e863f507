//! Who runs the server: PostgreSQL refuses root.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::ServerError;

/// The account that runs the server's programs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Account {
    /// The one that runs this process.
    Own,
    /// Another one, since this process is root's.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// The own account, or `postgres`, or `nobody` for root.
    pub(super) fn choose() -> Result<Self, ServerError> {
        let output = Command::new("id").arg("-u").output().map_err(ServerError::io("run `id -u`"))?;
        if String::from_utf8_lossy(&output.stdout).trim() != "0" {
            return Ok(Self::Own);
        }
        let accounts = fs::read_to_string("/etc/passwd").map_err(ServerError::io("read /etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| accounts.lines().find_map(|line| ids_of(line, name)))
            .map(|(uid, gid)| Self::Other { uid, gid })
            .ok_or(ServerError::NoAccount)
    }

    /// Makes `command` run as this account.
    pub(super) fn run(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives `folder` to this account.
    pub(super) fn own(self, folder: &Path) -> Result<(), ServerError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(folder, Some(uid), Some(gid))
                .map_err(ServerError::io(format!("give {} to user {uid}", folder.display()))),
        }
    }
}

/// User and group id of a line of passwd(5), if it is the one of `name`.
fn ids_of(line: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = line.split(':');
    (fields.next() == Some(name)).then_some(())?;
    let mut numbers = fields.skip(1).map(|field| field.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
