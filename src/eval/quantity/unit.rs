//! What stands behind a number: magnitudes, percent signs, degrees and units.

use super::lex::Token;

/// Units by their common name; every other spelling after it, lower-cased.
const UNITS: [&[&str]; 40] = [
    &["mm", "millimeter", "millimeters", "millimetre", "millimetres", "毫米"],
    &["cm", "centimeter", "centimeters", "centimetre", "centimetres", "厘米"],
    &["dm", "decimeter", "decimeters"],
    &["m", "meter", "meters", "metre", "metres", "米", "미터"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres", "千米", "公里"],
    &["in", "inch", "inches"],
    &["ft", "foot", "feet"],
    &["yd", "yard", "yards"],
    &["mi", "mile", "miles"],
    &["mg", "milligram", "milligrams"],
    &["g", "gram", "grams", "克"],
    &["kg", "kilogram", "kilograms", "千克", "公斤"],
    &["lb", "lbs", "pound", "pounds"],
    &["oz", "ounce", "ounces"],
    &["ton", "tons", "tonne", "tonnes", "吨"],
    &["ml", "milliliter", "milliliters", "millilitres"],
    &["l", "liter", "liters", "litre", "litres", "升"],
    &["s", "sec", "second", "seconds", "秒"],
    &["min", "minute", "minutes", "分钟"],
    &["h", "hr", "hrs", "hour", "hours", "小时", "시간"],
    &["day", "days", "天", "일"],
    &["week", "weeks"],
    &["month", "months", "个月"],
    &["year", "years", "yr", "yrs", "岁", "살"],
    &["degree", "degrees", "deg", "度", "도"],
    &["n", "newton", "newtons"],
    &["j", "joule", "joules"],
    &["w", "watt", "watts"],
    &["kw", "kilowatt", "kilowatts"],
    &["v", "volt", "volts"],
    &["a", "amp", "amps", "ampere", "amperes"],
    &["ohm", "ohms", "ω"],
    &["hz", "hertz"],
    &["pa", "pascal", "pascals"],
    &["mol", "mole", "moles"],
    &["dollar", "dollars", "usd", "bucks"],
    &["euro", "euros", "eur"],
    &["yuan", "rmb", "元", "块"],
    &["won", "krw", "원"],
    &["unit", "units", "单位", "个", "只", "条", "本", "개", "명", "마리", "대", "권"],
];

/// Words that multiply.
const MAGNITUDES: [(&str, f64); 14] = [
    ("hundred", 1e2),
    ("thousand", 1e3),
    ("million", 1e6),
    ("mn", 1e6),
    ("billion", 1e9),
    ("bn", 1e9),
    ("trillion", 1e12),
    ("千", 1e3),
    ("万", 1e4),
    ("萬", 1e4),
    ("亿", 1e8),
    ("천", 1e3),
    ("만", 1e4),
    ("억", 1e8),
];

/// The product of the magnitude words at the front, which are taken.
pub fn magnitude<'a>(rest: &mut &'a [Token]) -> f64 {
    let mut product = 1.0;
    loop {
        let all: &'a [Token] = rest;
        let after = match all {
            [Token::Space, after @ ..] => after,
            all => all,
        };
        let [Token::Word(word), tail @ ..] = after else { return product };
        let Some((_, factor)) = MAGNITUDES.into_iter().find(|(known, _)| known == word) else {
            return product;
        };
        // Twice is enough: "hundred thousand", "thousand million".
        if product > 1e6 {
            return product;
        }
        product *= factor;
        *rest = tail;
    }
}

/// The unit of a word.
pub fn named(word: &str) -> Option<&'static str> {
    UNITS.into_iter().find(|names| names.contains(&word)).map(|names| names[0])
}

/// Whether a percent sign follows, and which unit; none where something else does.
///
/// Of a compound unit ("km/h", "m^2", "square feet") the first name stands for the whole.
pub fn suffix(rest: &[Token]) -> Option<(bool, Option<&'static str>)> {
    let mut percent = false;
    let mut unit = None;
    let mut is_bare = true;
    for token in rest {
        match token {
            Token::Space => {}
            Token::Percent if is_bare => percent = true,
            Token::Word(word)
                if is_bare && matches!(word.as_str(), "percent" | "pct" | "퍼센트") =>
            {
                percent = true;
            }
            Token::Degree => unit = unit.or(Some("degree")),
            // Temperatures: °C; areas and volumes: square, cubic, ^2, /h, and braces that wrap them.
            Token::Word(word) if unit == Some("degree") && matches!(word.as_str(), "c" | "f") => {}
            Token::Word(word)
                if matches!(word.as_str(), "square" | "sq" | "cubic" | "per" | "平方") => {}
            Token::Word(word) => unit = unit.or(Some(named(word)?)),
            Token::Sign('/' | '^' | '*') | Token::Open('{') | Token::Close('}') => {}
            Token::Number(power, true) if unit.is_some() && *power <= 3.0 => {}
            _ => return None,
        }
        is_bare &= *token == Token::Space;
    }
    let dangles = matches!(rest.last(), Some(Token::Sign(_)));
    (!dangles).then_some((percent, unit))
}
