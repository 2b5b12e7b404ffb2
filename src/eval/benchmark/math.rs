//! Mathematics with a free or a chosen answer: MathVista and MathVision.

use super::file::{ALONE, File, choices, plain, with_options};
use super::{ACCURACY, Extraction, Scored, answer_of, answer_of_internvl, category};
use crate::answer::choice;
use crate::answer::metric::mathvista::{self, Problem};
use crate::answer::metric::{mathvision, option};
use crate::answer::python::Py;
use crate::answer::python::number::int;
use crate::data::benchmark::Record;
use crate::data::record::Question;
use crate::eval::{Card, flag};

static VISTA: File =
    File { format: ALONE, tiles: Some(6), direct: Some(""), question: vista, ..File::PLAIN };
static VISION: File =
    File { format: ALONE, tiles: Some(6), direct: Some(""), question: vision, ..File::PLAIN };

/// Mathematics in pictures of all kinds.
pub static MATHVISTA: Scored = Scored {
    card: Card {
        name: "mathvista",
        about: "mathematics in pictures: integers, decimals, lists, words and options",
        source: "Lu et al. 2024, arXiv:2310.02255: the answer is brought to its type, then \
                 compared; extraction by rule",
        asks: "mathvista",
        needs: "questions with a number for an answer: `geometry`, `count`, `subtract` or `chart` \
                in `corpus.tasks`",
        extraction: Extraction::LastMarker,
    },
    file: &VISTA,
    filed: typed_by_answer,
    tasks: &["count", "subtract", "chart", "geometry"],
    score: |question, row| flag(is_right(question, answer_of(row))),
    group: category,
    metrics: ACCURACY,
};

/// The same as InternVL's script has it.
pub static MATHVISTA_INTERNVL: Scored = Scored {
    card: Card {
        name: "mathvista_internvl",
        about: "mathvista with InternVL's extraction and comparison as text",
        source: "InternVL, eval/mathvista: extraction by rule, exceptions count as wrong",
        extraction: Extraction::FirstMarker,
        ..MATHVISTA.card
    },
    score: |question, row| {
        let said = answer_of_internvl(row);
        flag(with(question, |problem| internvl(problem, question, said)))
    },
    ..MATHVISTA
};

/// The same as VLMEvalKit has it, without its judge.
pub static MATHVISTA_VLMEVALKIT: Scored = Scored {
    card: Card {
        name: "mathvista_vlmevalkit",
        about: "mathvista with VLMEvalKit's comparison",
        source: "VLMEvalKit, post_check on what stands behind the first marker; without a judge's \
                 extraction, and exceptions count as wrong",
        extraction: Extraction::FirstMarker,
        ..MATHVISTA.card
    },
    score: |question, row| {
        let said = answer_of_internvl(row);
        flag(with(question, |problem| vlmevalkit(problem, question, said)))
    },
    ..MATHVISTA
};

/// Competition mathematics.
pub static MATHVISION: Scored = Scored {
    card: Card {
        name: "mathvision",
        about: "competition mathematics with a picture",
        source: "Wang et al. 2024, arXiv:2402.14804: equal as text or within 1e-6 as numbers; \
                 model output is read, never executed",
        asks: "mathvision",
        needs: "mathematics: `geometry` or `subtract` in `corpus.tasks`",
        extraction: Extraction::LastMarker,
    },
    file: &VISION,
    filed: Question::clone,
    tasks: &["subtract", "geometry"],
    score: |question, row| flag(is_equal(question, answer_of(row), mathvision::is_equal)),
    group: subject,
    metrics: ACCURACY,
};

/// The same as VLMEvalKit compares.
pub static MATHVISION_VLMEVALKIT: Scored = Scored {
    card: Card {
        name: "mathvision_vlmevalkit",
        about: "mathvision with VLMEvalKit's equality",
        source: "VLMEvalKit, is_equal on what stands behind the first marker; without a judge's \
                 extraction, and functions of Python are not called",
        extraction: Extraction::FirstMarker,
        ..MATHVISION.card
    },
    score: |question, row| {
        let said = answer_of_internvl(row);
        flag(is_equal_vlmevalkit(question, said))
    },
    ..MATHVISION
};

fn subject(question: &Question) -> String {
    match question.says("subject") {
        "" => category(question),
        subject => subject.to_owned(),
    }
}

/// MathVista asks with its `query`, which says how to answer; VLMEvalKit's `question` is the same.
fn vista(record: &Record) -> Result<Question, String> {
    let mut question = plain(record)?;
    if let Some(query) = record.text(&["query"]) {
        question.question = query;
    }
    question.answer = Some(record.needs(&["answer"])?);
    record.needs(&["question_type"])?;
    question.choices = record.list(&["choices"]).unwrap_or_default();
    if question.says("question_type") == "multi_choice" {
        if question.choices.is_empty() {
            return Err("`question_type` is `multi_choice`, but `choices` is empty".to_owned());
        }
    } else {
        record.needs(&["answer_type"])?;
    }
    Ok(question)
}

