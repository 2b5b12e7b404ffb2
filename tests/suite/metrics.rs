//! The published metrics: recorded cases through `prefab verify metrics`, responses with their
//! verdicts, and laws of the number reader.

use prefab::answer::matching::judge;
use prefab::answer::{formula, quantity};
use prefab::data::record::{Question, Verdict};
use prefab::spec::candidates::Prompt;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::process::Output;

/// A sample of the cases in which peers' functions were executed unchanged, every metric and kind among them.
const RECORDED: &str = include_str!("../assets/metrics.json");
/// Responses with the verdict that a person gives them.
const ANSWERS: &str = include_str!("../assets/answers.toml");

pub fn verify(file: &Value) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("recorded.json");
    std::fs::write(&path, file.to_string()).expect("a file");
    let mut prefab = assert_cmd::Command::cargo_bin("prefab").expect("the binary");
    prefab.args(["verify", "metrics"]).arg(&path).output().expect("it runs")
}

fn recorded() -> Value {
    serde_json::from_str(RECORDED).expect("the file is valid")
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn recorded_cases_are_explained() {
    let output = verify(&recorded());
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("vqa_normalise internvl_evalai") && text.contains("rule"), "{text}");
}

#[test]
fn a_peer_that_gave_something_else_is_unexplained() {
    // Every group's first case, its recorded value replaced by one that no function gives.
    let mut file = recorded();
    let groups = file["groups"].as_array_mut().expect("groups");
    for group in groups.iter_mut() {
        let case = group["cases"][0].clone();
        group["cases"] = json!([case]);
        group["cases"][0]["expected"] = json!("no function gives this");
    }
    let count = groups.len();
    let output = verify(&file);
    assert_eq!(output.status.code(), Some(1));
    let wanted = format!("{count} of {count} cases");
    assert!(said(&output).contains(&wanted), "{}", said(&output));
}

#[test]
fn unknown_names_and_empty_files_fail() {
    let case = json!({ "text": "a", "expected": "a" });
    for (metric, variant) in [
        ("vqa_normalise", "nobody"),
        ("bleu", "internvl_evalai"),
        ("labeller_check_answer", "vqa+bleu"),
    ] {
        let output = verify(
            &json!({ "groups": [{ "metric": metric, "variant": variant, "cases": [case] }] }),
        );
        assert_eq!(output.status.code(), Some(1), "{metric}");
        assert!(said(&output).contains("nothing here recomputes"), "{}", said(&output));
    }
    let group = json!({ "metric": "levenshtein", "variant": "shared", "cases": [{ "a": "x", "b": "y", "expected": 1 }] });
    for (schema, code) in [(1, 0), (2, 1)] {
        let output = verify(&json!({ "schema": schema, "groups": [group] }));
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
    for empty in [
        json!({ "groups": [] }),
        json!({ "groups": [{ "metric": "levenshtein", "variant": "shared", "cases": [] }] }),
    ] {
        let output = verify(&empty);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("was checked"), "{}", said(&output));
    }
}

#[test]
fn a_malformed_case_is_named() {
    let file = json!({ "groups": [{ "metric": "levenshtein", "variant": "shared", "cases": [
        { "a": "x", "b": "y", "expected": 1 },
        { "a": "x", "expected": 1 },
    ] }] });
    let output = verify(&file);
    assert!(!output.status.success());
    let text = said(&output);
    assert!(
        text.contains("levenshtein shared, case 2") && text.contains("`b` is missing"),
        "{text}"
    );
}

#[test]
fn responses_get_the_verdict_that_a_person_gives() {
    let table: toml::Table = ANSWERS.parse().expect("the table is valid");
    let (mut count, mut wrong) = (0, Vec::new());
    for group in table["group"].as_array().expect("groups") {
        let text = |field: &str| group[field].as_str().expect("text").to_owned();
        let choices = group.get("choices").and_then(|list| list.as_array()).into_iter().flatten();
        let question = Question {
            answer: Some(text("answer")),
            source: text("source"),
            choices: choices.map(|choice| choice.as_str().expect("text").to_owned()).collect(),
            ..Question::default()
        };
        let prompt = match text("prompt").as_str() {
            "cot" => Prompt::Cot,
            "boxed" => Prompt::Boxed,
            _ => Prompt::Direct,
        };
        for case in group["cases"].as_array().expect("cases") {
            let (response, expected) =
                (case[0].as_str().expect("text"), case[1].as_str().expect("text"));
            let (_, verdict) = judge(&question, prompt, response);
            let verdict = match verdict {
                Verdict::Right => "right",
                Verdict::Wrong => "wrong",
                Verdict::Unparsable => "unparsable",
            };
            count += 1;
            if verdict != expected {
                wrong.push(format!("{}: {response:?} is {verdict}, not {expected}", text("about")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 200, "only {count} cases");
}

/// Arithmetic with its value: what is written and what it is.
fn arithmetic() -> impl Strategy<Value = (String, f64)> {
    let leaf = (1u32..1000).prop_map(|number| (number.to_string(), f64::from(number)));
    leaf.prop_recursive(4, 24, 2, |inner| {
        (inner.clone(), inner, 0usize..4).prop_map(|((a, x), (b, y), operation)| match operation {
            0 => (format!("({a}+{b})"), x + y),
            1 => (format!("({a}-{b})"), x - y),
            2 => (format!("({a}*{b})"), x * y),
            _ => (format!("\\frac{{{a}}}{{{b}}}"), x / y),
        })
    })
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,220}") {
        if let Some(quantity) = quantity::read(&text) {
            prop_assert!(quantity.value.is_finite());
        }
        let _ = quantity::list(&text);
    }

    #[test]
    fn text_of_number_signs_is_read_without_a_panic(text in "[0-9a-e+*/^!().,%{}\\\\ \\-√½π$=|]{0,60}") {
        if let Some(quantity) = quantity::read(&text) {
            prop_assert!(quantity.value.is_finite());
        }
    }

    #[test]
    fn text_of_formulas_is_compared_without_a_panic(text in "[0-9a-cxyz+*/^(){}|_\\\\ \\-√π±=<²₁$]{0,60}", other in "\\PC{0,60}") {
        let _ = (formula::equal(&text, &other), formula::equal(&other, &text));
        let _ = formula::equal(&text, &text);
    }

    #[test]
    fn arithmetic_has_its_value((text, value) in arithmetic()) {
        prop_assume!(value.is_finite() && text.len() < 150);
        let read = quantity::read(&text);
        prop_assert!(read.is_some_and(|read| (read.value - value).abs() <= 1e-9 * value.abs().max(1.0)), "{text} is {value}, read as {read:?}");
    }
}
