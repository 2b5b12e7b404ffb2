//! Which tokens of a conversation are learned, as InternVL's training scripts mask them.
//!
//! Prefab's own trainer encodes prompt and answer apart and needs no mask; this is what
//! others' data sets and checkpoints were trained with, defects included: where pieces of
//! a text have other tokens by themselves than within it, or an answer is empty, the whole
//! conversation may be masked, which is why InternVL's users see a loss of zero.
//!
//! # Source
//!
//! InternVL's `preprocess_internlm`, `preprocess_mpt`, `preprocess_phi3` and
//! `preprocess_internvl2_5`.

use super::template::{IMAGE, Role, Template, with_images};
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};

/// The label of a token that is not learned.
pub const IGNORE: i64 = -100;

/// How the answers are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Every message is encoded by itself: nothing can go wrong.
    Turns,
    /// The text is cut at role marks, and pieces are counted (InternLM2, behind its `<s>`).
    Marks,
    /// The text is cut at message ends into pairs of question and answer, and pairs are counted.
    Pairs,
    /// The same behind a start token, whose count the pairs' own are corrected for.
    FramedPairs,
}

/// A conversation to be learned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Labelled {
    /// Token ids.
    pub ids: Vec<i64>,
    /// The same where a token is learned, else [`IGNORE`].
    pub labels: Vec<i64>,
    /// Tokens counted and tokens there, where these differ and everything is masked.
    pub mismatch: Option<(usize, usize)>,
}

/// Token ids and labels of a conversation.
///
/// `tiles` are the tiles of each picture; none where the conversation has no pictures.
///
/// # Errors
///
/// Pictures without a marker; where the text is cut, messages that do not take turns or hold role
/// marks of their own.
pub fn label(
    tokenizer: &Tokenizer,
    template: &Template,
    image_tokens: usize,
    messages: &[(Role, String)],
    tiles: &[usize],
) -> Result<Labelled> {
    let markers = |messages: &[(Role, String)]| -> usize {
        messages.iter().map(|(_, text)| text.matches(IMAGE).count()).sum()
    };
    if markers(messages) < tiles.len() {
        let markers = markers(messages);
        return Err(Error::new(format!("{} pictures have {markers} markers", tiles.len())));
    }
    if template.labels == Rule::Turns {
        return Ok(by_turns(tokenizer, template, image_tokens, messages, tiles));
    }
    // An answer to nothing is left out.
    let messages = match messages {
        [(Role::Assistant, _), rest @ ..] => rest,
        all => all,
    };
    for (index, (role, _)) in messages.iter().enumerate() {
        if *role != [Role::User, Role::Assistant][index % 2] {
            return Err(Error::new(format!("message {index} is out of turn")));
        }
    }
    let messages: Vec<(Role, &str)> =
        messages.iter().map(|(role, text)| (*role, template.learned(text))).collect();
    let text = with_images(&template.conversation(None, &messages), tiles, image_tokens);
    let ids = tokenizer.encode_framed(&text);
    let runs = match template.labels {
        Rule::Marks => by_marks(tokenizer, template, &text)?,
        _ => by_pairs(tokenizer, template, &text),
    };
    Ok(masked(tokenizer, template, ids, &runs))
}

/// Tokens in a row, and whether they are learned.
type Run = (usize, bool);

fn masked(tokenizer: &Tokenizer, template: &Template, ids: Vec<i64>, runs: &[Run]) -> Labelled {
    let is_learned = runs.iter().flat_map(|(length, is_learned)| (0..*length).map(|_| *is_learned));
    let mut labels: Vec<i64> = ids
        .iter()
        .zip(is_learned.chain(std::iter::repeat(false)))
        .map(|(id, is_learned)| if is_learned { *id } else { IGNORE })
        .collect();
    if template.labels == Rule::FramedPairs {
        let end = tokenizer.id("<|endoftext|>");
        labels.iter_mut().filter(|label| Some(**label) == end).for_each(|label| *label = IGNORE);
    }
    // Padding is counted out, wherever its token stands.
    let counted = runs.iter().map(|(length, _)| length).sum();
    let there = ids.iter().filter(|id| Some(**id) != tokenizer.pad()).count();
    let mismatch = (counted != there).then_some((counted, there));
    if mismatch.is_some() {
        labels.fill(IGNORE);
    }
    Labelled { ids, labels, mismatch }
}

