//! `sti counts`, held against what came with the fixture.

use sti_core::test_support::TestDatabase;

use crate::rig::{json, migrate, settings, shown, sti_on};

sti_core::both_backends! { django: counts_the_fixture }

fn counts_the_fixture(database: &TestDatabase) {
    migrate(database);
    settings(Some(database)).bind(|| {
        insta::assert_snapshot!("counts", shown(&sti_on(database, &["counts"]).output().unwrap()));
        let markdown = sti_on(database, &["counts", "--format", "markdown"]).output().unwrap();
        insta::assert_snapshot!("counts_markdown", shown(&markdown));
        let json = json(&sti_on(database, &["counts", "--format", "json"]).output().unwrap(), 0);
        insta::assert_json_snapshot!("counts_json", json);
    });
}
