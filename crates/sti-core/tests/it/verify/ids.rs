//! Every finding, handed over one by one.

use std::io;

use sti_core::both_backends;
use sti_core::db::Access;
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;
use sti_core::verify::{Class, Finding, FindingSink, Lines, Severity, VerifyError, VerifyOptions, verify};

use super::rig::{SCHOOL, SELF_STUDY_ROW, draft, id, migrate, open, orphan, project, row, verified};

both_backends! { a_line_for_each_finding, a_sink_that_fails_ends_the_verification }
both_backends! { django: as_many_lines_as_findings }

fn lines(database: &TestDatabase) -> String {
    let mut out = Lines(Vec::new());
    let options = VerifyOptions { sample: 0, ids: Some(&mut out), ..VerifyOptions::default() };
    verify(&mut open(database, Access::Read), options).unwrap();
    String::from_utf8(out.0).unwrap()
}

fn a_line_for_each_finding(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, SelfStudy, &SELF_STUDY_ROW);
    project(database, 2, "school", SCHOOL);
    row(database, 2, School, &["Chemistry", "P1", "Curie "]);
    draft(database, 3, "school", SCHOOL);
    project(database, 4, "SCHOOL", SCHOOL);
    orphan(database, 5, School, &["a", "b", "c"]);
    let expected: Vec<String> = [
        (Class::Missing, 1, "course_name,course_code,teacher_name"),
        (Class::WrongKind, 1, "goal_description,study_frequency"),
        (Class::Drift, 2, "course_name,teacher_name"),
        (Class::MissingDraft, 3, "course_name,course_code,teacher_name"),
        (Class::OrphanSchool, 5, ""),
    ]
    .map(|(class, number, fields)| format!("{class}\t{}\t{fields}\n", id(number)))
    .to_vec();
    assert_eq!(lines(database), expected.concat());
}

fn as_many_lines_as_findings(database: &TestDatabase) {
    let lines = lines(database);
    let report = verified(database);
    for count in report.of_severity(Severity::Finding) {
        let found = lines.lines().filter(|line| line.starts_with(&format!("{}\t", count.class))).count();
        assert_eq!(i64::try_from(found).unwrap(), count.total, "{}", count.class);
    }
    let total: i64 = report.of_severity(Severity::Finding).map(|count| count.total).sum();
    assert_eq!(i64::try_from(lines.lines().count()).unwrap(), total);
}

struct Full;

impl FindingSink for Full {
    fn finding(&mut self, _: Finding) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

fn a_sink_that_fails_ends_the_verification(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    let options = VerifyOptions { sample: 0, ids: Some(&mut Full), ..VerifyOptions::default() };
    let error = verify(&mut open(database, Access::Read), options).unwrap_err();
    assert!(matches!(error, VerifyError::Sink(_)), "{error}");
}
