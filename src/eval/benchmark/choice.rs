//! Multiple choice: M3CoT, ScienceQA and AI2D.

use super::file::{ALONE, File, choices, plain, with_options};
use super::{ACCURACY, Extraction, Scored, answer_of, answer_of_internvl, category};
use crate::answer::choice;
use crate::answer::matching::exact;
use crate::answer::metric::option::post_process;
use crate::data::benchmark::Record;
use crate::data::record::{Question, ours};
use crate::data::template::instruction::LETTER;
use crate::eval::{Card, flag};
use crate::tasks::options;

static SCIENCE: File =
    File { format: ALONE, tiles: Some(6), direct: Some(LETTER), question, ..File::PLAIN };
static DIAGRAMS: File =
    File { format: ALONE, tiles: Some(6), direct: Some(""), question: diagram, ..File::PLAIN };

/// Multimodal chain of thought in many domains.
pub static M3COT: Scored = Scored {
    card: Card {
        name: "m3cot",
        about: "multiple choice that needs several steps about a picture",
        source: "Chen et al. 2024, arXiv:2405.16473, scored as ScienceQA is in InternVL's \
                 evaluation; letters as `eval::choice` reads them",
        asks: "m3cot",
        needs: "questions with options: `relation`, `compare` or `diagram` in `corpus.tasks`",
        extraction: Extraction::LastMarker,
    },
    file: &SCIENCE,
    filed: with_choices,
    tasks: &["compare", "relation", "diagram"],
    score: |question, row| flag(is_right(question, answer_of(row))),
    group: domain,
    metrics: ACCURACY,
};

/// The same, read as InternVL's evaluation reads it.
pub static M3COT_INTERNVL: Scored = Scored {
    card: Card {
        name: "m3cot_internvl",
        about: "m3cot with InternVL's reading of letters",
        source: "InternVL, eval/scienceqa: post_process, exceptions count as wrong",
        extraction: Extraction::FirstMarker,
        ..M3COT.card
    },
    score: |question, row| flag(is_right_internvl(question, answer_of_internvl(row))),
    ..M3COT
};

/// Science questions with pictures.
pub static SCIENCEQA: Scored = Scored {
    card: Card {
        name: "scienceqa",
        about: "school science, multiple choice",
        source: "Lu et al. 2022, arXiv:2209.09513, questions with a picture",
        asks: "scienceqa",
        needs: "science questions: `diagram` in `corpus.tasks`",
        ..M3COT.card
    },
    tasks: &["diagram"],
    ..M3COT
};

/// Diagrams of school science.
pub static AI2D: Scored = Scored {
    card: Card {
        name: "ai2d",
        about: "diagrams of school science, multiple choice",
        source: "Kembhavi et al. 2016, arXiv:1603.07396, with VLMEvalKit's questions",
        asks: "ai2d",
        needs: "science questions: `diagram` in `corpus.tasks`",
        ..M3COT.card
    },
    file: &DIAGRAMS,
    tasks: &["diagram"],
    ..M3COT
};

/// Generated questions do not list all of their options.
fn with_choices(question: &Question) -> Question {
    let mut filed = question.clone();
    let offered = options(question);
    if filed.choices.is_empty()
        && offered.iter().any(|offer| Some(offer) == question.answer.as_ref())
    {
        filed.choices = offered;
    }
    filed
}

fn domain(question: &Question) -> String {
    match question.says("domain") {
        "" => category(question),
        domain => domain.to_owned(),
    }
}

/// ScienceQA's form: a hint, the question, options in lines; the answer is an index from 0, a
/// letter, or an option's text.
fn question(record: &Record) -> Result<Question, String> {
    let options = choices(record)?;
    if options.len() < 2 {
        return Err("it has fewer than two options: `choices`, or columns `A`, `B`, …".to_owned());
    }
    let mut question = plain(record)?;
    let hint = record.text(&["hint", "context"]).map(|hint| hint.trim().to_owned() + "\n");
    let asked = with_options(&question.question, &options);
    question.question = hint.unwrap_or_default() + &asked;
    question.answer = Some(known(record, &options)?);
    question.choices = options;
    Ok(question)
}

