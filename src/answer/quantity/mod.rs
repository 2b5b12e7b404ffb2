//! Numbers as people and models write them: arithmetic, LaTeX, fractions, percent, units, words.
//!
//! ```text
//! text ─ lex (tokens) ─ parse (a value, then its suffix) ─ Quantity
//! ```
//!
//! Model output is read, never executed: text longer than [`LENGTH`] or nested deeper than
//! `parse::DEPTH` is no number, every operation takes constant time, and a value that is not finite is none.

mod command;
mod equal;
mod lex;
mod parse;
mod unit;
mod words;

use crate::answer::python::text::{len, strip};
pub use equal::{equal, is_decade, is_range_or_date, list, same_quantity, unmarked};
pub use unit::Unit;

/// Longest text that can be a number, in characters.
pub const LENGTH: usize = 200;

/// A number with what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// Its value; of `50 %` it is 50.
    pub value: f64,
    /// Whether a percent sign stands behind it.
    pub percent: bool,
    /// Its unit, where one is known; a currency may stand before it.
    pub unit: Option<Unit>,
    /// Whether it is written as a plain integer.
    pub integer: bool,
}

impl Quantity {
    /// The values that it may mean: of `50 %`, 50 and one half.
    fn values(self) -> impl Iterator<Item = f64> {
        std::iter::once(self.value).chain(self.percent.then(|| self.share()))
    }

    /// Its hundredth part, as one would write it: that of 33.3 is 0.333 to the last bit.
    pub fn share(self) -> f64 {
        format!("{}e-2", self.value).parse().unwrap_or(self.value / 100.0)
    }
}

/// The number that a whole text is; none where it is anything else.
///
/// Read are digits with proper thousand separators, decimals and exponents, digits of any script, a real
/// minus sign, `+ − × ÷ / ^ !` and brackets, `\frac`, `\sqrt`, `\pi` and their Unicode signs, mixed
/// numbers (`2 1/2`), number words in English, Chinese and Korean, `x = …` in front,
/// and percent signs, degrees, currencies and units behind.
pub fn read(text: &str) -> Option<Quantity> {
    if len(text) > LENGTH {
        return None;
    }
    let quantity = parse::quantity(&lex::tokens(text)?)?;
    Some(Quantity { unit: quantity.unit.or_else(|| currency(text)), ..quantity })
}

