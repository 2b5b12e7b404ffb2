//! Every published metric on answers whose score was worked out by hand, the awkward ones among
//! them: nothing said, two answers at once, edges, ties, zeros, percent and minus signs.

use crate::support::counting::{
    all_near, counted, gold_scores, known, measured, near, scores, with_options,
};
use prefab::data::record::Question;

#[test]
fn multiple_choice_takes_one_option_with_its_sign() {
    let percent = with_options(known(&["B"], &[]), &["3%", "13%", "30%", "31%"]);
    let signed = with_options(known(&["A"], &[]), &["-3", "3", "0", "13"]);
    for name in ["m3cot", "scienceqa", "ai2d"] {
        scores(name, &percent, &[("13%", 1.0), ("It is 13%.", 1.0), ("(b)", 1.0), ("", 0.0)]);
        scores(name, &percent, &[("3%", 0.0), ("3", 0.0), ("13% or 30%", 0.0), ("B,C", 0.0)]);
        scores(name, &percent, &[("There is no doubt: it is B.", 1.0), ("C, not B", 0.0)]);
        scores(name, &signed, &[("-3", 1.0), ("It is -3.", 1.0), ("3", 0.0), ("0", 0.0)]);
    }
}

#[test]
fn mathvista_compares_at_the_known_type_and_precision() {
    for (gold, kind, precision, said, expected) in [
        ("50", "integer", "", "50%", 1.0),
        ("0", "integer", "", "0%", 1.0),
        ("0", "integer", "", "-0.4", 1.0), // toward zero
        ("7", "integer", "", "7 apples", 0.0),
        ("7", "integer", "", "nan", 0.0),
        ("2.5", "float", "1", "2.45", 1.0), // the double is 2.45000000000000017…
        ("2.2", "float", "1", "2.25", 1.0), // a tie goes to the even digit
        ("2.3", "float", "1", "2.25", 0.0),
        ("-2.5", "float", "1.0", "\u{2212}2.5", 1.0),
        ("0", "float", "1", "0.04", 1.0),
        ("0", "float", "1", "0.06", 0.0),
        ("0.5", "float", "1", "50%", 0.0), // a percent sign divides nothing here
        ("0.5", "float", "1", "", 0.0),
        ("[1, 2, 3]", "list", "", "1, 2, 3", 1.0),
        ("[1, 2, 3]", "list", "", "[1, 2]", 0.0),
        ("yes", "text", "", "Yes, there is no doubt", 0.0),
    ] {
        let types =
            [("question_type", "free_form"), ("answer_type", kind), ("precision", precision)];
        scores("mathvista", &known(&[gold], &types), &[(said, expected)]);
    }
}

#[test]
fn mathvista_picks_the_nearest_option_and_the_first_of_a_tie() {
    let types = [("question_type", "multi_choice"), ("answer_type", "text")];
    let lengths = ["3 cm", "5 cm", "7 cm"];
    let second = with_options(known(&["5 cm"], &types), &lengths);
    scores("mathvista", &second, &[("(B)", 1.0), ("The answer is 5 cm.", 1.0), ("", 0.0)]);
    // "5cm" is one edit away, from the others two; the rest is as far from each.
    scores("mathvista", &second, &[("5cm", 1.0), ("4 cm", 0.0), ("(D)", 0.0), ("B or C", 0.0)]);
    let first = with_options(known(&["3 cm"], &types), &lengths);
    scores("mathvista", &first, &[("4 cm", 1.0), ("", 0.0)]);
}

#[test]
fn mathvision_compares_within_a_millionth() {
    gold_scores(
        "mathvision",
        &[
            (&["1"], "1.0000009", 1.0),
            (&["1"], "1.0000011", 0.0),
            (&["0"], "-0.0000001", 1.0),
            (&["0"], "", 0.0),
            (&["-4"], "4", 0.0),
            (&["50%"], "0.5", 1.0),
            (&["50%"], "50", 1.0),
            (&["50%"], "0.5%", 0.0),
            (&["4"], "x = 4", 1.0),
            (&["4 cm"], "4", 1.0),
            (&["4 cm"], "4 m", 0.0),
            (&["(1,2)"], "(1, 2)", 1.0),
            (&["(1,2)"], "(2, 1)", 0.0),
            (&["12"], "a", 0.0),
            (&["0.5"], "50%", 1.0),
            (&["0.5"], "0.5%", 0.0),
            (&["50"], "50%", 0.0),
            (&["5"], "5j", 0.0),
            (&["3:2"], "3 : 2", 1.0),
        ],
    );
    let third = with_options(known(&["C"], &[]), &["1", "2", "3", "4", "5"]);
    scores("mathvision", &third, &[("c", 1.0), ("The answer is (C).", 1.0), ("B or C", 0.0)]);
    scores("mathvision", &third, &[("4", 0.0), ("E", 0.0), ("", 0.0)]);
}

