//! The digest that confirms a plan, as a value of `--confirm`.

/// Takes the 12 hex digits that a plan shows, in lower case whatever they were typed in.
///
/// # Errors
/// What was expected, for clap to print.
pub fn parse(text: &str) -> Result<String, String> {
    let digest = text.to_ascii_lowercase();
    if digest.len() == 12 && digest.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(digest)
    } else {
        Err("expected the 12 hex digits that the plan shows".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn twelve_hex_digits_and_nothing_else() {
        assert_eq!(parse("0123456789AB").as_deref(), Ok("0123456789ab"));
        for text in ["", "012", "0123456789ag", "0123456789abc", " 123456789ab", "ÄÄÄÄÄÄ"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
