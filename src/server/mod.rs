//! Asking a server that speaks the OpenAI-compatible chat protocol: vLLM, lmdeploy,
//! llama.cpp and hosted ones. It may sample answers, continue them, or judge.
//!
//! | file | what it holds |
//! |---|---|
//! | [`chat`] | what is asked and what comes back, on the wire |
//! | `http` | one attempt: which faults may heal and which may not |
//! | `cache` | replies by prompt, model and settings |
//!
//! A row fails when its last attempt has failed; nothing stands in for its reply. Replies are
//! kept below `.prefab/replies`, so that a second run asks only what failed. The key comes
//! from the environment and is in no file, log or message.

mod cache;
pub mod chat;
mod http;

pub use chat::{Chat, Choice, Part, Reply};

use crate::spec::number::Fraction;
use crate::spec::server::Server;
use crate::stage::Progress;
use crate::{Error, Result};
use cache::Cache;
use http::{Fault, Http};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Wait after the first failed attempt; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait of our own.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Longest wait that a server may ask for.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(120);
/// So many rows failed one after the other, none for what it asks: the server is gone, and the
/// rest is not asked.
const GIVE_UP: usize = 8;
/// Failed rows that an error names; the rest is counted.
const NAMED: usize = 5;
/// Servers take a seed for a signed number.
const LARGEST_SEED: u64 = u64::MAX >> 1;

/// Asks one server for one model.
#[derive(Debug)]
pub struct Client {
    http: Http,
    cache: Cache,
    url: String,
    model: String,
    requests: usize,
    attempts: usize,
    key_variable: String,
    /// Share of a stage's rows that may fail for good.
    failures: f64,
}

/// Says what is wrong with a reply that the protocol allows, such as a verdict that is
/// neither yes nor no. Such a reply is not kept; the request is made again.
pub type Check<'a> = &'a (dyn Fn(&Reply) -> Result<(), String> + Sync);

/// Any reply will do.
pub const ANY: Check<'static> = &|_| Ok(());

/// How many rows may fail for good, and who hears of those that do.
pub struct Allowance<'a> {
    rows: usize,
    told: &'a Progress,
}

/// Why a row has no reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// In a sentence fragment, without the key.
    pub message: String,
    /// Whether it is about what was asked: another run would fail alike.
    pub is_about_row: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let is_about_row = fault.is_about_row && !fault.concerns_all;
        Self { message: fault.message, is_about_row }
    }
}

impl Client {
    /// For a server whose `url` and `model` are set; replies are kept below `replies`.
    ///
    /// # Errors
    ///
    /// A table without either, or a folder that cannot be made.
    pub fn new(server: &Server, replies: &Path) -> Result<Self> {
        let (Some(url), Some(model)) = (&server.url, &server.model) else {
            return Err(Error::spec("a server needs `url` and `model`"));
        };
        // A key that is not set is none: local servers want none.
        let key = std::env::var(&server.key_variable).unwrap_or_default().trim().to_owned();
        let key = Some(key).filter(|key| !key.is_empty());
        let timeout = Duration::from_secs_f64(server.timeout_s.get());
        Ok(Self {
            http: Http::new(url, key, timeout),
            cache: Cache::open(replies)?,
            url: url.clone(),
            model: model.clone(),
            requests: server.requests.max(1),
            attempts: server.attempts.max(1),
            key_variable: server.key_variable.clone(),
            failures: server.failures.map_or(0.0, Fraction::get),
        })
    }

    /// One reply, with as many choices as are wanted: a server that gives fewer at a time is
    /// asked again for the rest, with further seeds.
    ///
    /// # Errors
    ///
    /// What the last attempt failed with.
    pub fn ask(&self, chat: &Chat, check: Check<'_>) -> Result<Reply, Failure> {
        Ok(self.ask_whole(chat, check)?)
    }

    fn ask_whole(&self, chat: &Chat, check: Check<'_>) -> Result<Reply, Fault> {
        let mut whole = Reply::default();
        while whole.choices.len() < chat.choices {
            let got = whole.choices.len();
            let rest = Chat {
                choices: chat.choices - got,
                seed: chat.seed.wrapping_add(got as u64) & LARGEST_SEED,
                ..chat.clone()
            };
            whole.add(self.ask_once(&rest, check)?);
        }
        whole.choices.truncate(chat.choices);
        Ok(whole)
    }

