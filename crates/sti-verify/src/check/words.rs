//! What the classes mean, in words.

use sti_core::backfill::Scope;
use sti_core::verify::{Class, ClassCount, VerifyReport};

/// What a class is; for a notice, what it means when the legacy columns are dropped.
pub(super) fn meaning(count: &ClassCount) -> String {
    let with_values = sti_cli::number(count.with_values.total());
    match count.class {
        Class::Missing => format!("published, without the row of its type; {with_values} hold values"),
        Class::MissingDraft => "draft with legacy values, without the row of its type".to_owned(),
        Class::WrongKind => "only a row of the other kind; or any row of an unknown type".to_owned(),
        Class::BothKinds => "a row of each kind".to_owned(),
        Class::OrphanSchool => "rows of projects_schoolproject without a project".to_owned(),
        Class::OrphanSelfStudy => "rows of projects_selfstudyproject without a project".to_owned(),
        Class::Drift => "a column of the row differs from the legacy column".to_owned(),
        Class::UnknownType => {
            format!("gets no row: the drop takes the values of {with_values} of them, unless archived")
        }
        Class::StrayValue => {
            "a value of the other kind, copied nowhere: the drop takes it, unless archived".to_owned()
        }
        Class::NullBecameEmpty => {
            "the row holds '' for NULL: after the drop only an archive tells them apart".to_owned()
        }
        Class::DraftWithoutRow => "no row and no values: nothing for the drop to take".to_owned(),
        Class::DraftWithRow => {
            "has its row: nothing is lost; the plan's count takes it for a published project's".to_owned()
        }
    }
}

/// What to do about the findings: a sentence and a command for each way out that applies.
pub(super) fn next_steps(report: &VerifyReport) -> Vec<(&'static str, &'static str)> {
    if report.refilling {
        return vec![(
            "The legacy columns are being restored and are not filled yet, so the subtype rows are the right values. \
             To go on with the restore, which compares both sides at its end:",
            "sti-migrate restore-legacy",
        )];
    }
    let count = |class: Class| report.count(class);
    let of_unknown_type = report
        .classes
        .iter()
        .filter(|count| count.class == Class::WrongKind)
        .map(|count| count.projects.unknown.total())
        .sum::<i64>();
    let repairable = count(Class::Drift) + count(Class::BothKinds) + count(Class::WrongKind)
        - of_unknown_type
        + count(Class::OrphanSchool)
        + count(Class::OrphanSelfStudy);
    let mut steps = Vec::new();
    if repairable > 0 {
        steps.push((
            "Drift, rows of the wrong kind and orphans: see the plan of a repair. The legacy columns are right while \
             services read them (ENABLE_STI=false or true), the subtype rows (--from subtype) with \
             ENABLE_STI=subtype.",
            "sti-verify --repair --from legacy",
        ));
    }
    if count(Class::Missing) > 0 {
        steps.push(("Missing rows:", Scope::NonDraft.command()));
    }
    if count(Class::MissingDraft) > 0 {
        steps.push(("Missing rows of drafts:", Scope::All.command()));
    }
    if of_unknown_type > 0 {
        steps.push((
            "Subtype rows of projects of unknown type: set project_type first; their ids:",
            "sti-verify --sample 0 --ids-out findings.tsv",
        ));
    }
    steps
}
