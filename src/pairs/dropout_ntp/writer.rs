//! Who continues answers: the model here, or a server, which is asked in the words of
//! [`SERVED`], as for candidates (`sample/there.rs`), whatever template the base has.
//!
//! Random numbers are keyed by (seed, question, copy, draw, position): a continuation depends
//! neither on batches nor on what was drawn before it.

use super::{Cut, apart, kept, of, without_pictures};
use crate::Result;
use crate::data::record::{Answer, Question};
use crate::data::template::{Prompter, SERVED, Template};
use crate::error::Context;
use crate::pairs::Shop;
use crate::pairs::local::Local;
use crate::sample::prompts::asked;
use crate::sample::{Bounds, Generation, Request, Watch, chunks, generate_watched};
use crate::server::{self, Chat, Client};
use crate::spec::pairs::Length;
use serde::{Deserialize, Serialize};

/// Batches in a chunk of work.
const BATCHES: usize = 4;
/// Random streams of continuations; those of candidates are counted from 0.
const STREAMS: u64 = 1 << 63;
/// Streams of one draw.
const A_DRAW: u64 = 1 << 52;
/// Streams of one question.
const A_QUESTION: u64 = 1 << 20;

/// How an answer went on.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Continued {
    /// The whole text, beginning included.
    pub text: String,
    /// Its length, beginning and end token included.
    pub tokens: usize,
    /// How many of them were written.
    pub written: usize,
    pub ended: bool,
    /// Whether it was drawn from those that part from the chosen answer.
    pub apart: bool,
}

/// Who continues answers.
pub(super) enum Writer {
    Local(Box<Local>),
    Server(Box<Client>),
}

impl Writer {
    pub fn open(shop: &Shop<'_>) -> Result<Self> {
        let server = &shop.settings.dropout_ntp.server;
        Ok(match server.is_set() {
            true => Self::Server(Box::new(Client::new(server, &shop.ctx.replies)?)),
            false => Self::Local(Box::new(Local::base(shop.ctx)?)),
        })
    }

    /// Whether the kept words of an answer leave room for more.
    pub fn has_room(&self, shop: &Shop<'_>, cut: Cut) -> bool {
        let settings = &shop.settings.dropout_ntp;
        // One that is to become as long as the chosen answer has that one's room.
        if settings.length == Length::Match {
            return true;
        }
        let tokenizer = match self {
            Self::Local(local) => &local.tokenizer,
            Self::Server(_) => shop.tokenizer,
        };
        let beginning = kept(&of(shop, cut).1.text, settings.ratio.get());
        beginning.is_empty() || tokenizer.encode(beginning).len() < settings.max_tokens
    }

    /// One continuation of each, none where a server failed for good. Of a stage's `all` answers
    /// `failed` have failed before.
    pub fn draw(
        &self,
        shop: &Shop<'_>,
        draw: usize,
        cuts: &[Cut],
        (all, failed): (usize, usize),
    ) -> Result<Vec<Option<Continued>>> {
        let size = BATCHES * shop.settings.dropout_ntp.batch;
        let doing = match draw {
            0 => "continuing answers",
            _ => "continuing answers again",
        };
        let name = format!("continued-{draw:04}");
        let work = |_, some: &[Cut], before: &[Option<Continued>]| {
            let failed = failed + before.iter().filter(|continued| continued.is_none()).count();
            let progress = |done| {
                let done = (before.len() as u64) + done;
                shop.ctx.progress.report(done, cuts.len() as u64, doing);
            };
            match self {
                Self::Local(local) => write_here(shop, local, draw, some, &progress),
                Self::Server(client) => {
                    let allowed = client.allowance(all, failed, &shop.ctx.progress);
                    write_there(shop, client, draw, some, &progress, allowed)
                }
            }
        };
        chunks::each(&shop.ctx.work, &name, cuts, size, work)
    }
}

