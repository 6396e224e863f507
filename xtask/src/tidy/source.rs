//! Rules about the Rust files.

use std::fs;
use std::path::Path;

use super::tree;
use crate::failure::Failure;

/// Longer files hold more than one idea.
const MOST_LINES: usize = 400;

/// What breaks a rule, one line each.
pub(super) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    for file in tree::files(root)? {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let shown = tree::shown(root, &file);
        let text = fs::read_to_string(&file).map_err(Failure::during(format!("read {shown}")))?;
        findings.extend(check_text(&shown, &text));
    }
    Ok(findings)
}

fn check_text(file: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        findings.push(format!("{file}: {lines} lines, more than {MOST_LINES}: split it"));
    }
    // In two parts, for this file is checked as well.
    let unfinished = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore")];
    // The clippy lint lets tests unwrap, but only inside functions marked as tests.
    let mut product = is_product(file);
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        // By convention the unit tests are the end of a file.
        product &= line.trim() != "#[cfg(test)]";
        for word in unfinished.iter().filter(|word| line.contains(**word)) {
            findings.push(format!("{file}:{number}: {word} is unfinished"));
        }
        if product && line.contains(".unwrap()") {
            findings.push(format!("{file}:{number}: unwrap() outside tests: return the error"));
        }
    }
    findings
}

fn is_product(file: &str) -> bool {
    file.starts_with("crates/")
        && file.contains("/src/")
        && !file.contains("/tests/")
        && !file.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwrap_is_for_tests() {
        let text = "let a = b.unwrap();\n#[cfg(test)]\nmod tests { c.unwrap() }\n";
        let expected = ["crates/x/src/a.rs:1: unwrap() outside tests: return the error"];
        assert_eq!(check_text("crates/x/src/a.rs", text), expected);
        assert!(check_text("crates/x/tests/it/a.rs", text).is_empty());
        assert!(check_text("crates/x/src/a.rs", "/// x.unwrap()\n").is_empty());
    }

    #[test]
    fn unfinished_code_and_ignored_tests_are_found_everywhere() {
        let text = format!("{}{})\n{}{}]\n", "to", "do!(", "#[ig", "nore");
        let found = check_text("xtask/src/a.rs", &text);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn files_stay_short() {
        assert!(check_text("a.rs", &"\n".repeat(400)).is_empty());
        assert_eq!(check_text("a.rs", &"\n".repeat(401)), ["a.rs: 401 lines, more than 400: split it"]);
    }

    #[test]
    fn the_tree_is_walked_without_what_is_built() {
        let root = tempfile::tempdir().unwrap();
        let long = "\n".repeat(401);
        for folder in ["target", ".git", "crates/x/src"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("a.rs"), &long).unwrap();
        }
        assert_eq!(check(root.path()).unwrap(), ["crates/x/src/a.rs: 401 lines, more than 400: split it"]);
    }
}
