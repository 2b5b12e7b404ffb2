//! Every published metric on answers whose score was worked out by hand, the awkward ones among
//! them: nothing said, two answers at once, edges, ties, zeros, percent and minus signs.

use prefab::data::record::{Answer, Generated, Question};
use prefab::eval::benchmark::judged::Grade;
use prefab::eval::{Asked, Counted, Counts, Row, benchmark};
use prefab::spec::candidates::Prompt;

/// A question of a file: its known answers, and what the file says beside.
fn known(answers: &[&str], meta: &[(&str, &str)]) -> Question {
    let mut answers = answers.iter().map(|&answer| answer.to_owned());
    Question {
        answer: answers.next(),
        aliases: answers.collect(),
        meta: meta.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
        ..Question::default()
    }
}

fn with_options(question: Question, choices: &[&str]) -> Question {
    Question { choices: choices.iter().map(|&choice| choice.to_owned()).collect(), ..question }
}

fn row(text: &str) -> Row {
    Row {
        answer: Answer {
            question: String::new(),
            prompt: Prompt::Direct,
            sample: 0,
            text: text.to_owned(),
            tokens: 4,
            ended: true,
            final_answer: None,
            verdict: None,
        },
        given_percent: 0,
    }
}

fn asked<'a>(question: &'a Question, row: &'a Row, grade: Option<&'a Grade>) -> Asked<'a> {
    Asked { question, row, own: row, likelihood: None, grade }
}

/// What a benchmark counts for some answers.
fn counted(name: &str, answers: &[(&Question, &str)]) -> Vec<Counted> {
    let rows: Vec<Row> = answers.iter().map(|(_, said)| row(said)).collect();
    let answers = answers.iter().zip(&rows);
    let all: Vec<Asked<'_>> = answers.map(|((of, _), row)| asked(of, row, None)).collect();
    benchmark(name).unwrap().count(&all)
}

/// What a judge's replies say, and what a benchmark counts for them; `|` parts replies.
fn judged(name: &str, question: &Question, replies: &str) -> (Vec<Option<Grade>>, Vec<Counted>) {
    let benchmark = benchmark(name).unwrap();
    let read = benchmark.grader().unwrap().read;
    let grades: Vec<Option<Grade>> =
        replies.split('|').map(|reply| read(question, reply)).collect();
    let row = row("An answer.");
    let all: Vec<Asked<'_>> =
        grades.iter().map(|grade| asked(question, &row, grade.as_ref())).collect();
    let counted = benchmark.count(&all);
    (grades, counted)
}

/// The numbers that a judge's reply gives.
fn numbers(name: &str, reply: &str) -> Option<Vec<f64>> {
    let (mut grades, _) = judged(name, &Question::default(), reply);
    grades.remove(0).map(|grade| grade.numbers)
}

/// The value of a metric in a group; none where it is undefined.
fn measured(name: &str, counted: &[Counted], group: &str, metric: &str) -> Option<f64> {
    let mut sums = Counts::default();
    for one in counted.iter().filter(|one| one.groups.iter().any(|known| known == group)) {
        for (sum, count) in sums.iter_mut().zip(&one.counts) {
            *sum += count;
        }
    }
    let metrics = benchmark(name).unwrap().metrics();
    let found = metrics.iter().find(|known| known.name == metric);
    found.unwrap_or_else(|| panic!("{name} has {metric}")).value.of(&sums)
}

#[track_caller]
fn near(found: Option<f64>, expected: Option<f64>, about: &str) {
    let fits = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    };
    assert!(fits, "{about}: {found:?}, not {expected:?}");
}

#[track_caller]
fn all_near(
    name: &str,
    counted: &[Counted],
    metrics: &[&str],
    expected: &[Option<f64>],
    case: &str,
) {
    for (metric, expected) in metrics.iter().zip(expected) {
        let found = measured(name, counted, "all", metric);
        near(found, *expected, &format!("{metric} of {case:?}"));
    }
}

/// Checks the scores of answers to one question.
#[track_caller]
fn scores(name: &str, question: &Question, cases: &[(&str, f64)]) {
    for &(said, expected) in cases {
        let score = counted(name, &[(question, said)])[0].score;
        near(score, Some(expected), &format!("{name} {:?} {said:?}", question.answer));
    }
}

/// Checks the scores of answers to questions with some known answers.
#[track_caller]
fn gold_scores(name: &str, cases: &[(&[&str], &str, f64)]) {
    for &(golds, said, expected) in cases {
        scores(name, &known(golds, &[]), &[(said, expected)]);
    }
}

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
        ],
    );
    let third = with_options(known(&["C"], &[]), &["1", "2", "3", "4", "5"]);
    scores("mathvision", &third, &[("c", 1.0), ("The answer is (C).", 1.0), ("B or C", 0.0)]);
    scores("mathvision", &third, &[("4", 0.0), ("E", 0.0), ("", 0.0)]);
}

