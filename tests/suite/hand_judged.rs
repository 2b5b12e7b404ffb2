//! As `hand_cases.rs`, for what a judge grades, and for objects that descriptions name.

use crate::support::counting::{all_near, counted, judged, known, measured, near, numbers};
use prefab::data::record::{Generated, Question};
use prefab::eval::Counted;

#[test]
fn a_grade_of_mm_vet_is_one_number_up_to_one() {
    for (reply, read) in
        [("0.5", 0.5), (" 0.7\n", 0.7), ("1.0", 1.0), ("0", 0.0), (".3", 0.3), ("1e-1", 0.1)]
            .into_iter()
            .chain([
                ("Grade: 1", 1.0),
                ("**0.5**", 0.5),
                ("**Grade:** `0.4`", 0.4),
                ("grade 0", 0.0),
            ])
    {
        assert_eq!(numbers("mm_vet", reply), Some(vec![read]), "{reply:?}");
    }
    for reply in
        ["1.1", "-0.1", "\u{2212}0.1", "50%", "0,5", "0.5 or 0.6", "Grade: 2", "half", "nan", ""]
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
        // A word counts once, each synonym for itself.
        (r#"["man", "woman", "dog", "couch"]"#, [Some(1.0), Some(0.25), Some(1.0)]),
        (r#"["dog", "dogs", "brown dog", "couch"]"#, [Some(1.0), Some(0.5), Some(0.5)]),
        (r#"["brown dogs", "two men"]"#, [Some(0.0), Some(0.0), Some(1.0)]),
        (r#"["baby dog"]"#, [Some(0.0), Some(0.0), Some(0.5)]),
        (r#"["couch"]"#, [Some(1.0), Some(1.0), Some(0.0)]),
        (r#"["couch", "sofa", "dog"]"#, [Some(1.0), Some(2.0 / 3.0), Some(0.5)]),
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
