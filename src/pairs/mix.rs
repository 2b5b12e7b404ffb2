//! How many pairs of each kind stay: counts, weights, and the most in all.

use super::stats::Stats;
use super::{Kind, choose, no_pairs};
use crate::Result;
use crate::spec::number::Positive;
use crate::spec::pairs::{Kinds, Pairs};
use crate::stage::Progress;
use crate::statistics;
use std::collections::BTreeMap;

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
///
/// # Errors
///
/// Where the kinds without a weight, which stay whole, leave no room for those with one.
pub fn thin<'a>(
    settings: &Pairs,
    slots: Vec<Slot>,
    task: &dyn Fn(&Slot) -> &'a str,
    stats: &mut Stats,
    progress: &Progress,
) -> Result<Vec<Slot>> {
    let mut draw = |slots: &mut Vec<Slot>, most, purpose: &str, reason| {
        for (task, count) in draw(slots, most, purpose, settings, task) {
            stats.skipped(task, reason, count);
        }
    };
    let mut kept = Vec::with_capacity(slots.len());
    let mut by_kind = split(slots);
    for (kind, pairs) in &mut by_kind {
        if let Some(&most) = settings.counts.of(*kind) {
            draw(pairs, most, &format!("pairs/counts/{}", kind.name()), "over_count");
        }
    }
    let numbers: Vec<(Kind, usize)> =
        by_kind.iter().map(|(kind, pairs)| (*kind, pairs.len())).collect();
    check_room(settings, &numbers)?;
    let shares = shares(&settings.weights, &numbers, settings.max);
    of_none(settings, &numbers, &shares).for_each(|told| progress.warn(&told));
    for ((kind, mut pairs), share) in by_kind.into_iter().zip(shares) {
        let purpose = format!("pairs/weights/{}", kind.name());
        draw(&mut pairs, share, &purpose, "over_weight");
        kept.append(&mut pairs);
    }
    if let Some(most) = settings.max {
        draw(&mut kept, most, "pairs/max", "over_max");
    }
    Ok(kept)
}

/// Refuses a limit that the kinds without a weight reach by themselves.
fn check_room(settings: &Pairs, numbers: &[(Kind, usize)]) -> Result<()> {
    let Some(most) = settings.max else { return Ok(()) };
    let (weighted, whole): (Vec<&(Kind, usize)>, Vec<_>) =
        numbers.iter().partition(|(kind, _)| settings.weights.of(*kind).is_some());
    let count: usize = whole.iter().map(|(_, number)| number).sum();
    if weighted.is_empty() || count < most {
        return Ok(());
    }
    let names: Vec<&str> = whole.iter().map(|(kind, _)| kind.name()).collect();
    Err(no_pairs(
        &format!(
            "`pairs.max` is {most}, and the {count} pairs of kinds without a weight ({}), which stay \
             whole, leave no room for those with one",
            names.join(", ")
        ),
        "give each of them a number in `[pairs.weights]` or `[pairs.counts]`, or raise `pairs.max`",
    ))
}

/// Which kinds have pairs, and too small a weight for any.
fn of_none(
    settings: &Pairs,
    numbers: &[(Kind, usize)],
    shares: &[usize],
) -> impl Iterator<Item = String> {
    numbers.iter().zip(shares).filter_map(|((kind, number), share)| {
        let (Some(weight), 1.., 0) = (settings.weights.of(*kind), number, share) else {
            return None;
        };
        Some(format!(
            "none of the {number} {} pairs is kept: at the weight {} their share is below one",
            kind.name(),
            weight.get()
        ))
    })
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

/// Draws the pairs that stay, and counts the others by task.
fn draw<'a>(
    pairs: &mut Vec<Slot>,
    most: usize,
    purpose: &str,
    settings: &Pairs,
    task: &dyn Fn(&Slot) -> &'a str,
) -> BTreeMap<&'a str, usize> {
    let mut left_out = BTreeMap::new();
    if pairs.len() <= most {
        return left_out;
    }
    let all = std::mem::take(pairs);
    *pairs = choose(all.clone(), most, statistics::random(purpose, settings.seed));
    // Both are in order.
    let mut kept = pairs.iter().peekable();
    for slot in &all {
        if kept.next_if(|kept| (kept.kind, kept.number) == (slot.kind, slot.number)).is_none() {
            *left_out.entry(task(slot)).or_default() += 1;
        }
    }
    left_out
}

