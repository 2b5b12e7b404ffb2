//! Dropout next-token prediction: an answer against its own beginning, continued without the
//! picture. What the blind continuation makes up is what the picture should have prevented.
//!
//! The answer is cut at a share of its words, between spaces, as InternVL's pipeline cuts it;
//! the same model continues once. With the picture, or from nothing, it is a control.
//! Continuations are mostly shorter than what they replace; `length = "match"` forbids the
//! end token until the chosen answer's length, and stops there.
//!
//! # Source
//!
//! Wang et al. 2024, arXiv:2411.10442, section 3.1, and its released code.

use super::local::Local;
use super::record::{Side, built, provenance};
use super::stats::Stats;
use super::{Built, Kind, Shop};
use crate::data::record::{Answer, Question};
use crate::data::template::IMAGE;
use crate::eval::matching::is_open;
use crate::eval::python::text::strip;
use crate::sample::prompts::asked;
use crate::sample::{Bounds, Generation, Request, Watch, chunks, generate_watched};
use crate::server::{self, Chat, Client};
use crate::spec::pairs::{Chosen, Length, Source};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Batches in a chunk of work.
const BATCHES: usize = 4;
/// Random streams of continuations; those of candidates are counted from 0.
const STREAMS: u64 = 1 << 63;
/// Streams of one question.
const A_QUESTION: u64 = 1 << 20;

/// An answer that is cut and continued.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Its question.
    pub question: usize,
    /// The answer.
    pub answer: usize,
    /// Which continuation of the question's answers this is.
    pub copy: u64,
}

/// How an answer went on.
#[derive(Debug, Deserialize, Serialize)]
struct Continued {
    /// The whole text, beginning included.
    text: String,
    /// Its length, beginning and end token included.
    tokens: usize,
    /// How many of them were written.
    written: usize,
    ended: bool,
}

/// The answers that the settings mean: those of other pairs, or the first ones.
pub fn cuts(shop: &Shop<'_>, of: Chosen, paired: &[(usize, usize)], stats: &mut Stats) -> Vec<Cut> {
    let sampled = shop.sampled;
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    match of {
        Chosen::Correctness | Chosen::DivideAndConquer => chosen.extend(paired),
        Chosen::Open | Chosen::Any => {
            for (place, question) in sampled.questions.iter().enumerate() {
                if of == Chosen::Open && !is_open(question) {
                    continue;
                }
                let answers = sampled.distinct(sampled.of(place));
                let (loops, sound): (Vec<usize>, Vec<usize>) =
                    answers.into_iter().partition(|&answer| sampled.is_degenerate(answer));
                stats.skipped(&question.task, "degenerate", loops.len());
                let (full, empty): (Vec<usize>, Vec<usize>) = sound
                    .into_iter()
                    .partition(|&answer| !strip(&sampled.answers[answer].text).is_empty());
                stats.skipped(&question.task, "empty_answer", empty.len());
                let most = shop.settings.dropout_ntp.per_question;
                chosen.extend(full.into_iter().take(most).map(|answer| (place, answer)));
            }
        }
    }
    let mut copies = std::collections::HashMap::<usize, u64>::new();
    chosen
        .into_iter()
        .map(|(question, answer)| {
            let copy = copies.entry(question).or_default();
            *copy += 1;
            Cut { question, answer, copy: *copy - 1 }
        })
        .collect()
}

