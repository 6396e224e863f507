//! Who types the command, for those who read of it in another terminal.

/// `user@host`, as the environment and the machine have them. A courtesy, no proof.
#[must_use]
pub fn name() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|user| !user.trim().is_empty()));
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    format!("{}@{host}", user.as_deref().unwrap_or("somebody"))
}
