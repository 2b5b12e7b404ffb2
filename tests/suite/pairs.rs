//! Preference pairs from made-up candidates: what is paired, what is left out, what
//! the files say about it.

use crate::support::small::Small;
use prefab::data::lines;
use prefab::data::pairs::read_meta;
use prefab::data::questions::write_questions;
use prefab::data::record::{Answer, Generated, Pair, Question, Verdict};
use prefab::pairs::run;
use prefab::spec::candidates::Prompt;
use prefab::spec::number::{Fraction, Positive};
use prefab::spec::pairs::{Consistency, Correctness, Pairs};
use std::collections::{BTreeMap, BTreeSet};

fn settings() -> Pairs {
    let defaults = prefab::spec::embedded().pairs.clone();
    Pairs {
        correctness: Correctness {
            max_per_question: 15,
            format_negatives: false,
            ..defaults.correctness
        },
        ..defaults
    }
}

fn question(id: &str, task: &str, answer: &str) -> Question {
    Question {
        id: id.into(),
        images: vec![format!("images/train/{id}.png")],
        question: "How many?".into(),
        answer: Some(answer.into()),
        task: task.into(),
        source: "generated".into(),
        generated: Some(Generated {
            rationale: reasoned("careful", answer),
            sloppy: Some(reasoned("sloppy", "3")),
            ..Generated::default()
        }),
        ..Question::default()
    }
}

fn reasoned(rationale: &str, answer: &str) -> String {
    format!("{rationale}\nso\nFinal answer: {answer}")
}

fn answer(question: &str, sample: usize, text: String, verdict: Verdict) -> Answer {
    let last = text.rsplit_once("Final answer: ").map(|(_, last)| last.to_owned());
    Answer {
        question: question.into(),
        prompt: Prompt::Cot,
        sample,
        tokens: text.split_whitespace().count() + 1,
        text,
        ended: true,
        final_answer: last.filter(|_| verdict != Verdict::Unparsable),
        verdict: Some(verdict),
    }
}

/// Five questions: one with everything, one always right, one always wrong, one of
/// another family, one whose right answer is part of the wrong one.
fn candidates() -> (Vec<Question>, Vec<Answer>) {
    use Verdict::{Right, Unparsable, Wrong};
    let questions = vec![
        question("a", "count", "2"),
        question("b", "count", "2"),
        question("c", "count", "2"),
        question("d", "chart", "2"),
        question("e", "count", "1"),
    ];
    let answers = vec![
        answer("a", 0, reasoned("careful", "2"), Right),
        answer("a", 1, reasoned("lucky", "2"), Right),
        answer("a", 2, reasoned("lucky", "2"), Right),
        answer("a", 3, reasoned("sloppy", "3"), Wrong),
        answer("a", 4, reasoned("off", "4"), Wrong),
        answer("a", 5, "well".into(), Unparsable),
        answer("b", 0, reasoned("careful", "2"), Right),
        answer("c", 0, reasoned("off", "4"), Wrong),
        answer("d", 0, reasoned("careful", "2"), Right),
        answer("d", 1, reasoned("sloppy", "3"), Wrong),
        answer("e", 0, reasoned("careful", "1"), Right),
        answer("e", 1, reasoned("off", "11"), Wrong),
    ];
    (questions, answers)
}

struct Built {
    small: Small,
    pairs: Vec<Pair>,
    stats: BTreeMap<(String, String), f64>,
}

fn build(settings: &Pairs, made: (Vec<Question>, Vec<Answer>)) -> prefab::Result<Built> {
    let small = Small::empty();
    let out = |role: &str| small.stage(role, &[]).out;
    write_questions(&out("corpus").join("train.jsonl"), &made.0).unwrap();
    lines::write(&out("candidates").join("candidates.jsonl"), &made.1).unwrap();
    run(settings, &small.stage("pairs", &["corpus", "candidates"]))?;
    let pairs = lines::read::<Pair>(&small.path("pairs").join("pairs.jsonl"))?;
    let stats = small.stats("pairs");
    Ok(Built { small, pairs, stats })
}

impl Built {
    fn stat(&self, task: &str, metric: &str) -> f64 {
        *self.stats.get(&(task.into(), metric.into())).unwrap_or_else(|| {
            panic!("{task} has {metric} in {:?}", self.stats);
        })
    }
}

