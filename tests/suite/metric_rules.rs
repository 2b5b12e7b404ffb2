//! The rules of `prefab verify metrics`: which of them explain a case. What the peers gave was
//! recorded by executing their functions unchanged.

use crate::metrics::{said, verify};
use serde_json::{Value, json};

/// Checks that a case agrees, where no rules are named, or departs by just these.
#[track_caller]
fn explained(metric: &str, variant: &str, case: Value, rules: &[&str]) {
    let file = json!({ "groups": [{ "metric": metric, "variant": variant, "cases": [case] }] });
    let output = verify(&file);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    let named = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let listed: Vec<String> = text
        .lines()
        .skip_while(|line| !line.starts_with("rule"))
        .skip(1)
        .filter(|line| line.contains("  "))
        .filter_map(named)
        .collect();
    assert_eq!(listed, rules, "{metric} {variant} {case}\n{text}");
}

#[test]
fn mathvision_departs_by_the_form_of_a_number() {
    for (said, gold, peer, rules) in [
        ("1,000", "1e3", false, ["mathvision_numbers_in_any_form"].as_slice()),
        ("0x10", "16", true, &["mathvision_numbers_are_decimal"]),
        ("7%2", "1", true, &["mathvision_percent_is_no_operation"]),
        ("1,2", "1, 2", false, &["mathvision_lists_by_their_elements"]),
        ("2(3)", "6", false, &["mathvision_numbers_side_by_side"]),
        ("1 1/2", "1.5", false, &["mathvision_numbers_side_by_side"]),
        ("5 # cats", "5", true, &["mathvision_an_answer_has_no_comment"]),
        ("\\sqrt{4}", "2", false, &["mathvision_numbers_in_any_form"]),
        ("5 \\boxed{6}", "6", true, &["mathvision_text_beside_a_box"]),
        ("\\frac{1}{2}", "0.5", true, &[]),
        ("2\\times3", "6", true, &[]),
        ("$5$", "5", true, &[]),
        ("\\boxed{5}", "5", true, &[]),
        ("45^\\circ", "45", true, &[]),
        ("2\\frac{1}{2}", "2.5", true, &[]),
    ] {
        let case = json!({ "a": said, "b": gold, "expected": peer });
        explained("math_is_equal", "vlmevalkit_safe_subset", case, rules);
    }
}

#[test]
fn mathvista_lists_hold_numbers_in_any_form() {
    for (said, gold) in [("14 cm", "14.0"), ("\u{2212}3", "-3"), ("1/2", ".5"), ("fourteen", "14")]
    {
        let case = json!({
            "extraction": said, "gold": gold, "choices": null, "question_type": "free_form",
            "answer_type": "list", "precision": null, "expected": false,
        });
        explained("mathvista_score", "internvl", case, &["mathvista_numbers_in_any_form"]);
    }
}

#[test]
fn a_yes_in_quotes_is_a_yes() {
    for text in ["'No'", "'Yes'", "No'"] {
        let case = json!({ "text": text, "expected": "Unknown" });
        explained("pope_extract", "vlmevalkit", case, &["yes_no_quotes_around_do_not_count"]);
    }
    for text in ["The answer is not yes", "I cannot say yes"] {
        let case = json!({ "text": text, "expected": "Yes" });
        explained("pope_extract", "vlmevalkit", case, &["yes_no_taken_back_is_no_answer"]);
    }
    // Each text of a batch needs its rule.
    let case = json!({
        "texts": ["'No'", "maybe", "Yes", "no"], "labels": ["no", "no", "yes", "no"],
        "expected": {
            "extracted": ["yes", "yes", "yes", "no"], "tp": 1, "fp": 2, "tn": 1, "fn": 0,
            "f1": 0.5, "accuracy": 0.5, "precision": 1.0 / 3.0, "recall": 1.0, "yes_ratio": 0.75,
        },
    });
    let rules = ["yes_no_neither_word_is_no_answer", "yes_no_quotes_around_do_not_count"];
    explained("pope_batch", "internvl", case, &rules);
}