/// VLMEvalKit's rows may begin with a hint and `Question:`, which its evaluation of MPO strips.
fn vision(record: &Record) -> Result<Question, String> {
    let mut question = plain(record)?;
    if ["Question:", "Hint:"].iter().any(|begin| question.question.trim_start().starts_with(begin))
        && let Some((_, asked)) = question.question.split_once("Question:")
    {
        question.question = asked.trim().to_owned();
    }
    question.choices = choices(record)?;
    // Options that are letters alone stand in the picture.
    let says = |(letter, text): (char, &String)| text.trim() != letter.to_string();
    if ('A'..='Z').zip(&question.choices).any(says) && !question.question.contains("\nA. ") {
        let asked = question.question.split("\nChoices:").next().unwrap_or_default();
        question.question = with_options(asked, &question.choices);
    }
    question.answer = Some(record.needs(&["answer"])?);
    Ok(question)
}

/// Generated answers are whole numbers or words.
fn typed_by_answer(question: &Question) -> Question {
    let mut filed = question.clone();
    let is_number = question.answer.as_deref().is_some_and(|answer| int(answer).is_some());
    let answer_type = if is_number { "integer" } else { "text" };
    for (name, kind) in [("question_type", "free_form"), ("answer_type", answer_type)] {
        filed.meta.entry(name.to_owned()).or_insert_with(|| kind.to_owned());
    }
    filed
}

