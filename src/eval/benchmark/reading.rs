//! What is written or drawn in a picture: ChartQA, DocVQA, InfoVQA, TextVQA and OCRBench.

use super::file::{ALONE, File, answered, answered_by_several, golds};
use super::{ACCURACY, Extraction, SOFT, Scored};
use super::{answer_of, answer_of_internvl, answer_with_space, category};
use crate::answer::metric::{anls, relaxed, vqa};
use crate::data::benchmark::{Format, Join, Record};
use crate::data::record::Question;
use crate::data::template::instruction::SHORT;
use crate::eval::{Card, flag};
use serde_json::Value;

static CHARTS: File = File {
    format: Format { main: &[], parts: &["test_human", "test_augmented"], ..ALONE },
    tiles: Some(12),
    direct: Some(SHORT),
    question: chart,
    ..File::PLAIN
};

/// InternVL's files have the questions, the data set's own the known answers.
const BY_ID: &[Join] = &[Join {
    name: "answers",
    file: "val_v",
    key: &["question_id", "questionId"],
    of: &["questionId", "question_id"],
}];
static DOCUMENTS: File = File {
    format: Format { main: &["val.", "val_v", "DocVQA"], joins: BY_ID, ..ALONE },
    tiles: Some(18),
    direct: Some(SHORT),
    question: several,
    ..File::PLAIN
};
static INFOGRAPHICS: File = File {
    format: Format {
        main: &["val.", "infographics", "InfoVQA"],
        joins: &[Join { file: "infographics", ..BY_ID[0] }],
        ..ALONE
    },
    tiles: Some(24),
    direct: Some(SHORT),
    question: several,
    ..File::PLAIN
};
static SCENES: File = File {
    format: Format {
        main: &["textvqa_val.", "TextVQA"],
        joins: &[Join { file: "textvqa_val_annotations", ..BY_ID[0] }],
        ..ALONE
    },
    tiles: Some(24),
    direct: Some(SHORT),
    question: several,
    ..File::PLAIN
};
static PRINT: File =
    File { format: ALONE, tiles: Some(24), direct: Some(SHORT), question: several, ..File::PLAIN };

/// Questions about charts.
pub static CHARTQA: Scored = Scored {
    card: Card {
        name: "chartqa",
        about: "charts, with relaxed accuracy: numbers within 5 % of the known one",
        source: "Masry et al. 2022, arXiv:2203.10244; its halves are of one size, so that all of \
                 it is their mean",
        asks: "chartqa",
        needs: "charts: `chart` in `corpus.tasks`",
        extraction: Extraction::LastMarker,
    },
    file: &CHARTS,
    filed: Question::clone,
    tasks: &["chart"],
    score: |question, row| {
        let said = answer_of(row);
        flag(golds(question).iter().any(|gold| relaxed::relaxed(gold, said)))
    },
    group: split,
    metrics: ACCURACY,
};

/// The same as InternVL's evaluation has it.
pub static CHARTQA_INTERNVL: Scored = Scored {
    card: Card {
        name: "chartqa_internvl",
        about: "chartqa with 5 % of the prediction in place of the known answer",
        source: "InternVL, eval/vqa: the scorer's arguments are the wrong way round",
        extraction: Extraction::FirstMarker,
        ..CHARTQA.card
    },
    score: |question, row| {
        relaxed::internvl_of(&golds(question), answer_of_internvl(row)).unwrap_or(0.0)
    },
    ..CHARTQA
};

/// Scanned documents.
pub static DOCVQA: Scored = Scored {
    card: Card {
        name: "docvqa",
        about: "scanned documents, by normalized edit distance",
        source: "Mathew et al. 2021, arXiv:2007.00398, ANLS with the threshold one half",
        asks: "docvqa",
        needs: "documents: `form` in `corpus.tasks`",
        ..CHARTQA.card
    },
    file: &DOCUMENTS,
    tasks: &["form"],
    score: |question, row| anls::best(&golds(question), answer_of(row)),
    group: category,
    metrics: SOFT,
    ..CHARTQA
};

