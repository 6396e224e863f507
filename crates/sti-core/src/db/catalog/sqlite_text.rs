//! SQLite keeps the text of each CREATE statement and nothing finer. This reads it word by word: comments and
//! strings are not taken for names. Pure.

/// One word of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) kind: WordKind,
    /// As it is written, quotes included.
    pub(super) text: &'t str,
    /// How many parentheses it stands in; those themselves count as outside.
    pub(super) depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    /// A name or a keyword, without quotes.
    Bare,
    /// A name in `"…"`, `` `…` `` or `[…]`.
    Quoted,
    /// A text in `'…'`.
    Text,
    /// One character of anything else; numbers too are bare or single characters.
    Other,
}

impl Word<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind != WordKind::Quoted && self.text.eq_ignore_ascii_case(keyword)
    }

    /// The name that it is, if it may be one.
    pub(super) fn name(&self) -> Option<String> {
        let inner = || &self.text[1..self.text.len() - 1];
        match (self.kind, self.text.as_bytes().first()) {
            (WordKind::Bare, _) => Some(self.text.to_owned()),
            (WordKind::Quoted, Some(b'[')) => Some(inner().to_owned()),
            (WordKind::Quoted, Some(b'`')) => Some(inner().replace("``", "`")),
            (WordKind::Quoted, _) => Some(inner().replace("\"\"", "\"")),
            _ => None,
        }
    }

    /// Whether it names one of `names`, whatever the case of its letters.
    pub(super) fn names_one_of(&self, names: &[&str]) -> bool {
        self.name().is_some_and(|word| names.iter().any(|name| name.eq_ignore_ascii_case(&word)))
    }
}

/// The words of a statement, without blanks and comments.
pub(super) fn words(sql: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = sql;
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            blank if blank.is_whitespace() => (None, blank.len_utf8()),
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (None, rest.find("*/").map_or(rest.len(), |end| end + 2)),
            '\'' => (Some(WordKind::Text), quoted_length(rest, '\'')),
            '"' | '`' => (Some(WordKind::Quoted), quoted_length(rest, first)),
            '[' => (Some(WordKind::Quoted), rest.find(']').map_or(rest.len(), |end| end + 1)),
            letter if is_of_name(letter) => {
                (Some(WordKind::Bare), rest.find(|c| !is_of_name(c)).unwrap_or(rest.len()))
            }
            other => (Some(WordKind::Other), other.len_utf8()),
        };
        let (text, after) = rest.split_at(length);
        if text == ")" {
            depth = depth.saturating_sub(1);
        }
        // A quote that is never closed is nothing that SQLite would have kept.
        if let Some(kind) = kind.filter(|kind| *kind != WordKind::Quoted || text.len() >= 2) {
            words.push(Word { kind, text, depth });
        }
        if text == "(" {
            depth += 1;
        }
        rest = after;
    }
    words
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// The length of a quoted word at the beginning of `text`; a doubled quote does not end it.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut from = 1;
    loop {
        match text[from..].find(quote) {
            None => return text.len(),
            Some(at) if text[from + at + 1..].starts_with(quote) => from += at + 2,
            Some(at) => return from + at + 1,
        }
    }
}

/// One entry in the parentheses of a CREATE TABLE: a column, or a constraint of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableItem<'t> {
    pub(super) words: Vec<Word<'t>>,
}

impl TableItem<'_> {
    /// The name of the column; `None` for a constraint.
    pub(super) fn column(&self) -> Option<String> {
        let first = self.words.first()?;
        let keywords = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if keywords.iter().any(|keyword| first.is(keyword)) { None } else { first.name() }
    }

    /// The words as they were written, a blank between each two.
    pub(super) fn text(&self) -> String {
        self.words.iter().map(|word| word.text).collect::<Vec<_>>().join(" ")
    }
}

/// The entries of a CREATE TABLE, in their order.
pub(super) fn table_items(create_table: &str) -> Vec<TableItem<'_>> {
    let words = words(create_table);
    let mut items = Vec::new();
    let inside = words.into_iter().skip_while(|word| word.text != "(").skip(1);
    let mut current = Vec::new();
    for word in inside {
        if word.depth == 0 {
            break;
        }
        if word.depth == 1 && word.text == "," {
            items.push(TableItem { words: std::mem::take(&mut current) });
        } else {
            current.push(word);
        }
    }
    items.push(TableItem { words: current });
    items
}

