//! What to do about an error, by its class: the one place where that is decided.

use crate::db::{Fault, retry};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Run the transaction again, after a rest.
    Again,
    /// Some rows are refused: find them, put them into quarantine, and make the others.
    Bisect,
    /// Too much at once: make two chunks of it.
    Halve,
    /// Somebody holds a lock for long: work on other chunks first.
    Postpone,
    /// The server is away, or takes no writes: open a new connection, until it is back.
    Wait,
    /// It does not pass by itself.
    Stop,
}

impl Remedy {
    /// The remedy for an error of this class, after so many retries of the same transaction.
    pub(super) const fn of(fault: Fault, retried: u32) -> Self {
        let left = retried < retry::RETRIES;
        match fault {
            Fault::Row => Self::Bisect,
            Fault::StatementTimeout => Self::Halve,
            Fault::Transient | Fault::LockTimeout if left => Self::Again,
            Fault::LockTimeout => Self::Postpone,
            Fault::ConnectionLost | Fault::ReadOnly => Self::Wait,
            // Cancelled: somebody wants it to stop. The others need a person.
            Fault::Transient
            | Fault::Cancelled
            | Fault::StandbyConflict
            | Fault::DiskFull
            | Fault::PermissionDenied
            | Fault::Other => Self::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_remedy() {
        for (fault, first, at_last) in [
            (Fault::Row, Remedy::Bisect, Remedy::Bisect),
            (Fault::Transient, Remedy::Again, Remedy::Stop),
            (Fault::LockTimeout, Remedy::Again, Remedy::Postpone),
            (Fault::StatementTimeout, Remedy::Halve, Remedy::Halve),
            (Fault::ConnectionLost, Remedy::Wait, Remedy::Wait),
            (Fault::ReadOnly, Remedy::Wait, Remedy::Wait),
            (Fault::Cancelled, Remedy::Stop, Remedy::Stop),
            (Fault::StandbyConflict, Remedy::Stop, Remedy::Stop),
            (Fault::DiskFull, Remedy::Stop, Remedy::Stop),
            (Fault::PermissionDenied, Remedy::Stop, Remedy::Stop),
            (Fault::Other, Remedy::Stop, Remedy::Stop),
        ] {
            assert_eq!((Remedy::of(fault, 0), Remedy::of(fault, 5)), (first, at_last), "{fault:?}");
        }
    }
}
