//! How many pairs of each kind stay: counts, weights, and the most in all.

use super::stats::Stats;
use super::{Kind, choose};
use crate::eval::statistics;
use crate::spec::number::Positive;
use crate::spec::pairs::{Kinds, Pairs};

impl<T> Kinds<T> {
    /// The number of a kind, where it has one.
    pub fn of(&self, kind: Kind) -> Option<&T> {
        match kind {
            Kind::Correctness => self.correctness.as_ref(),
            Kind::Format => self.format.as_ref(),
            Kind::DropoutNtp => self.dropout_ntp.as_ref(),
            Kind::DivideAndConquer => self.divide_and_conquer.as_ref(),
            Kind::Imported => self.imported.as_ref(),
        }
    }
}

/// A pair by its place, so that millions can be drawn from without their texts.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Why one answer is the worse one.
    pub kind: Kind,
    /// Its number among the imported pairs, or else among the sampled ones.
    pub number: usize,
}

/// Thins pairs that are sorted by kind; each draw is keyed and keeps their order.
pub fn thin(settings: &Pairs, slots: Vec<Slot>, stats: &mut Stats) -> Vec<Slot> {
    let mut kept = Vec::with_capacity(slots.len());
    let mut by_kind = split(slots);
    for (kind, pairs) in &mut by_kind {
        if let Some(&most) = settings.counts.of(*kind) {
            draw(
                pairs,
                most,
                &format!("pairs/counts/{}", kind.name()),
                settings,
                "over_count",
                stats,
            );
        }
    }
    let numbers: Vec<(Kind, usize)> =
        by_kind.iter().map(|(kind, pairs)| (*kind, pairs.len())).collect();
    let shares = shares(&settings.weights, &numbers, settings.max);
    for ((kind, mut pairs), share) in by_kind.into_iter().zip(shares) {
        let purpose = format!("pairs/weights/{}", kind.name());
        draw(&mut pairs, share, &purpose, settings, "over_weight", stats);
        kept.append(&mut pairs);
    }
    if let Some(most) = settings.max {
        draw(&mut kept, most, "pairs/max", settings, "over_max", stats);
    }
    kept
}

fn split(slots: Vec<Slot>) -> Vec<(Kind, Vec<Slot>)> {
    let mut by_kind: Vec<(Kind, Vec<Slot>)> = Vec::new();
    for slot in slots {
        match by_kind.last_mut().filter(|(kind, _)| *kind == slot.kind) {
            Some((_, pairs)) => pairs.push(slot),
            None => by_kind.push((slot.kind, vec![slot])),
        }
    }
    by_kind
}

fn draw(
    pairs: &mut Vec<Slot>,
    most: usize,
    purpose: &str,
    settings: &Pairs,
    reason: &'static str,
    stats: &mut Stats,
) {
    let before = pairs.len();
    *pairs = choose(std::mem::take(pairs), most, statistics::random(purpose, settings.seed));
    stats.skipped("all", reason, before - pairs.len());
}

/// How many pairs of each kind make the largest set in the proportion of the weights that
/// fits into `max`. Kinds without a weight stay whole.
fn shares(weights: &Kinds<Positive>, numbers: &[(Kind, usize)], max: Option<usize>) -> Vec<usize> {
    let weight = |kind: Kind| weights.of(kind).map(|weight| weight.get());
    let weighted = || numbers.iter().filter_map(|&(kind, number)| Some((weight(kind)?, number)));
    let total: f64 = weighted().map(|(weight, _)| weight).sum();
    let whole: usize =
        numbers.iter().filter(|(kind, _)| weight(*kind).is_none()).map(|(_, number)| number).sum();
    let scale = weighted().map(|(weight, number)| number as f64 / weight);
    let room = max.map(|most| most.saturating_sub(whole) as f64 / total);
    let scale = scale.chain(room).fold(f64::INFINITY, f64::min);
    let share = |&(kind, number): &(Kind, usize)| match weight(kind) {
        // The last place of a quotient must not cost a pair.
        Some(weight) => number.min((scale * weight + 1e-9) as usize),
        None => number,
    };
    numbers.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(correctness: f64, dropout_ntp: f64) -> Kinds<Positive> {
        let positive = |weight| Some(Positive::try_from(weight).unwrap());
        Kinds {
            correctness: positive(correctness),
            format: None,
            dropout_ntp: positive(dropout_ntp),
            divide_and_conquer: None,
            imported: None,
        }
    }

    #[test]
    fn weights_give_the_largest_set_in_proportion() {
        let numbers = [(Kind::Correctness, 1000), (Kind::Format, 7), (Kind::DropoutNtp, 150)];
        // 150 / 1 bounds the scale: 450 of the first.
        assert_eq!(shares(&weights(3.0, 1.0), &numbers, None), [450, 7, 150]);
        // 207 in all, 7 of them without a weight: 150 and 50.
        assert_eq!(shares(&weights(3.0, 1.0), &numbers, Some(207)), [150, 7, 50]);
        let none = Kinds { correctness: None, dropout_ntp: None, ..weights(1.0, 1.0) };
        assert_eq!(shares(&none, &numbers, Some(5)), [1000, 7, 150]);
        assert_eq!(shares(&weights(0.1, 0.3), &numbers, None), [50, 7, 150]);
    }
}
