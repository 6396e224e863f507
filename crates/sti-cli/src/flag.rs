//! `ENABLE_STI` as the service has it. Read from the environment only, never from `.env`: a flag that a file in
//! some folder could turn would say nothing about the service.

use sti_core::repository::WriteMode;

use crate::answer::Failure;

/// The name of the variable.
pub const VARIABLE: &str = "ENABLE_STI";

/// The value of `ENABLE_STI`, empty when it is unset.
///
/// # Errors
/// A value that is not UTF-8.
pub fn value() -> Result<String, Failure> {
    match std::env::var(VARIABLE) {
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => Ok(String::new()),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::failed("ENABLE_STI is not UTF-8")),
    }
}

/// The write mode that `ENABLE_STI` names.
///
/// # Errors
/// A value that names none; the message lists those that do.
pub fn write_mode() -> Result<WriteMode, Failure> {
    let text = value()?;
    if text.is_empty() {
        return Ok(WriteMode::default());
    }
    text.parse().map_err(|e| Failure::failed(format_args!("{VARIABLE}: {e}")))
}
