//! What stands behind a number: magnitudes, percent signs, degrees and units.

use super::lex::Token;

/// Units: what each measures, how many of its first one it is, its common name and every other
/// spelling, lower-cased. What has no exact factor, or several, measures itself.
const UNITS: [(&str, f64, &[&str]); 46] = [
    ("length", 0.001, &["mm", "millimeter", "millimeters", "millimetre", "millimetres", "毫米"]),
    ("length", 0.01, &["cm", "centimeter", "centimeters", "centimetre", "centimetres", "厘米"]),
    ("length", 0.1, &["dm", "decimeter", "decimeters"]),
    ("length", 1.0, &["m", "meter", "meters", "metre", "metres", "米", "미터"]),
    ("length", 1e3, &["km", "kilometer", "kilometers", "kilometre", "kilometres", "千米", "公里"]),
    ("length", 0.0254, &["in", "inch", "inches"]),
    ("length", 0.3048, &["ft", "foot", "feet"]),
    ("length", 0.9144, &["yd", "yard", "yards"]),
    ("length", 1609.344, &["mi", "mile", "miles"]),
    ("mass", 0.001, &["mg", "milligram", "milligrams"]),
    ("mass", 1.0, &["g", "gram", "grams", "克"]),
    ("mass", 1e3, &["kg", "kilogram", "kilograms", "千克", "公斤"]),
    ("lb", 1.0, &["lb", "lbs"]),
    (POUND, 1.0, &["pound", "pounds"]),
    ("oz", 1.0, &["oz", "ounce", "ounces"]),
    ("ton", 1.0, &["ton", "tons", "tonne", "tonnes", "吨"]),
    ("volume", 0.001, &["ml", "milliliter", "milliliters", "millilitres"]),
    ("volume", 1.0, &["l", "liter", "liters", "litre", "litres", "升"]),
    ("time", 1.0, &["s", "sec", "second", "seconds", "秒"]),
    ("time", 60.0, &["min", "minute", "minutes", "分钟"]),
    ("time", 3600.0, &["h", "hr", "hrs", "hour", "hours", "小时", "시간"]),
    ("time", 86_400.0, &["day", "days", "天", "일"]),
    ("time", 604_800.0, &["week", "weeks"]),
    ("month", 1.0, &["month", "months", "个月"]),
    ("year", 1.0, &["year", "years", "yr", "yrs", "岁", "살"]),
    (DEGREE, 1.0, &["degree", "degrees", "deg", "度", "도"]),
    (CELSIUS, 1.0, &["celsius"]),
    (FAHRENHEIT, 1.0, &["fahrenheit"]),
    ("n", 1.0, &["n", "newton", "newtons"]),
    ("j", 1.0, &["j", "joule", "joules"]),
    ("power", 1.0, &["w", "watt", "watts"]),
    ("power", 1e3, &["kw", "kilowatt", "kilowatts"]),
    ("v", 1.0, &["v", "volt", "volts"]),
    ("a", 1.0, &["a", "amp", "amps", "ampere", "amperes"]),
    ("ohm", 1.0, &["ohm", "ohms", "ω"]),
    ("hz", 1.0, &["hz", "hertz"]),
    ("pa", 1.0, &["pa", "pascal", "pascals"]),
    ("mol", 1.0, &["mol", "mole", "moles"]),
    ("dollar", 1.0, &["dollar", "dollars", "usd", "bucks", "$"]),
    ("euro", 1.0, &["euro", "euros", "eur", "€"]),
    (STERLING, 1.0, &["gbp", "£"]),
    ("yuan", 1.0, &["yuan", "rmb", "cny", "元", "块"]),
    ("yen", 1.0, &["yen", "jpy", "円"]),
    (YEN_OR_YUAN, 1.0, &["¥"]),
    ("won", 1.0, &["won", "krw", "원", "₩"]),
    (
        "unit",
        1.0,
        &["unit", "units", "单位", "个", "只", "条", "本", "개", "명", "마리", "대", "권"],
    ),
];

const POUND: &str = "pound";
const STERLING: &str = "sterling";
const YEN_OR_YUAN: &str = "yen or yuan";
const DEGREE: &str = "degree";
const CELSIUS: &str = "celsius";
const FAHRENHEIT: &str = "fahrenheit";

/// Words with two meanings, each beside what it may mean.
const AMBIGUOUS: [(&str, &[&str]); 3] =
    [(POUND, &["lb", STERLING]), (YEN_OR_YUAN, &["yen", "yuan"]), (DEGREE, &[CELSIUS])];

/// Units that one compound unit may have.
const MOST_PARTS: usize = 3;

