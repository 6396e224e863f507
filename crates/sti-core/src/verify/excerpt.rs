//! Values shortened for a report, so that two long ones can be told apart.

/// The most characters of a value that a report shows.
pub const EXCERPT: usize = 60;

/// Characters shown before the first difference.
const LEAD: usize = 15;

/// What one side holds for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// There is no row on this side.
    NoRow,
    /// NULL.
    Null,
    /// A text, or a part of it.
    Text(Excerpt),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// At most [`EXCERPT`] characters, beginning [`Excerpt::skipped`] characters into the text.
    pub text: String,
    /// Characters (Unicode scalar values) left out before the part.
    pub skipped: usize,
    /// Characters of the whole text.
    pub characters: usize,
}

impl Excerpt {
    /// Whether it is the whole text.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.skipped == 0 && self.text.chars().count() == self.characters
    }

    fn of(text: &str, difference: usize) -> Self {
        let characters = text.chars().count();
        let last = characters.saturating_sub(EXCERPT);
        let skipped = difference.saturating_sub(LEAD).min(last);
        Self { text: text.chars().skip(skipped).take(EXCERPT).collect(), skipped, characters }
    }
}

/// A row's value of a column: `None` where there is no row, `Some(None)` for NULL.
pub(super) type Value<'a> = Option<Option<&'a str>>;

/// Shortens both sides of a column around the first difference.
pub(super) fn sides(legacy: Value<'_>, subtype: Value<'_>) -> [Side; 2] {
    let difference = match (legacy.flatten(), subtype.flatten()) {
        (Some(a), Some(b)) => a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    [legacy, subtype].map(|value| match value {
        None => Side::NoRow,
        Some(None) => Side::Null,
        Some(Some(text)) => Side::Text(Excerpt::of(text, difference)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(side: &Side) -> (&str, usize, usize) {
        match side {
            Side::Text(excerpt) => (&excerpt.text, excerpt.skipped, excerpt.characters),
            Side::NoRow | Side::Null => panic!("no text: {side:?}"),
        }
    }

    #[test]
    fn short_values_are_shown_whole() {
        let [legacy, subtype] = sides(Some(Some("Ärger")), Some(Some("Arger")));
        assert_eq!((shown(&legacy), shown(&subtype)), (("Ärger", 0, 5), ("Arger", 0, 5)));
        assert_eq!(sides(Some(None), None), [Side::Null, Side::NoRow]);
    }

    #[test]
    fn long_values_are_shown_where_they_differ() {
        let same = "x".repeat(100_000);
        let [legacy, subtype] = sides(Some(Some(&format!("{same}a"))), Some(Some(&format!("{same}b"))));
        assert!(shown(&legacy).0.ends_with('a') && shown(&subtype).0.ends_with('b'));
        assert_eq!(shown(&legacy).1 + EXCERPT, 100_001);
        let [legacy, subtype] = sides(Some(Some(&same)), Some(Some("")));
        assert_eq!((shown(&legacy).1, shown(&legacy).2, shown(&subtype).0), (0, 100_000, ""));
    }
}
