//! How a question is asked: in which form, and with which text.

use crate::answer::matching::is_open;
use crate::data::record::{Question, ours};
use crate::data::template::instruction::{Parted, parted};
use crate::data::template::{Prompter, Template};
use crate::spec::candidates::{Candidates, Prompt};
use crate::statistics;
use crate::tasks::sources;
use crate::{Error, Result};
use rand::Rng;

/// The form of a question: that of its domain for a keyed share of the questions, else the
/// table's own, which open-ended questions may have one of.
pub fn form(candidates: &Candidates, question: &Question) -> Prompt {
    let share = candidates.multimodal.get();
    let drawn = || {
        let purpose = format!("candidates/multimodal/{}", question.id);
        statistics::random(&purpose, candidates.seed).random::<f64>() < share
    };
    let of_domain = match share > 0.0 && drawn() {
        true => sources::form_of(question),
        false => None,
    };
    let of_table = || candidates.open_prompt.filter(|_| is_open(question));
    of_domain.or_else(of_table).unwrap_or(candidates.prompt)
}

/// Refuses a form that a model was not taught.
///
/// # Errors
///
/// An embedded size that knows two forms, or those of `base.multimodal` too.
pub fn check(candidates: &Candidates, prompter: &Prompter<'_>) -> Result<()> {
    let mut forms: Vec<Prompt> =
        std::iter::once(candidates.prompt).chain(candidates.open_prompt).collect();
    if candidates.multimodal.get() > 0.0 {
        forms.extend([Prompt::Background, Prompt::Visual, Prompt::Grounded]);
    }
    match forms.into_iter().find(|form| !prompter.knows(*form)) {
        None => Ok(()),
        Some(form) => Err(Error::spec(format!(
            "answers are asked for in the form `{}`, which this base was not taught",
            form.name()
        ))
        .hint(
            "teach it with `base.multimodal` above 0; or set `candidates.prompt` to \"cot\" or \
             \"direct\", and `candidates.multimodal` to 0",
        )),
    }
}

/// The question as a model is asked: MMPR's `question`. One of a benchmark's file has the
/// benchmark's instruction; another one for a direct answer keeps the instruction that says what
/// kind: a word, a letter, yes or no.
pub fn asked(template: &Template, question: &Question, prompt: Prompt) -> String {
    let images = question.images.len();
    let own = match prompt {
        Prompt::Direct => Some(ours::DIRECT),
        Prompt::Cot => Some(ours::COT),
        _ => None, // a file's column of such a name is no instruction
    };
    if let Some(own) = own.and_then(|name| question.meta.get(name)) {
        return template.question_text(&question.question, images, prompt, Some(own));
    }
    let Parted { question, kind, .. } = parted(&question.question);
    template.question_text(question, images, prompt, kind.filter(|_| prompt == Prompt::Direct))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::template::instruction;
    use crate::data::tokenizer::Tokenizer;
    use crate::spec::embedded;
    use crate::spec::number::Fraction;

    #[test]
    fn a_column_that_is_named_like_a_form_is_no_instruction() {
        let template = Template::named("internvl2_5").unwrap();
        let plain = Question { question: "Which?".to_owned(), ..Question::default() };
        let mut named = plain.clone();
        for prompt in [Prompt::Open, Prompt::Background, Prompt::Visual, Prompt::Grounded] {
            named.meta.insert(prompt.name().to_owned(), "Sing.".to_owned());
            assert_eq!(asked(template, &named, prompt), asked(template, &plain, prompt));
        }
        named.meta.insert(ours::COT.to_owned(), "Think.".to_owned());
        assert!(asked(template, &named, Prompt::Cot).ends_with("Think."));
    }

    #[test]
    fn a_question_for_a_direct_answer_says_so_once() {
        let template = Template::named("internvl2_5").unwrap();
        let (word, letter) = (instruction::SHORT, instruction::LETTER);
        let boxed = "5+5? Please answer the question and put the final answer within \\boxed{}.";
        for (question, wanted) in [
            ("How many?", format!("How many?\n{word}")),
            (
                "How many? Answer the question using a single word or phrase",
                format!("How many?\n{word}"),
            ),
            (
                "Which? answer with the option's letter from the given choices directly",
                format!("Which?\n{letter}"),
            ),
            (boxed, format!("5+5?\n{word}")),
        ] {
            let question = Question { question: question.into(), ..Question::default() };
            assert_eq!(asked(template, &question, Prompt::Direct), wanted);
        }
        let own = [(Prompt::Direct.name().to_owned(), "Say it.".to_owned())].into();
        let question = Question { question: boxed.into(), meta: own, ..Question::default() };
        assert_eq!(asked(template, &question, Prompt::Direct), format!("{boxed}\nSay it."));
    }

    #[test]
    fn a_domain_has_its_form_and_mathematics_keeps_the_tables() {
        let mut candidates = embedded().candidates.clone();
        let of = |source: &str, id: usize| Question {
            id: id.to_string(),
            source: source.into(),
            ..Question::default()
        };
        assert_eq!(form(&candidates, &of("scienceqa", 0)), Prompt::Cot);
        candidates.open_prompt = Some(Prompt::Open);
        // Without a known answer it is open-ended.
        assert_eq!(form(&candidates, &of("scienceqa", 0)), Prompt::Open);
        let known = Question { answer: Some("B".into()), ..of("scienceqa", 0) };
        assert_eq!(form(&candidates, &known), Prompt::Cot);
        candidates.open_prompt = None;
        candidates.multimodal = Fraction::try_from(1.0).unwrap();
        for (source, wanted) in [
            ("scienceqa", Prompt::Background),
            ("chartqa", Prompt::Visual),
            ("docvqa", Prompt::Visual),
            ("textvqa", Prompt::Visual),
            ("gqa", Prompt::Grounded),
            ("geos", Prompt::Cot),
            ("unheard of", Prompt::Cot),
        ] {
            assert_eq!(form(&candidates, &of(source, 0)), wanted, "{source}");
        }
        candidates.multimodal = Fraction::try_from(0.25).unwrap();
        let asked = |id| form(&candidates, &of("gqa", id));
        let drawn = (0..4000).filter(|&id| asked(id) == Prompt::Grounded).count();
        // Four standard errors of a quarter: 4 · √(4000 · 3/16) = 110.
        assert!(drawn.abs_diff(1000) < 110, "{drawn}");
    }

    #[test]
    fn an_embedded_size_refuses_forms_that_it_was_not_taught() {
        let mut candidates = embedded().candidates.clone();
        let words = "Answer directly.\nThink step by step.";
        let taught = "Say what is known first. Look at the picture first. Answer with boxes.";
        let [two, five] = [words.to_owned(), format!("{words}\n{taught}")]
            .map(|text| Tokenizer::build([text.as_str()]));
        let [two, five] =
            [&two, &five].map(|tokenizer| Prompter::new(tokenizer, "plain", 16).unwrap());
        assert!(check(&candidates, &two).is_ok());
        candidates.prompt = Prompt::Boxed;
        let error = check(&candidates, &five).unwrap_err();
        assert!(error.to_string().contains("`boxed`"), "{error}");
        candidates.prompt = Prompt::Cot;
        candidates.multimodal = Fraction::try_from(0.5).unwrap();
        assert!(check(&candidates, &two).is_err());
        assert!(check(&candidates, &five).is_ok());
    }
}
