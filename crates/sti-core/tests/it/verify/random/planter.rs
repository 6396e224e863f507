//! Makes a random database, and writes down what it has planted.

use fastrand::Rng;

use super::{Found, literal};

/// Texts that readers, collations and careless quoting take for others.
const TEXTS: [&str; 16] = [
    " ",
    "a",
    "A",
    "a ",
    " a",
    "\u{e9}",
    "e\u{301}",
    "NULL",
    "null",
    "0",
    "it's \"so\"",
    "\\",
    "ß",
    "ss",
    "\t\n",
    "\u{1f600}",
];

/// What is taken for a type and is none.
const NO_TYPES: [&str; 7] = ["", "School", "school ", " school", "SELF_STUDY", "self-study", "legacy_other"];

const COLUMNS: [&[&str]; 2] =
    [&["course_name", "course_code", "teacher_name"], &["goal_description", "study_frequency"]];

const KINDS: [&str; 2] = ["school", "self_study"];

/// A database to be.
pub(super) struct Planted {
    /// Rows of `projects_project`, as literals.
    pub(super) projects: Vec<Vec<String>>,
    /// Rows of both subtype tables, as literals.
    pub(super) rows: [Vec<Vec<String>>; 2],
    /// What must be found.
    pub(super) found: Found,
}

pub(super) fn plant(random: &mut Rng, projects: usize) -> Planted {
    let mut planted = Planted { projects: Vec::new(), rows: [Vec::new(), Vec::new()], found: Found::new() };
    for _ in 0..projects {
        planted.project(random);
    }
    for _ in 0..=random.usize(1..4) {
        for (kind, class) in ["orphan_school", "orphan_self_study"].into_iter().enumerate() {
            let id = id(random);
            let values = any_values(random, kind);
            planted.row(&id, kind, &values);
            planted.is(class, &id);
        }
    }
    planted
}

impl Planted {
    fn project(&mut self, random: &mut Rng) {
        let id = id(random);
        let is_draft = one_in(random, 3);
        let mut legacy: [Vec<Option<String>>; 2] = [vec![None; 3], vec![None; 2]];
        if one_in(random, 10) {
            let name = random.choice(NO_TYPES).unwrap();
            for columns in &mut legacy {
                columns.iter_mut().for_each(|value| *value = some_value(random));
            }
            self.is("unknown_type", &id);
            self.insert(&id, name, is_draft, &legacy);
            for kind in 0..2 {
                if !one_in(random, 3) {
                    continue;
                }
                let values = any_values(random, kind);
                self.row(&id, kind, &values);
                self.is("wrong_kind", &id);
            }
            return;
        }
        let kind = random.usize(..2);
        let other = 1 - kind;
        let is_empty = one_in(random, 5);
        for value in &mut legacy[kind] {
            let nothing = one_in(random, 2).then(String::new);
            *value = if is_empty { nothing } else { some_value(random) };
        }
        if one_in(random, 8) {
            let column = random.usize(..COLUMNS[other].len());
            legacy[other][column] = Some(text(random));
            self.is("stray_value", &id);
            self.is(&format!("stray_value {}", COLUMNS[other][column]), &id);
        }
        self.insert(&id, KINDS[kind], is_draft, &legacy);
        if one_in(random, 3) {
            let holds =
                legacy.iter().flatten().any(|value| value.as_ref().is_some_and(|text| !text.is_empty()));
            let class = match (is_draft, holds) {
                (false, _) => "missing",
                (true, true) => "missing_draft",
                (true, false) => "draft_without_row",
            };
            self.is(class, &id);
            if one_in(random, 4) {
                let values = any_values(random, other);
                self.row(&id, other, &values);
                self.is("wrong_kind", &id);
            }
            return;
        }
        self.right_row(random, &id, kind, &legacy[kind]);
        if is_draft {
            self.is("draft_with_row", &id);
        }
        if one_in(random, 8) {
            let values = any_values(random, other);
            self.row(&id, other, &values);
            self.is("both_kinds", &id);
        }
    }

    /// A row of the project's own kind, some of whose columns have drifted.
    fn right_row(&mut self, random: &mut Rng, id: &str, kind: usize, legacy: &[Option<String>]) {
        let mut values = Vec::new();
        for (value, column) in legacy.iter().zip(COLUMNS[kind]) {
            let mapped = value.clone().unwrap_or_default();
            if one_in(random, 12) {
                values.push(other_than(random, &mapped));
                self.is("drift", id);
                self.is(&format!("drift {column}"), id);
            } else {
                values.push(mapped);
                if value.is_none() {
                    self.is("null_became_empty", id);
                    self.is(&format!("null_became_empty {column}"), id);
                }
            }
        }
        self.row(id, kind, &values);
    }

    fn is(&mut self, class: &str, id: &str) {
        self.found.insert((class.to_owned(), id.to_owned()));
    }

    fn insert(&mut self, id: &str, name: &str, is_draft: bool, legacy: &[Vec<Option<String>>; 2]) {
        let moment = "'2026-01-02 03:04:05'".to_owned();
        let mut row = vec![
            quoted(id),
            quoted("p"),
            "1".to_owned(),
            moment.clone(),
            moment,
            quoted(name),
            is_draft.to_string(),
        ];
        row.extend(legacy.iter().flatten().map(|value| literal(value.as_deref())));
        self.projects.push(row);
    }

    fn row(&mut self, id: &str, kind: usize, values: &[String]) {
        let row = std::iter::once(quoted(id)).chain(values.iter().map(|value| quoted(value)));
        self.rows[kind].push(row.collect());
    }
}

fn quoted(text: &str) -> String {
    literal(Some(text))
}

fn one_in(random: &mut Rng, many: u32) -> bool {
    random.u32(..many) == 0
}

fn id(random: &mut Rng) -> String {
    format!("{:032x}", random.u128(..))
}

/// A text that is not empty.
fn text(random: &mut Rng) -> String {
    let count = random.usize(1..4);
    (0..count).map(|_| random.choice(TEXTS).unwrap()).collect()
}

/// NULL, `''` or a text.
fn some_value(random: &mut Rng) -> Option<String> {
    match random.u8(..4) {
        0 => None,
        1 => Some(String::new()),
        _ => Some(text(random)),
    }
}

fn any_values(random: &mut Rng, kind: usize) -> Vec<String> {
    COLUMNS[kind].iter().map(|_| some_value(random).unwrap_or_default()).collect()
}

/// Another value, often one that looks the same.
fn other_than(random: &mut Rng, value: &str) -> String {
    let candidates = [
        format!("{value} "),
        format!(" {value}"),
        value.to_uppercase(),
        value.to_lowercase(),
        value.replace('\u{e9}', "e\u{301}"),
        value.trim().to_owned(),
        String::new(),
        text(random),
    ];
    let others: Vec<String> = candidates.into_iter().filter(|other| other != value).collect();
    random.choice(others).unwrap()
}