/// How many pairs of each kind make the largest set in the proportion of the weights that
/// fits into `max`, which is filled: what rounding down leaves goes to the largest remainders.
/// Kinds without a weight stay whole.
fn shares(weights: &Kinds<Positive>, numbers: &[(Kind, usize)], max: Option<usize>) -> Vec<usize> {
    let weight = |kind: Kind| weights.of(kind).map(|weight| weight.get());
    let weighted = || numbers.iter().filter_map(|&(kind, number)| Some((weight(kind)?, number)));
    let total: f64 = weighted().map(|(weight, _)| weight).sum();
    let whole: usize =
        numbers.iter().filter(|(kind, _)| weight(*kind).is_none()).map(|(_, number)| number).sum();
    let scale = weighted().map(|(weight, number)| number as f64 / weight);
    let room = max.map(|most| most.saturating_sub(whole) as f64 / total);
    let scale = scale.chain(room).fold(f64::INFINITY, f64::min);
    // The last place of a quotient must not cost a pair.
    let down = |exact: f64| (exact + 1e-9) as usize;
    let share = |&(kind, number): &(Kind, usize)| match weight(kind) {
        Some(weight) => number.min(down(scale * weight)),
        None => number,
    };
    let mut shares: Vec<usize> = numbers.iter().map(share).collect();
    if max.is_some() && total > 0.0 {
        let mut left = (down(scale * total) + whole).saturating_sub(shares.iter().sum());
        let remainder = |at: &usize| {
            weight(numbers[*at].0).map_or(0.0, |weight| scale * weight - shares[*at] as f64)
        };
        let mut places: Vec<usize> = (0..numbers.len()).collect();
        // Equal ones stay in the order of kinds.
        places.sort_by(|a, b| remainder(b).total_cmp(&remainder(a)));
        for at in places {
            let more = left.min(1).min(numbers[at].1 - shares[at]);
            shares[at] += more;
            left -= more;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

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

    #[test]
    fn what_is_left_out_is_counted_by_task() {
        let mut settings = crate::spec::embedded().pairs.clone();
        settings.counts.correctness = Some(3);
        settings.max = Some(4);
        let slot = |number| Slot { kind: Kind::Correctness, number };
        let format = |number| Slot { kind: Kind::Format, number };
        let slots: Vec<Slot> = (0..8).map(slot).chain((8..12).map(format)).collect();
        let task = |slot: &Slot| if slot.number.is_multiple_of(2) { "even" } else { "odd" };
        let mut stats = Stats::default();
        let kept = thin(&settings, slots, &task, &mut stats, &Progress::Silent).unwrap();
        assert_eq!(kept.len(), 4);
        let rows = stats.rows();
        for (reason, count) in [("skipped_over_count", 5.0), ("skipped_over_max", 3.0)] {
            let of = |wanted: &dyn Fn(&str) -> bool| -> f64 {
                let fits = rows.iter().filter(|(task, metric, _)| metric == reason && wanted(task));
                fits.map(|(.., value)| value).sum()
            };
            assert_eq!((of(&|task| task == "all"), of(&|task| task != "all")), (count, count));
        }
    }

    #[test]
    fn a_kind_whose_weight_keeps_none_of_it_is_told() {
        let mut settings = crate::spec::embedded().pairs.clone();
        settings.weights = weights(1000.0, 1.0);
        let of = |kind, count| (0..count).map(move |number| Slot { kind, number });
        let slots = of(Kind::Correctness, 500).chain(of(Kind::DropoutNtp, 3)).collect();
        let progress = Progress::Kept(Arc::default());
        let kept = thin(&settings, slots, &|_| "any", &mut Stats::default(), &progress).unwrap();
        assert_eq!(kept.len(), 500);
        let expected =
            "none of the 3 dropout_ntp pairs is kept: at the weight 1 their share is below one";
        assert_eq!(progress.warnings(), [expected]);
    }

    #[test]
    fn a_limit_is_filled_by_the_largest_remainders() {
        let numbers = [(Kind::Correctness, 1000), (Kind::Format, 7), (Kind::DropoutNtp, 150)];
        // One place for two that have half of it.
        assert_eq!(shares(&weights(1.0, 1.0), &numbers, Some(8)), [1, 7, 0]);
        // 37.5 and 12.5 of fifty.
        assert_eq!(shares(&weights(3.0, 1.0), &numbers, Some(57)), [38, 7, 12]);
        // 0.9 and 9.1 of ten: the rarer kind has one.
        assert_eq!(shares(&weights(9.0, 91.0), &numbers, Some(17)), [1, 7, 9]);
        // All there is: no more than that.
        assert_eq!(shares(&weights(20.0, 3.0), &numbers, Some(2000)), [1000, 7, 150]);
    }
}