fn by_marks(tokenizer: &Tokenizer, template: &Template, text: &str) -> Result<Vec<Run>> {
    // Each piece is counted without the start token that it is encoded with.
    let count = |text: &str| tokenizer.encode_framed(text).len().saturating_sub(1);
    let parts: Vec<&str> = text.split(template.assistant).collect();
    let last = parts.len() - 1;
    let mut runs = vec![(1, false), (count(&[parts[0], template.assistant].concat()), false)];
    for part in parts.iter().take(last).skip(1) {
        let (answer, question) = part
            .split_once(template.user)
            .filter(|(_, question)| !question.contains(template.user))
            .ok_or_else(|| Error::new("a message holds a role mark"))?;
        let question = [template.user, question, template.assistant].concat();
        runs.extend([(count(answer), true), (count(&question), false)]);
    }
    if last > 0 {
        runs.push((count(parts[last]), true));
    }
    Ok(runs)
}

fn by_pairs(tokenizer: &Tokenizer, template: &Template, text: &str) -> Vec<Run> {
    let count = |text: &str| tokenizer.encode_framed(text).len();
    let is_framed = template.labels == Rule::FramedPairs;
    let turns: Vec<&str> = text.split(template.end).collect();
    // The system message, the first question and its answer; then a question and an answer each.
    let first = turns.len().min(3);
    let pairs = std::iter::once(&turns[..first]).chain(turns[first..].chunks(2));
    let mut runs = if is_framed { vec![(1, false)] } else { Vec::new() };
    let mark = [template.end, template.assistant].concat();
    for (index, pair) in pairs.enumerate() {
        let pair = pair.join(template.end);
        let parts: Vec<&str> = pair.split(mark.as_str()).collect();
        let &[question, _] = parts.as_slice() else { break };
        let question = count(&[question, &mark].concat());
        let (whole, question) = match (is_framed, index) {
            (false, _) => (count(&pair) + 1, question),
            (true, 0) => (count(&pair), question.saturating_sub(1)),
            (true, _) => (count(&pair).saturating_sub(1), question.saturating_sub(2)),
        };
        let question = question.min(whole);
        runs.extend([(question, false), (whole - question, true)]);
    }
    runs
}

fn by_turns(
    tokenizer: &Tokenizer,
    template: &Template,
    image_tokens: usize,
    messages: &[(Role, String)],
    tiles: &[usize],
) -> Labelled {
    // The start token is part of the first text, where it is not put before it.
    let start = tokenizer.start().unwrap_or_default();
    let mut ids = tokenizer.encode(&[&start, template.system_turn(None).as_str()].concat());
    let mut labels = vec![IGNORE; ids.len()];
    let mark = tokenizer.encode(template.assistant).len();
    let mut pictures = tiles;
    for (role, text) in messages {
        let text = match role {
            Role::User => {
                let count = text.matches(IMAGE).count().min(pictures.len());
                let (own, rest) = pictures.split_at(count);
                pictures = rest;
                with_images(text, own, image_tokens)
            }
            Role::Assistant => text.clone(),
        };
        let turn = tokenizer.encode(&[template.mark(*role), &text, template.end].concat());
        let start = labels.len();
        labels.extend(match role {
            Role::User => vec![IGNORE; turn.len()],
            Role::Assistant => turn.clone(),
        });
        if *role == Role::Assistant {
            let end = labels.len();
            labels[start..(start + mark).min(end)].fill(IGNORE);
            // The line break behind the end token.
            labels[end - 1..].fill(IGNORE);
        }
        ids.extend(turn);
    }
    Labelled { ids, labels, mismatch: None }
}
