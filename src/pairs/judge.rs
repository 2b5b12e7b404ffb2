//! Who says yes or no about claims and rationales: the model that answered, another
//! checkpoint, or a server. An opinion is two probabilities; nothing stands in for one that
//! could not be had.
//!
//! Of a server's likeliest first tokens, those of yes and no must hold most of the probability: a
//! reply that begins otherwise ("I cannot see …") is no judgement, whatever is left for `No`; nor is
//! one that goes on to it ("No, I cannot see …"), where a server gives no probabilities. It is asked
//! for again, and then its row has failed. A model here is compared by both words alone,
//! as RLAIF-V has it.

use super::Shop;
use super::local::Local;
use crate::data::record::Question;
use crate::sample::chunks;
use crate::server::{self, Chat, Client, Reply};
use crate::spec::candidates::Prompt;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The words whose first tokens are compared, yes before no.
const WORDS: [[&str; 2]; 2] = [["yes", "Yes"], ["no", "No"]];

/// The instruction behind a question, as the data sets have it. An embedded size that does not
/// know it is asked for its direct answer.
const INSTRUCTION: &str = "Please answer Yes or No.";

/// Longest reply of a server, in tokens: a space or a line break may stand before the word, and a
/// refusal behind it.
const REPLY: usize = 16;
/// What a reply that judges nothing says of who gives it or of the picture, in small letters.
const REFUSALS: [&str; 11] = [
    "i cannot",
    "i can not",
    "i can't",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "i am not able",
    "i'm sorry",
    "i am sorry",
    "no image was",
    "no picture was",
];

/// What yes and no must hold together of a server's first token, and more.
const MOST: f64 = 0.5;

/// A yes-or-no question.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Whose pictures it is about, if any's.
    pub about: Option<&'a Question>,
    /// The question, without instruction.
    pub question: String,
}

impl Ask<'_> {
    fn images(&self) -> &[String] {
        self.about.map_or(&[], |question| &question.images)
    }
}

/// What was said.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Opinion {
    /// Probability that the answer begins with yes.
    pub yes: f64,
    /// Probability that it begins with no.
    pub no: f64,
}

impl Opinion {
    /// `P(yes) + P(Yes) > P(no) + P(No)`, as RLAIF-V has it.
    pub fn is_yes(self) -> bool {
        self.yes > self.no
    }
}

/// The judge of `[pairs.judge]`.
pub struct Judge<'a> {
    shop: &'a Shop<'a>,
    who: Who,
}

enum Who {
    Local(Box<Local>),
    Server(Box<Client>),
}

impl<'a> Judge<'a> {
    /// Opens the judge that the settings name.
    ///
    /// # Errors
    ///
    /// Files that cannot be read.
    pub fn open(shop: &'a Shop<'a>) -> Result<Self> {
        let judge = &shop.settings.judge;
        let who = match &judge.checkpoint {
            _ if judge.server.is_set() => {
                Who::Server(Box::new(Client::new(&judge.server, &shop.ctx.replies)?))
            }
            Some(dir) => Who::Local(Box::new(Local::checkpoint(Path::new(dir), shop.ctx)?)),
            None => Who::Local(Box::new(Local::base(shop.ctx)?)),
        };
        Ok(Self { shop, who })
    }

