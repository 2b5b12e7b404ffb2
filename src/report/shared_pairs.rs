//! What two sets of pairs have in common: the proof that an ablation replaced the rejected
//! answers alone.
//!
//! Pairs are compared as multisets: a pair that stands twice in one set and once in another is
//! shared once.

use crate::Result;
use crate::data::record::Pair;
use crate::error::Context;
use crate::plan::{Job, Plan, Stage, Task};
use crate::store::payload;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Sets in larger files are not compared, in bytes: a report is not to read for minutes.
const LARGEST: u64 = 500_000_000;

/// Two sets side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Short keys of the two sets, as in pairs.csv.
    pub keys: [String; 2],
    /// The variants that train on each; the key where none has a name.
    pub names: [String; 2],
    /// Pairs of each.
    pub pairs: [usize; 2],
    /// Pairs with the same pictures and question.
    pub prompt: usize,
    /// Of those, with the same chosen answer.
    pub chosen: usize,
    /// Of those, with the same rejected answer: the same pair.
    pub rejected: usize,
}

/// The header of [`Shared::cells`].
pub const HEADER: [&str; 7] = [
    "pairs_of",
    "other",
    "pairs",
    "other_pairs",
    "same_prompt",
    "same_prompt_and_chosen",
    "same_pair",
];

impl Shared {
    /// A row of pairs_shared.csv.
    pub fn cells(&self) -> [String; 7] {
        let [set, other] = self.keys.clone();
        let [pairs, others] = self.pairs;
        let [pairs, others, prompt, chosen, rejected] =
            [pairs, others, self.prompt, self.chosen, self.rejected].map(|count| count.to_string());
        [set, other, pairs, others, prompt, chosen, rejected]
    }

    /// One sentence.
    pub fn sentence(&self) -> String {
        let [set, other] = &self.names;
        let (smaller, fewer) = match self.pairs[0] <= self.pairs[1] {
            true => (set, self.pairs[0]),
            false => (other, self.pairs[1]),
        };
        let [pairs, others] = self.pairs;
        let of_smaller = match self.chosen == fewer {
            true => format!("every prompt and chosen answer of {smaller} is the other's too"),
            false => format!("{} share prompt and chosen answer", self.chosen),
        };
        let rejected = match self.rejected {
            0 => "no pair is the same".to_owned(),
            same => format!("{same} pairs are the same"),
        };
        format!("{set} ({pairs} pairs) and {other} ({others}): {of_smaller}; {rejected}.")
    }
}

/// Counts by prompt, by prompt and chosen answer, and by pair.
type Parts = [HashMap<[u8; 16], usize>; 3];

/// Every two sets of pairs of an experiment, in plan order.
///
/// # Errors
///
/// A set that cannot be read.
pub fn compare(store: &Path, plan: &Plan) -> Result<Vec<Shared>> {
    let file = |task: &Task| payload(store, &task.key).join("pairs.jsonl");
    let is_small = |task: &&Task| file(task).metadata().is_ok_and(|file| file.len() <= LARGEST);
    let of_pairs = plan.tasks.iter().filter(|task| task.stage == Stage::Pairs);
    let tasks: Vec<&Task> = of_pairs.filter(is_small).collect();
    if tasks.len() < 2 {
        return Ok(Vec::new());
    }
    let read = |task| read(&file(task)).map(|(count, parts)| (task, count, parts));
    let sets: Vec<(&Task, usize, Parts)> = tasks.into_iter().map(read).collect::<Result<_>>()?;
    let mut all = Vec::new();
    for (index, one) in sets.iter().enumerate() {
        for other in &sets[index + 1..] {
            let [prompt, chosen, rejected] =
                [0, 1, 2].map(|part| common(&one.2[part], &other.2[part]));
            all.push(Shared {
                keys: [short(one.0), short(other.0)],
                names: [users(plan, one.0), users(plan, other.0)],
                pairs: [one.1, other.1],
                prompt,
                chosen,
                rejected,
            });
        }
    }
    Ok(all)
}

/// How many pairs a file has, and its [`Parts`].
fn read(file: &Path) -> Result<(usize, Parts)> {
    let doing = || format!("reading `{}`", file.display());
    let mut parts = Parts::default();
    let mut count = 0;
    for line in BufReader::new(File::open(file).with_context(doing)?).lines() {
        let pair: Pair = serde_json::from_str(&line.with_context(doing)?).with_context(doing)?;
        let prompt = [pair.image.0.join("\0"), pair.question];
        let texts = [&prompt[0], &prompt[1], &pair.chosen, &pair.rejected];
        for (part, counts) in parts.iter_mut().enumerate() {
            *counts.entry(hash(&texts[..part + 2])).or_default() += 1;
        }
        count += 1;
    }
    Ok((count, parts))
}

/// Texts, each with its length in front.
fn hash(texts: &[&String]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}

fn common(one: &HashMap<[u8; 16], usize>, other: &HashMap<[u8; 16], usize>) -> usize {
    one.iter().filter_map(|(part, count)| Some((*count).min(*other.get(part)?))).sum()
}

/// A set's key as pairs.csv has it.
pub fn short(task: &Task) -> String {
    task.key[..task.key.len().min("pairs-".len() + 8)].to_owned()
}

/// The variants that train on a set; its key where none has a name.
fn users(plan: &Plan, task: &Task) -> String {
    let uses = |job: &&Job| plan.task_of(job, Stage::Pairs).is_some_and(|own| own.key == task.key);
    let mut names: Vec<&str> =
        plan.jobs.iter().filter(uses).filter_map(|job| job.variant.as_deref()).collect();
    names.dedup();
    if names.is_empty() { short(task) } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pairs: &[(&str, &str, &str)]) -> (usize, Parts) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |(question, chosen, rejected): &(&str, &str, &str)| {
            serde_json::json!({ "question": question, "chosen": chosen, "rejected": rejected })
                .to_string()
        };
        let lines: Vec<String> = pairs.iter().map(line).collect();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        read(file.path()).unwrap()
    }

    #[test]
    fn a_pair_is_shared_as_often_as_both_sets_have_it() {
        let (count, one) =
            parts(&[("q", "a", "b"), ("q", "a", "b"), ("q", "c", "b"), ("r", "a", "b")]);
        assert_eq!(count, 4);
        let (_, other) =
            parts(&[("q", "a", "b"), ("q", "a", "z"), ("s", "a", "b"), ("q", "d", "e")]);
        // Prompts: q three times in both. Chosen: (q, a) twice. Pairs: (q, a, b) once.
        assert_eq!([0, 1, 2].map(|part| common(&one[part], &other[part])), [3, 2, 1]);
    }

    #[test]
    fn the_sentence_says_whether_the_rejected_alone_differs() {
        let shared = Shared {
            keys: ["pairs-1".into(), "pairs-2".into()],
            names: ["D&C".into(), "dropout NTP".into()],
            pairs: [342, 272],
            prompt: 272,
            chosen: 272,
            rejected: 0,
        };
        assert_eq!(
            shared.sentence(),
            "D&C (342 pairs) and dropout NTP (272): every prompt and chosen answer of dropout NTP \
             is the other's too; no pair is the same."
        );
        let other = Shared { chosen: 200, rejected: 3, ..shared };
        assert!(other.sentence().contains("200 share prompt and chosen answer; 3 pairs are"));
    }
}
