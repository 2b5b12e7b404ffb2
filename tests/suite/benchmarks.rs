//! The paper's benchmarks: how answers to their files are counted, and generated questions that
//! stand in.

use crate::support::benchmark::{Folder, base64, bitmap};
use crate::support::scores::{row, value};
use prefab::data::record::Question;
use prefab::eval::asking::Asking;
use prefab::eval::judging::Judge;
use prefab::eval::origin::Origin;
use prefab::eval::scores::{Score, score};
use prefab::eval::{Row, benchmark};
use prefab::spec::benchmarks;
use prefab::spec::candidates::Prompt;
use prefab::spec::embedded;
use prefab::spec::eval::Eval;

#[test]
fn questions_of_ones_own_are_matched_as_their_data_set_is() {
    let folder = Folder::new();
    let rows = r#"{"images": ["1.bmp"], "question": "How high?", "answer": "10", "task": "bars", "source": "ChartQA", "tiles": 40, "direct": "Shout."}
{"image": "1.bmp", "question": "Which?", "answer": "wine glass", "aliases": ["goblet"]}
{"image": "1.bmp", "question": "Which?", "answer": "B", "choices": ["red", "blue"]}
"#;
    let questions = folder.reads("questions", "own.jsonl", rows);
    // Asked as the spec says, with the model's own tiles, whatever columns a file has.
    assert!(questions.iter().all(|q| q.says("direct").is_empty() && q.says("tiles").is_empty()));
    // ChartQA allows 5 %; the second is no data set's; the third is right by its option's text.
    let right: Vec<Row> =
        questions.iter().zip(["10.4", "goblet", "blue"]).map(|(q, t)| row(q, t)).collect();
    let wrong: Vec<Row> =
        questions.iter().zip(["10.6", "glass", "red"]).map(|(q, t)| row(q, t)).collect();
    let eval = eval(&["questions"], &[("questions", "own.jsonl")]);
    for (rows, share) in [(right, 1.0), (wrong, 0.0)] {
        let (scores, verdicts) = score(&eval, &questions, &rows, &[]).unwrap();
        assert_eq!(value(&scores, "all", "accuracy"), share);
        assert_eq!(value(&scores, "bars", "accuracy"), share);
        assert_eq!(verdicts.len(), 3);
    }
}

fn rotations(categories: [&str; 8]) -> String {
    let mut table = "index\timage_path\tquestion\tanswer\tcategory\n".to_owned();
    for (row, category) in categories.iter().enumerate() {
        let letter = ["A", "B", "C", "D"][row % 4];
        table += &format!("{row}\timages/1.bmp\tWhich?\t{letter}\t{category}\n");
    }
    table
}

#[test]
fn crpe_counts_a_question_with_all_its_rotations() {
    let folder = Folder::new();
    let table =
        rotations(["exist", "exist", "exist", "exist", "subject", "subject", "subject", "subject"]);
    let questions = folder.reads("crpe", "CRPE_RELATION.tsv", &table);
    assert!(questions[..4].iter().all(|question| question.says("rotation_of") == "crpe/0"));
    // The first is right throughout, the second three times of four.
    let said = ["A", "(B)", "C.", "the answer is D", "A", "B", "C", "A"];
    let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
    let scores = |name: &str| {
        let eval = eval(&[name], &[("crpe", "CRPE_RELATION.tsv")]);
        score(&eval, &questions, &rows, &[]).unwrap()
    };
    let (whole, verdicts) = scores("crpe");
    assert_eq!(value(&whole, "all", "accuracy"), 0.5);
    assert_eq!(
        (value(&whole, "exist", "accuracy"), value(&whole, "subject", "accuracy")),
        (1.0, 0.0)
    );
    assert_eq!(verdicts.iter().map(|v| v.score).collect::<Vec<_>>(), [1.0, 0.0]);
    assert_eq!(value(&scores("crpe_rows").0, "all", "accuracy"), 7.0 / 8.0);
    // "(B)" and "the answer is D" do not begin with their letter.
    assert_eq!(value(&scores("crpe_vlmevalkit").0, "all", "accuracy"), 0.5);

    let odd = rotations(["exist"; 8]).lines().take(7).collect::<Vec<_>>().join("\n");
    assert!(folder.fails("crpe", "a.tsv", &odd).contains("6 rows are no multiple of 4"));
    let mixed =
        rotations(["exist", "exist", "object", "exist", "exist", "exist", "exist", "exist"]);
    assert!(
        folder.fails("crpe", "b.tsv", &mixed).contains("rows 1 to 4 are of several categories")
    );
    let other = rotations(["kind"; 8]);
    assert!(folder.fails("crpe", "c.tsv", &other).contains("category is `kind`"));
}

