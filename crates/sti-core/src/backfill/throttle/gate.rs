//! Somebody outside of the database who may say stop.

use std::fmt;
use std::sync::Arc;

type Stops = dyn Fn() -> Option<String> + Send + Sync;

/// Somebody outside of the database who may say stop, as a monitoring system does. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Stops>);

impl Gate {
    /// A gate that says why to stop, or `None` to go on. It is asked before each chunk and about twice a second during
    /// a wait, while nothing is locked or leased, and must answer at once: whoever has to ask over a network does that
    /// on a thread of its own, and answers here with what it heard last. What it cannot read it must take for a stop.
    pub fn new(stops: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(stops))
    }

    pub(super) fn stops(&self) -> Option<String> {
        (self.0)()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