/// Does something with a question's types.
fn with<T>(question: &Question, act: impl FnOnce(&Problem<'_>) -> T) -> T {
    let precision = question.says("precision").trim_end_matches(".0");
    let precision = int(precision).map_or(Py::None, Py::Int);
    act(&Problem {
        question_type: question.says("question_type"),
        answer_type: question.says("answer_type"),
        precision: &precision,
        choices: &question.choices,
    })
}

/// The known answer of a multiple-choice question as an option's text: some files give its letter.
fn gold_text(question: &Question) -> String {
    let gold = question.answer.clone().unwrap_or_default();
    let is_text = question.choices.iter().any(|choice| choice.trim() == gold.trim());
    let index = choice::index(&question.choices, &gold).filter(|_| !is_text);
    index.map_or(gold, |index| question.choices[index].clone())
}

fn is_right(question: &Question, said: &str) -> bool {
    let gold = gold_text(question);
    with(question, |problem| {
        let extraction = Py::Str(mathvista::extract(problem, said));
        mathvista::is_right(problem, &extraction, &Py::Str(gold))
    })
}

fn internvl(problem: &Problem<'_>, question: &Question, said: &str) -> bool {
    let extraction = mathvista::extract_internvl(problem, said);
    let normal = mathvista::normalize_internvl(problem, &Py::Str(extraction));
    normal.is_ok_and(|normal| normal == Py::Str(gold_text(question)))
}

fn vlmevalkit(problem: &Problem<'_>, question: &Question, said: &str) -> bool {
    let gold = question.answer.clone().unwrap_or_default();
    // Its files name the option's letter.
    let letter = choice::index(&question.choices, &gold).map(|index| choice::name(index).into());
    let gold = letter.filter(|_| problem.question_type == "multi_choice").unwrap_or(gold);
    let said = Py::Str(said.to_owned());
    mathvista::post_check_vlmevalkit(problem, &said, &Py::Str(gold), false) == Ok(Py::Bool(true))
}

/// The options of a question by their letters.
fn lettered(question: &Question) -> Vec<(String, String)> {
    ('A'..='Z').map(String::from).zip(question.choices.iter().cloned()).collect()
}

/// VLMEvalKit's `post_check`: with options, what its `can_infer` picks is compared with the known
/// letter, and nothing else is looked at.
fn is_equal_vlmevalkit(question: &Question, said: &str) -> bool {
    let gold = question.answer.as_deref().unwrap_or_default();
    if question.choices.is_empty() {
        return mathvision::is_equal_vlmevalkit(gold, said);
    }
    let known = choice::index(&question.choices, gold).map(|index| choice::name(index).to_string());
    match option::infer(said, &lettered(question), false) {
        Ok(Some(picked)) => {
            mathvision::is_equal_vlmevalkit(known.as_deref().unwrap_or(gold), &picked)
        }
        _ => false,
    }
}

/// Equal to the known answer, or the same option.
fn is_equal(question: &Question, said: &str, equal: fn(&str, &str) -> bool) -> bool {
    let gold = question.answer.as_deref().unwrap_or_default();
    if question.choices.is_empty() {
        return equal(gold, said);
    }
    let options = lettered(question);
    let known = choice::index(&question.choices, gold);
    let picked = choice::infer(&question.choices, said).or_else(|| {
        let letter = option::infer_option(said, &options, false)?;
        options.iter().position(|(known, _)| *known == letter)
    });
    match (picked, known) {
        (Some(picked), Some(known)) => picked == known,
        (None, Some(known)) => equal(&question.choices[known], said),
        _ => equal(gold, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(answer: &str, question_type: &str, answer_type: &str, precision: &str) -> Question {
        let meta = [
            ("question_type", question_type),
            ("answer_type", answer_type),
            ("precision", precision),
        ];
        let meta = meta.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Question { answer: Some(answer.into()), meta, ..Question::default() }
    }

    #[test]
    fn mathvista_compares_by_type() {
        for (gold, kind, precision, said, right) in [
            ("5", "integer", "", "5", true),
            ("5", "integer", "", "5.0", true),
            ("5", "integer", "", "5.9", true), // truncated toward zero, as published
            ("5", "integer", "", "five", true),
            ("5", "integer", "", "", false),
            ("5", "integer", "", "5 or 6", false),
            ("-5", "integer", "", "\u{2212}5", true),
            ("1250", "integer", "", "1,250", true),
            ("0", "integer", "", "0", true),
            ("0", "integer", "", "zero", true),
            ("0", "integer", "", "no", false),
            ("1.5", "float", "1.0", "1.46", true), // rounded to the known precision
            ("1.5", "float", "1", "1.44", false),
            ("0.25", "float", "2", "0.25", true),
            ("0.12", "float", "2", "0.125", true), // half to even, on the double
            ("red", "text", "", "Red", true),
            ("red", "text", "", "dark red", false),
            ("[1, 2]", "list", "", "[1,2]", true),
            ("[1, 2]", "list", "", "[2, 1]", false),
            ("14", "list", "", "14 cm", true),
            ("14", "list", "", "14%", false),
            ("14%", "list", "", "14 percent", true),
            ("$14", "list", "", "14 cm", false),
            ("$14", "list", "", "14 dollars", true),
            ("$14$", "list", "", "14 cm", true),
            ("[$1, $2]", "list", "", "[1 cm, 2 cm]", false),
        ] {
            let question = typed(gold, "free_form", kind, precision);
            assert_eq!(is_right(&question, said), right, "{gold} {kind} {precision}: {said:?}");
        }
    }

    #[test]
    fn mathvista_takes_an_option_by_letter_or_text() {
        let options = ["Yes".to_owned(), "No".to_owned()].to_vec();
        let question = Question { choices: options, ..typed("No", "multi_choice", "text", "") };
        for (said, right) in [("No", true), ("(B)", true), ("B", true), ("(A)", false), ("", false)]
        {
            assert_eq!(is_right(&question, said), right, "{said:?}");
        }
        let by_letter = Question { answer: Some("B".into()), ..question };
        assert!(is_right(&by_letter, "No") && !is_right(&by_letter, "Yes"));
    }

    #[test]
    fn mathvista_of_peers_differs() {
        let five = typed("5", "free_form", "integer", "");
        with(&five, |problem| {
            assert!(vlmevalkit(problem, &five, "5") && !vlmevalkit(problem, &five, "5.0"));
            assert!(internvl(problem, &five, "5.0") && !internvl(problem, &five, "five"));
        });
    }

    #[test]
    fn mathvision_compares_numbers_in_any_form_and_options() {
        let free = |answer: &str| Question { answer: Some(answer.into()), ..Question::default() };
        for (gold, said, right) in [
            ("0.5", "\\frac{1}{2}", true),
            ("0.5", "1/2", true),
            ("10", "10.0000001", true),
            ("10", "10.00001", false),
            ("\\sqrt{2}", "1.41421356", true),
            ("3", "", false),
            ("3", "3 or 4", false),
            ("-3", "\u{2212}3", true),
            ("0", "0.0", true),
            ("1000", "1,000", true),
            ("pi", "PI", true),
        ] {
            let right_here = is_equal(&free(gold), said, mathvision::is_equal);
            assert_eq!(right_here, right, "{gold} {said:?}");
        }
        let five: Vec<String> = ["1", "2", "3", "4", "5"].map(str::to_owned).into();
        let chosen = Question { choices: five, ..free("C") };
        for (said, right) in [("C", true), ("(C)", true), ("3", true), ("A", false), ("2", false)] {
            assert_eq!(is_equal(&chosen, said, mathvision::is_equal), right, "{said:?}");
        }
        // The peer reads a letter as a token, and the text of exactly one option as a part of any.
        let places = ["left", "top", "right"].map(str::to_owned).into();
        let placed = Question { choices: places, ..free("C") };
        for (said, right) in [
            ("C", true),
            ("So it is C.", true),
            ("c", false),
            ("It is right", true),
            ("not brightness", true),
            ("not the left", false),
            ("A or C", false),
            ("", false),
        ] {
            assert_eq!(is_equal_vlmevalkit(&placed, said), right, "{said:?}");
        }
    }
}