#[test]
fn right_answers_are_paired_with_wrong_ones() {
    let built = build(&settings(), candidates()).unwrap();
    // a: two distinct right × two wrong; d: one; b and c have one side; e's pair is entailed.
    assert_eq!(built.pairs.len(), 5);
    let first = &built.pairs[0];
    assert_eq!(first.image.0, ["images/train/a.png"]);
    assert!(first.question.starts_with("<image>\nHow many?\n"), "{}", first.question);
    assert_eq!(first.chosen, reasoned("careful", "2"));
    assert_eq!(first.rejected, reasoned("sloppy", "3"));
    assert_eq!(first.answer_gt.as_deref(), Some("2"));
    let meta = first.rejected_meta.as_ref().unwrap();
    assert_eq!(meta["question"], "a");
    assert_eq!(meta["kind"], "correctness");
    assert_eq!((meta["sample"].as_u64(), meta["verdict"].as_str()), (Some(3), Some("wrong")));
    let distinct: BTreeSet<_> =
        built.pairs.iter().map(|p| (&p.image.0, &p.chosen, &p.rejected)).collect();
    assert_eq!(distinct.len(), 5);
}

#[test]
fn statistics_say_what_the_pairs_are() {
    let built = build(&settings(), candidates()).unwrap();
    assert_eq!(built.stat("all", "questions"), 5.0);
    assert_eq!(built.stat("all", "with_both"), 0.6); // a, d, e
    assert_eq!(built.stat("count", "with_both"), 0.5);
    assert_eq!(built.stat("all", "pairs_correctness"), 5.0);
    assert_eq!(built.stat("chart", "pairs_correctness"), 1.0);
    assert_eq!(built.stat("all", "skipped_entailed"), 1.0);
    assert_eq!(built.stat("all", "skipped_duplicate"), 2.0); // the second "lucky" × two wrong
    assert_eq!(built.stat("all", "chosen_careful"), 0.6); // two of a's four, and d's
    assert_eq!(built.stat("all", "rejected_sloppy"), 0.6);
    assert_eq!(built.stat("all", "chosen_sloppy"), 0.0);
    assert_eq!(built.stat("chart", "chosen_tokens"), 6.0); // five words and the end
    let meta = read_meta(&built.small.path("pairs").join("meta.json")).unwrap();
    assert_eq!(meta[0].1.length, Some(5));
    assert_eq!(meta[0].1.root, "../../corpus/payload");
}