/// Most tokens of a continued answer that is as long as the chosen one, its end not included.
fn length(answer: &Answer) -> usize {
    answer.tokens - usize::from(answer.ended)
}

/// The question of an answer as it was asked, with its pictures or without.
fn words(template: &Template, question: &Question, answer: &Answer, pictures: bool) -> String {
    let text = asked(template, question, answer.prompt);
    if pictures { text } else { without_pictures(&text) }
}

/// Names the random numbers of a continuation.
fn stream(cut: Cut, draw: usize) -> u64 {
    STREAMS + draw as u64 * A_DRAW + cut.question as u64 * A_QUESTION + cut.copy
}

fn write_here(
    shop: &Shop<'_>,
    local: &Local,
    draw: usize,
    cuts: &[Cut],
    done: &dyn Fn(u64),
) -> Result<Vec<Option<Continued>>> {
    let settings = &shop.settings.dropout_ntp;
    let prompter = local.prompter()?;
    let seen = local.see(cuts.iter().map(|&cut| settings.image.then_some(of(shop, cut).0)))?;
    let (mut requests, mut bounds, mut rests) = (Vec::new(), Vec::new(), Vec::new());
    for (index, &cut) in cuts.iter().enumerate() {
        let (question, answer) = of(shop, cut);
        let text = words(prompter.template(), question, answer, settings.image);
        let prompt = prompter
            .encode_prompt_with(&text, &seen.counts[index])
            .with_context(|| format!("question {}", question.id))?;
        let beginning = kept(&answer.text, settings.ratio.get());
        let prefix = match beginning {
            "" => Vec::new(),
            text => local.tokenizer.encode(text),
        };
        rests.push(rest(local, answer, &prefix));
        bounds.push(match settings.length {
            Length::Free => Bounds { least: 0, most: settings.max_tokens },
            Length::Match => Bounds { least: usize::MAX, most: length(answer) },
        });
        requests.push(Request {
            prompt,
            tiles: seen.tiles[index].clone(),
            samples: 1,
            stream: stream(cut, draw),
            prefix,
        });
    }
    let generation = Generation {
        seed: shop.settings.seed,
        temperature: Some(settings.temperature.get()),
        top_k: settings.top_k,
        top_p: settings.top_p.get(),
        max_tokens: settings.max_tokens,
        batch: settings.batch,
        eos: local.tokenizer.eos(),
        precision: local.model.config.precision,
    };
    let given: Vec<usize> = requests.iter().map(|request| request.prefix.len()).collect();
    let without = match settings.apart && draw > 0 {
        true => apart::part(local, &mut requests, &rests, &seen.features, &generation)?,
        false => vec![None; requests.len()],
    };
    let progress = |finished: u64, _| done(finished);
    let watch =
        Watch { bounds: Some(&bounds), without: Some(&without), stops: None, progress: &progress };
    let written = generate_watched(&local.model, &requests, &seen.features, &generation, &watch)?;
    Ok(written
        .into_iter()
        .map(|one| {
            let whole = [requests[one.request].prefix.as_slice(), &one.tokens].concat();
            Some(Continued {
                text: local.tokenizer.decode(&whole),
                tokens: whole.len() + usize::from(settings.length == Length::Match),
                // What is shared with the chosen answer is looked at, too.
                written: whole.len() - given[one.request],
                ended: one.ended,
                apart: without[one.request].is_some(),
            })
        })
        .collect())
}

/// The tokens of an answer behind the kept ones, its end included; none where the kept words
/// are other tokens by themselves.
fn rest(local: &Local, answer: &Answer, kept: &[i64]) -> Vec<i64> {
    let whole = local.tokenizer.encode(&answer.text);
    let end = answer.ended.then(|| local.tokenizer.eos());
    whole
        .strip_prefix(kept)
        .map(|rest| rest.iter().copied().chain(end).collect())
        .unwrap_or_default()
}

