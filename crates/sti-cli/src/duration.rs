//! Durations on the command line.

use std::time::Duration;

/// Takes `500ms`, `10s`, `5m`, `2h`, or a number of seconds, as a value parser of clap.
///
/// # Errors
/// Any other text, and 0.
pub fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let whole = number.parse::<f64>().map_or(f64::NAN, |number| number * seconds);
    match Duration::try_from_secs_f64(whole) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a time above 0, as in 500ms, 10s, 5m or 2h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_units_and_seconds() {
        for (text, ms) in
            [("500ms", 500), ("10s", 10_000), ("10", 10_000), ("1.5m", 90_000), ("2h", 7_200_000)]
        {
            assert_eq!(duration(text).map(|duration| duration.as_millis()), Ok(ms), "{text}");
        }
        for text in ["", "0", "-1s", "s", "10d", "nan", "inf", "1e300h", "10 s", "é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