    /// One request, from the cache or with all its attempts.
    fn ask_once(&self, chat: &Chat, check: Check<'_>) -> Result<Reply, Fault> {
        let body = chat.body(&self.model).map_err(|error| Fault::lasting(error.to_string()))?;
        if let Some(reply) = self.cache.find(&self.url, &body) {
            return Ok(reply);
        }
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let reply = self.http.post(&body).and_then(|text| {
                let of_reply = |reason: String| Fault::of_reply(self.http.clean(&reason));
                let reply = self.http.cleaned(Reply::read(&text, chat).map_err(of_reply)?);
                let of_row = |reason: String| Fault::of_row(self.http.clean(&reason));
                check(&reply).map(|()| reply).map_err(of_row)
            });
            match reply {
                Ok(reply) => {
                    self.cache.keep(&self.url, &self.model, chat, &body, &reply);
                    return Ok(reply);
                }
                Err(fault) if fault.may_heal && attempt < self.attempts => {
                    let asked = fault.wait.map(|asked| asked.min(LONGEST_ASKED_WAIT));
                    tracing::warn!("attempt {attempt} of {}: {}", self.attempts, fault.message);
                    std::thread::sleep(asked.unwrap_or(wait));
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(fault) => {
                    let tries =
                        if attempt > 1 { format!(" ({attempt} attempts)") } else { String::new() };
                    return Err(Fault { message: format!("{}{tries}", fault.message), ..fault });
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Replies in the order of the chats, several requests under way at a time. When the server fails
    /// for many rows one after the other, or refuses the key, the rest is not asked.
    pub fn ask_all(
        &self,
        chats: &[Chat],
        check: Check<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Vec<Result<Reply, Failure>> {
        let replies = self.ask_each(chats, check, progress).into_iter();
        replies.map(|reply| reply.map_err(Failure::from)).collect()
    }

    fn ask_each(
        &self,
        chats: &[Chat],
        check: Check<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Vec<Result<Reply, Fault>> {
        let next = AtomicUsize::new(0);
        let failed_in_a_row = AtomicUsize::new(0);
        let done = AtomicUsize::new(0);
        let replies: Vec<Mutex<Option<Result<Reply, Fault>>>> =
            chats.iter().map(|_| Mutex::new(None)).collect();
        let most = GIVE_UP.max(self.requests);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(chat) = chats.get(index) else { return };
                if failed_in_a_row.load(Ordering::Relaxed) >= most {
                    return;
                }
                let reply = self.ask_whole(chat, check);
                match &reply {
                    Ok(_) => failed_in_a_row.store(0, Ordering::Relaxed),
                    Err(fault) if fault.concerns_all => {
                        failed_in_a_row.store(most, Ordering::Relaxed);
                    }
                    // A server that refuses one row is there for the others.
                    Err(fault) if fault.is_about_row => {}
                    Err(_) => drop(failed_in_a_row.fetch_add(1, Ordering::Relaxed)),
                }
                *replies[index].lock().expect("no thread panics with a reply in hand") =
                    Some(reply);
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                progress(done as u64, chats.len() as u64);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.requests.min(chats.len()) {
                scope.spawn(work);
            }
        });
        let not_asked = || {
            let fault = Fault::lasting("not asked: the server had failed too often".to_owned());
            Err(Fault { concerns_all: true, ..fault })
        };
        replies
            .into_iter()
            .map(|reply| {
                reply.into_inner().expect("all threads are done").unwrap_or_else(not_asked)
            })
            .collect()
    }

    /// All replies, or an error that names the first rows that have none and counts the rest.
    ///
    /// # Errors
    ///
    /// If a row failed.
    pub fn ask_every(
        &self,
        chats: &[Chat],
        name: impl Fn(usize) -> String,
        check: Check<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vec<Reply>> {
        let none = Allowance { rows: 0, told: &Progress::Silent };
        let replies = self.ask_most(chats, name, check, progress, none)?;
        Ok(replies.into_iter().flatten().collect())
    }

    /// How many more of a stage's rows may fail for good, `failed` of which have.
    pub fn allowance<'a>(&self, rows: usize, failed: usize, told: &'a Progress) -> Allowance<'a> {
        let most = (self.failures * rows as f64) as usize;
        Allowance { rows: most.saturating_sub(failed), told }
    }

    /// The replies, with none for rows that failed for good, which are warned of.
    ///
    /// # Errors
    ///
    /// If more rows failed than are allowed, or the server refuses them all: as [`Self::ask_every`].
    pub fn ask_most(
        &self,
        chats: &[Chat],
        name: impl Fn(usize) -> String,
        check: Check<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
        allowed: Allowance<'_>,
    ) -> Result<Vec<Option<Reply>>> {
        let replies = self.ask_each(chats, check, progress);
        let of_row = |(row, reply): (usize, &Result<Reply, Fault>)| {
            let fault = reply.as_ref().err()?;
            Some((format!("{}: {}", name(row), fault.message), fault.concerns_all))
        };
        let failed: Vec<(String, bool)> = replies.iter().enumerate().filter_map(of_row).collect();
        if failed.is_empty() {
            return Ok(replies.into_iter().map(Result::ok).collect());
        }
        let listed: Vec<&str> = failed.iter().take(NAMED).map(|(row, _)| row.as_str()).collect();
        let more = failed.len().saturating_sub(NAMED);
        let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
        let told = format!(
            "the server {} failed for {} of {} rows:\n  {}{more}",
            self.url,
            failed.len(),
            chats.len(),
            listed.join("\n  ")
        );
        if failed.len() > allowed.rows || failed.iter().any(|(_, concerns_all)| *concerns_all) {
            return Err(Error::new(told).hint(format!(
                "the other replies are kept: run again to ask only these. A server that wants a key \
                 finds it in the environment variable `{}`",
                self.key_variable
            )));
        }
        allowed.told.warn(&format!("{told}\nthey are skipped, as `failures` allows"));
        Ok(replies.into_iter().map(Result::ok).collect())
    }
}

/// The seed of a request's random numbers, from a table's own and what is asked. Servers count on
/// from it for further choices and answer the same to the same seed, so that neighbouring seeds
/// would give two requests the same answers.
pub fn seed(seed: u64, purpose: &str, question: &str, copy: u64) -> u64 {
    let hash = blake3::hash(format!("{purpose} {seed} {copy} {question}").as_bytes());
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first) & LARGEST_SEED
}

/// Whether the reply to a chat is kept below `replies`. Asks and makes nothing.
pub fn is_kept(server: &Server, replies: &Path, chat: &Chat) -> bool {
    let (Some(url), Some(model)) = (&server.url, &server.model) else { return false };
    let body = chat.body(model).unwrap_or_default();
    Cache::at(replies).find(url, &body).is_some()
}