#[test]
fn format_negatives_are_pairs_of_their_own() {
    let mut settings = settings();
    settings.correctness.format_negatives = true;
    let built = build(&settings, candidates()).unwrap();
    assert_eq!(built.pairs.len(), 7); // a's two right × "well"
    let kinds: Vec<&str> = built
        .pairs
        .iter()
        .map(|pair| pair.rejected_meta.as_ref().unwrap()["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, [vec!["correctness"; 5], vec!["format"; 2]].concat());
    assert_eq!(built.stat("all", "pairs_format"), 2.0);
}

#[test]
fn the_cap_draws_by_seed_and_question() {
    let mut settings = settings();
    settings.correctness.max_per_question = 2;
    let chosen = |seed, made| {
        let settings = Pairs { seed, ..settings.clone() };
        let built = build(&settings, made).unwrap();
        assert_eq!(built.stat("all", "skipped_over_cap"), 2.0);
        built
            .pairs
            .into_iter()
            .filter(|pair| pair.image.0[0].ends_with("a.png"))
            .collect::<Vec<_>>()
    };
    let first = chosen(0, candidates());
    assert_eq!(first.len(), 2);
    assert_eq!(first, chosen(0, candidates()));
    // Another question's candidates do not touch this question's draw.
    let (questions, answers) = candidates();
    let fewer = answers.into_iter().filter(|answer| answer.question != "d").collect();
    assert_eq!(first, chosen(0, (questions, fewer)));
    let draws: Vec<Vec<Pair>> = (1..6).map(|seed| chosen(seed, candidates())).collect();
    assert!(draws.iter().any(|draw| *draw != first), "the seed decides nothing");
}

#[test]
fn families_can_be_left_out_and_the_total_capped() {
    let mut settings = settings();
    settings.correctness.exclude = vec!["count".into()];
    let built = build(&settings, candidates()).unwrap();
    assert_eq!(built.pairs.len(), 1);
    assert_eq!(built.stat("count", "skipped_excluded_questions"), 4.0);
    let settings = Pairs { max: Some(3), ..self::settings() };
    let built = build(&settings, candidates()).unwrap();
    assert_eq!(built.pairs.len(), 3);
    assert_eq!(built.stat("all", "skipped_over_max"), 2.0);
    assert_eq!(built.stat("all", "pairs_correctness"), 3.0);
}

#[test]
fn no_pairs_at_all_is_an_error_that_says_why() {
    let (questions, answers) = candidates();
    let only = |keep: &str| {
        let answers = answers.iter().filter(|answer| keep.contains(&answer.question)).cloned();
        build(&settings(), (questions.clone(), answers.collect())).err().expect("no pairs")
    };
    let error = only("b");
    assert!(error.to_string().contains("of 1 questions, 1 have right answers only"), "{error}");
    assert!(error.hint_text().unwrap().contains("candidates.temperature"), "{error:?}");
    let error = only("c");
    assert!(error.to_string().contains("1 wrong ones only"), "{error}");
    assert!(error.hint_text().unwrap().contains("train the base longer"), "{error:?}");
    let error = only("e");
    assert!(error.to_string().contains("1 pairs were skipped"), "{error}");
    let error = only("");
    assert!(error.to_string().contains("no question with a known answer"), "{error}");
}

#[test]
fn candidates_of_another_corpus_are_refused() {
    let (questions, mut answers) = candidates();
    answers[0].question = "z".into();
    let error = build(&settings(), (questions, answers)).err().expect("an error");
    assert!(error.to_string().contains("question `z`"), "{error}");
}

#[test]
fn open_questions_make_no_correctness_pairs() {
    let (mut questions, answers) = candidates();
    questions[3].task = "describe".into();
    let built = build(&settings(), (questions, answers)).unwrap();
    assert_eq!(built.pairs.len(), 4);
    assert_eq!(built.stat("describe", "skipped_open_questions"), 1.0);
}

#[test]
fn degenerate_answers_are_format_negatives_and_never_chosen() {
    let (questions, mut answers) = candidates();
    let line = "Kani Don (Fried Rice with Tuna): 9.00";
    let whole = vec![line; 390].join("\n");
    // The loop is cut off, or it finds its way to a right or to a wrong answer.
    answers.push(answer("d", 2, whole.clone(), Verdict::Unparsable));
    answers.push(answer("d", 3, format!("{whole}\nFinal answer: 2"), Verdict::Right));
    answers.push(answer("d", 4, format!("{whole}\nFinal answer: 3"), Verdict::Wrong));
    let mut settings = settings();
    settings.correctness.format_negatives = true;
    let built = build(&settings, (questions, answers)).unwrap();
    let of = |kind: &str| {
        let chart = |pair: &&Pair| pair.image.0[0].ends_with("d.png");
        let kind = |pair: &&Pair| pair.rejected_meta.as_ref().unwrap()["kind"] == kind;
        built.pairs.iter().filter(chart).filter(kind).collect::<Vec<_>>()
    };
    assert!(built.pairs.iter().all(|pair| !pair.chosen.contains("Kani")));
    assert!(of("correctness").iter().all(|pair| !pair.rejected.contains("Kani")));
    assert_eq!(of("format").len(), 3);
    assert!(
        of("format").iter().all(|pair| pair.rejected_meta.as_ref().unwrap()["degenerate"] == true)
    );
    assert_eq!(built.stat("chart", "skipped_degenerate"), 3.0);
    settings.correctness.format_negatives = false;
    let (questions, answers) = candidates();
    let without = build(&settings, (questions, answers)).unwrap();
    assert!(without.pairs.iter().all(|pair| !pair.rejected.contains("Kani")));
}

#[test]
fn contradicting_rationales_are_dropped_and_their_share_reported() {
    let (questions, mut answers) = candidates();
    let contradicts = "The bar reaches 10.\nTherefore, the value is 10.\nFinal answer: 2";
    let wrong_sum = "b1 1, c2 2.\n1 + 2 = 2.\nFinal answer: 2";
    answers.push(answer("a", 6, contradicts.into(), Verdict::Right));
    answers.push(answer("a", 7, wrong_sum.into(), Verdict::Right));
    let mut settings = settings();
    let plain = build(&settings, (questions.clone(), answers.clone())).unwrap();
    assert!(plain.pairs.iter().any(|pair| pair.chosen == contradicts));
    assert!(!plain.stats.contains_key(&("all".into(), "inconsistent".into())));
    settings.correctness.consistency = Consistency::Rule;
    let built = build(&settings, (questions, answers)).unwrap();
    assert!(built.pairs.iter().all(|pair| pair.chosen != contradicts && pair.chosen != wrong_sum));
    // a has five right answers, two of them against themselves; b, d and e one each.
    assert_eq!(built.stat("count", "inconsistent"), 2.0 / 7.0);
    assert_eq!(built.stat("all", "inconsistent"), 0.25);
    assert_eq!(built.stat("chart", "inconsistent"), 0.0);
}

#[test]
fn general_and_document_data_sets_are_left_out_unless_told_otherwise() {
    let (questions, answers) = candidates();
    let of_files = |sources: [&str; 5]| -> Vec<Question> {
        let with = |(question, source): (&Question, &str)| Question {
            source: source.into(),
            generated: None,
            ..question.clone()
        };
        questions.iter().zip(sources).map(with).collect()
    };
    let sources = ["vqav2_en_20240402", "gqa", "docvqa", "chartqa", "my own"];
    let built = build(&settings(), (of_files(sources), answers.clone())).unwrap();
    assert_eq!(built.stat("all", "skipped_excluded_domain_questions"), 3.0);
    assert!(built.pairs.iter().all(|pair| pair.image.0[0].ends_with("d.png")));
    let mut all = settings();
    all.correctness.exclude_domains = Vec::new();
    let built = build(&all, (of_files(sources), answers.clone())).unwrap();
    assert_eq!(built.pairs.len(), 5);
    // Generated questions of general VQA know their answers: `count` stays in.
    let built = build(&settings(), (questions, answers)).unwrap();
    assert!(!built.stats.keys().any(|(_, metric)| metric.contains("excluded_domain")));
}

#[test]
fn questions_that_are_too_easy_are_left_out() {
    let mut settings = settings();
    // a: 3 of 6 right; d and e: 1 of 2; b: all.
    settings.correctness.max_right = Fraction::try_from(0.4).unwrap();
    let error = build(&settings, candidates()).err().expect("no pairs");
    assert!(error.to_string().contains("1 wrong ones only"), "{error}");
    settings.correctness.max_right = Fraction::try_from(0.5).unwrap();
    let built = build(&settings, candidates()).unwrap();
    assert_eq!(built.pairs.len(), 5);
    assert_eq!(built.stat("all", "skipped_easy_questions"), 1.0);
}

#[test]
fn an_answer_without_text_is_in_no_pair() {
    let (questions, mut answers) = candidates();
    answers.push(answer("a", 6, String::new(), Verdict::Unparsable));
    answers.push(answer("a", 7, " \n".into(), Verdict::Unparsable));
    let mut settings = settings();
    settings.correctness.format_negatives = true;
    let built = build(&settings, (questions, answers)).unwrap();
    assert_eq!(built.pairs.len(), 7, "as many as without");
    assert!(built.pairs.iter().all(|pair| !pair.rejected.trim().is_empty()));
    assert_eq!(built.stat("count", "skipped_empty_answer"), 2.0);
}

#[test]
fn settings_that_leave_all_questions_out_are_named() {
    let (mut questions, answers) = candidates();
    for question in &mut questions {
        (question.source, question.generated) = ("docvqa".into(), None);
    }
    let text = build(&settings(), (questions, answers)).err().expect("no pairs").to_string();
    let named =
        "5 questions from data sets of the domains that `pairs.correctness.exclude_domains`";
    assert!(text.contains(named), "{text}");
    let mut easy = settings();
    easy.correctness.max_right = Fraction::try_from(0.2).unwrap();
    let (questions, answers) = candidates();
    let right = answers.into_iter().filter(|answer| answer.question != "c").collect();
    let error = build(&easy, (questions, right)).err().expect("no pairs");
    assert!(error.to_string().contains("`pairs.correctness.max_right`, 0.2"), "{error}");
}

#[test]
fn a_limit_leaves_room_for_kinds_with_a_weight() {
    let one = Some(Positive::try_from(1.0).unwrap());
    let mut settings = settings();
    settings.correctness.format_negatives = true;
    // Five by answer, two by format.
    (settings.weights.correctness, settings.max) = (one, Some(2));
    let error = build(&settings, candidates()).err().expect("no room");
    assert!(
        error.to_string().contains("the 2 pairs of kinds without a weight (format)"),
        "{error}"
    );
    settings.max = Some(3);
    let built = build(&settings, candidates()).unwrap();
    assert_eq!(built.stat("all", "pairs_correctness"), 1.0);
    assert_eq!(built.stat("all", "pairs_format"), 2.0);
    settings.weights.format = one;
    settings.max = Some(1);
    assert_eq!(build(&settings, candidates()).unwrap().pairs.len(), 1);
}