/// The type of a column as the CREATE TABLE has it, capitals and blanks included; empty where none is declared. The
/// pragmas do not give that: to them `text` is `TEXT`.
pub(super) fn declared_type<'t>(create_table: &'t str, column: &str) -> Option<&'t str> {
    const ENDS: [&str; 11] = [
        "CONSTRAINT",
        "PRIMARY",
        "NOT",
        "NULL",
        "UNIQUE",
        "CHECK",
        "DEFAULT",
        "COLLATE",
        "REFERENCES",
        "GENERATED",
        "AS",
    ];
    let item = item_of(create_table, column)?;
    let ends = |word: &&Word<'_>| word.depth == 1 && ENDS.iter().any(|keyword| word.is(keyword));
    let length = item.words[1..].iter().take_while(|word| !ends(word)).count();
    let [first, .., last] = &item.words[1..=length] else {
        return Some(item.words[1..=length].first().map_or("", |word| word.text));
    };
    let start = offset(create_table, first);
    create_table.get(start..offset(create_table, last) + last.text.len())
}

/// The collation that a CREATE TABLE gives a column, as it is written.
pub(super) fn collation(create_table: &str, column: &str) -> Option<String> {
    let item = item_of(create_table, column)?;
    let at = item.words.iter().position(|word| word.depth == 1 && word.is("COLLATE"))?;
    item.words.get(at + 1).map(|word| word.text.to_owned())
}

fn item_of<'t>(create_table: &'t str, column: &str) -> Option<TableItem<'t>> {
    let is_it = |item: &TableItem<'_>| item.column().is_some_and(|name| name.eq_ignore_ascii_case(column));
    table_items(create_table).into_iter().find(is_it)
}

/// Where a word of `text` begins in it.
pub(super) fn offset(text: &str, word: &Word<'_>) -> usize {
    word.text.as_ptr() as usize - text.as_ptr() as usize
}

/// Whether a default is a plain value: those can be given to a column that is added, expressions cannot.
pub(super) fn is_literal(default: &str) -> bool {
    let words = words(default);
    let value = |word: &Word<'_>| {
        word.kind == WordKind::Text
            || word.kind == WordKind::Quoted
            || word.text.starts_with(|c: char| c.is_ascii_digit())
            || ["NULL", "TRUE", "FALSE"].iter().any(|keyword| word.is(keyword))
    };
    match words.as_slice() {
        [one] => value(one),
        [sign, number] if sign.text == "-" || sign.text == "+" => value(number),
        // A blob, or a number with a point in it.
        [x, text] if x.is("x") => text.kind == WordKind::Text,
        _ => default.parse::<f64>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_names() {
        let sql = "SELECT a -- course_name\n, 'it''s course_name' /* course_name */ FROM \"t\"\"x\" WHERE [b c]=`d`";
        let names: Vec<String> = words(sql).iter().filter_map(Word::name).collect();
        assert_eq!(names, ["SELECT", "a", "FROM", "t\"x", "WHERE", "b c", "d"]);
    }

    #[test]
    fn unclosed_text_ends_with_the_statement() {
        for sql in ["'", "\"", "[", "`a", "/*", "--", "'a''", "("] {
            assert!(words(sql).len() <= 1, "{sql}");
        }
    }

    #[test]
    fn items_are_cut_at_the_commas_of_the_table() {
        let sql = "CREATE TABLE \"t\" (\"a\" varchar(5) COLLATE NOCASE DEFAULT 'x,y', b decimal(5, 2) \
                   CHECK (b IN (1, 2)), CONSTRAINT c UNIQUE (a, b)) WITHOUT ROWID";
        let columns: Vec<Option<String>> = table_items(sql).iter().map(TableItem::column).collect();
        assert_eq!(columns, [Some("a".to_owned()), Some("b".to_owned()), None]);
        assert_eq!(collation(sql, "A").as_deref(), Some("NOCASE"));
        assert_eq!(collation(sql, "b"), None);
        assert_eq!(declared_type(sql, "b"), Some("decimal(5, 2)"));
        assert_eq!(declared_type("CREATE TABLE t (a, b NOT NULL)", "a"), Some(""));
        assert_eq!(declared_type("CREATE TABLE t (a, b Double  Precision)", "b"), Some("Double  Precision"));
        assert_eq!(table_items(sql)[2].text(), "CONSTRAINT c UNIQUE ( a , b )");
    }

    #[test]
    fn a_plain_value_is_told_from_an_expression() {
        for literal in ["'x'", "NULL", "-1", "1.5", "x'00'", "\"x\"", "true", "1e5"] {
            assert!(is_literal(literal), "{literal}");
        }
        for expression in ["1 + 1", "lower('x')", "CURRENT_TIMESTAMP", "a"] {
            assert!(!is_literal(expression), "{expression}");
        }
    }
}