    /// An opinion about each question, in order; none where the judgement failed. `name` names
    /// the work's chunks on disk.
    ///
    /// # Errors
    ///
    /// A server that fails for more rows than it may, or a model that does not know the words.
    pub fn yes_or_no(&self, name: &str, asks: &[Ask<'_>]) -> Result<Vec<Option<Opinion>>> {
        let (ctx, batch) = (self.shop.ctx, self.shop.settings.judge.batch);
        chunks::each(&ctx.work, name, asks, batch, |_, some, before: &[_]| {
            let opinions = match &self.who {
                Who::Local(local) => local_opinions(local, some),
                Who::Server(client) => {
                    let allowed = client.allowance(asks.len(), failed(before), &ctx.progress);
                    self.server_opinions(client, some, allowed)
                }
            }?;
            ctx.progress.report((before.len() + some.len()) as u64, asks.len() as u64, name);
            Ok(opinions)
        })
    }

    /// What the judge writes about each text, greedily and without a picture; nothing where the
    /// server failed.
    ///
    /// # Errors
    ///
    /// As [`Self::yes_or_no`].
    pub fn write(&self, name: &str, texts: &[String]) -> Result<Vec<Option<Written>>> {
        let (ctx, judge) = (self.shop.ctx, &self.shop.settings.judge);
        chunks::each(&ctx.work, name, texts, judge.batch, |_, some, before: &[_]| {
            let written = match &self.who {
                Who::Local(local) => local.write(some, judge.max_tokens, judge.batch)?,
                Who::Server(client) => {
                    let chat = |text: &String| {
                        Chat::greedy(Chat::parts(text, Path::new(""), &[]), judge.max_tokens)
                    };
                    let chats: Vec<Chat> = some.iter().map(chat).collect();
                    let place = |index| format!("text {}", before.len() + index + 1);
                    let allowed = client.allowance(texts.len(), failed(before), &ctx.progress);
                    let replies =
                        client.ask_most(&chats, place, server::ANY, &|_, _| (), allowed)?;
                    replies.into_iter().map(|reply| reply.map(Written::of_reply)).collect()
                }
            };
            ctx.progress.report((before.len() + some.len()) as u64, texts.len() as u64, name);
            Ok(written)
        })
    }

    fn server_opinions(
        &self,
        client: &Client,
        asks: &[Ask<'_>],
        allowed: server::Allowance<'_>,
    ) -> Result<Vec<Option<Opinion>>> {
        let root = self.shop.ctx.input("corpus");
        let chats: Vec<Chat> = asks
            .iter()
            .map(|ask| {
                let markers = "<image>\n".repeat(ask.images().len());
                let text = format!("{markers}{}\n{INSTRUCTION}", ask.question);
                let parts = Chat::parts(&text, root, ask.images());
                Chat { first_tokens: true, ..Chat::greedy(parts, REPLY) }
            })
            .collect();
        let name = |index: usize| format!("{:?}", shortened(&asks[index].question));
        let check = |reply: &Reply| opinion(reply).map(|_| ());
        let replies = client.ask_most(&chats, name, &check, &|_, _| (), allowed)?;
        let opinions = replies.iter().map(|reply| reply.as_ref().map(opinion).transpose());
        opinions.collect::<Result<_, _>>().map_err(Error::new)
    }
}

/// How many rows have nothing.
fn failed<T>(rows: &[Option<T>]) -> usize {
    rows.iter().filter(|row| row.is_none()).count()
}

/// What a judge wrote.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its length in tokens, where that is known.
    pub tokens: usize,
}

impl Written {
    fn of_reply(mut reply: Reply) -> Self {
        let tokens = reply.completion_tokens as usize;
        let text = reply.choices.pop().map(|choice| choice.text).unwrap_or_default();
        Self { text, tokens }
    }
}

/// A server's opinion: from the likeliest first tokens, or else from what it wrote.
fn opinion(reply: &Reply) -> Result<Opinion, String> {
    let choice = reply.choices.first().ok_or("there is no choice")?;
    let bare = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let begins = |text: &str, words: &[&str]| words.contains(&bare(text).as_str());
    let sum = |words: &[&str]| -> f64 {
        let of = choice.first_tokens.iter().filter(|(token, _)| begins(token, words));
        of.map(|(_, logp)| logp.exp()).sum()
    };
    let (yes, no) = (sum(&WORDS[0]), sum(&WORDS[1]));
    if yes + no > MOST {
        return Ok(Opinion { yes, no });
    }
    // A space or a mark in front of the word says nothing: then the word that was written counts.
    let likeliest = choice.first_tokens.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    if likeliest.is_some_and(|(token, _)| !bare(token).is_empty()) {
        return Err(format!(
            "yes and no have {:.0} % of the first token's probability: {:?}",
            100.0 * (yes + no),
            shortened(&choice.text)
        ));
    }
    if is_refusal(&choice.text) {
        return Err(format!("no judgement: {:?}", shortened(&choice.text)));
    }
    let word = choice.text.split_whitespace().next().unwrap_or_default();
    match (begins(word, &WORDS[0]), begins(word, &WORDS[1])) {
        (true, _) => Ok(Opinion { yes: 1.0, no: 0.0 }),
        (_, true) => Ok(Opinion { yes: 0.0, no: 1.0 }),
        _ => Err(format!("neither yes nor no: {:?}", shortened(&choice.text))),
    }
}

/// Whether a reply says that there is no judgement.
fn is_refusal(text: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    let begins = |at: usize| !text[..at].ends_with(char::is_alphanumeric);
    REFUSALS.iter().any(|refusal| text.match_indices(refusal).any(|(at, _)| begins(at)))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().count() > MOST {
        short.push('…');
    }
    short
}

/// A model's own opinions: its next-token distribution after each question.
fn local_opinions(local: &Local, asks: &[Ask<'_>]) -> Result<Vec<Option<Opinion>>> {
    let prompter = local.prompter()?;
    let follows = local.tokenizer.encode_known(INSTRUCTION).is_ok();
    let seen = local.see(asks.iter().map(|ask| ask.about))?;
    let prompt = |(ask, tiles): (&Ask<'_>, &Vec<usize>)| {
        let text = match follows {
            true => {
                let markers = "<image>\n".repeat(ask.images().len());
                format!("{markers}{}\n{INSTRUCTION}", ask.question)
            }
            false => prompter.question_text(&ask.question, ask.images().len(), Prompt::Direct),
        };
        prompter.encode_prompt_with(&text, tiles).map_err(|error| {
            error.context(format!("asking the judge {:?}", shortened(&ask.question))).hint(
                "an embedded size knows only the words that it was taught: it can judge \
                 generated scenes; name a checkpoint or a server in `[pairs.judge]` for other texts",
            )
        })
    };
    let prompts: Vec<Vec<i64>> =
        asks.iter().zip(&seen.counts).map(prompt).collect::<Result<_>>()?;
    let first = |word: &&str| {
        let tokens = local.tokenizer.encode_known(word).ok()?;
        tokens.first().copied()
    };
    let [yes, no] = WORDS.map(|words| {
        let mut tokens: Vec<i64> = words.iter().filter_map(first).collect();
        tokens.dedup();
        tokens
    });
    if yes.is_empty() || no.is_empty() || yes.iter().any(|token| no.contains(token)) {
        return Err(Error::new("the judge's tokenizer cannot tell yes from no")
            .hint("name another checkpoint or a server in `[pairs.judge]`"));
    }
    let next = local.next(&prompts, &[yes.as_slice(), &no].concat(), &seen)?;
    let opinion = |row: Vec<f64>| Opinion {
        yes: row[..yes.len()].iter().sum(),
        no: row[yes.len()..].iter().sum(),
    };
    Ok(next.into_iter().map(|row| Some(opinion(row))).collect())
}
