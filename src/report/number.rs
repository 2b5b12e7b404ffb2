//! Ticks and how numbers are written on charts and on the page. Files hold fractions and
//! shortest floats; only here do shares become per cent.

/// Most values of an axis that have a tick each.
const MOST_OWN_TICKS: usize = 8;
/// Part of an axis that stays free before its first and behind its last value.
const ROOM: f64 = 0.04;

/// An axis: which values it spans, where its ticks are, how they are written.
#[derive(Clone, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Ticks, inside the range.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// Round ticks over a range that holds all values.
    pub fn linear(values: impl IntoIterator<Item = f64>, from_zero: bool) -> Self {
        let (mut low, mut high) = range(values);
        if from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low < 1e-12 * high.abs().max(1e-9) {
            (low, high) =
                if from_zero && low == 0.0 { (0.0, 1.0) } else { (low - 0.5, high + 0.5) };
        }
        let step = round_step((high - low) / 7.0);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let count = (last - first) as i64;
        let ticks = (0..=count).map(|i| (first + i as f64) * step).map(clean).collect();
        Self { low: clean(first * step), high: clean(last * step), log: false, ticks }
    }

    /// A logarithmic axis with a tick at each of the values.
    pub fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let ticks = distinct(values);
        let (low, high) = range(ticks.iter().copied());
        let room = (high / low).powf(ROOM).max(1.02);
        Self { low: low / room, high: high * room, log: true, ticks }
    }

    /// A linear axis with a tick at each of the values, where these are few.
    pub fn few(values: &[f64]) -> Option<Self> {
        let ticks = distinct(values.iter().copied());
        let (low, high) = range(ticks.iter().copied());
        let room = (high - low) * ROOM;
        let (low, high) = (low - room, high + room);
        let are_few = (2..=MOST_OWN_TICKS).contains(&ticks.len());
        are_few.then_some(Self { low, high, log: false, ticks })
    }

    /// The range of a linear axis, cut to exactly the values (for steps).
    pub fn tight(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values);
        let mut scale = Self::linear([low, high], false);
        scale.ticks.retain(|tick| (low..=high).contains(tick));
        (scale.low, scale.high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        scale
    }

    /// Where a value lies: 0 at the axis' start, 1 at its end.
    pub fn at(&self, value: f64) -> f64 {
        if self.log {
            (value.max(self.low / 10.0).ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

fn distinct(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut distinct: Vec<f64> = values.into_iter().collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    distinct
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= rough * (1.0 - 1e-9));
    clean(factor.unwrap_or(10.0) * power)
}

/// Drops the noise of binary arithmetic: 0.30000000000000004 is 0.3.
pub fn clean(value: f64) -> f64 {
    format!("{value:.12e}").parse().expect("Rust reads what it writes")
}

/// A number for people, at most four digits: 0.1, 3e-4, 12.5, 1,200.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if is_scientific(value) {
        return scientific(value);
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    text.replace('-', "−")
}

/// Numbers of one axis, those near zero all in one way: 3e-4, 1e-3.
pub fn alike(values: &[f64]) -> Vec<String> {
    let has_small = values.iter().any(|&value| value.abs() < 1.0 && is_scientific(value));
    let write = |&value: &f64| match has_small && value != 0.0 && value.abs() < 0.1 {
        true => scientific(value),
        false => short(value),
    };
    values.iter().map(write).collect()
}

/// Decimals that show the largest of some numbers in four digits, two decimals at most of one that
/// has them to spare, and no more than some number needs; none where one needs an exponent.
pub fn decimals(values: &[f64]) -> Option<usize> {
    let largest = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    if values.iter().all(|value| *value == 0.0) {
        return Some(0);
    }
    if is_scientific(largest) {
        return None;
    }
    let digits = 3 - largest.log10().floor() as i32;
    let most = if largest >= 0.1 { digits.clamp(0, 2) } else { digits.clamp(0, 6) } as usize;
    let is_enough = |few: &usize| {
        let read = |decimals: usize, value: f64| format!("{value:.decimals$}").parse::<f64>();
        values.iter().all(|value| read(*few, *value) == read(most, *value))
    };
    (0..=most).find(is_enough)
}

fn is_scientific(value: f64) -> bool {
    value != 0.0 && !(1e-3..1e5).contains(&value.abs())
}

fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    let (digits, exponent) = text.split_once('e').expect("scientific notation has an e");
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    format!("{digits}e{exponent}").replace('-', "−")
}

/// A whole number with thousands set apart: 4,000.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One decimal of a share in per cent, without the sign: 0.593 is `59.3`.
pub fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0).replace('-', "−")
}

/// `1 seed`, `3 seeds`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// Seconds as people say them: `4.2 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_span_the_values() {
        let scale = Scale::linear([0.43, 0.81], true);
        assert_eq!(scale.ticks, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(scale.at(0.5), 0.5);
        let scale = Scale::linear([-3.0, 41.0], false);
        assert_eq!(scale.ticks, [-10.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    }

    #[test]
    fn a_log_axis_is_even_in_ratios() {
        let scale = Scale::log([1e-5, 1e-4, 1e-3]);
        assert!((scale.at(1e-4) - 0.5).abs() < 1e-12);
        assert_eq!(scale.ticks.len(), 3);
    }

    #[test]
    fn few_values_have_a_tick_each_and_room_beside() {
        let scale = Scale::few(&[75.0, 0.0, 25.0, 50.0, 0.0]).unwrap();
        assert_eq!(scale.ticks, [0.0, 25.0, 50.0, 75.0]);
        assert!((scale.at(0.0) - 0.04 / 1.08).abs() < 1e-12);
        assert!(Scale::few(&[1.0]).is_none() && Scale::few(&[0.0; 9]).is_none());
        assert!(Scale::few(&(0..9).map(f64::from).collect::<Vec<_>>()).is_none());
    }

    #[test]
    fn one_value_has_room_around_it() {
        let scale = Scale::linear([2.0], false);
        assert!(scale.at(2.0) > 0.0 && scale.at(2.0) < 1.0);
    }

    #[test]
    fn numbers_are_short() {
        let written = [0.0003, 0.1, 12.5, 1234.56, -0.25, 5e-7, 0.001].map(short);
        assert_eq!(written, ["3e−4", "0.1", "12.5", "1235", "−0.25", "5e−7", "0.001"]);
        assert_eq!(alike(&[0.0, 3e-4, 1e-3, 0.01, 0.5]), ["0", "3e−4", "1e−3", "1e−2", "0.5"]);
        assert_eq!(alike(&[0.03, 0.1, 1.0]), ["0.03", "0.1", "1"]);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(percent(-0.0123), "−1.2");
    }

    #[test]
    fn numbers_of_a_chart_have_the_decimals_that_one_of_them_needs() {
        assert_eq!(decimals(&[0.3, 0.31]), Some(2));
        assert_eq!(decimals(&[12.0, 7.0, 0.0]), Some(0));
        assert_eq!(decimals(&[12.5, 7.0, 0.3333]), Some(2));
        assert_eq!(decimals(&[1234.56, 0.5]), Some(0));
        assert_eq!(decimals(&[0.0123, 0.002]), Some(4));
        assert_eq!(decimals(&[1e-5, 2e-5]), None);
        assert_eq!(decimals(&[0.0]), Some(0));
    }

    #[test]
    fn durations_are_for_people() {
        assert_eq!([9.6, 75.0, 7300.0].map(duration), ["9.6 s", "1 min 15 s", "2 h 01 min"]);
    }
}
