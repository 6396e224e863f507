//! The first projects of each class, with the values of both sides.

use std::collections::BTreeMap;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Bool, Nullable, Text};

use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, dialect};
use crate::keyset::in_sql;
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::models::{Kind, ProjectId, ProjectType};

use super::class::Class;
use super::error::VerifyError;
use super::excerpt::{Side, sides};
use super::scan::{Scan, WithTraits, orphans_sql, traits_of_each_sql};
use super::traits::{Fields, Traits, alias, joined_sql};
use super::watch::{Reading, Step, Watch};

/// The most projects that are shown for a class.
pub const MAX_SAMPLE: u32 = 10_000;

/// The most projects of a class that has few.
const FEW: i64 = 50_000;

/// Projects whose values are in memory at once: a text may have any length.
const AT_ONCE: usize = 20;

/// The first projects of a class, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSample {
    /// The class.
    pub class: Class,
    /// At most as many as were asked for.
    pub projects: Vec<Sample>,
}

/// One project, or one orphaned row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its id.
    pub id: ProjectId,
    /// Its type; `None` for an orphaned row.
    pub project_type: Option<ProjectType>,
    /// Whether it is a draft; `false` for an orphaned row.
    pub is_draft: bool,
    /// The columns that [`Class::fields`] names, with both sides' values shortened.
    pub fields: Vec<FieldSides>,
}

/// A column on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSides {
    /// The column's name, the same on both sides.
    pub field: &'static str,
    /// What `projects_project` holds.
    pub legacy: Side,
    /// What the subtype row holds.
    pub subtype: Side,
}

/// Both sides of one project.
#[derive(diesel::QueryableByName)]
struct Both {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
    #[diesel(sql_type = Nullable<Text>)]
    project_type: Option<ProjectType>,
    #[diesel(sql_type = Bool)]
    is_draft: bool,
    #[diesel(sql_type = Bool)]
    has_s: bool,
    #[diesel(sql_type = Bool)]
    has_f: bool,
    #[diesel(sql_type = Nullable<Text>)]
    legacy_0: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    legacy_1: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    legacy_2: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    legacy_3: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    legacy_4: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subtype_0: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subtype_1: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subtype_2: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subtype_3: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subtype_4: Option<String>,
}

/// Samples every class that `wanted` names and that has any project. In the snapshot of `scan`.
///
/// A class with many projects is read in the order of ids until there are enough of it. One with few would have the
/// whole table read in that order, through the index, which takes about ten times as long as a pass in the order of
/// the server's own: so those are found together, in one pass.
pub(super) fn samples(
    connection: &mut AnyConnection,
    scan: &Scan,
    reading: &Reading,
    watch: &Watch<'_>,
    size: u32,
    wanted: impl Fn(Class) -> bool,
) -> Result<Vec<ClassSample>, VerifyError> {
    let size = size.min(MAX_SAMPLE);
    let mut samples = Vec::new();
    if size == 0 {
        return Ok(samples);
    }
    let classes: Vec<Class> = Class::ALL.into_iter().filter(|class| wanted(*class)).collect();
    watch.enter(connection, Step::Sampling)?;
    let mut rare = rare(connection, scan, reading, size, &classes)?;
    for class in classes {
        watch.enter(connection, Step::Sampling)?;
        let projects = match class.orphan_kind() {
            Some(kind) if scan.orphans.of(kind) > 0 => orphans(connection, kind, reading, size)?,
            Some(_) => Vec::new(),
            None => match rare.remove(&class) {
                Some(found) => with_values(connection, class, &found)?,
                None => {
                    let found = first_by_id(connection, scan, reading, class, size)?;
                    with_values(connection, class, &found)?
                }
            },
        };
        if !projects.is_empty() {
            samples.push(ClassSample { class, projects });
        }
    }
    Ok(samples)
}

/// The traits of the projects that are in `class`.
fn traits_of(scan: &Scan, class: Class) -> impl Iterator<Item = Traits> + '_ {
    scan.groups.iter().map(|(traits, _)| *traits).filter(move |traits| class.holds(*traits))
}

/// The first projects, by id, of each class that has few: of all of them together, in one pass.
fn rare(
    connection: &mut AnyConnection,
    scan: &Scan,
    reading: &Reading,
    size: u32,
    classes: &[Class],
) -> Result<BTreeMap<Class, Vec<WithTraits>>, DbError> {
    let projects = |class: Class| -> i64 {
        scan.groups.iter().filter(|(traits, _)| class.holds(*traits)).map(|(_, projects)| projects).sum()
    };
    let few = classes.iter().filter(|class| (1..=FEW).contains(&projects(**class)));
    let mut found: BTreeMap<Class, Vec<WithTraits>> = few.map(|class| (*class, Vec::new())).collect();
    let occurring = scan.groups.iter().map(|(traits, _)| *traits);
    let of_any = occurring.filter(|traits| found.keys().any(|class| class.holds(*traits)));
    let Some(having) = having_sql(of_any) else { return Ok(found) };
    let sql = format!("{} WHERE {having} ORDER BY id", traits_of_each_sql(connection, reading));
    dialect::each_row(connection, &sql, "finding the projects of rare classes", |row: WithTraits| {
        let traits = Traits::from_bits(row.traits);
        for (_, first) in found.iter_mut().filter(|(class, _)| class.holds(traits)) {
            if first.len() < size as usize {
                first.push(WithTraits { ..row });
            }
        }
        Ok::<(), DbError>(())
    })?;
    Ok(found)
}

