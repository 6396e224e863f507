//! Random databases: each class planted at random projects. The verification must find exactly those ids and no others,
//! and so must plain SQL that shares no code with it.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use sti_core::both_backends;
use sti_core::db::Access;
use sti_core::test_support::TestDatabase;
use sti_core::verify::{Class, Lines, MAX_SAMPLE, VerifyOptions, verify};

use super::rig::{literal, migrate, open};

mod checker;
mod planter;

use planter::Planted;

both_backends! { exactly_what_was_planted_is_found }

/// Projects of each database. With fewer a class might come to nothing.
const PROJECTS: usize = 700;

fn exactly_what_was_planted_is_found(database: &TestDatabase) {
    migrate(database);
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    for seed in [1, 2, 3, today] {
        one(database, seed);
    }
}

/// One class, or one drifted column, and the ids that are in it.
type Found = BTreeSet<(String, String)>;

fn one(database: &TestDatabase, seed: u64) {
    let planted = planter::plant(&mut Rng::with_seed(seed), PROJECTS);
    database.execute(&planted.sql(database));
    let expected = planted.found;
    for class in Class::ALL {
        let any = expected.iter().any(|(found, _)| found == class.as_str());
        assert!(any, "seed {seed}: nothing was planted for {class}");
    }
    agree(&format!("seed {seed}: sti-verify"), &verified(database), &expected);
    agree(&format!("seed {seed}: plain SQL"), &checker::found(database), &expected);
}

#[track_caller]
fn agree(who: &str, found: &Found, expected: &Found) {
    let missed: Vec<_> = expected.difference(found).take(5).collect();
    let invented: Vec<_> = found.difference(expected).take(5).collect();
    assert!(missed.is_empty() && invented.is_empty(), "{who} misses {missed:?} and invents {invented:?}");
}

/// What the library finds: the ids by the samples, which have all of them here, and those of the findings by the file of
/// ids too. The counts must be those of the ids.
fn verified(database: &TestDatabase) -> Found {
    let mut lines = Lines(Vec::new());
    let options = VerifyOptions { sample: MAX_SAMPLE, ids: Some(&mut lines), ..VerifyOptions::default() };
    let report = verify(&mut open(database, Access::Read), options).unwrap();
    let mut found = Found::new();
    for sample in &report.samples {
        let total = usize::try_from(report.count(sample.class)).unwrap();
        assert_eq!(total, sample.projects.len(), "{}", sample.class);
        for project in &sample.projects {
            found.insert((sample.class.to_string(), project.id.hex()));
            if matches!(sample.class, Class::Drift | Class::StrayValue | Class::NullBecameEmpty) {
                let fields = project.fields.iter().map(|field| field.field);
                found.extend(fields.map(|field| (format!("{} {field}", sample.class), project.id.hex())));
            }
        }
    }
    let lines = String::from_utf8(lines.0).unwrap();
    for line in lines.lines() {
        let (class, rest) = line.split_once('\t').unwrap();
        let (id, fields) = rest.split_once('\t').unwrap();
        let id = id.replace('-', "");
        assert!(found.contains(&(class.to_owned(), id.clone())), "{line} is in no sample");
        if class == "drift" {
            let all = fields.split(',').all(|field| found.contains(&(format!("drift {field}"), id.clone())));
            assert!(all, "{line} names another field");
        }
    }
    let findings: i64 =
        report.of_severity(sti_core::verify::Severity::Finding).map(|count| count.total).sum();
    assert_eq!(i64::try_from(lines.lines().count()).unwrap(), findings);
    found
}

impl Planted {
    /// SQL: all of it, in place of what is there.
    fn sql(&self, database: &TestDatabase) -> String {
        let unchecked =
            database.either("SET session_replication_role = replica;", "PRAGMA foreign_keys = OFF;");
        let rows = |table: &str, rows: &[Vec<String>]| {
            let rows: Vec<String> = rows.iter().map(|row| format!("({})", row.join(", "))).collect();
            format!("INSERT INTO {table} VALUES {};", rows.join(", "))
        };
        format!(
            "{unchecked} BEGIN; DELETE FROM projects_schoolproject; DELETE FROM projects_selfstudyproject; \
             DELETE FROM projects_project; {} {} {} COMMIT;",
            rows(
                "projects_project (id, name, owner_id, created_at, updated_at, project_type, is_draft, course_name, \
                 course_code, teacher_name, goal_description, study_frequency)",
                &self.projects
            ),
            rows(
                "projects_schoolproject (project_id, course_name, course_code, teacher_name)",
                &self.rows[0]
            ),
            rows("projects_selfstudyproject (project_id, goal_description, study_frequency)", &self.rows[1]),
        )
    }
}
