//! What the scan asks of one project, packed into a number: the key by which the database groups, and the only
//! thing by which projects are told apart. One statement computes it, this module reads it.

use crate::db::Backend;
use crate::keyset::{Keyset, in_sql};
use crate::mapping::{LEGACY_COLUMNS, PARENT, differs_sql, is_kind_sql};
use crate::models::{Kind, ProjectId};

/// The traits of a project that decide its classes.
///
/// Bits: 0-1 kind (0 unknown, 1 school, 2 self-study), 2 draft, 3 school row, 4 self-study row; then one bit for
/// each legacy column: 5-9 differs from the row of its kind, 10-14 is NULL, 15-19 holds a value (neither NULL nor
/// `''`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Traits(i64);

const DRAFT: u32 = 2;
const ROW: u32 = 3;
const DIFFERS: u32 = 5;
const NULL: u32 = 10;
const VALUE: u32 = 15;

/// A set of legacy columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(u8);

impl Fields {
    const ALL: Self = Self(0b1_1111);

    pub(super) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::School => Self(0b0_0111),
            Kind::SelfStudy => Self(0b1_1000),
        }
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no column is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn indices(self) -> impl Iterator<Item = usize> {
        (0..LEGACY_COLUMNS.len()).filter(move |index| self.0 & (1 << index) != 0)
    }

    /// The names of the columns, in the order of [`LEGACY_COLUMNS`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.indices().map(|index| LEGACY_COLUMNS[index])
    }
}

impl Traits {
    pub(super) const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> i64 {
        self.0
    }

    const fn bit(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }

    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "masked to five bits")]
    const fn fields(self, first: u32) -> Fields {
        Fields((self.0 >> first) as u8 & Fields::ALL.0)
    }

    /// The kind, if it is a known one.
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        match self.0 & 3 {
            1 => Some(Kind::School),
            2 => Some(Kind::SelfStudy),
            _ => None,
        }
    }

    /// Not published yet.
    #[must_use]
    pub const fn is_draft(self) -> bool {
        self.bit(DRAFT)
    }

    /// Whether there is a subtype row of `kind`.
    #[must_use]
    pub const fn has_row(self, kind: Kind) -> bool {
        self.bit(match kind {
            Kind::School => ROW,
            Kind::SelfStudy => ROW + 1,
        })
    }

    /// Whether there is a subtype row at all.
    #[must_use]
    pub fn has_any_row(self) -> bool {
        Kind::ALL.into_iter().any(|kind| self.has_row(kind))
    }

    /// Whether the row of the project's own kind is there.
    #[must_use]
    pub fn has_right_row(self) -> bool {
        self.kind().is_some_and(|kind| self.has_row(kind))
    }

    /// Whether a row is there that is not of the project's kind; of a project of unknown type, any row.
    #[must_use]
    pub fn has_wrong_row(self) -> bool {
        Kind::ALL.into_iter().any(|kind| self.kind() != Some(kind) && self.has_row(kind))
    }

    /// The columns in which the right row differs from the legacy columns.
    #[must_use]
    pub fn drifted(self) -> Fields {
        match self.kind() {
            Some(kind) if self.has_row(kind) => self.fields(DIFFERS).and(Fields::of(kind)),
            _ => Fields::default(),
        }
    }

    /// The legacy columns that hold a value, neither NULL nor `''`.
    #[must_use]
    pub const fn values(self) -> Fields {
        self.fields(VALUE)
    }

    /// The legacy columns that are NULL.
    #[must_use]
    pub const fn nulls(self) -> Fields {
        self.fields(NULL)
    }

    /// The legacy columns that are `''`.
    #[must_use]
    pub const fn empties(self) -> Fields {
        Fields::ALL.without(self.values()).without(self.nulls())
    }

    /// The columns of the other kind that hold a value.
    #[must_use]
    pub fn stray(self) -> Fields {
        self.kind().map_or_else(Fields::default, |kind| self.values().without(Fields::of(kind)))
    }

    /// The NULL columns of the project's kind whose right row holds `''`.
    #[must_use]
    pub fn nulls_copied(self) -> Fields {
        match self.kind() {
            Some(kind) if self.has_row(kind) => {
                self.nulls().and(Fields::of(kind)).without(self.fields(DIFFERS))
            }
            _ => Fields::default(),
        }
    }

    /// The columns of `kind`, where its row is there.
    pub(super) fn row_fields(self, kind: Kind) -> Fields {
        if self.has_row(kind) { Fields::of(kind) } else { Fields::default() }
    }
}

impl std::fmt::Debug for Traits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Traits({:#b})", self.0)
    }
}

/// Which traits a statement computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Kind, draft state and rows: works without the legacy columns too.
    Structure,
    /// All of them.
    Values,
}

/// The aliases that [`joined_sql`] and [`traits_sql`] use for the two subtype tables; the parent is `p`.
pub(super) const fn alias(kind: Kind) -> &'static str {
    match kind {
        Kind::School => "s",
        Kind::SelfStudy => "f",
    }
}

/// SQL: the FROM clause of everything that looks at both sides of a project: the parent as `p`, left joined with
/// both subtype tables.
pub(super) fn joined_sql() -> String {
    joined_where(|_| String::new())
}

/// SQL: [`joined_sql`] and the condition that the project is one of `ids`. Each table is read for these ids alone: told of
/// the projects only, the server may read all of the others to join them.
pub(super) fn joined_of_sql(ids: &[ProjectId]) -> String {
    let chosen = |key: &str| in_sql(key, ids.iter().copied());
    format!("{} WHERE {}", joined_where(|key| format!(" AND {}", chosen(key))), chosen("p.id"))
}

/// SQL: [`joined_sql`] for the page that comes next on the walk `here`, of whose tables none is read from its beginning.
pub(super) fn joined_behind_sql(here: Keyset) -> String {
    joined_where(|key| here.behind_sql(key))
}

/// `condition` makes what follows of a join's key.
fn joined_where(condition: impl Fn(&str) -> String) -> String {
    let joins = Kind::ALL.map(|kind| {
        let (table, alias) = (kind.table(), alias(kind));
        let key = format!("{alias}.project_id");
        format!(" LEFT JOIN {table} {alias} ON {key} = p.id{}", condition(&key))
    });
    format!("{PARENT} p{}", joins.concat())
}

/// SQL: the [`Traits`] of a row of [`joined_sql`].
pub(super) fn traits_sql(scope: Scope, backend: Backend) -> String {
    let mut terms: Vec<String> = Vec::new();
    let mut bit = |condition: &str, bit: u32| {
        terms.push(format!("CASE WHEN {condition} THEN {} ELSE 0 END", 1_i64 << bit));
    };
    for (index, kind) in (0..).zip(Kind::ALL) {
        bit(&is_kind_sql(kind, "p", backend.exact()), index);
        bit(&format!("{}.project_id IS NOT NULL", alias(kind)), ROW + index);
    }
    bit("p.is_draft", DRAFT);
    if scope == Scope::Values {
        let columns = Kind::ALL.into_iter().flat_map(|kind| kind.columns().iter().map(move |c| (kind, *c)));
        for (index, (kind, column)) in (0..).zip(columns) {
            bit(&differs_sql("p", alias(kind), column, backend.exact()), DIFFERS + index);
            bit(&format!("p.{column} IS NULL"), NULL + index);
            // Of NULL it is NULL, which is not so.
            bit(&format!("p.{column} {} <> ''", backend.exact()), VALUE + index);
        }
    }
    format!("CAST({} AS bigint)", terms.join(" + "))
}