#[test]
fn pope_hears_yes_or_no_or_neither() {
    let (there, absent) = (known(&["yes"], &[]), known(&["no"], &[]));
    for yes in [" yes\n", "Yes, yes", "Yes, there is no cat but a dog.", "Yes: there is no tree"] {
        scores("pope", &there, &[(yes, 1.0)]);
        scores("pope", &absent, &[(yes, 0.0)]);
    }
    for no in ["NO", "**No**", "Is there a dog? No.", "There is no dog. So the answer is no."] {
        scores("pope", &there, &[(no, 0.0)]);
        scores("pope", &absent, &[(no, 1.0)]);
    }
    for neither in [
        "Yes or no",
        "No. Yes.",
        "I see no reason to say yes.",
        "yes, but no",
        "I cannot say yes",
        "no idea",
        "Nothing",
        "100%",
        "",
    ] {
        scores("pope", &there, &[(neither, 0.0)]);
        scores("pope", &absent, &[(neither, 0.0)]);
    }
}

#[test]
fn pope_counts_what_is_said_against_what_is_there() {
    let metrics = ["accuracy", "precision", "recall", "f1", "yes_ratio"];
    let (there, absent) = (known(&["yes"], &[]), known(&["no"], &[]));
    let cells = [
        (&there, "yes"),
        (&absent, "yes"),
        (&absent, "no"),
        (&there, "no"),
        (&there, "perhaps"),
        (&absent, "perhaps"),
    ];
    // How many of each; F1 is twice the right yes by all yes, said and true.
    for (numbers, expected) in [
        ([1, 0, 0, 0, 0, 0], [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0)]),
        ([0, 1, 0, 0, 0, 0], [Some(0.0), Some(0.0), None, Some(0.0), Some(1.0)]),
        ([0, 0, 1, 0, 0, 0], [Some(1.0), None, None, None, Some(0.0)]),
        ([0, 0, 0, 1, 0, 0], [Some(0.0), None, Some(0.0), Some(0.0), Some(0.0)]),
        ([0, 0, 0, 0, 1, 0], [Some(0.0), None, Some(0.0), Some(0.0), Some(0.0)]),
        ([0, 0, 0, 0, 0, 1], [Some(0.0), None, None, None, Some(0.0)]),
        ([3, 1, 3, 1, 0, 0], [0.75, 0.75, 0.75, 0.75, 0.5].map(Some)),
        ([2, 2, 2, 0, 0, 0], [4.0 / 6.0, 0.5, 1.0, 2.0 / 3.0, 4.0 / 6.0].map(Some)),
        ([1, 0, 3, 2, 0, 0], [4.0 / 6.0, 1.0, 1.0 / 3.0, 0.5, 1.0 / 6.0].map(Some)),
        ([1, 1, 1, 1, 1, 1], [2.0 / 6.0, 0.5, 1.0 / 3.0, 0.4, 2.0 / 6.0].map(Some)),
        ([0, 0, 0, 0, 0, 0], [None; 5]),
    ] {
        let answers: Vec<(&Question, &str)> =
            cells.into_iter().zip(numbers).flat_map(|(cell, number)| vec![cell; number]).collect();
        let counted = counted("pope", &answers);
        all_near("pope", &counted, &metrics, &expected, &format!("{numbers:?}"));
    }
}

#[test]
fn crpe_wants_all_four_rotations() {
    let letters = ["A", "B", "C", "D"];
    let texts = ["A. cat", "B. cat", "C. cat", "D. cat"];
    for (golds, said, expected) in [
        (letters, ["A", "B", "C", "D"], 1.0),
        (letters, ["(A)", "b", "C.", "The answer is D"], 1.0),
        (letters, ["\u{ff21}", "B", "C", "D"], 1.0), // a wide A
        (letters, ["A", "A", "A", "A"], 0.0),
        (letters, ["A", "B", "C", "C"], 0.0),
        (letters, ["A", "", "C", "D"], 0.0),
        (letters, ["A", "B or C", "C", "D"], 0.0),
        (letters, ["A and B", "B", "C", "D"], 0.0),
        (letters, ["A", "B", "C", "E"], 0.0),
        (letters, ["A", "Because", "C", "D"], 0.0),
        (texts, ["cat", "The cat.", "A cat", "D. cat"], 1.0),
        (texts, ["cat", "cat", "a dog", "cat"], 0.0),
        (texts, ["cat", "cat", "category", "cat"], 0.0),
        (texts, ["B. cat", "cat", "cat", "cat"], 0.0), // a letter outweighs the text
    ] {
        let meta = [("category", "exist"), ("rotation_of", "1")];
        let questions = golds.map(|gold| known(&[gold], &meta));
        let answers: Vec<(&Question, &str)> = questions.iter().zip(said).collect();
        let counted = counted("crpe", &answers);
        let case = format!("{golds:?} {said:?}");
        near(counted[0].score, Some(expected), &case);
        near(measured("crpe", &counted, "exist", "accuracy"), Some(expected), &case);
    }
}

