//! Hand-computed cases of [`super`].

use super::*;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-4, "{a} is not {b}");
}

#[test]
fn wilson_agrees_with_the_textbook() {
    // 8 of 10: the published interval is 0.4902 to 0.9433.
    let interval = wilson(8.0, 10.0).unwrap();
    close(interval.low, 0.4902);
    close(interval.high, 0.9433);
    // None of 20 still leaves room: z² / (n + z²) = 3.8415 / 23.8415.
    let interval = wilson(0.0, 20.0).unwrap();
    close(interval.low, 0.0);
    close(interval.high, 0.1611);
    assert_eq!(wilson(0.0, 0.0), None);
}

#[test]
fn wilson_ends_exactly_at_nothing_and_at_all() {
    // The other end is z² / (n + z²) away, z² = 3.841459: by hand.
    for trials in 1..200 {
        let trials = f64::from(trials);
        let (none, all) = (wilson(0.0, trials).unwrap(), wilson(trials, trials).unwrap());
        assert_eq!((none.low, all.high), (0.0, 1.0), "{trials}");
        close(none.high, 3.841_459 / (trials + 3.841_459));
        close(1.0 - all.low, none.high);
    }
}

#[test]
fn mcnemar_is_the_coin_test() {
    close(mcnemar(0, 5), 0.0625); // 2 / 2⁵
    close(mcnemar(2, 8), 0.1094); // 2 · (1 + 10 + 45) / 1024
    close(mcnemar(5, 5), 1.0);
    close(mcnemar(0, 0), 1.0);
}

#[test]
fn holm_steps_down_and_never_decreases() {
    // 0.01·4, then 0.02·3 = 0.06, then 0.03·2 = 0.06, then 0.04·1 = 0.04 lifted to 0.06.
    let adjusted = holm(&[0.04, 0.01, 0.03, 0.02]);
    for (adjusted, expected) in adjusted.iter().zip([0.06, 0.04, 0.06, 0.06]) {
        close(*adjusted, expected);
    }
    assert!(holm(&[]).is_empty());
}

#[test]
fn a_bootstrap_by_picture_is_wider_than_one_by_question() {
    // 50 pictures with four questions each, all four right or all four wrong.
    let pictures: Vec<[f64; 2]> = (0..50)
        .map(|index| [if usize::is_multiple_of(index, 2) { 4.0 } else { 0.0 }, 4.0])
        .collect();
    let share = |sums: &[f64; 2]| Some(sums[0] / sums[1]);
    let interval = bootstrap(&pictures, share, random("test", 0)).unwrap();
    // Standard error by picture: √(0.25 / 50) = 0.0707; by question it would be half of that.
    let half = (interval.high - interval.low) / 2.0;
    assert!((half - 1.96 * 0.0707).abs() < 0.02, "{half}");
    assert_eq!(Some(interval), bootstrap(&pictures, share, random("test", 0)));
    assert_ne!(Some(interval), bootstrap(&pictures, share, random("test", 1)));
}

#[test]
fn a_bootstrap_needs_two_pictures() {
    assert_eq!(bootstrap(&[[1.0]], |sums| Some(sums[0]), random("test", 0)), None);
}

#[test]
fn paired_policies_are_compared_question_by_question() {
    let names: Vec<String> = (0..40).map(|index| format!("{index}.png")).collect();
    let scores = |right: &dyn Fn(usize) -> bool| -> Vec<Scored<'_>> {
        let scored = |(index, cluster): (usize, _)| Scored {
            cluster,
            score: f64::from(u8::from(right(index))),
        };
        names.iter().map(String::as_str).enumerate().map(scored).collect()
    };
    let first = scores(&|index| index < 20);
    let second = scores(&|index| index < 28 && index != 3);
    let result = paired(&first, &second, random("test", 0));
    close(result.difference, 7.0 / 40.0);
    assert_eq!((result.only_first, result.only_second, result.n), (1, 8, 40));
    close(result.p, 2.0 * 10.0 / 512.0); // C(9,0) + C(9,1) of 2⁹
    let interval = result.interval.unwrap();
    assert!(interval.low > 0.0 && interval.high < 0.35, "{interval:?}");
}

#[test]
fn questions_that_flip_together_are_one_flip() {
    // Three pictures of ten questions: all of the first two flip, the third as it was.
    let names: Vec<String> = (0..30).map(|index| format!("{}.png", index / 10)).collect();
    let scores = |right: usize| -> Vec<Scored<'_>> {
        let score = |index| f64::from(u8::from(index < right));
        let scored = |(index, cluster)| Scored { cluster, score: score(index) };
        names.iter().map(String::as_str).enumerate().map(scored).collect()
    };
    let result = paired(&scores(0), &scores(20), random("test", 0));
    assert!(mcnemar(0, 20) < 1e-5);
    // Picture means 1, 1, 0: t = (2/3) / (1/3) = 2 with 2 degrees of freedom.
    close(result.p, 0.18350);
    let one = [Scored { cluster: "a", score: 1.0 }; 9];
    let other = [Scored { cluster: "a", score: 0.0 }; 9];
    assert_eq!(paired(&other, &one, random("test", 0)).p, 1.0, "one picture says nothing");
}

