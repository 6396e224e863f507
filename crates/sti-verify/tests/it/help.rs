//! The help text.

use crate::rig::{shown, sti_verify};

#[test]
fn help_text() {
    insta::assert_snapshot!("help", shown(&sti_verify(&["--help"]).output().unwrap()));
}
