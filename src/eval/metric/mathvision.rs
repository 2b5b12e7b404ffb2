//! MathVision: two answers are equal as text or as numbers.

use crate::eval::python::eval::eval;
use crate::eval::python::operator::Number;
use crate::eval::python::text::strip;
use crate::eval::python::value::Py;
use crate::eval::quantity;

/// Numbers closer than this are equal.
pub const TOLERANCE: f64 = 1e-6;

/// Whether an answer equals the known one: as text but for case, or as a number, a list of
/// numbers or an expression whose value lies within [`TOLERANCE`].
///
/// # Source
///
/// Wang et al. 2024, arXiv:2402.14804 (MATH-Vision), whose script executes both texts as Python and as
/// LaTeX; here [`quantity`] reads them.
pub fn is_equal(gold: &str, prediction: &str) -> bool {
    let (gold, prediction) = (gold.to_lowercase(), prediction.to_lowercase());
    let (gold, prediction) = (strip(&gold), strip(&prediction));
    let same = |a: f64, b: f64| (a - b).abs() < TOLERANCE;
    gold == prediction || quantity::equal(gold, prediction, same) == Some(true)
}

/// VLMEvalKit's `is_equal` on plain numbers, simple arithmetic and words.
///
/// The peer evaluates both texts as Python in a scope where its own variable `a` holds the
/// known value, so that an answer "a" or "(A)" equals every number; then as LaTeX, where `a` and `b`
/// are both bound.
pub fn is_equal_vlmevalkit(gold: &str, prediction: &str) -> bool {
    let (gold, prediction) = (gold.to_lowercase(), prediction.to_lowercase());
    let (gold, prediction) = (strip(&gold), strip(&prediction));
    gold == prediction || equal_as_python(gold, prediction) || equal_as_latex(gold, prediction)
}

fn equal_as_python(gold: &str, prediction: &str) -> bool {
    let Ok(known) = eval(gold, &[]) else { return false };
    let Ok(said) = eval(prediction, &[("a", &known)]) else { return false };
    near(&known, &said)
}

/// `abs(a - b) < 1e-6`; false where it raises.
fn near(a: &Py, b: &Py) -> bool {
    let difference = || Number::of(a)?.minus(Number::of(b)?);
    difference().is_ok_and(|difference| difference.float().abs() < TOLERANCE)
}

/// What the peer's LaTeX reader makes of a text, as the Python expression in which it is printed.
fn equal_as_latex(gold: &str, prediction: &str) -> bool {
    let (Some(known), Some(said)) = (latex(gold), latex(prediction)) else { return false };
    // The printed expressions are evaluated where `a` and `b` are the two expressions themselves.
    let value = |text: &str| match text {
        "a" => Some(known.as_str()),
        "b" => Some(said.as_str()),
        _ => None,
    };
    let resolve = |text: &str| {
        let text = value(text).unwrap_or(text);
        let a = value("a").and_then(|text| eval(text, &[]).ok());
        let b = value("b").and_then(|text| eval(text, &[]).ok());
        let names: Vec<(&str, &Py)> = [("a", &a), ("b", &b)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .collect();
        eval(text, &names).ok()
    };
    match (resolve(&known), resolve(&said)) {
        (Some(a), Some(b)) => near(&a, &b),
        // The same symbol on both sides cancels.
        _ => known == said && matches!(known.as_str(), "a" | "b"),
    }
}

/// A text as a Python expression, where the peer's reader takes it for arithmetic: thousand
/// separators go, `^` is a power, letters are factors.
fn latex(text: &str) -> Option<String> {
    let mut written = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() || c == '.' {
            let (number, after) = latex_number(rest)?;
            // Numbers side by side add up, as a mixed number does.
            if before.is_ascii_digit() {
                written.push('+');
            }
            written.push_str(&number);
            (rest, before) = (after, '0');
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            ' ' => continue,
            '\u{2212}' | '-' => written.push('-'),
            '+' | '*' | '/' | '(' | ')' => written.push(c),
            '^' => written.push_str("**"),
            ':' => written.push('/'),
            'a'..='z' => {
                if before.is_ascii_alphanumeric() {
                    written.push('*');
                }
                written.push(c);
            }
            _ => return None,
        }
        before = c;
    }
    let written = strip(&written).to_owned();
    let bare = written.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    let bare =
        bare.filter(|inner| inner.chars().all(|c| c.is_ascii_lowercase())).map(str::to_owned);
    let written = bare.unwrap_or(written);
    (!written.is_empty()).then_some(written)
}

/// A number without its thousand separators and leading zeros.
fn latex_number(text: &str) -> Option<(String, &str)> {
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(a, b)| (a, Some(b)));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = !first.is_empty() && groups.all(|group| group.len() == 3);
    if !(grouped || whole.is_empty())
        || fraction.is_some_and(|part| part.is_empty() || part.contains([',', '.']))
    {
        return None;
    }
    let digits = whole.replace(',', "");
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    Some((fraction.map_or_else(|| digits.to_owned(), |part| format!("{digits}.{part}")), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        for (gold, prediction, equal) in [
            ("14", "14.0", true),
            ("1/2", "2/4", true),
            ("1/2", "50%", true),
            ("1000", "1,000", true),
            ("1e3", "1000", true),
            ("-3", "\u{2212}3", true),
            ("1/3", "0.333333", true),
            ("1/3", "0.3333", false),
            ("\\frac{1}{2}", "0.5", true),
            ("2\\sqrt{3}", "\\sqrt{12}", true),
            ("8", "2^3", true),
            ("1", "2^3", false),
            ("14", "a", false),
            ("5", "(A)", false),
            ("Dog", " dog", true),
            ("dog", "", false),
            ("0", "-0", true),
            ("0", "0.000001", false),
        ] {
            assert_eq!(is_equal(gold, prediction), equal, "{gold:?} {prediction:?}");
        }
    }

    #[test]
    fn vlmevalkit_binds_its_own_variables() {
        for (gold, prediction, equal) in [
            ("14", "a", true),
            ("1,000", "(A)", true),
            ("\u{2212}3", "a", true),
            ("dog", "a", false),
            ("a", "14", false),
            ("5", "a+0", true),
            ("1", "2^3", true),
            ("8", "2^3", true),
            ("007", "7", true),
            ("1/2", "50%", false),
            ("1,000", "1000", true),
            ("1,2", "1,2", true),
            ("1,2", "1,2,", false),
        ] {
            assert_eq!(is_equal_vlmevalkit(gold, prediction), equal, "{gold:?} {prediction:?}");
        }
    }
}
