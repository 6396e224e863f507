//! Records of text on one line each: a message of several lines, as a refusal has with the commands to type, would look
//! like several records, and all but the first like no record at all.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Writes each record on one line: a line break in it becomes `\n`.
pub(super) struct OneLine<W>(pub(super) W);

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for OneLine<M> {
    type Writer = OneLine<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }
}

impl<W: Write> Write for OneLine<W> {
    /// Takes a record as a whole, as the subscriber writes it.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = record.strip_suffix(b"\n").unwrap_or(record);
        let mut line: Vec<u8> = text.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\\n"[..]);
        line.extend(&record[text.len()..]);
        self.0.write_all(&line)?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let mut written = Vec::new();
        for record in ["refused: so\nand so\n", "a line\n"] {
            OneLine(&mut written).write_all(record.as_bytes()).unwrap();
        }
        assert_eq!(String::from_utf8(written).unwrap(), "refused: so\\nand so\na line\n");
    }
}
