//! Times of day, and years with the sign of theirs.

use super::python::text::strip;

/// Whether two texts are the same time of day, one of them at least beyond doubt which half of the
/// day it means and the other no less sure: `5:00 PM` is `17:00`, and `5:00` neither.
pub fn same_time(gold: &str, prediction: &str) -> bool {
    minutes(gold).is_some_and(|gold| minutes(prediction) == Some(gold))
}

/// The minutes since midnight of a time that says which half of the day it means.
fn minutes(text: &str) -> Option<u32> {
    let text = strip(text).to_lowercase().replace(['.', ' '], "");
    let half = [("am", 0), ("pm", 12)]
        .into_iter()
        .find_map(|(half, add)| Some((text.strip_suffix(half)?, add)));
    let clock = half.map_or(text.as_str(), |(clock, _)| clock);
    let (hours, minutes) = clock.split_once(':').unwrap_or((clock, "00"));
    let is_number =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let hours = match half {
        Some((_, add)) if (1..=12).contains(&hours) => hours % 12 + add,
        // A bare number is no time, and a ratio may be `3:04`.
        None if clock.contains(':') && (13..24).contains(&hours) => hours,
        _ => return None,
    };
    (minutes < 60).then_some(60 * hours + minutes)
}

/// A text without the sign of a year behind four digits: 2015年.
pub fn without_year_sign(text: &str) -> &str {
    let year = strip(text).strip_suffix(['年', '년']).map(strip);
    year.filter(|year| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::matching::{chart_equal, math_equal};

    #[test]
    fn times_of_day_are_compared() {
        for (gold, prediction, is_same) in [
            ("5:00 PM", "17:00", true),
            ("17:00", "5 p.m.", true),
            ("12:30 am", "12:30 AM", true),
            ("5:00 PM", "5:00 AM", false),
            ("5:00 PM", "5:00", false),
            ("12:00 PM", "12:00 AM", false),
            ("13:04", "13:04 PM", false),
            ("17:00", "17", false),
            ("17:60", "17:60", false),
            ("5 AM", "5", false),
        ] {
            assert_eq!(same_time(gold, prediction), is_same, "{gold} {prediction}");
        }
        assert!(math_equal("5:00 PM", "17:00") && !math_equal("5:00 PM", "16:00"));
    }

    #[test]
    fn years_have_a_sign_and_infinity_has_names() {
        assert!(math_equal("2015", "2015年") && chart_equal("2015年", "2015"));
        assert!(!math_equal("2015", "2016年") && !chart_equal("2015年", "2016"));
        assert!(!math_equal("15", "2015年"));
        for same in ["infinity", "∞", "Infinity", "$\\infty$"] {
            assert!(math_equal("\\infty", same), "{same}");
        }
        for other in ["-\\infty", "infinite", "8"] {
            assert!(!math_equal("\\infty", other), "{other}");
        }
    }
}
