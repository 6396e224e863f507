//! The texts that the sample's columns hold: ordinary ones, and those that break careless copies.

use super::random::Random;

const SUBJECTS: [&str; 12] = [
    "Algebra",
    "Biology",
    "Chemistry",
    "Drama",
    "English",
    "French",
    "Geography",
    "History",
    "Latin",
    "Music",
    "Physics",
    "Statistics",
];
const FIRST_NAMES: [&str; 10] =
    ["Ada", "Bruno", "Chioma", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Ines", "Jonas"];
const LAST_NAMES: [&str; 10] =
    ["Abebe", "Becker", "Costa", "Dubois", "Eriksen", "Fujita", "Garcia", "Haddad", "Ivanova", "Johnson"];
const VERBS: [&str; 6] = ["Read", "Summarise", "Practise", "Revise", "Translate", "Explain"];
const HABITS: [&str; 6] = ["daily", "weekly", "twice a week", "every other day", "weekends", "monthly"];

/// Texts that were copied wrongly somewhere: quotes and escapes, words that mean NULL to a loader, line ends,
/// control characters, blanks only, right-to-left, one letter in two normal forms, wide emoji.
const AWKWARD: [&str; 32] = [
    "O'Brien said \"no\"",
    "`back` 'tick",
    "C:\\new\\table",
    "\\N",
    "\\",
    "NULL",
    "null",
    "None",
    "0",
    "two\nlines",
    "three\r\nline\rends",
    "tab\there",
    "\u{1}\u{8}\u{b}\u{1f}\u{7f}",
    " ",
    "   ",
    "\u{a0}\u{2003}\u{3000}",
    "\t",
    "  padded  ",
    "مشروع العلوم",
    "פרויקט ראשון",
    "\u{202e}override",
    "Caf\u{e9}",
    "Cafe\u{301}",
    "\u{c5}ngstr\u{f6}m",
    "A\u{30a}ngstro\u{308}m",
    "👩‍👩‍👧‍👦 🇵🇹 👍🏽",
    "\u{feff}mark",
    "zero\u{200b}width",
    "İstanbul ıI",
    "Straße STRASSE",
    "'; DELETE --, %s $1 ?",
    "{\"a\": [1, null]}",
];

/// The longest goal, in bytes; one in some ten thousand.
const LONGEST_GOAL: usize = 100_000;

/// A text as JSON, quotes included: what goes to the database.
pub(super) type Json = String;

/// Which column a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    CourseName,
    CourseCode,
    TeacherName,
    GoalDescription,
    StudyFrequency,
}

/// Makes texts; holds the awkward ones as JSON.
#[derive(Debug)]
pub(super) struct Values {
    /// For columns of 50 characters, of 255, and without a limit.
    awkward: [Vec<Json>; 3],
    longest_goal: Json,
}

impl Values {
    pub(super) fn new() -> Self {
        let awkward = [50, 255, 1000].map(|limit| {
            let longest = ["x", "é", "€", "😀"].map(|letter| letter.repeat(limit));
            AWKWARD.iter().map(|text| json(text)).chain(longest.iter().map(|text| json(text))).collect()
        });
        Self { awkward, longest_goal: json(&"Long. ".repeat(LONGEST_GOAL.div_ceil(6))[..LONGEST_GOAL]) }
    }

    /// A text for `column`: never empty, awkward in 12 % of the cases.
    pub(super) fn text(&self, random: &mut Random, column: Column) -> Json {
        if random.per_mille(120) {
            let [short, medium, long] = &self.awkward;
            let list = match column {
                Column::CourseCode | Column::StudyFrequency => short,
                Column::Name | Column::CourseName | Column::TeacherName => medium,
                Column::GoalDescription if random.below(10_000) == 0 => return self.longest_goal.clone(),
                Column::GoalDescription => long,
            };
            return random.pick(list).clone();
        }
        let number = random.below(9000) + 1000;
        let subject = random.pick(&SUBJECTS);
        match column {
            Column::Name => format!("\"{subject} project {number}\""),
            Column::CourseName => format!("\"{subject} {number}\""),
            Column::CourseCode => format!("\"{}-{number}\"", &subject[..2]),
            Column::TeacherName => {
                format!("\"{} {}\"", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES))
            }
            Column::GoalDescription => {
                let (first, second) = (random.pick(&VERBS), random.pick(&VERBS));
                format!("\"{first} {number} pages of {subject}. {second} what was hard, and what was not.\"")
            }
            Column::StudyFrequency => format!("\"{}\"", random.pick(&HABITS)),
        }
    }
}

fn json(text: &str) -> Json {
    serde_json::Value::from(text).to_string()
}
