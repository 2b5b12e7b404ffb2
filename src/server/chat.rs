//! What is asked and what comes back, as the chat completions of the OpenAI-compatible
//! protocol have it. Pictures go as data URLs.

use crate::Result;
use crate::data::template::IMAGE;
use crate::error::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How many likely first tokens are asked for; servers give 20 at most.
const FIRST_TOKENS: usize = 20;

/// One question to a model, and how it is to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Chat {
    /// The system message, where there is one.
    pub system: Option<String>,
    /// The user's message.
    pub parts: Vec<Part>,
    /// The answer's given beginning, which the model goes on from; empty as a rule.
    pub prefix: String,
    /// How many answers.
    pub choices: usize,
    /// Softmax temperature; 0 is greedy.
    pub temperature: f64,
    /// Keep the smallest set of tokens whose probability reaches this.
    pub top_p: f64,
    /// Keep the k likeliest tokens; 0 keeps all. Not OpenAI's own, but vLLM's and lmdeploy's.
    pub top_k: usize,
    /// Longest answer, in tokens, the given beginning not included.
    pub max_tokens: usize,
    /// Strings that end an answer, not part of it.
    pub stop: Vec<String>,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Whether the likeliest first tokens are wanted with their log-probabilities.
    pub first_tokens: bool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture's file.
    Picture(PathBuf),
}

/// What a model replied.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reply {
    /// The answers, in the server's order.
    pub choices: Vec<Choice>,
    /// Tokens read, where the server says.
    pub prompt_tokens: u64,
    /// Tokens written, where the server says.
    pub completion_tokens: u64,
}

/// One answer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Choice {
    /// What was written after the given beginning.
    pub text: String,
    /// Whether it came to its end before the length limit.
    pub ended: bool,
    /// The likeliest first tokens with their log-probabilities in nats, where they were
    /// wanted and the server gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_tokens: Vec<(String, f64)>,
}

impl Chat {
    /// A greedy question with one short answer: what a judge is asked.
    pub fn greedy(parts: Vec<Part>, max_tokens: usize) -> Self {
        Self {
            system: None,
            parts,
            prefix: String::new(),
            choices: 1,
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            max_tokens,
            stop: Vec::new(),
            seed: 0,
            first_tokens: false,
        }
    }

    /// The text of a question, `<image>` markers replaced by its pictures.
    pub fn parts(text: &str, root: &Path, images: &[String]) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut images = images.iter();
        for (index, piece) in text.split(IMAGE).enumerate() {
            if index > 0
                && let Some(image) = images.next()
            {
                parts.push(Part::Picture(root.join(image)));
            }
            let piece = piece.trim_matches('\n');
            if !piece.is_empty() {
                parts.push(Part::Text(piece.to_owned()));
            }
        }
        parts
    }

    /// All text of the question.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Picture(_) => IMAGE,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The request's body. The same question gives the same bytes.
    ///
    /// # Errors
    ///
    /// A picture that cannot be read.
    pub fn body(&self, model: &str) -> Result<String> {
        let part = |part: &Part| -> Result<Value> {
            Ok(match part {
                Part::Text(text) => json!({ "type": "text", "text": text }),
                Part::Picture(path) => {
                    json!({ "type": "image_url", "image_url": { "url": data_url(path)? } })
                }
            })
        };
        let mut messages = Vec::new();
        if let Some(system) = &self.system {
            messages.push(json!({ "role": "system", "content": system }));
        }
        let content: Vec<Value> = self.parts.iter().map(part).collect::<Result<_>>()?;
        // A server for text alone may not know lists.
        let content = match self.parts.as_slice() {
            [Part::Text(text)] => json!(text),
            _ => json!(content),
        };
        messages.push(json!({ "role": "user", "content": content }));
        let mut body = json!({
            "model": model,
            "messages": messages,
            "n": self.choices,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        });
        if self.top_k > 0 {
            body["top_k"] = json!(self.top_k);
        }
        if !self.stop.is_empty() {
            body["stop"] = json!(self.stop);
        }
        if self.first_tokens {
            body["logprobs"] = json!(true);
            body["top_logprobs"] = json!(FIRST_TOKENS);
        }
        if !self.prefix.is_empty() {
            // vLLM wants to be told; lmdeploy sees that the last message is the assistant's.
            let given = json!({ "role": "assistant", "content": self.prefix });
            body["messages"].as_array_mut().expect("a list").push(given);
            body["add_generation_prompt"] = json!(false);
            body["continue_final_message"] = json!(true);
        }
        Ok(body.to_string())
    }
}

/// A picture as a data URL.
fn data_url(path: &Path) -> Result<String> {
    let doing = || format!("reading the picture `{}`", path.display());
    let bytes = std::fs::read(path).with_context(doing)?;
    let format = image::guess_format(&bytes).with_context(doing)?;
    Ok(format!("data:{};base64,{}", format.to_mime_type(), STANDARD.encode(bytes)))
}

impl Reply {
    /// Reads the body of a reply; what is wrong with it otherwise.
    pub fn read(text: &str, chat: &Chat) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("the reply is not JSON: {error}"))?;
        if let Some(said) = value["error"]["message"].as_str() {
            return Err(format!("the server says: {said}"));
        }
        let list = value["choices"].as_array().ok_or("the reply has no `choices`")?;
        let choices: Vec<Choice> =
            list.iter().map(|choice| read_choice(choice, chat)).collect::<Result<_, String>>()?;
        if choices.is_empty() {
            return Err("the reply has no choice".to_owned());
        }
        let count = |name: &str| value["usage"][name].as_u64().unwrap_or(0);
        Ok(Self {
            choices,
            prompt_tokens: count("prompt_tokens"),
            completion_tokens: count("completion_tokens"),
        })
    }

    /// Every text that the server wrote.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        self.choices.iter_mut().flat_map(|choice| {
            let tokens = choice.first_tokens.iter_mut().map(|(token, _)| token);
            std::iter::once(&mut choice.text).chain(tokens)
        })
    }

    /// Adds the choices of a further reply to the same question.
    pub fn add(&mut self, other: Self) {
        self.choices.extend(other.choices);
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
    }
}

/// How the reason begins why a model wrote nothing.
const NO_TEXT: &str = "a choice has no text";
/// How it begins where a filter ended an answer.
const ENDED_BY: &str = "a choice was ended by";

/// Whether a reason is the model's own: it would not answer this, and the server is well.
pub fn is_refusal(reason: &str) -> bool {
    reason.starts_with(NO_TEXT) || reason.starts_with(ENDED_BY)
}

fn read_choice(choice: &Value, chat: &Chat) -> Result<Choice, String> {
    let text = choice["message"]["content"].as_str().ok_or(NO_TEXT)?;
    let finish = choice["finish_reason"].as_str().ok_or("a choice has no `finish_reason`")?;
    let first = &choice["logprobs"]["content"][0]["top_logprobs"];
    let first_tokens = first.as_array().filter(|_| chat.first_tokens).into_iter().flatten();
    let pair =
        |token: &Value| Some((token["token"].as_str()?.to_owned(), token["logprob"].as_f64()?));
    match finish {
        "stop" | "length" => Ok(Choice {
            text: text.to_owned(),
            ended: finish == "stop",
            first_tokens: first_tokens.filter_map(pair).collect(),
        }),
        other => Err(format!("{ENDED_BY} `{other}`")),
    }
}