fn first_by_id(
    connection: &mut AnyConnection,
    scan: &Scan,
    reading: &Reading,
    class: Class,
    size: u32,
) -> Result<Vec<WithTraits>, DbError> {
    let Some(having) = having_sql(traits_of(scan, class)) else { return Ok(Vec::new()) };
    let sql = format!("{} WHERE {having} ORDER BY id LIMIT {size}", traits_of_each_sql(connection, reading));
    diesel::sql_query(sql).load(connection).doing(format!("reading projects of class {class}"))
}

fn with_values(
    connection: &mut AnyConnection,
    class: Class,
    found: &[WithTraits],
) -> Result<Vec<Sample>, DbError> {
    let mut samples = Vec::with_capacity(found.len());
    for chunk in found.chunks(AT_ONCE) {
        let rows = both_sides(connection, &joined_sql(), "p.id", chunk.iter().map(|found| found.id))?;
        for (row, found) in rows.iter().zip(chunk) {
            samples.push(row.sample(class.fields(Traits::from_bits(found.traits))));
        }
    }
    Ok(samples)
}

/// SQL: true for the traits that are given, as `traits` of the row; `None` when there are none.
pub(super) fn having_sql(traits: impl Iterator<Item = Traits>) -> Option<String> {
    let bits: Vec<String> = traits.map(|traits| traits.bits().to_string()).collect();
    (!bits.is_empty()).then(|| format!("traits IN ({})", bits.join(", ")))
}

fn orphans(
    connection: &mut AnyConnection,
    kind: Kind,
    reading: &Reading,
    size: u32,
) -> Result<Vec<Sample>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Orphan {
        #[diesel(sql_type = DbUuid)]
        id: ProjectId,
    }
    let sql =
        format!("SELECT r.project_id AS id FROM {} ORDER BY 1 LIMIT {size}", orphans_sql(kind, reading));
    let found: Vec<Orphan> =
        diesel::sql_query(sql).load(connection).doing(format!("reading orphans of {}", kind.table()))?;
    let other = alias(kind.other());
    let from = format!(
        "{} {} LEFT JOIN {} {other} ON 1 = 0 LEFT JOIN {} p ON 1 = 0",
        kind.table(),
        alias(kind),
        kind.other().table(),
        PARENT
    );
    let key = format!("{}.project_id", alias(kind));
    let mut samples = Vec::with_capacity(found.len());
    for chunk in found.chunks(AT_ONCE) {
        let rows = both_sides(connection, &from, &key, chunk.iter().map(|orphan| orphan.id))?;
        samples.extend(rows.iter().map(|row| row.sample(Fields::of(kind))));
    }
    Ok(samples)
}

/// The rows with these ids, in the order of the ids.
fn both_sides(
    connection: &mut AnyConnection,
    from: &str,
    key: &str,
    ids: impl Iterator<Item = ProjectId>,
) -> Result<Vec<Both>, DbError> {
    let mut columns: Vec<String> = Vec::new();
    for (index, column) in LEGACY_COLUMNS.iter().enumerate() {
        let kind = Kind::ALL.into_iter().find(|kind| kind.columns().contains(column));
        let subtype = kind.map_or("p", alias);
        columns.push(format!("p.{column} AS legacy_{index}, {subtype}.{column} AS subtype_{index}"));
    }
    let has = Kind::ALL.map(alias).map(|alias| format!("{alias}.project_id IS NOT NULL AS has_{alias}"));
    let sql = format!(
        "SELECT {key} AS id, p.project_type AS project_type, COALESCE(p.is_draft, 1 = 0) AS is_draft, {}, {} \
         FROM {from} WHERE {} ORDER BY {key}",
        has.join(", "),
        columns.join(", "),
        in_sql(key, ids)
    );
    diesel::sql_query(sql).load(connection).doing("reading both sides of sampled projects")
}

impl Both {
    fn sample(&self, fields: Fields) -> Sample {
        let legacy = [&self.legacy_0, &self.legacy_1, &self.legacy_2, &self.legacy_3, &self.legacy_4];
        let subtype = [&self.subtype_0, &self.subtype_1, &self.subtype_2, &self.subtype_3, &self.subtype_4];
        let there = |index: usize| {
            if Kind::School.columns().contains(&LEGACY_COLUMNS[index]) { self.has_s } else { self.has_f }
        };
        let fields = fields.indices().map(|index| {
            let legacy = self.project_type.is_some().then_some(legacy[index].as_deref());
            let subtype = there(index).then_some(subtype[index].as_deref());
            let [legacy, subtype] = sides(legacy, subtype);
            FieldSides { field: LEGACY_COLUMNS[index], legacy, subtype }
        });
        Sample {
            id: self.id,
            project_type: self.project_type.clone(),
            is_draft: self.is_draft,
            fields: fields.collect(),
        }
    }
}
