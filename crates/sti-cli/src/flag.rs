//! `ENABLE_STI` as the service has it. Read from the environment only, never from `.env`: a flag that a file in
//! some folder could turn would say nothing about the service.

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