#[test]
fn chartqa_allows_five_per_cent_in_doubles() {
    gold_scores(
        "chartqa",
        &[
            (&["200"], "190", 1.0),
            (&["200"], "189.9", 0.0),
            (&["14"], "14.7", 1.0),   // 0.7 / 14 is 0.04999999999999995
            (&["2"], "2.1", 0.0),     // 0.1 / 2 is 0.05000000000000004
            (&["50%"], "52.5%", 0.0), // 0.025 / 0.5 is 0.05000000000000004
            (&["57%"], "0.57", 1.0),
            (&["100"], "105%", 0.0),
            (&["\u{2212}40"], "-42", 1.0),
            (&["0%"], "0", 1.0),
            (&["0"], "zero", 0.0),
            (&["3", "three"], "Three", 1.0),
            (&["12"], "12 or 13", 0.0),
            (&["Yes"], "Yes, there is no other bar", 0.0),
        ],
    );
}

#[test]
fn documents_and_infographics_take_the_edit_distance() {
    for name in ["docvqa", "infovqa"] {
        gold_scores(
            name,
            &[
                (&["A  B\nC"], "a b c", 1.0),
                (&["1998"], "1989", 0.5), // two of four: one half counts
                (&["abcdefghij"], "abcd", 0.0), // 0.4
                (&["$1,250.00"], "1,250.00", 8.0 / 9.0),
                (&["50%"], "50", 2.0 / 3.0),
                (&["\u{2212}5"], "-5", 0.5),
                (&["0"], "O", 0.0),
                (&["cat", "cut"], "cot", 2.0 / 3.0), // a tie
                (&["x", "New York"], "new york city", 8.0 / 13.0),
                (&["yes, there is no stamp"], "yes, there is a stamp", 20.0 / 22.0),
                (&["a"], "", 0.0),
                (&[""], " ", 1.0),
            ],
        );
    }
}

#[test]
fn textvqa_leaves_each_annotator_out_once() {
    // How many of ten annotators give the first answer; the others give "go".
    for (answer, count, said, expected) in [
        ("stop", 1, "stop", 0.3), // (9 · 1/3 + 0) / 10
        ("stop", 2, "stop", 0.6), // (8 · 2/3 + 2 · 1/3) / 10
        ("stop", 3, "stop", 0.9), // (7 + 3 · 2/3) / 10
        ("stop", 4, "stop", 1.0),
        ("stop", 5, "stop", 1.0),
        ("stop", 5, "go", 1.0),
        ("stop", 5, "stop or go", 0.0),
        ("stop", 10, "", 0.0),
        ("5 stars", 10, "five stars", 1.0),
        ("0", 10, "none", 1.0),
        ("50%", 10, "50", 0.0),
        ("50%", 10, "50 %", 0.0),
        ("-5", 10, "5", 1.0), // the normalizer takes a hyphen out, as published
        ("\u{2212}5", 10, "5", 0.0),
        ("yes", 10, "Yes, there is no sign.", 0.0),
    ] {
        let golds = [vec![answer; count], vec!["go"; 10 - count]].concat();
        scores("textvqa", &known(&golds, &[]), &[(said, expected)]);
    }
}

#[test]
fn ocrbench_looks_for_the_known_print() {
    gold_scores(
        "ocrbench",
        &[
            (&["50%"], "It is 50%.", 1.0),
            (&["50%"], "50 %", 0.0),
            (&["-5"], "-5 °C", 1.0),
            (&["\u{2212}5"], "-5", 0.0),
            (&["0"], "10", 1.0), // published: no word borders
            (&["0"], "", 0.0),
            (&["a b"], "A\nB", 1.0),
            (&[" stop "], "stop", 1.0),
            (&["STOP", "GO"], "go or halt", 1.0),
            (&["no"], "Yes, there is no sign.", 1.0),
        ],
    );
}
