//! MathVision: two answers are equal as text or as numbers.

use super::latex;
use crate::answer::python::eval::eval;
use crate::answer::python::operator::Number;
use crate::answer::python::text::strip;
use crate::answer::python::value::Py;
use crate::answer::quantity;

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
    let is_imaginary = [gold, prediction].iter().any(|text| is_imaginary(text));
    let (gold, prediction) = (gold.to_lowercase(), prediction.to_lowercase());
    let (gold, prediction) = (strip(&gold), strip(&prediction));
    let same = |a: f64, b: f64| (a - b).abs() < TOLERANCE;
    if gold == prediction || is_imaginary {
        return gold == prediction;
    }
    // A percent sign divides; 50 alone may leave that of a known 50 % out.
    let numbers = quantity::read(gold).zip(quantity::read(prediction));
    if let Some((gold, said)) = numbers.filter(|(gold, said)| said.percent && !gold.percent) {
        return gold.unit.is_none() && same(gold.value, said.share());
    }
    quantity::equal(gold, prediction, same) == Some(true)
}

/// Whether a text is a number of Python's with a `j` behind it, which is no joule.
fn is_imaginary(text: &str) -> bool {
    strip(text)
        .strip_suffix('j')
        .is_some_and(|number| number.ends_with(|c: char| c.is_ascii_digit()))
}

/// VLMEvalKit's `is_equal`.
///
/// The peer evaluates both texts as Python in a scope where its own variable `a` holds the
/// known value, so that an answer "a" or "(A)" equals every number; then as LaTeX, where `a` and `b`
/// are both bound. Read are Python's arithmetic and the LaTeX of [`latex`]; where the peer would call a
/// function, nothing is executed and the answers differ.
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

/// Equal to the peer's LaTeX reader. What that prints is evaluated where `a` is the known value and
/// `b` the predicted one.
fn equal_as_latex(gold: &str, prediction: &str) -> bool {
    let Some((known, said)) = latex::read(gold, &[]).zip(latex::read(prediction, &[])) else {
        return false;
    };
    let names = [('a', known.value), ('b', said.value)];
    let value = |text: &str| latex::read(text, &names).map(|term| term.value);
    let is_near = |a: Number, b: Number| {
        a.minus(b).is_ok_and(|difference| difference.float().abs() < TOLERANCE)
    };
    let both = value(gold).zip(value(prediction));
    // The same symbol on both sides cancels.
    let cancels = matches!(known.kind, latex::Kind::Symbol(_)) && known.kind == said.kind;
    both.is_some_and(|(a, b)| is_near(a, b)) || cancels
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
            ("0.5", "50%", true),
            ("0.5", "0.5%", false),
            ("50", "50%", false),
            ("50%", "50", true),
            ("50%", "0.5", true),
            ("5", "5j", false),
            ("5 J", "5", true),
            ("3:2", "3 : 2", true),
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
            ("0.5", "\\frac{1}{2}", true),
            ("6", "2\\times3", true),
            ("5", "$5$", true),
            ("5", "\\boxed{5}", true),
            ("45", "45^\\circ", true),
            ("1.5", "1 1/2", false),
            ("1", "1 1/2", true),
            ("5", "2(3)", true),
            ("6", "2(3)", false),
            ("16", "0x10", true),
            ("1", "7%2", true),
            ("5", "5 # cats", true),
            ("2", "\\sqrt{4}", false),
            ("a", "(a)", true),
            ("100000000000000001", "100000000000000000", false),
            ("1,2", "1,2", true),
            ("1,2", "1,2,", false),
        ] {
            assert_eq!(is_equal_vlmevalkit(gold, prediction), equal, "{gold:?} {prediction:?}");
        }
    }
}
