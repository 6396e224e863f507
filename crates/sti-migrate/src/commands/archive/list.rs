//! `sti-migrate archive list`

use serde::Serialize;
use sti_cli::{Answer, Common, Document, Exit, Report, Table, Target, number};
use sti_core::contract::purge::{Archive, archives};
use sti_core::db::Access;

use super::moment;

pub(super) fn run(common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate archive list")?;
    let archives = archives(&mut target.connect(Access::Read)?)?;
    List::new(&target, &archives).print(common.format)?;
    Ok(Exit::Done)
}

struct List<'a> {
    target: String,
    archives: &'a [Archive],
}

#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    archives: Vec<ArchiveJson<'a>>,
}

#[derive(Serialize)]
struct ArchiveJson<'a> {
    event: i64,
    state: &'static str,
    dropped_at: String,
    tool_version: &'a str,
    /// Projects that the drop archived.
    archived: Option<i64>,
    /// Rows that are there.
    rows: i64,
    restored_at: Option<String>,
    finished_at: Option<String>,
}

impl<'a> List<'a> {
    fn new(target: &Target, archives: &'a [Archive]) -> Self {
        Self { target: target.url.to_string(), archives }
    }
}

fn state(archive: &Archive) -> &'static str {
    let event = &archive.event;
    match (event.restore_began_at, event.restored_at, event.finished_at) {
        (_, _, Some(_)) => "restored, finished",
        (_, Some(_), None) => "restored",
        (Some(_), None, None) => "being restored",
        (None, None, None) => "dropped",
    }
}

impl Report for List<'_> {
    fn document(&self) -> Document {
        if self.archives.is_empty() {
            return Document::new().paragraph("No drop of the legacy columns is on record.");
        }
        let table = Table::new(["drop", "state", "dropped at", "archived", "rows now", "by version"]);
        let table = self.archives.iter().fold(table, |table, archive| {
            let event = &archive.event;
            table.row([
                event.id.to_string(),
                state(archive).to_owned(),
                moment(event.dropped_at),
                event.archived.map_or_else(|| "-".to_owned(), number),
                number(archive.rows),
                event.tool_version.clone(),
            ])
        });
        Document::new().table(table)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let archives = self.archives.iter().map(|archive| ArchiveJson {
            event: archive.event.id,
            state: state(archive),
            dropped_at: moment(archive.event.dropped_at),
            tool_version: &archive.event.tool_version,
            archived: archive.event.archived,
            rows: archive.rows,
            restored_at: archive.event.restored_at.map(moment),
            finished_at: archive.event.finished_at.map(moment),
        });
        serde_json::to_value(Json { target: &self.target, archives: archives.collect() })
    }
}
