//! The laws that every benchmark keeps.

use crate::support::scores::{row, row_of, value};
use prefab::data::record::{Generated, Question, Verdict};
use prefab::eval::scores::score;
use prefab::eval::{BENCHMARKS, Likelihood, Row};
use prefab::spec::candidates::Prompt;
use prefab::spec::eval::{Eval, Split};
use std::collections::BTreeSet;

fn question(id: &str, task: &str, image: &str, answer: &str) -> Question {
    Question {
        id: id.into(),
        images: vec![image.into()],
        question: "…?".into(),
        answer: Some(answer.into()),
        task: task.into(),
        source: "generated".into(),
        generated: Some(Generated {
            rationale: format!("first\nsecond\nFinal answer: {answer}"),
            objects: vec!["red circle".into(), "blue square".into()],
            ..Generated::default()
        }),
        ..Question::default()
    }
}

fn eval(benchmark: &str) -> Eval {
    Eval {
        prompts: vec![Prompt::Direct],
        benchmarks: vec![benchmark.into()],
        split: Split::Test,
        max_tokens: 8,
        batch: 4,
        every: 0,
        slice: 0,
        ..prefab::spec::embedded().eval.clone()
    }
}

#[test]
fn accuracy_is_counted_by_task_and_over_all() {
    let questions = [
        question("a", "count", "1.png", "2"),
        question("b", "count", "1.png", "3"),
        question("c", "chart", "2.png", "7"),
    ];
    let answers = ["2", "4", "seven\nor 7"];
    let rows: Vec<Row> = questions.iter().zip(answers).map(|(q, text)| row(q, text)).collect();
    let (scores, verdicts) = score(&eval("reasoning"), &questions, &rows, &[]).unwrap();
    assert_eq!(value(&scores, "all", "accuracy"), 1.0 / 3.0);
    assert_eq!(value(&scores, "count", "accuracy"), 0.5);
    assert_eq!(value(&scores, "chart", "accuracy"), 0.0);
    assert_eq!(value(&scores, "all", "unparsable"), 1.0 / 3.0);
    let flat: Vec<(&str, &str, f64)> =
        verdicts.iter().map(|v| (v.question.as_str(), v.task.as_str(), v.score)).collect();
    assert_eq!(flat, [("a", "count", 1.0), ("b", "count", 0.0), ("c", "chart", 0.0)]);
    for score in &scores {
        let (low, high) = (score.low.unwrap_or(score.value), score.high.unwrap_or(score.value));
        assert!(low <= score.value && score.value <= high, "{score:?}");
    }
}

#[test]
fn existence_is_scored_by_split() {
    // Two objects are there, three are not, one absent object of each kind.
    let mut questions: Vec<Question> = ["yes", "yes", "no", "no", "no"]
        .iter()
        .enumerate()
        .map(|(index, answer)| question(&index.to_string(), "exists", &format!("{index}"), answer))
        .collect();
    for (question, kind) in questions[2..].iter_mut().zip(["random", "popular", "adversarial"]) {
        question.generated.as_mut().unwrap().negative = Some(kind.into());
    }
    let answers = ["Yes.", "no", "no", "yes", "perhaps"];
    let rows: Vec<Row> = questions.iter().zip(answers).map(|(q, text)| row(q, text)).collect();
    let (scores, _) = score(&eval("pope"), &questions, &rows, &[]).unwrap();
    // Yes is said twice, once rightly: precision 1/2; one of two present is found: recall 1/2.
    for (metric, expected) in [
        ("accuracy", 0.4),
        ("precision", 0.5),
        ("recall", 0.5),
        ("f1", 0.5),
        ("yes_ratio", 0.4),
        ("unparsable", 0.2),
    ] {
        assert_eq!(value(&scores, "all", metric), expected, "{metric}");
    }
    // Present objects are dealt out in turn: "0" to random, "1" to popular.
    assert_eq!(value(&scores, "random", "accuracy"), 1.0);
    assert_eq!(value(&scores, "popular", "accuracy"), 0.0);
    assert_eq!(value(&scores, "adversarial", "accuracy"), 0.0);
    assert!(!scores.iter().any(|s| s.task == "adversarial" && s.metric == "precision"));
}

#[test]
fn nothing_wrong_leaves_an_interval_all_the_same() {
    // Two pictures of two questions each, all answered rightly; a third without a present object.
    let asked = [("a", "yes"), ("a", "no"), ("b", "yes"), ("b", "no"), ("c", "no")];
    let questions: Vec<Question> = asked
        .iter()
        .enumerate()
        .map(|(index, (image, answer))| question(&index.to_string(), "exists", image, answer))
        .collect();
    let rows: Vec<Row> = questions
        .iter()
        .map(|question| row(question, question.answer.as_deref().unwrap()))
        .collect();
    let (scores, _) = score(&eval("pope"), &questions, &rows, &[]).unwrap();
    // Wilson's: n / (n + z²), with a picture that says something of it as one trial.
    let low = |trials: f64| trials / (trials + 1.959_964_f64.powi(2));
    for (metric, trials) in [("accuracy", 3.0), ("precision", 2.0), ("recall", 2.0), ("f1", 2.0)] {
        let score = scores.iter().find(|s| s.task == "all" && s.metric == metric).unwrap();
        let found = score.low.unwrap();
        assert!((found - low(trials)).abs() < 1e-6, "{metric}: {found}");
        assert_eq!(score.value, 1.0, "{metric}");
    }
    let text = "red circle, blue square";
    let questions = ["a", "b"].map(|id| question(id, "describe", id, text));
    let rows: Vec<Row> = questions.iter().map(|q| row(q, text)).collect();
    let (scores, _) = score(&eval("describe"), &questions, &rows, &[]).unwrap();
    let find = |metric: &str| scores.iter().find(|score| score.metric == metric).unwrap();
    let (invented, covered) = (find("mention_rate"), find("coverage"));
    assert!((invented.high.unwrap() - (1.0 - low(2.0))).abs() < 1e-6, "{invented:?}");
    assert!((covered.low.unwrap() - low(2.0)).abs() < 1e-6, "{covered:?}");
}

