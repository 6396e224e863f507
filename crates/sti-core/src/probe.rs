//! A place between two statements where a test can stop the engine, and switches that take out a lock or a second
//! look, so that a test can show what they are for. Empty, and free of cost, without the feature `test-support`.

/// Where an engine stands. Each step is told just before the statement that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The drop has been planned; the next statement makes its change log. Where writers go on meanwhile (PostgreSQL).
    Prepare,
    /// The change log is there and committed; the next statement opens the snapshot that is compared and archived.
    Snapshot,
    /// Everything is compared; the next statement archives it, in the same snapshot.
    Archive,
    /// The next transaction works on what the change log has.
    CatchUp,
    /// What the change log has is taken out of it; the next statement looks at those projects and archives them anew.
    CatchUpLook,
    /// A batch of those projects was looked at; the next statements archive it anew.
    CatchUpArchive,
    /// No lock is held; the next statement begins the transaction that drops the columns.
    Begin,
    /// The transaction is open; the next statement locks the rows (and, in a chunk, inserts).
    Lock,
    /// The rows are locked; the next statement looks again.
    Look,
    /// A repair has decided and logged, a drop has passed its gates; the next statement writes. (A chunk of the
    /// backfill has no such step: it writes with its locks.)
    Write,
    /// Every value is archived; the next statement gives the permit and drops the columns.
    Drop,
    /// The next statement writes the ledger (everything else is written), or the log of a repair (nothing is).
    Record,
    /// The next statement is COMMIT.
    Commit,
    /// A drop that was not made; the next statement takes away what it has left.
    CleanUp,
    /// All chunks of a sweep are done; the next statement counts what is missing. No transaction is open.
    EndSweep,
}

/// What a test takes out of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing: the engine as it is.
    #[default]
    None,
    /// The clause that locks the rows.
    Lock,
    /// The second statement: what it does is done in the first one.
    SecondLook,
    /// The change log: its triggers are not made.
    ChangeLog,
}

/// The hook of an engine; does nothing by default.
#[derive(Clone, Default)]
pub struct Probe {
    #[cfg(feature = "test-support")]
    hook: Option<std::sync::Arc<dyn Fn(Step) + Send + Sync>>,
    #[cfg(feature = "test-support")]
    sabotage: Sabotage,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

impl Probe {
    /// Calls `hook` at every step.
    #[cfg(feature = "test-support")]
    pub fn new(hook: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self { hook: Some(std::sync::Arc::new(hook)), sabotage: Sabotage::None }
    }

    /// Takes something out of the engine.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub fn with_sabotage(mut self, sabotage: Sabotage) -> Self {
        self.sabotage = sabotage;
        self
    }

    #[cfg(feature = "test-support")]
    pub(crate) fn at(&self, step: Step) {
        if let Some(hook) = &self.hook {
            hook(step);
        }
    }

    #[cfg(not(feature = "test-support"))]
    #[allow(clippy::unused_self, reason = "with the feature it has something to call")]
    pub(crate) fn at(&self, _step: Step) {}

    #[cfg(feature = "test-support")]
    pub(crate) fn sabotage(&self) -> Sabotage {
        self.sabotage
    }

    #[cfg(not(feature = "test-support"))]
    #[allow(clippy::unused_self, reason = "with the feature it has something to tell")]
    pub(crate) fn sabotage(&self) -> Sabotage {
        Sabotage::None
    }
}