#[test]
fn equal_answers_leave_room_for_what_none_of_them_showed() {
    let names = ["a", "b", "c", "d"];
    let all = |score: f64| names.map(|cluster| Scored { cluster, score });
    let between = |first: f64, second: f64| paired(&all(first), &all(second), random("test", 0));
    // By hand, of four pictures: 1 − 0.025^(1/4) = 1 − √√0.025 = 0.60236.
    let alike = between(1.0, 1.0);
    let (interval, grand) = (alike.interval.unwrap(), alike.by_picture.unwrap());
    assert_eq!((alike.difference, alike.p, grand.interval()), (0.0, 1.0, interval));
    close(interval.low, -0.60236);
    close(interval.high, 0.60236);
    // All four better: the others may be as much worse, but none is better by more than 1.
    let better = between(0.0, 1.0);
    let interval = better.interval.unwrap();
    close(interval.low, 1.0 - 2.0 * 0.60236);
    close(interval.high, 1.0);
    // Four coins on one side: 2 / 2⁴, which is McNemar's here too.
    close(better.by_picture.unwrap().p(), 0.125);
    close(better.p, 0.125);
}

#[test]
fn a_value_is_in_its_interval() {
    let none = wilson(0.0, 7.0).unwrap();
    assert_eq!(around(0.0, Some(none.low), None), [Some(0.0), None]);
    assert_eq!(around(1.0, Some(0.5), Some(1.0 - 1e-16)), [Some(0.5), Some(1.0)]);
    assert_eq!(around(0.5, Some(0.4), Some(0.6)), [Some(0.4), Some(0.6)]);
    assert_eq!(around(0.9, Some(0.4), Some(0.6)), [Some(0.4), Some(0.6)], "no slip is hidden");
}

#[test]
fn one_seed_gives_the_interval_of_the_questions() {
    let scores: Vec<Scored<'_>> = ["a", "b", "c", "d"]
        .into_iter()
        .zip([1.0, 0.0, 1.0, 1.0])
        .map(|(cluster, score)| Scored { cluster, score })
        .collect();
    let grand = over_seeds_and_questions(&[scores]).unwrap();
    // Sample variance 0.25, standard error 0.25, t with 3 degrees of freedom 3.1824.
    close(grand.mean, 0.75);
    close(grand.error, 0.25);
    close(grand.interval().high - grand.mean, 3.1824 * 0.25);
    // t = 3 with 3 degrees of freedom.
    close(grand.p(), 0.05767);
}

#[test]
fn seeds_that_disagree_widen_the_interval() {
    let names: Vec<String> = (0..100).map(|index| index.to_string()).collect();
    let seed = |right: usize| -> Vec<Scored<'_>> {
        names
            .iter()
            .enumerate()
            .map(|(index, cluster)| Scored {
                cluster,
                score: f64::from(u8::from((index * 37) % 100 < right)),
            })
            .collect()
    };
    let over = |seeds: [usize; 3]| over_seeds_and_questions(&seeds.map(seed)).unwrap();
    let (alike, apart) = (over([50, 50, 50]), over([20, 50, 80]));
    close(alike.mean, 0.5);
    let width = |grand: Grand| grand.interval().high - grand.interval().low;
    assert!(width(apart) > 2.0 * width(alike), "{alike:?} {apart:?}");
}

#[test]
fn a_mean_over_seeds_holds_seeds_and_questions() {
    let of = |value: f64, low: f64, high: f64| (value, Some(Interval { low, high }));
    // By hand: mean 0.8, s = 0.1/√2, and t of one degree of freedom is 12.7062, so that
    // h_seed = 12.7062 · 0.05 = 0.63531; h_question is 0.1 below and 0.06 above.
    let apart = over_seeds(&[of(0.75, 0.67, 0.82), of(0.85, 0.73, 0.9)]).unwrap();
    close(apart.low, 0.8 - 0.643_132); // √(0.63531² + 0.1²)
    close(apart.high, 0.8 + 0.638_137); // √(0.63531² + 0.06²)
    // Seeds that are alike leave the questions.
    let alike = over_seeds(&[of(0.8, 0.7, 0.86), of(0.8, 0.7, 0.86)]).unwrap();
    close(alike.low, 0.7);
    close(alike.high, 0.86);
    // One is what it was, to the last bit.
    let one = of(0.1 + 0.2, 0.1, 0.7);
    assert_eq!(over_seeds(&[one]), one.1);
    assert_eq!(over_seeds(&[(0.3, None)]), None);
}

#[test]
fn seeds_without_questions_have_students_t_or_nothing() {
    // By hand: mean 2, s = 1, t of two degrees of freedom 4.30265, over √3.
    let apart = over_seeds(&[(1.0, None), (2.0, None), (3.0, None)]).unwrap();
    close(apart.low, 2.0 - 2.484_138);
    close(apart.high, 2.0 + 2.484_138);
    // Their mean is 0.1 but for rounding.
    assert_eq!(over_seeds(&[(0.1, None); 3]), None);
}

#[test]
fn three_seeds_have_a_wide_t() {
    assert!((student(2.0) - 4.302_653).abs() < 1e-5);
}

#[test]
fn the_smallest_difference_is_that_of_the_noncentral_t() {
    // scipy: the shift at which 1 - nct.cdf(t.ppf(1 - level / 2, v), v, shift) is 0.8.
    for (freedom, level, shift) in [
        (4.7, 0.05, 3.5738),
        (4.7, 0.05 / 6.0, 5.5677),
        (2.0, 0.05, 5.6535),
        (20.0, 0.05 / 34.0, 4.6097),
        (2000.0, 0.05, 2.8029),
    ] {
        let found = smallest(1.0, freedom, level);
        assert!((found / shift - 1.0).abs() < 0.01, "{freedom} {level}: {found}, not {shift}");
        assert_eq!(smallest(0.5, freedom, level), 0.5 * found);
    }
}
