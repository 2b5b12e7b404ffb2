//! Who grades answers to open questions, and what came of it.
//!
//! A generated question is graded by rule. A file's goes to the judge of `[eval.judge]`: a server,
//! or a checkpoint here. A reply that cannot be read is asked for again, each time at a higher
//! temperature; when the last one fails, the answer has no grade. Nothing stands in for it.

use super::benchmark::judged::{Grade, Graded, by_rule};
use super::{Asked, Benchmark};
use crate::data::tokenizer::Tokenizer;
use crate::model::Vlm;
use crate::sample::texts::write_texts;
use crate::server::{self, Chat, Client, Failure, Part};
use crate::spec::candidates::Prompt;
use crate::spec::eval::Judge as Table;
use crate::stage::StageContext;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How often an unreadable reply is asked for anew (VLMEvalKit).
const ROUNDS: u64 = 5;
/// How much warmer each time.
const WARMER: f64 = 0.5;
/// Characters of a token, for estimates.
const A_TOKEN: f64 = 4.0;
/// Tokens of a reply, for estimates.
const A_REPLY: f64 = 80.0;

/// A line of judgements.jsonl: who graded an answer, and how.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Judgement {
    /// Benchmark, of `prefab show benchmarks`.
    pub benchmark: String,
    /// The question's id.
    pub question: String,
    /// How it was asked.
    pub prompt: Prompt,
    /// Who graded.
    pub by: By,
    /// The grade; none where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// The judge's last reply, whole; or why there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reply: String,
    /// Whether another run may get the reply that this one did not.
    #[serde(skip)]
    pub may_heal: bool,
}

/// Refuses to go on where a judge gave no reply: what is kept as a result stays. Unreadable replies,
/// refused requests and a model's refusals are results.
///
/// # Errors
///
/// If another run may get replies that are missing.
pub fn complete(judgements: &[Judgement]) -> Result<()> {
    let missing: Vec<&Judgement> = judgements.iter().filter(|one| one.may_heal).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let (id, reason) = (&first.question, &first.reply);
    Err(Error::new(format!(
        "the judge gave no reply about {} of {} answers, such as that to `{id}`: {reason}",
        missing.len(),
        judgements.len()
    ))
    .hint("the other replies are kept: run again to ask only for these"))
}

/// Who graded an answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// What is known of the picture, or an answer that says nothing.
    Rule,
    /// The judge.
    Judge,
    /// Nobody: there is no judge, or its replies were of no use.
    Failed,
}

/// Tokens that a judge read and wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Read.
    pub read: u64,
    /// Written.
    pub written: u64,
}

impl Used {
    /// What judging some prompts takes, before it has been done.
    pub fn guess<'t>(prompts: impl Iterator<Item = &'t str>) -> Self {
        let (mut characters, mut count) = (0, 0.0);
        for prompt in prompts {
            characters += prompt.chars().count();
            count += 1.0;
        }
        Self { read: (characters as f64 / A_TOKEN) as u64, written: (count * A_REPLY) as u64 }
    }

    /// What it costs, at the table's prices.
    pub fn cost(self, table: &Table) -> f64 {
        let Table { price_read, price_written, .. } = table;
        (self.read as f64 * price_read.get() + self.written as f64 * price_written.get()) / 1e6
    }
}

/// What a server is asked about one answer, in a round.
pub fn chat(text: &str, round: u64, table: &Table) -> Chat {
    Chat {
        temperature: WARMER * round as f64,
        seed: round,
        ..Chat::greedy(vec![Part::Text(text.to_owned())], table.max_tokens)
    }
}

/// The judge of `[eval.judge]`.
pub struct Judge<'a> {
    table: &'a Table,
    who: Who,
    /// Tokens used so far, those of kept replies included.
    pub used: Used,
    /// Who hears what judging will cost, before it begins; the log, as a rule.
    pub tell: fn(&str),
}

enum Who {
    Nobody,
    Server(Box<Client>),
    Here(Box<Here>),
}

struct Here {
    tokenizer: Tokenizer,
    model: Vlm,
}

impl<'a> Judge<'a> {
    /// Nobody: questions of files get no grade.
    pub fn nobody(table: &'a Table) -> Self {
        Self {
            table,
            who: Who::Nobody,
            used: Used::default(),
            tell: |text| tracing::info!("{text}"),
        }
    }

    /// The judge that the table names; replies are kept beside the store.
    ///
    /// # Errors
    ///
    /// A checkpoint that cannot be read.
    pub fn open(table: &'a Table, ctx: &StageContext) -> Result<Self> {
        Self::with(table, &ctx.replies, ctx.device)
    }

