//! Samples of projects, for people and for programs.

use serde::Serialize;
use sti_cli::Document;
use sti_core::verify::{Class, ClassSample, FieldSides, Sample, Side};

/// Adds the samples of each class as a list.
pub(crate) fn add_to(mut document: Document, samples: &[ClassSample]) -> Document {
    for sample in samples {
        let first = match sample.projects.len() {
            1 => "the first by id".to_owned(),
            many => format!("the first {many} by id"),
        };
        document = document.heading(format!("{}: {first}", sample.class));
        document = document.list(sample.projects.iter().map(|project| line(sample.class, project)));
    }
    document
}

fn line(class: Class, project: &Sample) -> String {
    let mut line = project.id.to_string();
    if let Some(project_type) = &project.project_type {
        let draft = if project.is_draft { ", draft" } else { "" };
        line = format!("{line} ({:?}{draft})", project_type.as_str());
    }
    if project.fields.is_empty() {
        return line;
    }
    let names = || project.fields.iter().map(|sides| sides.field).collect::<Vec<_>>().join(", ");
    let each =
        |text: fn(&FieldSides) -> String| project.fields.iter().map(text).collect::<Vec<_>>().join("; ");
    let fields = match class {
        Class::Missing | Class::MissingDraft => format!("values in {}", names()),
        Class::NullBecameEmpty => format!("NULL in {}", names()),
        Class::UnknownType | Class::StrayValue => {
            each(|sides| format!("{} {}", sides.field, side_text(&sides.legacy)))
        }
        _ => each(|FieldSides { field, legacy, subtype }| {
            format!("{field} legacy {}, subtype {}", side_text(legacy), side_text(subtype))
        }),
    };
    format!("{line}: {fields}")
}

/// A value as it may be shown on a terminal: quoted, control characters escaped, what was left out said.
fn side_text(side: &Side) -> String {
    match side {
        Side::NoRow => "no row".to_owned(),
        Side::Null => "NULL".to_owned(),
        Side::Text(excerpt) if excerpt.is_whole() => format!("{:?}", excerpt.text),
        Side::Text(excerpt) => {
            format!("{:?} (from character {} of {})", excerpt.text, excerpt.skipped + 1, excerpt.characters)
        }
    }
}

/// The samples of a class in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ClassSampleJson {
    class: &'static str,
    projects: Vec<SampleJson>,
}

#[derive(Debug, Serialize)]
struct SampleJson {
    id: String,
    project_type: Option<String>,
    is_draft: bool,
    fields: Vec<FieldJson>,
}

#[derive(Debug, Serialize)]
struct FieldJson {
    field: &'static str,
    legacy: SideJson,
    subtype: SideJson,
}

#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum SideJson {
    NoRow,
    Null,
    Text { text: String, skipped: usize, characters: usize },
}

pub(crate) fn json(samples: &[ClassSample]) -> Vec<ClassSampleJson> {
    let class = |sample: &ClassSample| ClassSampleJson {
        class: sample.class.as_str(),
        projects: sample.projects.iter().map(SampleJson::from).collect(),
    };
    samples.iter().map(class).collect()
}

impl From<&Sample> for SampleJson {
    fn from(sample: &Sample) -> Self {
        let field = |sides: &FieldSides| FieldJson {
            field: sides.field,
            legacy: SideJson::from(&sides.legacy),
            subtype: SideJson::from(&sides.subtype),
        };
        Self {
            id: sample.id.to_string(),
            project_type: sample.project_type.as_ref().map(ToString::to_string),
            is_draft: sample.is_draft,
            fields: sample.fields.iter().map(field).collect(),
        }
    }
}

impl From<&Side> for SideJson {
    fn from(side: &Side) -> Self {
        match side {
            Side::NoRow => Self::NoRow,
            Side::Null => Self::Null,
            Side::Text(excerpt) => Self::Text {
                text: excerpt.text.clone(),
                skipped: excerpt.skipped,
                characters: excerpt.characters,
            },
        }
    }
}
