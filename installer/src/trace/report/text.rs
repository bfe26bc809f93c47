//! Numbers and texts as the page shows them.

pub(super) use crate::output::{count, grouped};
use rocblas_trace::text::Time;

/// A time in nanoseconds as three digits and a unit.
pub(super) fn time(nanoseconds: f64) -> String {
    Time::of_nanoseconds(nanoseconds).to_string()
}

/// A point in time in nanoseconds, as seconds with six decimals.
pub(super) fn place(nanoseconds: f64) -> String {
    // Adding 0.0 avoids -0.000000.
    format!("{:.6} s", (nanoseconds / 1e3).round() / 1e6 + 0.0)
}

/// A fraction as a percentage: `12.3%`.
pub(super) fn percent(part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
    match percent {
        p if p > 0.0 && p < 0.05 => "<0.1%".to_owned(),
        p => format!("{p:.1}%"),
    }
}

/// Text shortened to that many characters, with a mark that it was: names, command lines and variables in a
/// trace may be of any length.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A coordinate in as few characters as a drawing needs: two decimals, without trailing zeros.
pub(crate) fn coordinate(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Nanoseconds since 1970 as a date: `2025-03-01 12:34:56 UTC`.
pub(super) fn date(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that a leap day is the last of its year; days since 0000-03-01.
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (10_000_000, "10,000,000")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(
            (count(1, "call"), count(2000, "call")),
            ("1 call".into(), "2,000 calls".into())
        );
    }

    #[test]
    fn parts_of_nothing_are_nothing_and_small_ones_are_not_nothing() {
        assert_eq!(percent(1.0, 3.0), "33.3%");
        assert_eq!(percent(1.0, 1e6), "<0.1%");
        assert_eq!((percent(0.0, 5.0), percent(0.0, 0.0)), ("0.0%".into(), "0.0%".into()));
    }

    #[test]
    fn long_texts_are_cut_off_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äöü ...");
    }

    #[test]
    fn coordinates_are_short() {
        let cases = [(12.0, "12"), (0.5, "0.5"), (1.006, "1.01"), (-0.001, "0"), (100.0, "100")];
        for (number, text) in cases {
            assert_eq!(coordinate(number), text);
        }
    }

    #[test]
    fn places_have_microseconds() {
        assert_eq!(place(1_234_567_890.0), "1.234568 s");
        assert_eq!(place(-0.1), "0.000000 s");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds * 1_000_000_000), text);
        }
    }
}
