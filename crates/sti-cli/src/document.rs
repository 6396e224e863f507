//! A small document: headings, paragraphs, lists, tables and commands, written as text or as Markdown.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

/// A report in reading order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Heading(String),
    Paragraph(String),
    List(Vec<String>),
    Table(Table),
    Command(String),
}

/// A table: the first column is aligned left, the others right when every cell in them is a figure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these column headers.
    pub fn new<H: Into<String>>(headers: impl IntoIterator<Item = H>) -> Self {
        Self { headers: headers.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; it should have as many cells as there are headers.
    #[must_use]
    pub fn row<C: Into<String>>(mut self, cells: impl IntoIterator<Item = C>) -> Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// Whether no row has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn is_figures(&self, column: usize) -> bool {
        let figure =
            |cell: &String| cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit()) || cell == "-";
        column > 0 && self.rows.iter().filter_map(|row| row.get(column)).all(figure)
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.chain(self.headers.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    }
}

impl Document {
    /// An empty document.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a heading.
    #[must_use]
    pub fn heading(self, text: impl Into<String>) -> Self {
        self.with(Block::Heading(text.into()))
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn paragraph(self, text: impl Into<String>) -> Self {
        self.with(Block::Paragraph(text.into()))
    }

    /// Adds a list; an empty one adds nothing.
    #[must_use]
    pub fn list<I: Into<String>>(self, items: impl IntoIterator<Item = I>) -> Self {
        let items: Vec<String> = items.into_iter().map(Into::into).collect();
        if items.is_empty() { self } else { self.with(Block::List(items)) }
    }

    /// Adds a table.
    #[must_use]
    pub fn table(self, table: Table) -> Self {
        self.with(Block::Table(table))
    }

    /// Adds a command to type.
    #[must_use]
    pub fn command(self, line: impl Into<String>) -> Self {
        self.with(Block::Command(line.into()))
    }

    fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// Writes the document for a terminal.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, block) in self.blocks.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            match block {
                Block::Heading(text) => writeln!(out, "{text}")?,
                Block::Paragraph(text) => writeln!(out, "{text}")?,
                Block::List(items) => {
                    for item in items {
                        writeln!(out, "  - {item}")?;
                    }
                }
                Block::Table(table) => write_text_table(table, out)?,
                Block::Command(line) => writeln!(out, "    {line}")?,
            }
        }
        Ok(())
    }

    /// Writes the document as Markdown.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, block) in self.blocks.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            match block {
                Block::Heading(text) => writeln!(out, "## {text}")?,
                Block::Paragraph(text) => writeln!(out, "{text}")?,
                Block::List(items) => {
                    for item in items {
                        writeln!(out, "- {item}")?;
                    }
                }
                Block::Table(table) => write_markdown_table(table, out)?,
                Block::Command(line) => writeln!(out, "```sh\n{line}\n```")?,
            }
        }
        Ok(())
    }
}

fn write_text_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    for cells in std::iter::once(&table.headers).chain(&table.rows) {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let gap = " ".repeat(table.width(column) - cell.width());
            line += "  ";
            if table.is_figures(column) {
                line += &gap;
                line += cell;
            } else {
                line += cell;
                line += &gap;
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_markdown_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    writeln!(out, "{}", line(&table.headers))?;
    let rule: Vec<&str> = (0..table.headers.len())
        .map(|column| if table.is_figures(column) { "---:" } else { "---" })
        .collect();
    writeln!(out, "| {} |", rule.join(" | "))?;
    table.rows.iter().try_for_each(|row| writeln!(out, "{}", line(row)))
}

/// A count with its thousands apart: `1,234,567`.
#[must_use]
pub fn number(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::from(if count < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of a whole with one decimal, rounded down so that 100.0% means all of them; `-` of nothing.
#[must_use]
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "-".to_owned();
    }
    let thousandths = i128::from(part) * 1000 / i128::from(whole);
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Document {
        let table = Table::new(["kind", "rows", "note"]).row(["school", "1,200", "a|b"]).row([
            "self-study",
            "7",
            "çà",
        ]);
        Document::new()
            .heading("Counts")
            .paragraph("What is there.")
            .table(table)
            .list(["one"])
            .command("sti counts")
    }

    fn written(write: impl Fn(&Document, &mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&sample(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_text() {
        insta::assert_snapshot!(written(Document::write_text), @r"
        Counts

        What is there.

          kind         rows  note
          school      1,200  a|b
          self-study      7  çà

          - one

            sti counts
        ");
    }

    #[test]
    fn as_markdown() {
        insta::assert_snapshot!(written(Document::write_markdown), @r"
        ## Counts

        What is there.

        | kind | rows | note |
        | --- | ---: | --- |
        | school | 1,200 | a\|b |
        | self-study | 7 | çà |

        - one

        ```sh
        sti counts
        ```
        ");
    }

    #[test]
    fn figures_are_exact() {
        assert_eq!(number(0), "0");
        assert_eq!(number(-1_234_567), "-1,234,567");
        assert_eq!(percent(9_999, 10_000), "99.9%");
        assert_eq!(percent(99_999, 100_000), "99.9%");
        assert_eq!(percent(3, 3), "100.0%");
        assert_eq!(percent(0, 0), "-");
    }
}