#[test]
fn a_letter_behind_the_first_phrase_is_a_word() {
    let choices = json!({ "A": "cat", "B": "dog", "C": "bird", "D": "New York" });
    for (answer, peer, rule) in [
        ("The answer is because it is a", "B", "option_letter_is_a_word"),
        ("The answer is blue, and this is B or so I think it", "B", "option_letter_is_a_word"),
        ("The correct answer is b ^", "B", "option_letter_is_a_word"),
        ("so choice A choice", "A", "option_article_is_no_letter"),
        ("D is wrong", "D", "option_denied_letter_is_no_pick"),
        ("I would eliminate option D", "D", "option_denied_letter_is_no_pick"),
    ] {
        let case = json!({ "answer": answer, "choices": choices, "expected": peer });
        explained("mc_infer_option", "vlmevalkit", case, &[rule]);
    }
}

#[test]
fn crpe_rows_are_explained_one_by_one() {
    for (gold, said, peer, rule) in [
        ("A:  cat", "A:  c", true, "option_several_letters_are_no_pick"),
        ("C5.", "C. th", true, "crpe_known_word_is_no_letter"),
        ("B. cow", "(B)", false, "crpe_letter_in_any_style"),
        ("A", "A. cat\nThe answer is B", true, "option_phrase_introduces_the_letter"),
        ("A", "A, is wrong", true, "option_denied_letter_is_no_pick"),
        ("A", "xyz", true, "crpe_letter_has_no_text"),
    ] {
        let case = json!({ "gold": gold, "prediction": said, "expected": peer });
        explained("crpe_row", "vlmevalkit", case, &[rule]);
    }
    let row = |gold: &str, said: &str, category: &str| json!({ "gold": gold, "prediction": said, "category": category });
    let plain = |category: &str| vec![row("A", "A", category); 3];
    let rows = [
        vec![row("A", "xyz", "exist")],
        plain("exist"),
        vec![row("B. cow", "(B)", "subject")],
        plain("subject"),
    ];
    let shares = json!({
        "exist": 1.0, "subject": 0.0, "predicate": null, "object": null, "total": 0.5,
    });
    let case = json!({ "rows": rows.concat(), "expected": shares });
    let rules = ["crpe_letter_has_no_text", "crpe_letter_in_any_style"];
    explained("crpe_batch", "vlmevalkit", case, &rules);
}

#[test]
fn a_judge_who_gives_one_score_failed() {
    let rows = json!([
        { "category": "conv", "scores": [8, -1] },
        { "category": "conv", "scores": [8, 7] },
    ]);
    let means = json!({ "relative": 37.5, "vlm": 30.0, "gpt4": 80.0 });
    let printed = json!({ "relative_1dp": 37.5, "reference_1dp": 80.0, "model_1dp": 30.0 });
    let expected = json!({
        "vlmevalkit": { "overall": means, "conv": means },
        "internvl": { "all": printed, "llava_bench_conv": printed },
    });
    let case = json!({ "rows": rows, "expected": expected });
    explained("llava_bench_summary", "both", case, &["llava_failures_are_left_out"]);
}

#[test]
fn each_mode_of_the_labeller_needs_its_rule() {
    let any_form = ["label_numbers_in_any_form"];
    for (variant, gold, said, peer, rules) in [
        ("mc_score", "Dark Blue", "dark  blue", 0, ["label_inner_space_collapses"].as_slice()),
        ("relaxed+vqa+mc", "-100", "100", 1, &["label_numbers_keep_their_signs"]),
        ("vqa+mc+math", "0.5", "\u{bd}", 0, &any_form),
        ("vqa+mc+math", "3.5", "3.5 kg", 0, &any_form),
        ("mc_score", "B", "`B`", 0, &["option_letter_in_any_style"]),
        ("mc_score", "B", "The answer is B", 0, &["option_phrase_introduces_the_letter"]),
        ("vqa+mc+math", "x+y", "y+x", 0, &["label_formulas_by_value"]),
        ("vqa+mc+math", "3:4", "3 : 4", 0, &["label_lists_by_their_elements"]),
        ("vqa_score", "McDonald's", "McDonald\u{2019}s", 0, &["label_apostrophes_of_any_shape"]),
        ("mc_score", "3", "3.14", 1, &["label_decimal_is_no_option"]),
        (
            "mc+math",
            "\u{bd}",
            "**\u{bd}**",
            0,
            &["label_marks_around_do_not_count", "label_numbers_in_any_form"],
        ),
    ] {
        let case = json!({ "gold": gold, "prediction": said, "expected": peer });
        explained("labeller_check_answer", variant, case, rules);
    }
}