/// The currency whose sign stands before a number. Dollars around all of it are those of LaTeX.
fn currency(text: &str) -> Option<Unit> {
    let text = strip(text).trim_matches(|c: char| "`_\"'“”*".contains(c));
    let text = text.trim_start_matches(['-', '+', '\u{2212}', '\\', ' ']);
    let sign = text.chars().next().filter(|sign| "$€£¥₩".contains(*sign))?;
    (sign != '$' || text.matches('$').count() == 1).then(|| unit::currency(sign))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn value(text: &str, expected: f64) {
        let quantity = read(text).unwrap_or_else(|| panic!("{text:?} is a number"));
        let near = (quantity.value - expected).abs() <= 1e-12 * expected.abs().max(1.0);
        assert!(near, "{text:?} is {}, not {expected}", quantity.value);
    }

    #[test]
    fn plain_numbers_and_their_dress() {
        for (text, expected) in [
            ("14", 14.0),
            ("-14.50", -14.5),
            (".5", 0.5),
            ("+7", 7.0),
            ("1,234,567.8", 1_234_567.8),
            ("1\u{202f}234", 1234.0),
            ("\u{2212}3", -3.0),
            ("１２", 12.0),
            ("1e3", 1000.0),
            ("3 × 10^8", 3e8),
            ("3\\times10^{-2}", 0.03),
            ("007", 7.0),
            ("5.", 5.0),
            ("**5**", 5.0),
            ("$14$", 14.0),
            ("x = 5", 5.0),
            ("AB = 12 cm", 12.0),
            ("≈ 3.25", 3.25),
            ("about 20", 20.0),
        ] {
            value(text, expected);
        }
    }

    #[test]
    fn arithmetic_and_latex() {
        for (text, expected) in [
            ("1/2", 0.5),
            ("2*3+4", 10.0),
            ("2(3+4)", 14.0),
            ("-2^2", -4.0),
            ("2^3^2", 512.0),
            ("5!", 120.0),
            ("(1)", 1.0),
            ("|−5|", 5.0),
            ("6 ÷ 4", 1.5),
            ("\\frac{1}{2}", 0.5),
            ("\\dfrac{3}{4}", 0.75),
            ("\\frac12", 0.5),
            ("-\\frac{\\sqrt{2}}{2}", -std::f64::consts::FRAC_1_SQRT_2),
            ("2\\sqrt{3}", 12f64.sqrt()),
            ("\\sqrt[3]{27}", 3.0),
            ("√16", 4.0),
            ("2√3", 12f64.sqrt()),
            ("4π", 4.0 * std::f64::consts::PI),
            ("\\frac{\\pi}{4}", std::f64::consts::FRAC_PI_4),
            ("2 1/2", 2.5),
            ("2\\frac{1}{2}", 2.5),
            ("2½", 2.5),
            ("-1 1/2", -1.5),
            ("½", 0.5),
            ("x²", f64::NAN),
            ("3²", 9.0),
            ("4pi", 4.0 * std::f64::consts::PI),
            ("sin 30°", 0.5),
            ("\\sin{30^\\circ}", 0.5),
            ("\\sin(30^{\\circ})", 0.5),
            ("\\cos(60)^\\circ", 0.5),
            ("3 + 4 = 7", 7.0),
            ("1/3 = 0.33", 0.33),
            ("\\left(\\frac{1}{2}\\right)^{2}", 0.25),
            ("\\boxed{\\frac{3}{11}}", 3.0 / 11.0),
            ("\\sin 30^\\circ", 0.5),
        ] {
            if expected.is_nan() {
                assert_eq!(read(text), None, "{text}");
            } else {
                value(text, expected);
            }
        }
    }

    #[test]
    fn words_and_suffixes() {
        for (text, expected) in [
            ("five", 5.0),
            ("Twenty-one", 21.0),
            ("one hundred and five", 105.0),
            ("two thousand three hundred", 2300.0),
            ("3.5 million", 3.5e6),
            ("a half", 0.5),
            ("two and a half", 2.5),
            ("2 and a half", 2.5),
            ("one hundred and a half", 100.5),
            ("three and three quarters", 3.75),
            ("two point five", 2.5),
            ("three point two five", 3.25),
            ("三点五", 3.5),
            ("three quarters", 0.75),
            ("two thirds", 2.0 / 3.0),
            ("a dozen", 12.0),
            ("三十五", 35.0),
            ("一百零五", 105.0),
            ("五分之三", 0.6),
            ("3万", 30_000.0),
            ("两个", 2.0),
            ("다섯 개", 5.0),
            ("삼십오", 35.0),
            ("스물한 명", 21.0),
            ("5 cm", 5.0),
            ("5cm", 5.0),
            ("60 km/h", 60.0),
            ("25 m^2", 25.0),
            ("12 square meters", 12.0),
            ("90°", 90.0),
            ("90^\\circ", 90.0),
            ("90 degrees", 90.0),
            ("$5.00", 5.0),
            ("€5", 5.0),
            ("5 dollars", 5.0),
            ("1.2k", 1200.0),
            ("300 W", 300.0),
            ("12 cubic cm", 12.0),
            ("12 cm squared", 12.0),
            ("minus 3", -3.0),
            ("negative seven", -7.0),
            ("负三", -3.0),
            ("负3", -3.0),
            ("2*sqrt(3)", 12f64.sqrt()),
            ("∠A = 60°", 60.0),
            ("5 \\text{ cm}", 5.0),
        ] {
            value(text, expected);
        }
        let percent = read("50 %").expect("a number");
        assert!(percent.percent && percent.value == 50.0);
        assert_eq!(read("百分之五十").map(|q| (q.value, q.percent)), Some((50.0, true)));
        let name = |text| read(text).and_then(|quantity| quantity.unit).map(|unit| unit.name);
        assert_eq!(
            (name("5 centimetres"), name("-$5"), name("$5$")),
            (Some("cm"), Some("dollar"), None)
        );
    }

    #[test]
    fn other_text_is_no_number() {
        for text in [
            "",
            " ",
            "cat",
            "5 apples",
            "1,2",
            "10,00",
            "12:30",
            "1 2",
            "1/0",
            "(",
            "5)",
            "--",
            "x",
            "a",
            "1e400",
            "__import__('os')",
            "5 and 6",
            "3-4-",
            "2**",
            "\\frac{1}",
            "\\sqrt{-1}",
            "none",
            "no",
            "1.2.3",
            "8 = 7",
            "5 and six",
            "three point",
            "三点",
            "point five",
            "5 x",
            "99!",
            "9^9^9^9",
            "２０２４年のこと",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&"(".repeat(199)), None);
        assert_eq!(read(&"-".repeat(199)), None);
        assert_eq!(read(&"1".repeat(400)), None);
    }
}
