//! Which sides are written and which one is read.

use std::fmt;
use std::str::FromStr;

/// The stage of the rollout that a service is in, as `ENABLE_STI` says it. The library reads no environment: the
/// host reads the variable and gives the value; where it is unset, [`WriteMode::default`] is the answer.
///
/// | `ENABLE_STI`, in any case | mode | writes | reads |
/// |---|---|---|---|
/// | unset, `false`, `0`, `off` | `Legacy` | legacy columns | legacy columns |
/// | `true`, `1`, `on` | `Dual` | both | legacy columns |
/// | `subtype` | `Subtype` | both while the legacy columns exist, else the subtype row | subtype row |
///
/// Outside legacy mode every side that exists is written, and the mode chooses the one that is read: each step
/// between neighbours loses nothing, in both directions, until the drop. After the drop, `Dual` and `Subtype` read
/// and write the subtype row, and `Legacy` refuses to start.
///
/// ```
/// use sti_core::repository::WriteMode;
///
/// assert_eq!("TRUE".parse::<WriteMode>().unwrap(), WriteMode::Dual);
/// assert_eq!(WriteMode::default(), WriteMode::Legacy);
/// assert!("yes".parse::<WriteMode>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// Writes and reads the legacy columns only. Subtype rows go stale meanwhile; verification finds them.
    #[default]
    Legacy,
    /// Writes both sides, reads the legacy columns.
    Dual,
    /// Writes both sides, reads the subtype rows.
    Subtype,
}

/// A text that names no write mode.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown write mode {text:?}: use false, 0 or off (legacy columns only), true, 1 or on (both sides), \
     or subtype (both sides, subtype rows read)"
)]
pub struct InvalidWriteMode {
    text: String,
}

impl FromStr for WriteMode {
    type Err = InvalidWriteMode;

    fn from_str(text: &str) -> Result<Self, InvalidWriteMode> {
        match text.to_ascii_lowercase().as_str() {
            "false" | "0" | "off" => Ok(Self::Legacy),
            "true" | "1" | "on" => Ok(Self::Dual),
            "subtype" => Ok(Self::Subtype),
            _ => Err(InvalidWriteMode { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for WriteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Dual => "dual",
            Self::Subtype => "subtype",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_accepted_values() {
        for (texts, mode) in [
            (["false", "0", "off", "FALSE", "Off"], WriteMode::Legacy),
            (["true", "1", "on", "True", "ON"], WriteMode::Dual),
            (["subtype", "SUBTYPE", "Subtype", "subType", "sUBTYPE"], WriteMode::Subtype),
        ] {
            for text in texts {
                assert_eq!(text.parse(), Ok(mode), "{text}");
            }
        }
        assert_eq!(WriteMode::default(), WriteMode::Legacy);
    }

    #[test]
    fn anything_else_is_an_error_that_names_the_accepted_values() {
        for text in ["", " true", "yes", "2", "legacy", "dual", "sub type", "ｔrue"] {
            let error = text.parse::<WriteMode>().unwrap_err().to_string();
            for accepted in ["false", "0", "off", "true", "1", "on", "subtype"] {
                assert!(error.contains(accepted), "{error}");
            }
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
