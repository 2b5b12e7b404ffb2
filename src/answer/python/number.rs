//! `float`, `int`, `round` and how a float is written.

/// Code points of the zeros of every decimal digit row (Unicode 14, Python 3.11).
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The ASCII digit of a decimal digit of any script.
pub fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let row = ZEROS.partition_point(|&zero| zero <= code).checked_sub(1)?;
    char::from_digit(code - ZEROS[row], 10).filter(|_| code - ZEROS[row] < 10)
}

/// Digits of any script as ASCII, underscores between digits dropped; none where an
/// underscore stands elsewhere.
///
/// White space around goes, but for the information separators: `str.strip` takes those, `float` does not.
fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let mut plain = String::with_capacity(text.len());
    let mut before = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '_' {
            if !(before && rest.peek().copied().is_some_and(|next| digit(next).is_some())) {
                return None;
            }
        } else {
            plain.push(digit(c).unwrap_or(c));
        }
        before = digit(c).is_some();
    }
    Some(plain)
}

/// `float(text)`; none where it raises a `ValueError`.
///
/// White space around it and single underscores between digits are fine, and so are digits of any
/// script, `nan` and `inf`; thousand separators, U+2212, `0x10` and `1/2` are not.
pub fn float(text: &str) -> Option<f64> {
    plain(text)?.parse().ok()
}

/// Most digits that `int` reads (Python 3.11's guard).
const MOST_DIGITS: usize = 4300;

/// `int(text)` as its decimal digits; none where it raises a `ValueError`.
pub fn int(text: &str) -> Option<String> {
    let plain = plain(text)?;
    let (sign, digits) = match plain.as_bytes().first()? {
        b'-' => ("-", &plain[1..]),
        b'+' => ("", &plain[1..]),
        _ => ("", plain.as_str()),
    };
    let fits = !digits.is_empty() && digits.len() <= MOST_DIGITS;
    if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") })
}

/// `int(number)`: toward zero, as decimal digits; none for a number that is not finite.
pub fn truncate(number: f64) -> Option<String> {
    // A float of this size is an integer, whose digits Rust writes exactly.
    number.is_finite().then(|| match format!("{:.0}", number.trunc()) {
        zero if zero == "-0" => "0".to_owned(),
        digits => digits,
    })
}

/// `round(number, digits)`: to the nearest decimal, ties to even, decided on the double's exact value.
pub fn round(number: f64, digits: i32) -> f64 {
    if !number.is_finite() || digits > 323 {
        return number;
    }
    if digits < -308 {
        return 0.0 * number;
    }
    // No double has more than 1,074 decimals, so these are all of them.
    let exact = format!("{:.1080}", number.abs());
    let (whole, fraction) = exact.split_once('.').unwrap_or((&exact, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    let kept = whole.len() as i32 + digits;
    let magnitude = if kept < 0 { 0.0 } else { rounded(&all, kept as usize, whole.len()) };
    magnitude.copysign(number)
}

/// The first digits of a decimal expansion, rounded half to even, as a number.
fn rounded(all: &[u8], kept: usize, point: usize) -> f64 {
    let mut digits = all[..kept].to_vec();
    let rest = &all[kept..];
    let is_tie = rest.first() == Some(&5) && rest[1..].iter().all(|&digit| digit == 0);
    let up = match rest.first() {
        Some(_) if is_tie => digits.last().is_some_and(|digit| digit % 2 == 1),
        Some(&first) => first >= 5,
        None => false,
    };
    if up {
        let mut place = digits.len();
        loop {
            if place == 0 {
                digits.insert(0, 1);
                break;
            }
            place -= 1;
            digits[place] += 1;
            if digits[place] < 10 {
                break;
            }
            digits[place] = 0;
        }
    }
    let text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let exponent = point as i64 - kept as i64;
    format!("0{text}e{exponent}").parse().unwrap_or(f64::INFINITY)
}

/// `repr(number)`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("Rust writes an exponent");
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = number.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_python_reads_them() {
        assert_eq!(float(" 1_000.5\n"), Some(1000.5));
        assert_eq!(float("１２"), Some(12.0));
        assert_eq!(float("\u{1d7d8}\u{1d7e1}"), Some(9.0));
        assert_eq!(float("1e400"), Some(f64::INFINITY));
        for not_one in [
            "",
            "1__0",
            "_1",
            "1_",
            "1_e5",
            "1,000",
            "0x10",
            "1/2",
            "\u{2212}5",
            "5 %",
            ".",
            "\u{1c}5",
        ] {
            assert_eq!(float(not_one), None, "{not_one:?}");
        }
    }

    #[test]
    fn integers_have_any_size() {
        assert_eq!(int(" +0007\u{3000}").as_deref(), Some("7"));
        assert_eq!(int("-0").as_deref(), Some("0"));
        assert_eq!(int("-12345678901234567890123").as_deref(), Some("-12345678901234567890123"));
        for not_one in ["14.0", "", "-", "1e3", "- 5", "1 2"] {
            assert_eq!(int(not_one), None, "{not_one:?}");
        }
        assert_eq!(truncate(-14.9).as_deref(), Some("-14"));
        assert_eq!(truncate(-0.4).as_deref(), Some("0"));
        assert_eq!(truncate(1e23).as_deref(), Some("99999999999999991611392"));
        assert_eq!(truncate(f64::NAN), None);
    }

    #[test]
    fn rounding_is_half_even_on_the_exact_double() {
        for (number, digits, expected) in [
            (2.675, 2, 2.67),
            (1.005, 2, 1.0),
            (0.125, 2, 0.12),
            (0.375, 2, 0.38),
            (2.5, 0, 2.0),
            (3.5, 0, 4.0),
            (9.995, 1, 10.0),
            (99.5, 0, 100.0),
            (1234.0, -2, 1200.0),
            (1250.0, -2, 1200.0),
            (0.04, 1, 0.0),
            (5e-324, 3, 0.0),
            (1.7976931348623157e308, 2, 1.7976931348623157e308),
        ] {
            assert_eq!(round(number, digits), expected, "{number} to {digits}");
        }
        assert!(round(-0.04, 1).is_sign_negative());
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.2345678901234567e19, "1.2345678901234567e+19"),
            (-0.0, "-0.0"),
            (14.0, "14.0"),
            (f64::INFINITY, "inf"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(float_repr(number), text);
        }
    }
}
