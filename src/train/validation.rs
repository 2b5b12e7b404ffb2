//! A look at the validation split during training, so that a collapse shows
//! early and `keep = "best"` has something to go by.

use crate::answer::matching::{is_open, judge};
use crate::data::image::View;
use crate::data::questions::read_questions;
use crate::data::record::{Question, Verdict};
use crate::data::tokenizer::Tokenizer;
use crate::model::features::{all_shown, shown};
use crate::model::{Pictures, Tower, Vlm};
use crate::sample::prompts::asked;
use crate::spec::candidates::Prompt;
use crate::spec::eval::{Eval, Split};
use crate::stage::StageContext;
use crate::{Result, sample};

/// Greedy accuracy on a slice of the validation split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Share of right answers, asked for the answer alone.
    pub direct: Option<f64>,
    /// Share of right answers, asked for steps.
    pub cot: Option<f64>,
    /// Share of answers without a final answer, over both prompts.
    pub unparsable: f64,
    /// Questions asked.
    pub questions: usize,
}

impl Scores {
    /// What `keep = "best"` goes by: the mean over the prompts asked.
    pub fn accuracy(&self) -> f64 {
        let both: Vec<f64> = [self.direct, self.cot].into_iter().flatten().collect();
        both.iter().sum::<f64>() / both.len().max(1) as f64
    }
}

/// The slice, ready to be asked.
pub struct Validation {
    every: usize,
    prompts: Vec<Prompt>,
    questions: Vec<Question>,
    requests: Vec<sample::Request>,
    views: Vec<View>,
    pictures: Pictures,
    settings: sample::Generation,
    tokenizer: Tokenizer,
}

impl Validation {
    /// The first `eval.slice` validation questions with one right answer; none where
    /// `eval.every` is 0 or there are no such questions.
    ///
    /// # Errors
    ///
    /// If the split cannot be read.
    pub fn open(
        eval: &Eval,
        tower: Tower,
        model: &Vlm,
        tokenizer: &Tokenizer,
        ctx: &StageContext,
    ) -> Result<Option<Self>> {
        let path = ctx.input("corpus").join("validation.jsonl");
        if eval.every == 0 || !path.exists() {
            return Ok(None);
        }
        let questions: Vec<Question> = read_questions(&path)?
            .into_iter()
            .filter(|question| !is_open(question))
            .take(eval.slice)
            .collect();
        if questions.is_empty() {
            return Ok(None);
        }
        let prompter = model.config.prompter(tokenizer)?;
        let views = all_shown(&questions, &model.config);
        let pictures = Pictures::open(ctx, &model.config, Split::Validation, tower, &views)?;
        let (mut requests, mut rows) = (Vec::new(), 0);
        for question in &questions {
            let views = shown(question, pictures.tiling());
            let tiles: Vec<usize> =
                views.iter().map(|view| pictures.tiles(view)).collect::<Result<_>>()?;
            let start = rows;
            rows += tiles.iter().sum::<usize>();
            for &prompt in &eval.prompts {
                let text = asked(prompter.template(), question, prompt);
                requests.push(sample::Request {
                    prompt: prompter.encode_prompt_with(&text, &tiles)?,
                    tiles: start..rows,
                    samples: 1,
                    stream: 0,
                    prefix: Vec::new(),
                });
            }
        }
        Ok(Some(Self {
            every: eval.every,
            prompts: eval.prompts.clone(),
            pictures,
            questions,
            requests,
            views,
            settings: sample::Generation::greedy(
                model.config.precision,
                eval.max_tokens,
                eval.batch,
                tokenizer.eos(),
            ),
            tokenizer: tokenizer.clone(),
        }))
    }

    /// Whether to look before step `step`.
    pub fn is_due(&self, step: usize, last: bool) -> bool {
        last || step.is_multiple_of(self.every)
    }

    /// Asks the slice.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn scores(&self, model: &Vlm) -> Result<Scores> {
        let _no_grad = tch::no_grad_guard();
        let features = self.pictures.features(model, &self.views.iter().collect::<Vec<_>>())?;
        let answers =
            sample::generate(model, &self.requests, &features, &self.settings, &|_, _| ())?;
        let mut right = vec![0_usize; self.prompts.len()];
        let mut unparsable = 0;
        for answer in &answers {
            let (question, prompt) =
                (answer.request / self.prompts.len(), answer.request % self.prompts.len());
            let text = self.tokenizer.decode(&answer.tokens);
            match judge(&self.questions[question], self.prompts[prompt], &text).1 {
                Verdict::Right => right[prompt] += 1,
                Verdict::Wrong => (),
                Verdict::Unparsable => unparsable += 1,
            }
        }
        let share = |wanted: Prompt| {
            let at = self.prompts.iter().position(|&prompt| prompt == wanted)?;
            Some(right[at] as f64 / self.questions.len() as f64)
        };
        Ok(Scores {
            direct: share(Prompt::Direct),
            cot: share(Prompt::Cot),
            unparsable: unparsable as f64 / answers.len().max(1) as f64,
            questions: self.questions.len(),
        })
    }
}