/// The same as VLMEvalKit and InternVL divide.
pub static DOCVQA_PEERS: Scored = Scored {
    card: Card {
        name: "docvqa_peers",
        about: "docvqa with the length of the raw texts below the distance, as both peers have it",
        source: "VLMEvalKit and InternVL",
        extraction: Extraction::FirstMarker,
        ..DOCVQA.card
    },
    score: |question, row| {
        let said = match question.generated {
            Some(_) => answer_of_internvl(row),
            None => answer_with_space(row),
        };
        anls::peers(&golds(question), said).unwrap_or(0.0)
    },
    ..DOCVQA
};

/// Infographics.
pub static INFOVQA: Scored = Scored {
    card: Card {
        name: "infovqa",
        about: "infographics, by normalized edit distance",
        source: "Mathew et al. 2022, arXiv:2104.12756, ANLS with the threshold one half",
        asks: "infovqa",
        needs: "pictures with print: `receipt` or `chart` in `corpus.tasks`",
        ..DOCVQA.card
    },
    file: &INFOGRAPHICS,
    tasks: &["chart", "receipt"],
    ..DOCVQA
};

/// Text in photographs.
pub static TEXTVQA: Scored = Scored {
    card: Card {
        name: "textvqa",
        about: "text in photographs, against ten annotators' answers",
        source: "Singh et al. 2019, arXiv:1904.08920, the VQA challenge's soft accuracy",
        asks: "textvqa",
        needs: "pictures with print: `receipt` in `corpus.tasks`",
        ..DOCVQA.card
    },
    file: &SCENES,
    tasks: &["receipt"],
    score: |question, row| vqa::accuracy(&golds(question), answer_of(row)),
    ..DOCVQA
};

/// The same with VLMEvalKit's normalizer.
pub static TEXTVQA_VLMEVALKIT: Scored = Scored {
    card: Card {
        name: "textvqa_vlmevalkit",
        about: "textvqa with VLMEvalKit's normalizer",
        source: "VLMEvalKit, vqa_eval",
        extraction: Extraction::FirstMarker,
        ..TEXTVQA.card
    },
    score: |question, row| {
        let score = vqa::accuracy_vlmevalkit(&golds(question), answer_of_internvl(row));
        if score.is_nan() { 0.0 } else { score }
    },
    ..TEXTVQA
};

/// Print of every kind.
pub static OCRBENCH: Scored = Scored {
    card: Card {
        name: "ocrbench",
        about: "print of every kind: the known text occurs in the answer",
        source: "Liu et al. 2023, arXiv:2305.07895; its sum over 1,000 questions is ten times this \
                 per cent",
        asks: "ocrbench",
        needs: "print: `receipt` or `form` in `corpus.tasks`",
        ..CHARTQA.card
    },
    file: &PRINT,
    tasks: &["receipt", "form"],
    score: |question, row| flag(occurs(question, answer_of(row))),
    group: category,
    metrics: ACCURACY,
    ..CHARTQA
};

/// ChartQA's own file names its fields otherwise than InternVL's.
fn chart(record: &Record) -> Result<Question, String> {
    let mut record = record.clone();
    for (own, other) in [("query", "question"), ("label", "answer")] {
        if let Some(value) = record.fields.remove(own) {
            record.fields.entry(other).or_insert(value);
        }
    }
    // The Hub's table numbers the halves.
    let half = record.fields.get("human_or_machine").and_then(Value::as_i64);
    let half = half.and_then(|half| ["human", "augmented"].get(usize::try_from(half).ok()?));
    let mut question = answered(&record, &["answer"])?;
    question.meta.insert("file".to_owned(), record.file);
    question.meta.extend(half.map(|half| ("type".to_owned(), (*half).to_owned())));
    Ok(question)
}

/// Which half: the file's name, or the column that says so.
fn split(question: &Question) -> String {
    if question.generated.is_some() {
        return question.task.clone();
    }
    let said = ["split", "type", "file"].map(|name| question.says(name).to_lowercase());
    let half =
        ["human", "augmented"].into_iter().find(|half| said.iter().any(|s| s.contains(half)));
    half.map_or_else(|| category(question), str::to_owned)
}

