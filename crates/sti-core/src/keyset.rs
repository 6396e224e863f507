//! Keyset paging over `projects_project`: each page begins after the last key of the one before, so rows that
//! appear, vanish or change while the walk is under way move no other row across a page's edge (as OFFSET would).

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use crate::db::AnyConnection;
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::mapping::PARENT;
use crate::models::ProjectId;

/// A range of keys: after (exclusive; `None` is the beginning) and through (inclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The key before the first one, if there is one.
    pub after: Option<ProjectId>,
    /// The last key.
    pub through: ProjectId,
}

/// A walk over the keys in ascending order. Each step consumes it and gives the walk that goes on behind the page,
/// so no page can be asked for twice and no walk can stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyset {
    after: Option<ProjectId>,
}

#[derive(diesel::QueryableByName)]
struct Key {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
}

impl Keyset {
    /// A walk from the beginning.
    #[must_use]
    pub const fn from_start() -> Self {
        Self { after: None }
    }

    /// A walk that goes on behind `after`, or from the beginning.
    #[must_use]
    pub const fn after(after: Option<ProjectId>) -> Self {
        Self { after }
    }

    /// The range of the next `size` projects (fewer at the end) that fulfil `condition`, SQL over the alias `p`;
    /// `None` when there are no more. Reads only that page when the condition is `TRUE`. No locks.
    ///
    /// # Errors
    /// Whatever the database says, a key in a form that would not sort as it should included.
    pub fn next_range(
        self,
        connection: &mut AnyConnection,
        condition: &str,
        size: u32,
    ) -> Result<Option<(KeyRange, Self)>, DbError> {
        let page = |bound: &str, limit: &str| {
            format!(
                "SELECT page.id AS id FROM (SELECT p.id FROM {PARENT} p WHERE {bound} AND {condition} \
                 ORDER BY p.id LIMIT {limit}) page ORDER BY page.id DESC LIMIT 1"
            )
        };
        let found: Vec<Key> = match self.after {
            None => diesel::sql_query(page("TRUE", "$1")).bind::<BigInt, _>(i64::from(size)).load(connection),
            Some(after) => diesel::sql_query(page("p.id > $1", "$2"))
                .bind::<DbUuid, _>(after)
                .bind::<BigInt, _>(i64::from(size))
                .load(connection),
        }
        .doing("reading the next range of keys")?;
        Ok(found
            .first()
            .map(|Key { id }| (KeyRange { after: self.after, through: *id }, Self { after: Some(*id) })))
    }
}

impl Keyset {
    /// The range of exactly the next `size` projects, whatever they are; `None` when there are fewer. Reads only
    /// that page. No locks.
    ///
    /// # Errors
    /// As of [`Keyset::next_range`].
    pub fn next_full_range(
        self,
        connection: &mut AnyConnection,
        size: u32,
    ) -> Result<Option<(KeyRange, Self)>, DbError> {
        let page = |bound: &str, offset: &str| {
            format!("SELECT p.id FROM {PARENT} p WHERE {bound} ORDER BY p.id LIMIT 1 OFFSET {offset}")
        };
        let skipped = i64::from(size.saturating_sub(1));
        let found: Vec<Key> = match self.after {
            None => diesel::sql_query(page("TRUE", "$1")).bind::<BigInt, _>(skipped).load(connection),
            Some(after) => diesel::sql_query(page("p.id > $1", "$2"))
                .bind::<DbUuid, _>(after)
                .bind::<BigInt, _>(skipped)
                .load(connection),
        }
        .doing("reading the next range of keys")?;
        Ok(found
            .first()
            .map(|Key { id }| (KeyRange { after: self.after, through: *id }, Self { after: Some(*id) })))
    }

    /// SQL: the condition, order and limit of the next page of at most `size` rows, for a statement that selects
    /// the rows themselves; `key` is their column. It begins with ` AND ` and ends the statement.
    #[must_use]
    pub fn page_sql(&self, key: &str, size: u32) -> String {
        format!("{} ORDER BY {key} LIMIT {size}", self.behind_sql(key))
    }

    /// SQL: ` AND ` and the condition that `key` is behind this walk; empty at the beginning.
    pub(crate) fn behind_sql(self, key: &str) -> String {
        self.after.map(|id| format!(" AND {key} > '{}'", id.hex())).unwrap_or_default()
    }

    /// The walk that goes on behind a page whose keys were `keys`, in their order; `None` when it had fewer than
    /// `size` rows and so was the last, or when it was not in ascending order.
    #[must_use]
    pub fn behind(self, keys: impl IntoIterator<Item = ProjectId>, size: u32) -> Option<Self> {
        let mut walk = self;
        let mut left = size;
        for key in keys {
            if walk.after.is_some_and(|after| key <= after) {
                return None;
            }
            walk.after = Some(key);
            left = left.saturating_sub(1);
        }
        (left == 0).then_some(walk)
    }
}

impl KeyRange {
    /// The range of this key alone.
    pub(crate) fn of_one(key: ProjectId) -> Self {
        Self { after: key.predecessor(), through: key }
    }

    /// SQL: true for the keys of this range, over the alias `p`. The keys are written out: they are UUIDs that
    /// we parsed, and the planner sees them.
    #[must_use]
    pub fn contains_sql(&self) -> String {
        let through = format!("p.id <= '{}'", self.through.hex());
        match self.after {
            Some(after) => format!("p.id > '{}' AND {through}", after.hex()),
            None => through,
        }
    }
}

/// SQL: true where the column `key` is one of `ids`; false when there are none. An id is 32 hex digits here,
/// which both backends read.
pub(crate) fn in_sql(key: &str, ids: impl IntoIterator<Item = ProjectId>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| format!("'{}'", id.hex())).collect();
    if ids.is_empty() { "1 = 0".to_owned() } else { format!("{key} IN ({})", ids.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ProjectId {
        ProjectId(uuid::Uuid::from_u128(number.into()))
    }

    #[test]
    fn a_full_page_goes_on_behind_its_last_key() {
        let walk = Keyset::from_start();
        assert_eq!(walk.page_sql("p.id", 2), " ORDER BY p.id LIMIT 2");
        let walk = walk.behind([id(1), id(7)], 2).unwrap();
        assert_eq!(
            walk.page_sql("p.id", 2),
            " AND p.id > '00000000000000000000000000000007' ORDER BY p.id LIMIT 2"
        );
        assert_eq!(walk.behind([id(8)], 2), None, "a page that is not full is the last");
    }

    #[test]
    fn a_page_out_of_order_cannot_be_continued() {
        let walk = Keyset::after(Some(id(7)));
        assert_eq!(walk.behind([id(7), id(8)], 2), None);
        assert_eq!(walk.behind([id(9), id(8)], 2), None);
    }
}