#[test]
fn invented_objects_are_counted_by_description_and_by_mention() {
    let questions: Vec<Question> =
        ["a", "b", "c"].map(|id| question(id, "describe", id, "red circle, blue square")).into();
    let answers = ["red circle, blue square", "two red circles and a red square", "nothing"];
    let rows: Vec<Row> = questions.iter().zip(answers).map(|(q, text)| row(q, text)).collect();
    let (scores, verdicts) = score(&eval("describe"), &questions, &rows, &[]).unwrap();
    for (metric, expected) in [
        ("faithful", 1.0 / 3.0),
        ("response_rate", 0.5), // of the two that name something, one invents
        ("mention_rate", 0.25), // the red square, of four objects named
        ("coverage", 0.5),      // two, one and none of two
        ("objects", 4.0 / 3.0),
        ("unparsable", 1.0 / 3.0),
    ] {
        assert_eq!(value(&scores, "all", metric), expected, "{metric}");
    }
    assert_eq!(verdicts.iter().map(|v| v.score).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
}

#[test]
fn the_shift_compares_true_beginnings_with_own_ones() {
    let questions = [question("a", "count", "1", "2"), question("b", "count", "2", "3")];
    let given = |question: &Question, percent, answer: &str| Row {
        given_percent: percent,
        ..row_of(question, Prompt::Cot, &format!("first\nsecond\nFinal answer: {answer}"))
    };
    let mut rows = vec![given(&questions[0], 0, "2"), given(&questions[1], 0, "9")];
    for percent in [25, 50, 75] {
        rows.extend([given(&questions[0], percent, "2"), given(&questions[1], percent, "3")]);
    }
    let likelihoods: Vec<Likelihood> = [0, 25, 50, 75]
        .into_iter()
        .flat_map(|given_percent| ["a", "b"].map(|id| (given_percent, id)))
        .map(|(given_percent, id)| Likelihood {
            question: id.into(),
            given_percent,
            tokens: 4,
            after_true: -1.0,
            after_own: -2.0,
        })
        .collect();
    let (scores, _) = score(&eval("shift"), &questions, &rows, &likelihoods).unwrap();
    assert_eq!(value(&scores, "0", "accuracy"), 0.5);
    assert_eq!(value(&scores, "0", "accuracy_gap"), 0.0);
    assert_eq!(value(&scores, "50", "accuracy"), 1.0);
    assert_eq!(value(&scores, "50", "accuracy_own"), 0.5);
    assert_eq!(value(&scores, "50", "accuracy_gap"), 0.5);
    assert_eq!(value(&scores, "75", "logp"), -0.25);
    assert_eq!(value(&scores, "75", "logp_gap"), 0.25);
}

#[test]
fn every_benchmark_says_what_it_is() {
    let names: BTreeSet<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.name()).collect();
    assert_eq!(names.len(), BENCHMARKS.len());
    for benchmark in BENCHMARKS {
        assert!(!benchmark.about().is_empty() && !benchmark.source().is_empty());
        assert!(!benchmark.needs().is_empty() && !benchmark.metrics().is_empty());
        assert!(benchmark.count(&[]).is_empty(), "{} invents scores", benchmark.name());
        assert!(benchmark.given_percents().contains(&0), "the own answer is always asked for");
        let metrics: BTreeSet<_> = benchmark.metrics().iter().map(|metric| metric.name).collect();
        assert_eq!(metrics.len(), benchmark.metrics().len(), "{}", benchmark.name());
    }
}

#[test]
fn a_missing_answer_is_named() {
    let questions = [question("a", "count", "1", "2")];
    let error = score(&eval("reasoning"), &questions, &[], &[]).unwrap_err();
    assert!(error.to_string().contains("question `a` has no `direct` answer"), "{error}");
    let error = score(&eval("reasonning"), &questions, &[], &[]).unwrap_err();
    assert!(error.hint_text().is_some_and(|hint| hint.contains("`reasoning`")), "{error:?}");
}

#[test]
fn open_questions_get_no_verdict() {
    let open = question("a", "describe", "1", "red circle");
    let judged = |question, prompt, text| {
        let answer = row_of(question, prompt, text).answer;
        (answer.final_answer, answer.verdict)
    };
    assert_eq!(judged(&open, Prompt::Direct, "red circle"), (None, None));
    let closed = question("a", "count", "1", "2");
    let (answer, verdict) = judged(&closed, Prompt::Direct, "3");
    assert_eq!((answer.as_deref(), verdict), (Some("3"), Some(Verdict::Wrong)));
    // A form that asks for no final answer is judged where the answer marks one all the same.
    assert_eq!(judged(&closed, Prompt::Visual, "Two cubes are there."), (None, None));
    let (answer, verdict) = judged(&closed, Prompt::Visual, "Two cubes.\n\nFinal answer: 2");
    assert_eq!((answer.as_deref(), verdict), (Some("2"), Some(Verdict::Right)));
}
