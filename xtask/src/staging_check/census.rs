//! How many projects and rows are in each class, counted in one statement of our own.

use std::collections::BTreeMap;

use super::database::Database;
use super::sides::{HAS_SCHOOL, HAS_SELF_STUDY, JOIN, SCHOOL_EQUAL, SELF_STUDY_EQUAL};
use crate::failure::Failure;

/// Counts by class.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Census(BTreeMap<&'static str, i64>);

/// What makes a verification fail, by the names that `sti-verify` gives its findings.
pub(super) const FINDINGS: [&str; 7] =
    ["missing", "missing_draft", "wrong_kind", "both_kinds", "orphan_school", "orphan_self_study", "drift"];

impl Census {
    /// Counts in one statement; the legacy columns must be there.
    pub(super) fn take(database: &Database) -> Result<Self, Failure> {
        let (school, study) = ("p.project_type = 'school'", "p.project_type = 'self_study'");
        let unknown = "p.project_type NOT IN ('school', 'self_study')";
        let (has_s, has_f) = ("s.project_id IS NOT NULL", "f.project_id IS NOT NULL");
        let (no_s, no_f) = ("s.project_id IS NULL", "f.project_id IS NULL");
        let lacks = format!("(({school} AND {no_s}) OR ({study} AND {no_f}))");
        let has_value = format!("(({HAS_SCHOOL}) OR ({HAS_SELF_STUDY}))");
        let classes: [(&'static str, String); 22] = [
            ("projects", "1 = 1".to_owned()),
            ("published", "NOT p.is_draft".to_owned()),
            ("school_published", format!("{school} AND NOT p.is_draft")),
            ("school_draft", format!("{school} AND p.is_draft")),
            ("self_study_published", format!("{study} AND NOT p.is_draft")),
            ("self_study_draft", format!("{study} AND p.is_draft")),
            ("unknown_published", format!("{unknown} AND NOT p.is_draft")),
            ("unknown_draft", format!("{unknown} AND p.is_draft")),
            ("covered", format!("NOT p.is_draft AND (({school} AND {has_s}) OR ({study} AND {has_f}))")),
            ("known_without_row", lacks.clone()),
            ("missing", format!("{lacks} AND NOT p.is_draft")),
            ("missing_draft", format!("{lacks} AND p.is_draft AND {has_value}")),
            (
                "wrong_kind",
                format!(
                    "({school} AND {no_s} AND {has_f}) OR ({study} AND {no_f} AND {has_s}) \
                         OR ({unknown} AND ({has_s} OR {has_f}))"
                ),
            ),
            ("both_kinds", format!("NOT {unknown} AND {has_s} AND {has_f}")),
            (
                "drift",
                format!(
                    "({school} AND {has_s} AND NOT ({SCHOOL_EQUAL})) \
                         OR ({study} AND {has_f} AND NOT ({SELF_STUDY_EQUAL}))"
                ),
            ),
            ("unknown_type", unknown.to_owned()),
            ("stray_value", format!("({school} AND ({HAS_SELF_STUDY})) OR ({study} AND ({HAS_SCHOOL}))")),
            ("drafts_with_values", format!("p.is_draft AND {has_value}")),
            ("school_equal", format!("{school} AND NOT p.is_draft AND {has_s} AND {SCHOOL_EQUAL}")),
            ("self_study_equal", format!("{study} AND NOT p.is_draft AND {has_f} AND {SELF_STUDY_EQUAL}")),
            ("school_conflict", format!("{school} AND NOT p.is_draft AND {has_s} AND NOT ({SCHOOL_EQUAL})")),
            (
                "self_study_conflict",
                format!("{study} AND NOT p.is_draft AND {has_f} AND NOT ({SELF_STUDY_EQUAL})"),
            ),
        ];
        let sums: Vec<String> =
            classes.iter().map(|(_, condition)| format!("count(CASE WHEN {condition} THEN 1 END)")).collect();
        let counted = database.rows(&sums, &format!("FROM projects_project p {JOIN}"))?;
        let mut counts = BTreeMap::new();
        for ((name, _), count) in classes.iter().zip(counted.into_iter().flatten()) {
            let count = count.and_then(|count| count.parse().ok());
            counts.insert(*name, count.ok_or_else(|| Failure::new(format!("no count of {name}")))?);
        }
        for (rows, orphans, table) in [
            ("school_rows", "orphan_school", "projects_schoolproject"),
            ("self_study_rows", "orphan_self_study", "projects_selfstudyproject"),
        ] {
            counts.insert(rows, database.count(table)?);
            let orphaned = format!(
                "{table} c WHERE NOT EXISTS (SELECT 1 FROM projects_project p WHERE p.id = c.project_id)"
            );
            counts.insert(orphans, database.count(&orphaned)?);
        }
        Ok(Self(counts))
    }

    /// The count of a class; every name is one of those above.
    pub(super) fn of(&self, class: &str) -> i64 {
        self.0.get(class).copied().unwrap_or_else(|| unreachable!("there is no class {class}"))
    }

    /// Subtype rows of both kinds.
    pub(super) fn rows(&self) -> i64 {
        self.of("school_rows") + self.of("self_study_rows")
    }

    /// What verification must find, in words: `missing 3, drift 2`, or `none`.
    pub(super) fn findings(&self) -> String {
        let found: Vec<String> = FINDINGS
            .iter()
            .filter(|class| self.of(class) > 0)
            .map(|class| format!("{class} {}", self.of(class)))
            .collect();
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    }
}