/// The letter of the known answer.
fn known(record: &Record, options: &[String]) -> Result<String, String> {
    let written = record.needs(&["answer"])?;
    let index = match record.fields.get("answer").and_then(serde_json::Value::as_u64) {
        Some(index) => Some(index as usize).filter(|index| *index < options.len()),
        None => choice::index(options, &written),
    };
    let index = index.ok_or_else(|| {
        format!("`answer` is `{written}`, which is none of {} options", options.len())
    })?;
    Ok(choice::name(index).to_string())
}

/// AI2D's questions hold their options already, unless the file has columns for them. The Hub's
/// table writes the index of the known one as text.
fn diagram(record: &Record) -> Result<Question, String> {
    if !choices(record)?.is_empty() {
        let mut record = record.clone();
        let index = record.text(&["answer"]).and_then(|answer| answer.parse::<u64>().ok());
        if let Some(index) = index.filter(|_| record.list(&["options"]).is_some()) {
            record.fields.insert("answer".to_owned(), index.into());
        }
        let mut question = question(&record)?;
        question.meta.insert(ours::DIRECT.to_owned(), LETTER.to_owned());
        return Ok(question);
    }
    Ok(Question { answer: Some(record.needs(&["answer"])?), ..plain(record)? })
}

/// Whether an answer picks the known option. Without options the answers are compared: as
/// letters where the known one is a letter, else exactly.
fn is_right(question: &Question, said: &str) -> bool {
    let gold = question.answer.as_deref().unwrap_or_default();
    if question.choices.is_empty() {
        return exact(gold, said) || (gold.len() == 1 && choice::same_letter(gold, said));
    }
    let picked = choice::infer(&question.choices, said);
    picked.is_some() && picked == choice::index(&question.choices, gold)
}

fn is_right_internvl(question: &Question, said: &str) -> bool {
    let gold = question.answer.as_deref().unwrap_or_default();
    let letters = ('A'..='Z').map(String::from);
    let options: Vec<(String, String)> = letters.zip(question.choices.iter().cloned()).collect();
    let known = choice::index(&question.choices, gold).map(|index| choice::name(index).to_string());
    let known = known.unwrap_or_else(|| gold.to_owned());
    post_process(said, &options).is_ok_and(|picked| picked == known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(choices: &[&str], answer: &str) -> Question {
        let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
        Question { choices, answer: Some(answer.into()), ..Question::default() }
    }

    #[test]
    fn an_answer_picks_the_known_option_or_not() {
        let animals = asked(&["dog", "cat", "hot dog", "none of these"], "B");
        for (said, right) in [
            ("B", true),
            ("b", true),
            ("(B)", true),
            ("B. cat", true),
            ("cat", true),
            ("The answer is B.", true),
            ("the cat", true),
            ("", false),
            ("A or B", false),
            ("B and C", false),
            ("not B", false),
            ("C", false),
            ("hot dog", false),
            ("category", false),
        ] {
            assert_eq!(is_right(&animals, said), right, "{said:?}");
        }
        // The known answer may be an option's text, and a question may have no options.
        assert!(is_right(&asked(&["left", "right"], "right"), "right"));
        assert!(is_right(&asked(&[], "C"), "(C)") && !is_right(&asked(&[], "C"), "B"));
        assert!(is_right(&asked(&[], "fox"), "Fox.") && !is_right(&asked(&[], "fox"), ""));
    }

    #[test]
    fn internvl_reads_first_letters() {
        let animals = asked(&["dog", "cat"], "B");
        for (said, right) in [
            ("B", true),
            ("Because", true),
            ("a cat", true),
            ("(B)", true),
            ("(", false),
            ("", false),
        ] {
            assert_eq!(is_right_internvl(&animals, said), right, "{said:?}");
        }
    }
}