#[test]
fn a_grade_of_mm_vet_is_one_number_up_to_one() {
    for (reply, read) in
        [("0.5", 0.5), (" 0.7\n", 0.7), ("1.0", 1.0), ("0", 0.0), (".3", 0.3), ("1e-1", 0.1)]
    {
        assert_eq!(numbers("mm_vet", reply), Some(vec![read]), "{reply:?}");
    }
    for reply in
        ["1.1", "-0.1", "\u{2212}0.1", "50%", "0,5", "0.5 or 0.6", "Grade: 1", "half", "nan", ""]
    {
        assert_eq!(numbers("mm_vet", reply), None, "{reply:?}");
    }
}

#[test]
fn a_grade_of_mm_vet_counts_for_each_capability_and_their_combination() {
    let answers = [
        ("rec", "1.0"),
        ("rec,ocr", "0.5|0.8"),
        ("ocr", "0"),
        ("know", "0.3"),
        ("rec, know", "0.2"),
        ("math", "50%"),
    ];
    let of = |(category, replies): (&str, &str)| {
        judged("mm_vet", &known(&[], &[("category", category)]), replies).1
    };
    let counted: Vec<Counted> = answers.into_iter().flat_map(of).collect();
    for (group, mean, failed) in [
        ("all", Some(2.8 / 6.0), 1.0 / 7.0), // 1 + 0.5 + 0.8 + 0 + 0.3 + 0.2
        ("rec", Some(2.5 / 4.0), 0.0),       // 1 + 0.5 + 0.8 + 0.2
        ("ocr", Some(1.3 / 3.0), 0.0),       // 0.5 + 0.8 + 0
        ("know", Some(0.25), 0.0),           // (0.3 + 0.2) / 2
        ("rec_ocr", Some(0.65), 0.0),        // (0.5 + 0.8) / 2
        ("rec_know", Some(0.2), 0.0),
        ("math", None, 1.0),
    ] {
        near(measured("mm_vet", &counted, group, "grade"), mean, group);
        near(measured("mm_vet", &counted, group, "failed"), Some(failed), group);
    }
}