/// A pair of each answer that was cut, but for continuations that say the same.
///
/// # Errors
///
/// A model that fails, or a server for more answers than it may.
pub fn pairs(shop: &Shop<'_>, cuts: &[Cut], stats: &mut Stats) -> Result<Vec<Built>> {
    let settings = &shop.settings.dropout_ntp;
    let size = BATCHES * settings.batch;
    let writer = Writer::open(shop)?;
    let work = &shop.ctx.work;
    let continued: Vec<Option<Continued>> =
        chunks::each(work, "continued", cuts, size, |_, some, before: &[Option<Continued>]| {
            let failed = before.iter().filter(|continued| continued.is_none()).count();
            let progress = |done| {
                let done = (before.len() as u64) + done;
                shop.ctx.progress.report(done, cuts.len() as u64, "continuing answers");
            };
            match &writer {
                Writer::Local(local) => write_here(shop, local, some, &progress),
                Writer::Server(client) => {
                    let most = client.may_fail(cuts.len(), failed);
                    write_there(shop, client, some, &progress, most)
                }
            }
        })?;
    let mut pairs = Vec::new();
    for (cut, continued) in cuts.iter().zip(continued) {
        let (question, answer) = of(shop, *cut);
        let Some(continued) = continued else {
            stats.skipped(&question.task, "failed", 1);
            continue;
        };
        stats.spend(Source::DropoutNtp, answer.tokens + continued.written);
        if strip(&continued.text) == strip(&answer.text) {
            stats.skipped(&question.task, "identical", 1);
            continue;
        }
        let kind = Kind::DropoutNtp;
        let mut meta = json!({
            "question": question.id,
            "task": question.task,
            "kind": kind.name(),
            "prompt": answer.prompt.name(),
            "continues": answer.sample,
            "kept": kept(&answer.text, settings.ratio.get()),
            "image": settings.image,
            "tokens": continued.tokens,
        });
        if settings.length == Length::Match {
            meta["length"] = "match".into();
        } else {
            meta["ended"] = continued.ended.into();
        }
        let chosen = Side::of(answer, provenance(question, kind, answer));
        let rejected = Side { text: &continued.text, tokens: continued.tokens, meta };
        pairs.push(built(shop, question, kind, answer.prompt, chosen, rejected));
    }
    Ok(pairs)
}

fn of<'a>(shop: &'a Shop<'_>, cut: Cut) -> (&'a Question, &'a Answer) {
    (&shop.sampled.questions[cut.question], &shop.sampled.answers[cut.answer])
}

/// The beginning of a text: a share of its words, which only spaces separate.
pub fn kept(text: &str, ratio: f64) -> &str {
    let words = text.split(' ').count();
    let wanted = (words as f64 * ratio) as usize;
    let end = match wanted {
        0 => 0,
        _ => text.match_indices(' ').nth(wanted - 1).map_or(text.len(), |(at, _)| at),
    };
    strip(&text[..end])
}

