//! Numbers as people write them, and edit distance.

use super::python::number::float;
use super::python::text::strip;

/// The number that people mean: what Python's `float` reads, or the same with a real minus sign
/// and thousand separators.
pub fn generous_number(text: &str) -> Option<f64> {
    let text = strip(text);
    float(text).or_else(|| {
        let plain = text.replace(['\u{2212}', '\u{2013}'], "-");
        float(&without_thousands(&plain)?)
    })
}

/// `1,234,567.8` without commas; none where the commas do not separate thousands.
fn without_thousands(text: &str) -> Option<String> {
    let (whole, rest) = text.find('.').map_or((text, ""), |at| text.split_at(at));
    let unsigned = whole.trim_start_matches(['-', '+']);
    let mut groups = unsigned.split(',');
    let first = groups.next().unwrap_or_default();
    let good = unsigned == first
        || ((1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3));
    good.then(|| whole.replace(',', "") + rest)
}

/// Levenshtein distance in code points.
pub fn edit_distance(a: &str, b: &str) -> usize {
    strsim::levenshtein(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generous_number_takes_a_real_minus_and_thousands() {
        assert_eq!(generous_number("\u{2212}1,250.5"), Some(-1250.5));
        assert_eq!(generous_number("1,2"), None);
        assert_eq!(generous_number("12,345,67"), None);
    }
}