fn several(record: &Record) -> Result<Question, String> {
    answered_by_several(record, &["answers", "answers.answers", "answer"])
}

/// Whether a known answer occurs in what was said. Formulas written by hand lose their spaces and
/// keep their case, as published.
fn occurs(question: &Question, said: &str) -> bool {
    let is_formula = question.says("category") == "Handwritten Mathematical Expression Recognition";
    let plain = |text: &str| match is_formula {
        true => text.trim().replace(['\n', ' '], ""),
        false => text.to_lowercase().trim().replace('\n', " "),
    };
    let said = plain(said);
    golds(question)
        .iter()
        .map(|gold| plain(gold))
        .any(|gold| !gold.is_empty() && said.contains(&gold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::benchmark::UNPARSABLE;
    use crate::eval::{Asked, Benchmark, Row};

    fn known(answers: &[&str]) -> Question {
        let mut answers = answers.iter().map(|&answer| answer.to_owned());
        Question { answer: answers.next(), aliases: answers.collect(), ..Question::default() }
    }

    fn score(benchmark: &Scored, question: &Question, said: &str) -> f64 {
        let row = serde_json::from_value(serde_json::json!({
            "question": "", "prompt": "direct", "sample": 0, "text": said, "tokens": 1, "ended": true
        }));
        (benchmark.score)(question, &row.unwrap())
    }

    #[test]
    fn charts_are_read_within_five_per_cent_of_the_known_number() {
        for (gold, said, right) in [
            ("100", "95", 1.0),
            ("100", "94.9", 0.0),
            ("100", "105", 1.0),
            ("100", "105.1", 0.0),
            ("50%", "0.5", 1.0),
            ("50%", "50", 0.0),
            ("0", "0.0", 1.0),
            ("0", "0.01", 0.0),
            ("-3", "\u{2212}3", 1.0),
            ("1,250", "1250", 1.0),
            ("Red", "red", 1.0),
            ("Red", "", 0.0),
            ("Red", "red or blue", 0.0),
            ("nan", "NaN", 1.0),
        ] {
            assert_eq!(score(&CHARTQA, &known(&[gold]), said), right, "{gold} {said:?}");
        }
        // 5 % of 95 is 4.75: InternVL's scorer finds 95 too far from 100.
        assert_eq!(score(&CHARTQA_INTERNVL, &known(&["100"]), "95"), 0.0);
        assert_eq!(score(&CHARTQA_INTERNVL, &known(&["100"]), "105"), 1.0);
    }

    #[test]
    fn a_label_that_reads_as_a_list_is_one_answer_and_documents_have_several() {
        let record = |fields: serde_json::Value| Record {
            fields: fields.as_object().unwrap().clone(),
            ..Record::default()
        };
        let row = |label: &str| serde_json::json!({ "query": "Which?", "label": label });
        for (label, said, right) in [
            ("[2014, 2016]", "[2014, 2016]", 1.0),
            ("[2014, 2016]", "2014", 0.0),
            ("['Red', 'Blue']", "['Red', 'Blue']", 1.0),
            ("['Red', 'Blue']", "Blue", 0.0),
        ] {
            let question = chart(&record(row(label))).unwrap();
            assert_eq!(score(&CHARTQA, &question, said), right, "{label} {said}");
        }
        let question = chart(&record(serde_json::json!({
            "query": "Which?", "label": ["Red"], "human_or_machine": 1
        })));
        assert_eq!(split(&question.unwrap()), "augmented");
        let cell =
            |cell: &str| several(&record(serde_json::json!({ "question": "?", "answer": cell })));
        assert_eq!(golds(&cell("['draft', 'final']").unwrap()), ["draft", "final"]);
        assert_eq!(golds(&cell("[draft]").unwrap()), ["[draft]"]);
        // One of ten annotators wrote nothing, and still is one.
        let mut ten = vec![serde_json::json!({ "answer": "halt" }); 7];
        ten.extend(["stop", "stop", ""].map(|answer| serde_json::json!({ "answer": answer })));
        let question =
            several(&record(serde_json::json!({ "question": "?", "answers": ten }))).unwrap();
        assert!((score(&TEXTVQA, &question, "stop") - 0.6).abs() < 1e-9);
    }

    #[test]
    fn documents_take_the_best_of_their_answers() {
        let date = known(&["12 May 1998", "May 12, 1998"]);
        assert_eq!(score(&DOCVQA, &date, "may 12, 1998"), 1.0);
        // One of twelve characters differs.
        assert!((score(&DOCVQA, &date, "May 12, 1999") - 11.0 / 12.0).abs() < 1e-12);
        assert_eq!(score(&DOCVQA, &date, ""), 0.0);
        assert_eq!(score(&DOCVQA, &known(&["ab"]), "ax"), 0.5, "one half counts");
        assert_eq!(score(&DOCVQA, &known(&["abc"]), "axx"), 0.0);
        // The peers count the white space around.
        assert!((score(&DOCVQA_PEERS, &known(&["abcd"]), " abcx ") - 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn ten_annotators_vote() {
        let mut answers = vec!["stop"; 3];
        answers.extend(["halt"; 7]);
        let question = known(&answers);
        for (said, expected) in
            [("Stop!", 0.9), ("halt", 1.0), ("the halt", 1.0), ("", 0.0), ("stop halt", 0.0)]
        {
            let score = score(&TEXTVQA, &question, said);
            assert!((score - expected).abs() < 1e-12, "{said:?}: {score}");
        }
        let one = known(&["5", "a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        assert!((score(&TEXTVQA, &one, "five") - 0.3).abs() < 1e-12);
    }

    #[test]
    fn print_occurs_in_the_answer() {
        let sign = known(&["CENTRE", "CENTER"]);
        for (said, right) in [
            ("centre", 1.0),
            ("It says Center.", 1.0),
            ("cen tre", 0.0),
            ("", 0.0),
            ("cent", 0.0),
            ("epicentre", 1.0), // published: no word borders
            ("CENTRE\nnorth", 1.0),
        ] {
            assert_eq!(score(&OCRBENCH, &sign, said), right, "{said:?}");
        }
        let mut formula = known(&["x ^ { 2 } + Y"]);
        let category = "Handwritten Mathematical Expression Recognition".to_owned();
        formula.meta.insert("category".to_owned(), category);
        assert_eq!(score(&OCRBENCH, &formula, "x^{2}+Y"), 1.0);
        assert_eq!(score(&OCRBENCH, &formula, "X^{2}+y"), 0.0);
        assert_eq!(score(&OCRBENCH, &known(&[""]), "anything"), 0.0);
    }

    #[test]
    fn reasoning_is_no_part_of_a_reading() {
        let row = serde_json::from_value(serde_json::json!({
            "question": "", "prompt": "cot", "sample": 0, "tokens": 1, "ended": true,
            "text": "The bars are 3 and 4.\n3 + 4 = 7.\nFinal answer: 7"
        }));
        assert_eq!((CHARTQA.score)(&known(&["7"]), &row.unwrap()), 1.0);
    }

    #[test]
    fn unparsable_is_what_has_nothing_to_score() {
        let question = known(&["5"]);
        for (prompt, text, ended, expected) in [
            ("cot", "Final answer: 5", true, 0.0),
            ("cot", "Final answer: 5", false, 1.0),
            ("cot", "Final answer:", true, 1.0),
            ("direct", "5\nbecause", true, 0.0),
            ("direct", " ", true, 1.0),
        ] {
            let row: Row = serde_json::from_value(serde_json::json!({
                "question": "", "prompt": prompt, "sample": 0, "text": text, "tokens": 1,
                "ended": ended, "verdict": "unparsable"
            }))
            .unwrap();
            let asked =
                Asked { question: &question, row: &row, own: &row, likelihood: None, grade: None };
            let counted = CHARTQA.count(&[asked]);
            assert_eq!(counted[0].counts[UNPARSABLE], expected, "{prompt} {text:?}");
        }
    }
}