#[test]
fn pope_is_the_mean_of_three_splits() {
    let folder = Folder::new();
    for split in ["adversarial", "popular", "random"] {
        let line = |id: usize, label: &str| {
            format!(
                r#"{{"question_id": {id}, "image": "1.bmp", "text": "Is there a dog in the image?", "label": "{label}"}}"#
            )
        };
        let lines = [line(1, "yes"), line(2, "no")].join("\n");
        folder.write(&format!("pope/coco_pope_{split}.json"), lines);
    }
    folder.write("pope/val2014/1.bmp", bitmap(3));
    let questions = folder.questions("pope", &folder.0.path().join("pope")).unwrap();
    let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
    assert_eq!(ids[..3], ["pope/1", "pope/2", "pope/coco_pope_popular/1"]);
    assert_eq!(questions[2].says("category"), "popular");
    // Adversarial: both right. Popular: always yes. Random: nothing is said.
    let said = ["Yes, there is.", "No.", "yes", "Yes, there is no doubt", "", "not sure"];
    let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
    let scores =
        |name: &str| score(&eval(&[name], &[("pope", "pope")]), &questions, &rows, &[]).unwrap().0;
    let ours = scores("pope");
    assert_eq!(value(&ours, "adversarial", "f1"), 1.0);
    assert!((value(&ours, "popular", "f1") - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(value(&ours, "random", "f1"), 0.0);
    assert!((value(&ours, "all", "mean_f1") - 5.0 / 9.0).abs() < 1e-12);
    assert_eq!(value(&ours, "random", "unparsable"), 1.0);
    // Everything without a no is yes there: "" too, and "there is no doubt" is not.
    let theirs = scores("pope_internvl");
    assert_eq!(value(&theirs, "popular", "f1"), 1.0);
    assert_eq!(value(&theirs, "random", "f1"), 1.0);
    let words = scores("pope_vlmevalkit");
    assert_eq!(value(&words, "popular", "unparsable"), 0.5, "yes and no at once");
    // Over all it counts a question of two categories twice, and ours once.
    let mut several = questions[..3].to_vec();
    several[0].meta.insert("category".to_owned(), "random,adversarial".to_owned());
    let said = ["yes", "yes", "no"];
    let rows: Vec<Row> = several.iter().zip(said).map(|(q, text)| row(q, text)).collect();
    let f1 = |name: &str| {
        let eval = eval(&[name], &[("pope", "pope")]);
        value(&score(&eval, &several, &rows, &[]).unwrap().0, "all", "f1")
    };
    assert!((f1("pope") - 0.5).abs() < 1e-12 && (f1("pope_vlmevalkit") - 2.0 / 3.0).abs() < 1e-12);
    let said = folder.fails("pope", "x.jsonl", r#"{"text": "Is there?", "label": "perhaps"}"#);
    assert!(said.contains("`perhaps` is neither yes nor no"), "{said}");
}

fn eval(benchmarks: &[&str], files: &[(&str, &str)]) -> Eval {
    Eval {
        prompts: vec![Prompt::Direct],
        benchmarks: benchmarks.iter().map(|&name| name.to_owned()).collect(),
        files: files.iter().map(|&(name, path)| (name.to_owned(), path.to_owned())).collect(),
        max_tokens: 48,
        batch: 8,
        ..embedded().eval.clone()
    }
}

/// Questions of the generated families that stand in.
fn stand_ins(benchmark_name: &str, each: u64) -> Vec<Question> {
    let asks = benchmark(benchmark_name).unwrap();
    let of = |family: &'static prefab::tasks::Family| {
        (0..each).map(move |index| {
            let id = format!("test-{}-{index:05}", family.name);
            family.item(0, index).record(id.clone(), format!("{id}.png"), family.name)
        })
    };
    let all = prefab::tasks::FAMILIES.iter().flat_map(of);
    all.filter(|question| asks.selects(question)).collect()
}

#[test]
fn every_stand_in_gives_its_known_answers_full_marks() {
    let stands_in =
        |name: &str| benchmarks::benchmark(name).is_some_and(|row| !row.tasks.is_empty());
    let filed = prefab::eval::BENCHMARKS.iter().filter(|b| b.file().is_some());
    for benchmark in filed.filter(|b| stands_in(b.name())) {
        let eval = eval(&[benchmark.name()], &[]);
        let asking = Asking::new(&eval, stand_ins(benchmark.name(), 4)).unwrap();
        let asked = asking.of[0].1.iter().map(|&index| &asking.questions[index]);
        let asked: Vec<Question> = asked.cloned().collect();
        let answer = |text: fn(&Question) -> String| -> Vec<Score> {
            let rows: Vec<Row> = asked.iter().map(|q| row(q, &text(q))).collect();
            let mut judge = Judge::nobody(&eval.judge);
            let scored = prefab::eval::scores::score_asked(&eval, &asking, &rows, &[], &mut judge);
            let scored = scored.unwrap();
            let origin: &Origin = &scored.origins[0];
            assert_eq!(origin.questions, "stand-in", "{}", benchmark.name());
            assert_eq!((origin.n, origin.failed, origin.judged), (asked.len(), 0, 0));
            scored.scores
        };
        let first = benchmark.metrics()[0];
        let known = answer(|question| question.answer.clone().unwrap());
        let silent = answer(|_| String::new());
        let of = |scores: &[Score]| {
            let found =
                scores.iter().find(|score| score.task == "all" && score.metric == first.name);
            found.map(|score| score.value)
        };
        let (best, worst) = match benchmark.name() {
            "mmhal" => (6.0, 3.0),
            "llava_bench" => (1.0, 0.1),
            // Nothing is said of an answer that names nothing.
            "object_halbench" => {
                assert_eq!((of(&known), of(&silent)), (Some(0.0), None));
                continue;
            }
            // What says nothing is yes there, and half of the questions' answers.
            // Answers that are words are compared with "None", as the peer does.
            "mathvista_vlmevalkit" => (of(&known).unwrap(), 0.0),
            // A lone known answer is left out of its own comparison, as the peer does.
            "textvqa_vlmevalkit" => (0.0, 0.0),
            "pope_internvl" => (1.0, of(&silent).unwrap()),
            _ => (1.0, 0.0),
        };
        assert_eq!((of(&known), of(&silent)), (Some(best), Some(worst)), "{}", benchmark.name());
    }
}

#[test]
fn relations_stand_in_with_four_wordings() {
    let eval = eval(&["crpe", "m3cot"], &[]);
    let corpus = stand_ins("crpe", 12);
    let asking = Asking::new(&eval, corpus.clone()).unwrap();
    assert_eq!((asking.of[0].1.len(), asking.of[1].1.len()), (48, 12));
    for (rows, original) in asking.of[0].1.chunks(4).zip(&corpus) {
        for (place, &row) in rows.iter().enumerate() {
            let question = &asking.questions[row];
            assert_eq!(question.says("rotation_of"), original.id);
            assert_eq!((&question.answer, &question.images), (&original.answer, &original.images));
            let sides = ["left", "right", "above", "below"];
            assert_eq!(question.choices[0], sides[place]);
            let options = question.choices.join(" ");
            let said: Vec<&str> =
                question.question.split([' ', ',']).filter(|word| sides.contains(word)).collect();
            assert_eq!(said.join(" "), options, "{}", question.question);
        }
    }
}

#[test]
fn other_benchmarks_do_not_ask_what_a_file_holds() {
    let folder = Folder::new();
    let table = format!(
        "index\timage\tquestion\tanswer\tcategory\n1\t{}\tIs there?\tYes\trandom,popular\n",
        base64(1)
    );
    let of_file = folder.reads("pope", "POPE.tsv", &table);
    let all: Vec<Question> = stand_ins("pope", 4).into_iter().chain(of_file).collect();
    let asks = |files: &[(&str, &str)]| {
        let asking = Asking::new(&eval(&["reasoning", "pope"], files), all.clone()).unwrap();
        (asking.of[0].1.len(), asking.of[1].1.len())
    };
    assert_eq!(asks(&[("pope", "POPE.tsv")]), (4, 1));
    let without: Vec<Question> = stand_ins("pope", 4);
    let asking = Asking::new(&eval(&["reasoning", "pope"], &[]), without).unwrap();
    assert_eq!((asking.of[0].1.len(), asking.of[1].1.len()), (4, 4));
}
