//! What does not fit, as every command gives it to programs.

use serde::Serialize;
use sti_core::expand::Misfit;

/// The JSON form of a misfit.
#[derive(Debug, Serialize)]
pub(super) struct MisfitJson {
    table: String,
    column: Option<String>,
    expected: String,
    found: String,
}

impl From<&Misfit> for MisfitJson {
    fn from(misfit: &Misfit) -> Self {
        let Misfit { table, column, expected, found } = misfit.clone();
        Self { table, column, expected, found }
    }
}