/// A unit, alone or compound: `cm`, `km/h`, `m^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// The common name of its first part.
    pub name: &'static str,
    /// How many of what its parts measure in.
    factor: f64,
    /// What its parts measure, with their powers, in alphabetical order.
    parts: [(&'static str, i8); MOST_PARTS],
}

impl Unit {
    /// How many of the other one are one of this; none where they do not measure the same.
    pub fn in_terms_of(self, other: Self) -> Option<f64> {
        let same = self.parts.iter().zip(&other.parts).all(|(a, b)| a.1 == b.1 && fit(a.0, b.0));
        same.then(|| if self.factor == other.factor { 1.0 } else { self.factor / other.factor })
    }
}

/// Whether two words may measure the same.
fn fit(a: &str, b: &str) -> bool {
    let may = |a, b| AMBIGUOUS.iter().any(|(word, means)| *word == a && means.contains(&b));
    a == b || may(a, b) || may(b, a)
}

/// Words that multiply.
const MAGNITUDES: [(&str, f64); 16] = [
    ("dozen", 12.0),
    ("dozens", 12.0),
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
    // Only where it touches: `1.2k` are 1,200, `300 K` is a temperature.
    if let [Token::Word(word), tail @ ..] = *rest
        && word == "k"
    {
        *rest = tail;
        return 1e3;
    }
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

/// What a word or a currency's sign measures, and how many of its first unit it is.
fn row(word: &str) -> Option<(&'static str, f64, &'static str)> {
    let found = UNITS.into_iter().find(|(.., names)| names.contains(&word));
    found.map(|(measures, factor, names)| (measures, factor, names[0]))
}

/// Whether a word is a unit.
pub fn is_unit(word: &str) -> bool {
    row(word).is_some()
}

/// The currency of a sign.
pub fn currency(sign: char) -> Option<Unit> {
    let mut unit = Compound::default();
    unit.add(&sign.to_string())?;
    unit.whole()
}

/// Whether a percent sign follows, and which unit; none where something else does.
pub fn suffix(rest: &[Token]) -> Option<(bool, Option<Unit>)> {
    if matches!(rest.last(), Some(Token::Sign(_))) {
        return None;
    }
    let (mut percent, mut unit, mut is_bare) = (false, Compound::default(), true);
    let mut rest = rest;
    while let [token, after @ ..] = rest {
        rest = after;
        match token {
            Token::Space => continue,
            Token::Percent if is_bare => percent = true,
            Token::Word(word) if is_bare && is_percent(word, &mut rest) => percent = true,
            Token::Degree => unit.degree()?,
            // Areas and volumes: square, cubic, ^2; rates: per, /; and braces that wrap them.
            Token::Word(word) if word == "squared" => unit.raise(2)?,
            Token::Word(word) if word == "cubed" => unit.raise(3)?,
            Token::Word(word) => match power_word(word) {
                Some(power) => unit.next_power = power,
                None if word == "per" => unit.divides = true,
                None => unit.add(word)?,
            },
            Token::Sign('/') => unit.divides = true,
            Token::Sign('^' | '*') | Token::Open('{') | Token::Close('}') => {}
            Token::Number(power, true) if (1.0..=3.0).contains(power) => {
                unit.raise(*power as i8)?
            }
            _ => return None,
        }
        is_bare = false;
    }
    (!unit.dangles()).then(|| (percent, unit.whole()))
}

/// Whether a word is that of a percent sign; "per cent" are two.
fn is_percent(word: &str, rest: &mut &[Token]) -> bool {
    if let ("per", [Token::Space, Token::Word(cent), after @ ..]) = (word, *rest)
        && cent == "cent"
    {
        *rest = after;
        return true;
    }
    matches!(word, "percent" | "pct" | "퍼센트")
}

/// The power of the unit that follows a word.
fn power_word(word: &str) -> Option<i8> {
    match word {
        "square" | "sq" | "平方" | "제곱" => Some(2),
        "cubic" | "立方" | "세제곱" => Some(3),
        _ => None,
    }
}

/// A unit that is being read.
struct Compound {
    parts: Vec<(&'static str, f64, i8)>,
    name: Option<&'static str>,
    /// That of the next part.
    next_power: i8,
    /// Whether the next part divides.
    divides: bool,
}

impl Default for Compound {
    fn default() -> Self {
        Self { parts: Vec::new(), name: None, next_power: 1, divides: false }
    }
}

impl Compound {
    /// A part by its word, `平方厘米` among them.
    fn add(&mut self, word: &str) -> Option<()> {
        let of_power = ["平方", "立方"].iter().find_map(|prefix| {
            let rest = word.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
            Some((rest, power_word(prefix)?))
        });
        let (word, power) = of_power.unwrap_or((word, self.next_power));
        // °C and °F.
        let word = match (self.parts.last(), word) {
            (Some((DEGREE, ..)), "c") => "celsius",
            (Some((DEGREE, ..)), "f") => "fahrenheit",
            _ => word,
        };
        let (measures, factor, name) = row(word)?;
        if let (Some((DEGREE, ..)), CELSIUS | FAHRENHEIT) = (self.parts.last(), measures) {
            self.parts.pop();
        }
        let power = if self.divides { -power } else { power };
        (self.next_power, self.divides) = (1, false);
        self.name = self.name.or(Some(name));
        // A litre is the cube of a decimetre.
        self.parts.push(match measures {
            "volume" => ("length", (factor * 1e-3).cbrt(), 3 * power),
            _ => (measures, factor, power),
        });
        (self.parts.len() <= MOST_PARTS).then_some(())
    }

    fn degree(&mut self) -> Option<()> {
        self.add(DEGREE)
    }

    /// Gives the last part a power.
    fn raise(&mut self, power: i8) -> Option<()> {
        let (.., last) = self.parts.last_mut()?;
        *last *= power;
        Some(())
    }

    /// Whether something is announced that does not come.
    fn dangles(&self) -> bool {
        self.divides || self.next_power != 1
    }

    /// The unit that was read; none where nothing was.
    fn whole(self) -> Option<Unit> {
        let mut parts = [("", 0); MOST_PARTS];
        for (place, (measures, _, power)) in parts.iter_mut().zip(&self.parts) {
            *place = (*measures, *power);
        }
        parts.sort_unstable();
        let factor = self.parts.iter().map(|(_, factor, power)| factor.powi((*power).into()));
        Some(Unit { name: self.name?, factor: factor.product(), parts })
    }
}
