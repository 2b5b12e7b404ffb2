//! LLaVA-Bench: a judge scores a reference answer and ours from a description of the picture; the
//! measure is the ratio of the means.

use super::{FAILED_SHARE, Grade, Graded, LENGTH, card};
use crate::answer::metric::llava_bench::scores;
use crate::data::benchmark::{Format, Join, Record};
use crate::data::record::Question;
use crate::eval::benchmark::File;
use crate::eval::benchmark::file::{ALONE, plain};
use crate::eval::{Metric, Value};

static FILE: File = File {
    format: Format {
        main: &["questions", "LLaVABench"],
        joins: &[
            Join { name: "context", file: "context", key: &["image_name"], of: &["image"] },
            Join {
                name: "gpt4",
                file: "answers_gpt4",
                key: &["question_id"],
                of: &["question_id"],
            },
        ],
        ..ALONE
    },
    tiles: Some(6),
    direct: Some("Answer this question in detail."),
    always_direct: true,
    question,
    ..File::PLAIN
};

// Sums of scores from 1 to 10.
const OURS: usize = 0;
const REFERENCE: usize = 1;
const GRADED: usize = 2;

/// See the module.
pub static LLAVA_BENCH: Graded = Graded {
    card: card(
        "llava_bench",
        "conversation, description and reasoning in the wild, scored against a reference answer",
        "Liu et al. 2023, arXiv:2304.08485, section 5.1; a rubric of our own wording",
    ),
    file: &FILE,
    metrics: &[
        Metric { name: "relative", value: Value::Ratio(OURS, REFERENCE) },
        Metric { name: "score", value: Value::Ratio(OURS, GRADED) },
        Metric { name: "reference", value: Value::Ratio(REFERENCE, GRADED) },
        FAILED_SHARE,
        LENGTH,
    ],
    group: |question| match question.says("category") {
        "" => Vec::new(),
        category => vec![category.to_owned()],
    },
    columns: |question| match &question.generated {
        Some(truth) => vec![
            ("category", "detail".to_owned()),
            ("caption", truth.objects.join(", ")),
            ("gpt4_ans", question.answer.clone().unwrap_or_default()),
        ],
        None => vec![("gpt4_ans", question.says("gold").to_owned())],
    },
    ask,
    read: |_, reply| {
        let (reference, ours) = scores(reply)?;
        Some(Grade { numbers: vec![reference, ours], words: Vec::new() })
    },
    plain: |_| None,
    // The known description is perfect.
    by_rule: |facts| Grade {
        numbers: vec![10.0, 1.0 + (9.0 * facts.share()).round()],
        words: Vec::new(),
    },
    count: |_, grade, counts| {
        let (reference, ours) = (grade.numbers[0], grade.numbers[1]);
        (counts[REFERENCE], counts[OURS], counts[GRADED]) = (reference, ours, 1.0);
        ours / 10.0
    },
};

fn question(record: &Record) -> Result<Question, String> {
    let mut question = plain(record)?;
    let reference = record.needs(&["gpt4_ans", "gpt4.text", "gpt4.answer"])?;
    let caption = record.text(&["caption", "context.caption"]).unwrap_or_default();
    question.meta.insert("gold".to_owned(), reference);
    question.meta.insert("caption".to_owned(), caption);
    Ok(question)
}

fn ask(question: &Question, answer: &str) -> String {
    let task = match question.says("category") {
        "conv" => "a question of a conversation",
        "detail" => "a request for a detailed description",
        "complex" => "a question that needs reasoning",
        _ => "a question",
    };
    format!(
        "Two assistants answered {task} about a picture. You cannot see it; this description of it is \
         true.\n\n[Picture]\n{}\n\n[Question]\n{}\n\n[Assistant 1]\n{}\n\n[Assistant 2]\n{answer}\n\n\
         Score each answer from 1 to 10 by how helpful, relevant, accurate and detailed it is; a \
         higher score is better. Judge both by the same measure, whatever their order. Write the two \
         scores on the first line, that of Assistant 1 first, parted by a space and with nothing \
         else on the line. Say why below it.",
        question.says("caption"),
        question.question,
        question.says("gold"),
    )
}