fn write_there(
    shop: &Shop<'_>,
    client: &Client,
    draw: usize,
    cuts: &[Cut],
    done: &(dyn Fn(u64) + Sync),
    allowed: server::Allowance<'_>,
) -> Result<Vec<Option<Continued>>> {
    let settings = &shop.settings.dropout_ntp;
    let root = shop.ctx.input("corpus");
    let prompter = Prompter::new(shop.tokenizer, SERVED, 0)?;
    // A server answers the same to the same seed.
    let purpose = match draw {
        0 => "continued".to_owned(),
        _ => format!("continued again, {draw}"),
    };
    let chat = |&cut: &Cut| {
        let (question, answer) = of(shop, cut);
        let text = words(prompter.template(), question, answer, settings.image);
        let images = if settings.image { question.images.as_slice() } else { &[] };
        let prefix = kept(&answer.text, settings.ratio.get()).to_owned();
        let given = shop.tokenizer.encode(&prefix).len();
        Chat {
            prefix,
            temperature: settings.temperature.get(),
            top_p: settings.top_p.get(),
            top_k: settings.top_k,
            seed: server::seed(shop.settings.seed, &purpose, &question.id, cut.copy),
            ..Chat::greedy(
                Chat::parts(&text, root, images),
                settings.max_tokens.saturating_sub(given),
            )
        }
    };
    let chats: Vec<Chat> = cuts.iter().map(chat).collect();
    let name = |index: usize| format!("question {}", of(shop, cuts[index]).0.id);
    let progress = |finished, _| done(finished);
    let replies = client.ask_most(&chats, name, server::ANY, &progress, allowed)?;
    let continued = |(reply, chat): (server::Reply, Chat)| {
        let choice = reply.choices.into_iter().next().expect("a reply has a choice");
        let written = shop.tokenizer.encode(&choice.text).len() + usize::from(choice.ended);
        Continued {
            tokens: shop.tokenizer.encode(&chat.prefix).len() + written,
            text: chat.prefix + &choice.text,
            written,
            ended: choice.ended,
            apart: false,
        }
    };
    let both = replies.into_iter().zip(chats);
    Ok(both.map(|(reply, chat)| Some(continued((reply?, chat)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_server_goes_on_in_the_words_that_it_was_asked_with() {
        use crate::data::tokenizer::Tokenizer;
        use crate::spec::candidates::Prompt;
        let tokenizer = Tokenizer::build(std::iter::empty());
        let prompter = |name| Prompter::new(&tokenizer, name, 0).unwrap();
        let (served, plain) = (prompter(SERVED), prompter("plain"));
        let question = Question {
            images: vec!["a.png".into()],
            question: "How many?".into(),
            ..Question::default()
        };
        let answer = Answer {
            question: String::new(),
            prompt: Prompt::Cot,
            sample: 0,
            text: String::new(),
            tokens: 1,
            ended: true,
            final_answer: None,
            verdict: None,
        };
        let said = words(served.template(), &question, &answer, true);
        assert_eq!(said, asked(served.template(), &question, Prompt::Cot));
        assert_ne!(said, words(plain.template(), &question, &answer, true));
        let blind = words(served.template(), &question, &answer, false);
        assert!(!blind.contains("<image>") && said.contains(&blind), "{blind}");
    }

    #[test]
    fn no_two_continuations_share_random_numbers() {
        let most = crate::spec::pairs::MOST_DRAWS;
        let mut streams = BTreeSet::new();
        let mut count = 0;
        for draw in [0, 1, 15, most - 1] {
            for question in [0, 1, 7_861, 999_999_999] {
                for copy in [0, 1, 14] {
                    streams.insert(stream(Cut { question, answer: 3, copy }, draw));
                    count += 1;
                }
            }
        }
        assert_eq!(streams.len(), count);
        assert!(streams.iter().all(|&stream| stream >= STREAMS));
    }
}