    /// As [`Self::open`], with replies kept below a folder.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn with(table: &'a Table, replies: &Path, device: tch::Device) -> Result<Self> {
        let who = match &table.checkpoint {
            _ if table.server.is_set() => {
                Who::Server(Box::new(Client::new(&table.server, replies)?))
            }
            Some(dir) => {
                let dir = Path::new(dir);
                let (tokenizer, model) = (Tokenizer::load(dir)?, Vlm::load_to_answer(dir, device)?);
                Who::Here(Box::new(Here { tokenizer, model }))
            }
            None => Who::Nobody,
        };
        Ok(Self { who, ..Self::nobody(table) })
    }

    /// The judge's name for tables.
    pub fn name(&self) -> &str {
        match &self.who {
            Who::Nobody => "",
            Who::Server(_) => self.table.server.model.as_deref().unwrap_or_default(),
            Who::Here(_) => self.table.checkpoint.as_deref().unwrap_or_default(),
        }
    }

    /// What some tokens cost.
    pub fn cost(&self, used: Used) -> f64 {
        used.cost(self.table)
    }

    /// Grades the answers to a benchmark's questions, in order.
    ///
    /// # Errors
    ///
    /// A checkpoint that does not know the words of a rubric.
    pub fn grade(
        &mut self,
        benchmark: &dyn Benchmark,
        grader: &Graded,
        asked: &[Asked<'_>],
    ) -> Result<Vec<Judgement>> {
        let mut judgements: Vec<Judgement> = asked
            .iter()
            .zip(by_rule(grader, asked))
            .map(|(asked, grade)| {
                let grade =
                    grade.or_else(|| (grader.plain)(grader.said(asked.question, asked.row)));
                Judgement {
                    benchmark: benchmark.name().to_owned(),
                    question: asked.question.id.clone(),
                    prompt: asked.row.answer.prompt,
                    by: if grade.is_some() { By::Rule } else { By::Failed },
                    grade,
                    reply: String::new(),
                    may_heal: false,
                }
            })
            .collect();
        let mut open: Vec<usize> =
            (0..asked.len()).filter(|&at| judgements[at].by == By::Failed).collect();
        let prompts: Vec<String> = asked
            .iter()
            .map(|asked| (grader.ask)(asked.question, grader.said(asked.question, asked.row)))
            .collect();
        self.estimate(benchmark.name(), open.iter().map(|&at| prompts[at].as_str()));
        for round in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            let texts: Vec<&str> = open.iter().map(|&at| prompts[at].as_str()).collect();
            let replies = self.ask(&texts, round)?;
            let can_ask_again = matches!(self.who, Who::Server(_));
            let mut unread = Vec::new();
            for (&at, reply) in open.iter().zip(replies) {
                let judgement = &mut judgements[at];
                match reply {
                    Ok((reply, ended)) => {
                        // Who was cut off may have been about to say otherwise.
                        let read = || (grader.read)(asked[at].question, &reply);
                        judgement.grade = ended.then(read).flatten();
                        if judgement.grade.is_some() {
                            judgement.by = By::Judge;
                        }
                        judgement.reply = reply;
                        if judgement.grade.is_none() && can_ask_again {
                            unread.push(at);
                        }
                    }
                    // A server that gave no reply has had its attempts.
                    Err(Failure { message, is_about_row }) => {
                        judgement.reply = format!("no reply: {message}");
                        judgement.may_heal = !is_about_row;
                    }
                }
            }
            open = unread;
        }
        Ok(judgements)
    }

    /// Says what judging will cost, before it does.
    fn estimate<'t>(&self, benchmark: &str, prompts: impl ExactSizeIterator<Item = &'t str>) {
        let count = prompts.len();
        if count > 0 && !matches!(self.who, Who::Nobody) {
            let used = Used::guess(prompts);
            (self.tell)(&format!(
                "{benchmark}: {count} answers to judge by {}, about {} tokens to read and {} to \
                 write, {:.2} in all; kept replies cost nothing again",
                self.name(),
                used.read,
                used.written,
                self.cost(used)
            ));
        }
    }

    /// One reply each and whether it came to its end, or why there is none.
    fn ask(&mut self, texts: &[&str], round: u64) -> Result<Vec<Result<(String, bool), Failure>>> {
        match &self.who {
            Who::Nobody => {
                let message = "there is no judge: `[eval.judge]` names one".to_owned();
                Ok(vec![Err(Failure { message, is_about_row: false }); texts.len()])
            }
            Who::Here(here) => {
                let Table { max_tokens, batch, .. } = *self.table;
                let written = write_texts(&here.model, &here.tokenizer, texts, max_tokens, batch)?;
                let whole = |(text, tokens)| Ok((text, tokens < max_tokens));
                Ok(written.into_iter().map(whole).collect())
            }
            Who::Server(client) => {
                let chats: Vec<Chat> =
                    texts.iter().map(|text| chat(text, round, self.table)).collect();
                let replies = client.ask_all(&chats, server::ANY, &|_, _| ());
                let mut used = self.used;
                let read = replies
                    .into_iter()
                    .map(|reply| {
                        let mut reply = reply?;
                        used.read += reply.prompt_tokens;
                        used.written += reply.completion_tokens;
                        let choice = reply.choices.pop();
                        Ok(choice.map(|choice| (choice.text, choice.ended)).unwrap_or_default())
                    })
                    .collect();
                self.used = used;
                Ok(read)
            }
        }
    }
}
