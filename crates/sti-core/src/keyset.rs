//! The keyset pager: walks projects upward by their key, a page at a time.
//!
//! Pages by OFFSET skip rows when the set shrinks while it is worked on; pages by key do not. A pager is consumed
//! by each step and comes back only while there may be more, so that no loop can ask for the same page twice.

use crate::models::ProjectId;

/// A place in the order of project ids.
#[derive(Debug)]
pub struct Pager {
    after: Option<ProjectId>,
    size: i64,
}

impl Pager {
    /// Begins before the first key. `size` is the most keys of one page, at least 1.
    #[must_use]
    pub fn new(size: u32) -> Self {
        Self { after: None, size: i64::from(size.max(1)) }
    }

    /// The last key of the page before, exclusive; `None` at the beginning.
    #[must_use]
    pub fn after(&self) -> Option<ProjectId> {
        self.after
    }

    /// The most keys of one page.
    #[must_use]
    pub fn size(&self) -> i64 {
        self.size
    }

    /// SQL: the condition, order and limit of this page; `key` is the column. Begins with ` AND `, and is the end
    /// of a statement that has a WHERE clause. A key is 32 hex digits here, which both backends read.
    #[must_use]
    pub fn page_sql(&self, key: &str) -> String {
        let after = self.after.map(|id| format!(" AND {key} > '{}'", id.hex())).unwrap_or_default();
        format!("{after} ORDER BY {key} LIMIT {}", self.size)
    }

    /// The pager of the next page, after `keys` came as this one; `None` when this was the last. Keys that do not
    /// rise end the walk too: a page that was not ordered by key cannot be continued.
    #[must_use]
    pub fn next(self, keys: impl IntoIterator<Item = ProjectId>) -> Option<Self> {
        let mut last = self.after;
        let mut count = 0;
        for key in keys {
            if last.is_some_and(|last| key <= last) {
                return None;
            }
            last = Some(key);
            count += 1;
        }
        (count >= self.size).then_some(Self { after: last, size: self.size })
    }
}
