//! One sample project and the subtype rows that it has before any backfill.

use super::random::Random;
use super::values::{Column, Json, Values};

const SCHOOL: [Column; 3] = [Column::CourseName, Column::CourseCode, Column::TeacherName];
const SELF_STUDY: [Column; 2] = [Column::GoalDescription, Column::StudyFrequency];

const UNKNOWN: [&str; 3] = ["", "SCHOOL", "legacy_other"];

/// Seconds per day, and how many days the creation dates cover from 1 January 2021.
const DAY: u64 = 86_400;
const DAYS: u64 = 1700;

/// The rows of one project, each a JSON array; `None` where there is no subtype row.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) project: Json,
    pub(super) school: Option<Json>,
    pub(super) self_study: Option<Json>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    School,
    SelfStudy,
    Unknown(&'static str),
}

/// Which subtype rows are there.
enum Present {
    None,
    Equal,
    Drifted,
    WrongKind,
    BothKinds,
}

/// Makes project `index` of a sample.
pub(super) fn make(values: &Values, seed: u64, index: u64) -> Rows {
    let random = &mut Random::of_project(seed, index);
    let id = format!("\"{}\"", random.uuid());
    let name = values.text(random, Column::Name);
    let kind = match random.below(100) {
        0..60 => Kind::School,
        60..98 => Kind::SelfStudy,
        _ => Kind::Unknown(UNKNOWN[random.below(3) as usize]),
    };
    let type_name = match kind {
        Kind::School => "school",
        Kind::SelfStudy => "self_study",
        Kind::Unknown(name) => name,
    };
    let draft = u8::from(random.per_mille(100));
    let owner = random.below(200) + 1;
    let stray = random.per_mille(5);
    // An unknown type has the values of either kind, or none.
    let unknown_has_school = random.per_mille(500);
    let has_school = kind == Kind::School || stray || matches!(kind, Kind::Unknown(_)) && unknown_has_school;
    let has_study =
        kind == Kind::SelfStudy || stray || matches!(kind, Kind::Unknown(_)) && !unknown_has_school;
    let school = SCHOOL.map(|column| legacy(values, random, column, has_school));
    let study = SELF_STUDY.map(|column| legacy(values, random, column, has_study));
    let (start, end) = dates(random);
    let (created, updated) = moments(random);
    let present = present(random, kind);
    let subtype_rows = SubtypeRows { values, id: &id, school: &school, study: &study };
    let (school_row, study_row) = subtype_rows.make(random, kind, &present);

    let [course_name, course_code, teacher_name] = &school;
    let [goal, frequency] = &study;
    let project = format!(
        "[{id},{name},\"{type_name}\",{owner},{course_name},{course_code},{teacher_name},{goal},{frequency},\
         {start},{end},{draft},{created},{updated}]"
    );
    Rows { project, school: school_row, self_study: study_row }
}

/// A legacy value: NULL, `''` or a text; where the project `has` no such values, NULL and seldom `''`.
fn legacy(values: &Values, random: &mut Random, column: Column, has: bool) -> Json {
    match random.below(100) {
        0..4 => "null".to_owned(),
        4..8 => "\"\"".to_owned(),
        _ if has => values.text(random, column),
        _ => "null".to_owned(),
    }
}

/// 1 % of the projects of a known type have subtype rows: three in five of them equal.
fn present(random: &mut Random, kind: Kind) -> Present {
    if matches!(kind, Kind::Unknown(_)) || !random.per_mille(10) {
        return Present::None;
    }
    match random.below(10) {
        0..6 => Present::Equal,
        6..8 => Present::Drifted,
        8 => Present::WrongKind,
        _ => Present::BothKinds,
    }
}

struct SubtypeRows<'p> {
    values: &'p Values,
    id: &'p str,
    school: &'p [Json; 3],
    study: &'p [Json; 2],
}

impl SubtypeRows<'_> {
    /// The school and the self-study row.
    fn make(&self, random: &mut Random, kind: Kind, present: &Present) -> (Option<Json>, Option<Json>) {
        let (right, wrong_columns): (&[Json], &[Column]) = match kind {
            Kind::School => (self.school, &SELF_STUDY),
            _ => (self.study, &SCHOOL),
        };
        let right_row = match present {
            Present::None | Present::WrongKind => None,
            Present::Equal | Present::BothKinds => Some(self.row(&equal(right))),
            Present::Drifted => Some(self.row(&drifted(random, right))),
        };
        let wrong_row = matches!(present, Present::WrongKind | Present::BothKinds).then(|| {
            let texts: Vec<Json> = wrong_columns.iter().map(|c| self.values.text(random, *c)).collect();
            self.row(&texts)
        });
        match kind {
            Kind::School => (right_row, wrong_row),
            _ => (wrong_row, right_row),
        }
    }

    fn row(&self, values: &[Json]) -> Json {
        format!("[{},{}]", self.id, values.join(","))
    }
}

/// The subtype row that a backfill would make.
fn equal(legacy: &[Json]) -> Vec<Json> {
    legacy.iter().map(|value| if value == "null" { "\"\"".to_owned() } else { value.clone() }).collect()
}

/// That row with one value that differs: emptied, longer by a blank, or another text.
fn drifted(random: &mut Random, legacy: &[Json]) -> Vec<Json> {
    let mut row = equal(legacy);
    let index = random.below(row.len() as u64) as usize;
    let value = &mut row[index];
    let has_text = value.len() > 2;
    *value = match random.below(3) {
        0 if has_text => "\"\"".to_owned(),
        // Short enough for the shortest column, whatever its escapes.
        1 if has_text && value.len() < 45 => format!("{} \"", &value[..value.len() - 1]),
        _ => "\"drifted\"".to_owned(),
    };
    row
}

/// Start and end date; each missing in a third of the cases.
fn dates(random: &mut Random) -> (Json, Json) {
    let mut date = |_| match random.below(3) {
        0 => "null".to_owned(),
        _ => format!("\"{}\"", Day(random.below(DAYS))),
    };
    (date(0), date(1))
}

/// Creation and last change, in UTC without a zone; one in 50 on a whole second, which Django writes without a
/// fraction on SQLite.
fn moments(random: &mut Random) -> (Json, Json) {
    let created = random.below(DAYS * DAY);
    let updated = created + random.below(30 * DAY);
    let mut moment = |seconds: u64| {
        let (day, second) = (Day(seconds / DAY), seconds % DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        if random.per_mille(20) {
            format!("\"{day} {hour:02}:{minute:02}:{second:02}\"")
        } else {
            format!("\"{day} {hour:02}:{minute:02}:{second:02}.{:06}\"", random.below(999_999) + 1)
        }
    };
    (moment(created), moment(updated))
}

/// A day after 1 January 2021, shown as a date. Years have 12 months of 28 days here: every such date exists.
struct Day(u64);

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = (2021 + self.0 / 336, self.0 / 28 % 12 + 1, self.0 % 28 + 1);
        write!(f, "{year}-{month:02}-{day:02}")
    }
}
