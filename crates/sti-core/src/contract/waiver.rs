//! Waivers: a person's word that a certain number of findings of one gate is known and wanted.

use std::fmt;
use std::str::FromStr;

use super::gate::{Gate, UnknownGate};

/// Allows a gate to find up to a number of things. Recorded with the drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Waiver {
    gate: Gate,
    allowed: i64,
}

/// Why something is no waiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWaiver {
    /// Not of the form `GATE=COUNT`.
    #[error("{0:?} is no waiver: write GATE=COUNT, as in stray-values=3")]
    Form(String),
    /// No such gate.
    #[error(transparent)]
    Gate(#[from] UnknownGate),
    /// The gate guards values that nothing else keeps, or the drop itself.
    #[error(
        "{0} cannot be waived: only unknown-type and stray-values can, whose values the archive keeps; `sti-migrate \
         drop-legacy` shows what mends it"
    )]
    NotWaivable(Gate),
    /// The same gate was named twice.
    #[error("{0} is waived twice: name each gate once")]
    Twice(Gate),
}

impl Waiver {
    /// A waiver of up to `allowed` findings of `gate`.
    ///
    /// # Errors
    /// [`BadWaiver::NotWaivable`].
    pub const fn new(gate: Gate, allowed: u32) -> Result<Self, BadWaiver> {
        if gate.may_be_waived() {
            Ok(Self { gate, allowed: allowed as i64 })
        } else {
            Err(BadWaiver::NotWaivable(gate))
        }
    }

    /// The gate.
    #[must_use]
    pub const fn gate(&self) -> Gate {
        self.gate
    }

    /// The most findings that it allows.
    #[must_use]
    pub const fn allowed(&self) -> i64 {
        self.allowed
    }
}

/// `GATE=COUNT`.
impl fmt::Display for Waiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.gate, self.allowed)
    }
}

impl FromStr for Waiver {
    type Err = BadWaiver;

    fn from_str(text: &str) -> Result<Self, BadWaiver> {
        let form = || BadWaiver::Form(text.to_owned());
        let (gate, count) = text.split_once('=').ok_or_else(form)?;
        let gate = gate.parse()?;
        Self::new(gate, count.parse().map_err(|_| form())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_names_a_gate_that_may_be_waived_and_a_count() {
        let waiver: Waiver = "stray-values=12".parse().unwrap();
        assert_eq!((waiver.gate(), waiver.allowed()), (Gate::StrayValues, 12));
        assert_eq!(waiver.to_string(), "stray-values=12");
        for text in ["stray-values", "stray-values=", "stray-values=-1", "stray-values=all", "=3"] {
            assert!(text.parse::<Waiver>().is_err(), "{text}");
        }
        for gate in Gate::ALL {
            let waived = Waiver::new(gate, 1);
            assert_eq!(waived.is_ok(), matches!(gate, Gate::UnknownType | Gate::StrayValues), "{gate}");
        }
    }
}