#[test]
fn llava_bench_is_the_ratio_of_the_means() {
    for (replies, expected) in [
        ("8 4\nBecause.", Some(0.5)),
        ("8, 8", Some(1.0)),
        ("Scores: 5 10", Some(2.0)),
        ("10 0", Some(0.0)),
        ("8 4|4 8", Some(1.0)), // the mean of the ratios is 1.25
        ("10 9|8 4", Some(13.0 / 18.0)),
        ("0 4|8 4", Some(1.0)),
        ("7.5 6|?", Some(0.8)),
        ("0 5", None),
        ("0 0", None),
        ("?", None),
        ("", None),
    ] {
        let (_, counted) = judged("llava_bench", &Question::default(), replies);
        near(measured("llava_bench", &counted, "all", "relative"), expected, replies);
    }
    for reply in ["80% 90%", "\u{2212}8 9", "8/10 9/10", "8\n9", "8 eight", "10.1 9", "8 9 8"] {
        assert_eq!(numbers("llava_bench", reply), None, "{reply:?}");
    }
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
    for neither in ["Yes or no", "No. Yes.", "I see no reason to say yes.", "Nothing", "100%", ""] {
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
fn mmhal_counts_ratings_below_three_as_hallucinations() {
    let metrics = ["rating", "hallucination_rate", "failed"];
    for (replies, expected) in [
        ("Rating: 6", [Some(6.0), Some(0.0), Some(0.0)]),
        ("Rating: 3/6", [Some(3.0), Some(0.0), Some(0.0)]),
        ("rating \u{2013} 2", [Some(2.0), Some(1.0), Some(0.0)]),
        ("RATING: 0.", [Some(0.0), Some(1.0), Some(0.0)]),
        ("Rating: 5\nOverall rating: 2", [Some(2.0), Some(1.0), Some(0.0)]),
        ("Rating: 3|Rating: 2", [Some(2.5), Some(0.5), Some(0.0)]),
        ("Rating: 6|Rating: 6|Rating: 0", [Some(4.0), Some(1.0 / 3.0), Some(0.0)]),
        ("Rating: 5|Rating: 2,5", [Some(5.0), Some(0.0), Some(0.5)]),
        ("Rating: 1|Rating: 50%|Rating: 4|?", [Some(2.5), Some(0.5), Some(0.5)]),
        ("Rating: -3|Rating: \u{2212}3", [None, None, Some(1.0)]),
        ("Rating: 3, or rating: 2", [None, None, Some(1.0)]),
        ("", [None, None, Some(1.0)]),
    ] {
        let (_, counted) = judged("mmhal", &Question::default(), replies);
        all_near("mmhal", &counted, &metrics, &expected, replies);
    }
}

const CHAIR: [&str; 3] = ["response_rate", "mention_rate", "coverage"];

/// A question about a picture with some of COCO's classes.
fn pictured(objects: &str) -> Question {
    let synonyms = r#"[["person", "man", "woman"], ["dog", "puppy"], ["chair", "seat"], ["toilet"],
        ["couch", "sofa"], ["hot dog"], ["wine glass"]]"#;
    known(&[], &[("synonyms", synonyms), ("objects", objects)])
}

#[test]
fn object_halbench_counts_classes_that_are_not_there() {
    let question = pictured(r#"["dog", "person"]"#);
    for (replies, expected) in [
        (r#"["dog"]"#, [Some(0.0), Some(0.0), Some(0.5)]),
        (r#"["Dog ", "puppies"]"#, [Some(0.0), Some(0.0), Some(0.5)]), // one class
        (r#"["brown dogs", "two men"]"#, [Some(0.0), Some(0.0), Some(1.0)]),
        (r#"["baby dog"]"#, [Some(0.0), Some(0.0), Some(0.5)]),
        (r#"["couch"]"#, [Some(1.0), Some(1.0), Some(0.0)]),
        (r#"["couch", "sofa", "dog"]"#, [Some(1.0), Some(0.5), Some(0.5)]),
        (r#"["dog", "couch", "seat"]"#, [Some(1.0), Some(2.0 / 3.0), Some(0.5)]),
        (r#"["hot dog"]"#, [Some(1.0), Some(1.0), Some(0.0)]), // no dog
        (r#"["wine glasses", "man"]"#, [Some(1.0), Some(0.5), Some(0.5)]),
        (r#"["toilet", "seat"]"#, [Some(1.0), Some(1.0), Some(0.0)]), // no chair
        (r#"["cat"]"#, [None, None, Some(0.0)]),
        (r#"["home plate"]"#, [None, None, Some(0.0)]),
        (r#"[""]"#, [None, None, Some(0.0)]),
        ("[]", [None, None, Some(0.0)]),
        ("a dog", [None; 3]), // no list, no grade
        // 0, 2, none and 1 wrong of 1, 3, none and 1; 2 of 8 are told; the last has no grade.
        (
            r#"["dog"]|["dog", "couch", "seat"]|[]|["couch"]|a dog"#,
            [Some(2.0 / 3.0), Some(3.0 / 5.0), Some(2.0 / 8.0)],
        ),
    ] {
        let (_, counted) = judged("object_halbench", &question, replies);
        all_near("object_halbench", &counted, &CHAIR, &expected, replies);
    }
    let (_, counted) = judged("object_halbench", &pictured("[]"), r#"["dog"]"#);
    let expected = [Some(1.0), Some(1.0), None];
    all_near("object_halbench", &counted, &CHAIR, &expected, "an empty picture");
}

#[test]
fn a_description_names_an_object_by_its_attribute_and_noun() {
    let objects = vec!["red circle".to_owned(), "blue square".to_owned()];
    let truth = Generated { objects, ..Generated::default() };
    let question = Question { generated: Some(truth), ..Question::default() };
    for (text, expected) in [
        ("red circle", [Some(0.0), Some(0.0), Some(0.5)]),
        ("A RED circle and a blue square.", [Some(0.0), Some(0.0), Some(1.0)]),
        ("red circles", [Some(0.0), Some(0.0), Some(0.5)]),
        ("a red circle; a red circle", [Some(0.0), Some(0.0), Some(0.5)]),
        ("red square", [Some(1.0), Some(1.0), Some(0.0)]),
        ("blue circle or red circle", [Some(1.0), Some(0.5), Some(0.5)]),
        ("red circle, red square, blue circle", [Some(1.0), Some(2.0 / 3.0), Some(0.5)]),
        ("Yes, there is no red square.", [Some(1.0), Some(1.0), Some(0.0)]), // words count
        ("a circle", [None, None, Some(0.0)]),
        ("green circle", [None, None, Some(0.0)]),
        ("", [None, None, Some(0.0)]),
    ] {
        let counted = counted("describe", &[(&question, text)]);
        all_near("describe", &counted, &CHAIR, &expected, text);
        let faithful = expected[1] == Some(0.0);
        near(counted[0].score, Some(f64::from(u8::from(faithful))), text);
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
