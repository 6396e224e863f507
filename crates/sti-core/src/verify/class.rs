//! The classes that verification sorts projects into, and the one place that decides which traits make which.

use crate::models::Kind;

use super::traits::{Fields, Traits};

/// Whether a class means that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The two sides do not agree: verification is not clean.
    Finding,
    /// Worth knowing before the legacy columns are dropped; never changes the outcome.
    Notice,
}

/// A class of projects, or of subtype rows. A project may be in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A published project of a known type without the subtype row of that type.
    Missing,
    /// A draft of a known type without its row, while any legacy column holds a value.
    MissingDraft,
    /// A row of the other kind and none of the right kind; or any row of a project of unknown type.
    WrongKind,
    /// A row of each kind for one project of a known type.
    BothKinds,
    /// A row in `projects_schoolproject` without a project.
    OrphanSchool,
    /// A row in `projects_selfstudyproject` without a project.
    OrphanSelfStudy,
    /// The right row is there and a column differs from the legacy column.
    Drift,
    /// The text in `project_type` is none of the two.
    UnknownType,
    /// A project of a known type with a value in the other kind's legacy columns.
    StrayValue,
    /// A legacy NULL whose subtype row, rightly, holds `''`.
    NullBecameEmpty,
    /// A draft of a known type without its row and without any legacy value.
    DraftWithoutRow,
    /// A draft of a known type with its row.
    DraftWithRow,
}

impl Class {
    /// Every class, findings first, in the order in which they are always reported.
    pub const ALL: [Self; 12] = [
        Self::Missing,
        Self::MissingDraft,
        Self::WrongKind,
        Self::BothKinds,
        Self::OrphanSchool,
        Self::OrphanSelfStudy,
        Self::Drift,
        Self::UnknownType,
        Self::StrayValue,
        Self::NullBecameEmpty,
        Self::DraftWithoutRow,
        Self::DraftWithRow,
    ];

    /// The class's stable name, as in reports and files of ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::MissingDraft => "missing_draft",
            Self::WrongKind => "wrong_kind",
            Self::BothKinds => "both_kinds",
            Self::OrphanSchool => "orphan_school",
            Self::OrphanSelfStudy => "orphan_self_study",
            Self::Drift => "drift",
            Self::UnknownType => "unknown_type",
            Self::StrayValue => "stray_value",
            Self::NullBecameEmpty => "null_became_empty",
            Self::DraftWithoutRow => "draft_without_row",
            Self::DraftWithRow => "draft_with_row",
        }
    }

    /// Whether the class makes a verification fail.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Missing
            | Self::MissingDraft
            | Self::WrongKind
            | Self::BothKinds
            | Self::OrphanSchool
            | Self::OrphanSelfStudy
            | Self::Drift => Severity::Finding,
            Self::UnknownType
            | Self::StrayValue
            | Self::NullBecameEmpty
            | Self::DraftWithoutRow
            | Self::DraftWithRow => Severity::Notice,
        }
    }

    /// The class of the orphans in the table of `kind`.
    #[must_use]
    pub const fn orphan(kind: Kind) -> Self {
        match kind {
            Kind::School => Self::OrphanSchool,
            Kind::SelfStudy => Self::OrphanSelfStudy,
        }
    }

    /// The kind whose table holds the rows of this class, if it is a class of orphans.
    #[must_use]
    pub const fn orphan_kind(self) -> Option<Kind> {
        match self {
            Self::OrphanSchool => Some(Kind::School),
            Self::OrphanSelfStudy => Some(Kind::SelfStudy),
            _ => None,
        }
    }

    /// Whether a project with these traits is in this class. Never true for the orphans, which have no project.
    #[must_use]
    pub fn holds(self, traits: Traits) -> bool {
        let known = traits.kind().is_some();
        let lacks_row = known && !traits.has_right_row();
        let draft = traits.is_draft();
        let has_value = !traits.values().is_empty();
        match self {
            Self::Missing => lacks_row && !draft,
            Self::MissingDraft => lacks_row && draft && has_value,
            Self::WrongKind => !traits.has_right_row() && traits.has_wrong_row(),
            Self::BothKinds => traits.has_right_row() && traits.has_wrong_row(),
            Self::OrphanSchool | Self::OrphanSelfStudy => false,
            Self::Drift => !traits.drifted().is_empty(),
            Self::UnknownType => !known,
            Self::StrayValue => !traits.stray().is_empty(),
            Self::NullBecameEmpty => !traits.nulls_copied().is_empty(),
            Self::DraftWithoutRow => lacks_row && draft && !has_value,
            Self::DraftWithRow => draft && traits.has_right_row(),
        }
    }

    /// The columns that put a project into this class, or that show what is at stake.
    #[must_use]
    pub fn fields(self, traits: Traits) -> Fields {
        match self {
            // What the row would hold; a value in the other kind's columns is a stray one.
            Self::Missing | Self::MissingDraft => traits.values().without(traits.stray()),
            Self::UnknownType => traits.values(),
            Self::WrongKind | Self::BothKinds => Kind::ALL
                .into_iter()
                .filter(|kind| traits.kind() != Some(*kind))
                .fold(Fields::default(), |fields, kind| fields.or(traits.row_fields(kind))),
            Self::Drift => traits.drifted(),
            Self::StrayValue => traits.stray(),
            Self::NullBecameEmpty => traits.nulls_copied(),
            Self::OrphanSchool | Self::OrphanSelfStudy | Self::DraftWithoutRow | Self::DraftWithRow => {
                Fields::default()
            }
        }
    }

    /// Whether a project with these traits has a finding.
    pub(super) fn any_finding(traits: Traits) -> bool {
        Self::ALL.into_iter().any(|class| class.severity() == Severity::Finding && class.holds(traits))
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