/// A question without its pictures and the lines that introduce them.
pub fn without_pictures(asked: &str) -> String {
    let introduces = |line: &&str| {
        let rest = line.trim_end_matches('\n').strip_suffix(IMAGE).unwrap_or(line);
        let number = rest.strip_prefix("Image-").and_then(|rest| rest.strip_suffix(": "));
        rest.is_empty() || number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    let lines =
        asked.split_inclusive('\n').filter(|line| !(line.contains(IMAGE) && introduces(line)));
    strip(&lines.collect::<String>().replace(IMAGE, "")).to_owned()
}

/// Who continues answers.
enum Writer {
    Local(Box<Local>),
    Server(Box<Client>),
}

impl Writer {
    fn open(shop: &Shop<'_>) -> Result<Self> {
        let server = &shop.settings.dropout_ntp.server;
        Ok(match server.is_set() {
            true => Self::Server(Box::new(Client::new(server, &server::replies(shop.ctx))?)),
            false => Self::Local(Box::new(Local::base(shop.ctx)?)),
        })
    }
}

/// Most tokens of a continued answer that is as long as the chosen one, its end not included.
fn length(answer: &Answer) -> usize {
    answer.tokens - usize::from(answer.ended)
}

fn stream(cut: Cut) -> u64 {
    STREAMS + cut.question as u64 * A_QUESTION + cut.copy
}

fn write_here(
    shop: &Shop<'_>,
    local: &Local,
    cuts: &[Cut],
    done: &dyn Fn(u64),
) -> Result<Vec<Option<Continued>>> {
    let settings = &shop.settings.dropout_ntp;
    let prompter = local.prompter()?;
    let seen = local.see(cuts.iter().map(|&cut| settings.image.then_some(of(shop, cut).0)))?;
    let (mut requests, mut bounds) = (Vec::new(), Vec::new());
    for (index, &cut) in cuts.iter().enumerate() {
        let (question, answer) = of(shop, cut);
        let text = asked(&prompter, question, answer.prompt);
        let text = if settings.image { text } else { without_pictures(&text) };
        let prompt = prompter
            .encode_prompt_with(&text, &seen.counts[index])
            .map_err(|error| error.context(format!("question {}", question.id)))?;
        let beginning = kept(&answer.text, settings.ratio.get());
        let prefix = match beginning {
            "" => Vec::new(),
            text => local.tokenizer.encode(text),
        };
        bounds.push(match settings.length {
            Length::Free => Bounds { least: 0, most: settings.max_tokens },
            Length::Match => Bounds { least: usize::MAX, most: length(answer) },
        });
        requests.push(Request {
            prompt,
            tiles: seen.tiles[index].clone(),
            samples: 1,
            stream: stream(cut),
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
    let progress = |finished: u64, _| done(finished);
    let watch = Watch { bounds: Some(&bounds), stops: None, progress: &progress };
    let written = generate_watched(&local.model, &requests, &seen.features, &generation, &watch)?;
    Ok(written
        .into_iter()
        .zip(&requests)
        .map(|(one, request)| {
            let whole = [request.prefix.as_slice(), &one.tokens].concat();
            Some(Continued {
                text: local.tokenizer.decode(&whole),
                tokens: whole.len() + usize::from(settings.length == Length::Match),
                written: one.tokens.len(),
                ended: one.ended,
            })
        })
        .collect())
}

fn write_there(
    shop: &Shop<'_>,
    client: &Client,
    cuts: &[Cut],
    done: &(dyn Fn(u64) + Sync),
    most: usize,
) -> Result<Vec<Option<Continued>>> {
    let settings = &shop.settings.dropout_ntp;
    let root = shop.ctx.input("corpus");
    let chat = |&cut: &Cut| {
        let (question, answer) = of(shop, cut);
        let text = asked(shop.prompter, question, answer.prompt);
        let (text, images) = match settings.image {
            true => (text, question.images.as_slice()),
            false => (without_pictures(&text), [].as_slice()),
        };
        let prefix = kept(&answer.text, settings.ratio.get()).to_owned();
        let given = shop.tokenizer.encode(&prefix).len();
        Chat {
            prefix,
            temperature: settings.temperature.get(),
            top_p: settings.top_p.get(),
            top_k: settings.top_k,
            seed: server::seed(shop.settings.seed, "continued", &question.id, cut.copy),
            ..Chat::greedy(
                Chat::parts(&text, root, images),
                settings.max_tokens.saturating_sub(given).max(1),
            )
        }
    };
    if settings.length == Length::Match {
        return Err(Error::spec("`pairs.dropout_ntp.length = \"match\"` needs a model here")
            .hint("the protocol cannot forbid an end; take out `[pairs.dropout_ntp.server]`"));
    }
    let chats: Vec<Chat> = cuts.iter().map(chat).collect();
    let name = |index: usize| format!("question {}", of(shop, cuts[index]).0.id);
    let progress = |finished, _| done(finished);
    let replies = client.ask_most(&chats, name, server::ANY, &progress, most)?;
    let continued = |(reply, chat): (server::Reply, Chat)| {
        let choice = reply.choices.into_iter().next().expect("a reply has a choice");
        let written = shop.tokenizer.encode(&choice.text).len() + usize::from(choice.ended);
        Continued {
            tokens: shop.tokenizer.encode(&chat.prefix).len() + written,
            text: chat.prefix + &choice.text,
            written,
            ended: choice.ended,
        }
    };
    let both = replies.into_iter().zip(chats);
    Ok(both.map(|(reply, chat)| Some(continued((reply?, chat)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_spaces_separate() {
        // Seven pieces, half of which are three: a line break separates no words.
        let text = "There are\n3 red ones. And 4 blue.";
        assert_eq!(text.split(' ').count(), 7);
        assert_eq!(kept(text, 0.5), "There are\n3 red");
        assert_eq!(kept(text, 0.0), "");
        assert_eq!(kept(text, 0.99), "There are\n3 red ones. And 4");
        assert_eq!(kept("one", 0.5), "");
        // A double space makes an empty word, as `split(' ')` has it.
        assert_eq!(kept("a  b c", 0.5), "a");
    }

    #[test]
    fn pictures_leave_with_their_lines() {
        assert_eq!(without_pictures("<image>\nWhat?\nThink."), "What?\nThink.");
        let two = "Image-1: <image>\nImage-2: <image>\nWhat differs?";
        assert_eq!(without_pictures(two), "What differs?");
        assert_eq!(without_pictures("Compare <image> with <image>."), "Compare  with .");
    }
}
