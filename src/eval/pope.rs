//! `pope`: is this object there? Yes/no questions about objects, whose absent
//! objects were drawn at random, by popularity, or because they go together
//! with what is there.
//!
//! Every split asks about present objects too. Those of generated questions are
//! dealt out to the three splits in turn, so that each split stays near balance.

use super::benchmark::file::{ALONE, File, answered};
use super::benchmark::{Extraction, answer_of, answer_of_internvl};
use super::metric::ratio;
use super::{Asked, Benchmark, Card, Counted, Counts, Metric, Row, Value, flag};
use crate::answer::metric::yes_no::{self, settled, yes_or_no};
use crate::data::benchmark::{Format, Record, json};
use crate::data::record::Question;
use crate::data::template::instruction::SHORT;
use crate::spec::benchmarks::POPE_SPLITS as SPLITS;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static FILE: File = File {
    format: Format {
        main: &["POPE"],
        parts: &["coco_pope_adversarial", "coco_pope_popular", "coco_pope_random"],
        inside: &["coco"],
        ..ALONE
    },
    tiles: Some(6),
    direct: Some(SHORT),
    question,
    beside: labels,
    bring: bring_labels,
    ..File::PLAIN
};

/// POPE, with a way to read yes or no.
pub struct Pope {
    card: Card,
    /// What an answer says; the response is whole.
    said: fn(&Question, &Row) -> Option<bool>,
    /// Whether an answer counts once over all for each of its question's categories.
    repeats: bool,
}

/// As its authors define it.
pub static POPE: Pope = Pope {
    card: Card {
        name: "pope",
        about: "existence of objects, yes or no, in three splits by how absent objects are drawn",
        source: "Li et al. 2023, arXiv:2305.10355. An answer that is neither yes nor no is wrong, \
                 and is no yes; the published script counts it as yes, and \"not\" as no",
        asks: "pope",
        needs: "yes/no questions about existence: `exists` in `corpus.tasks`",
        extraction: Extraction::Other("final answer; of files behind the last marker"),
    },
    said: |question, row| match question.generated {
        Some(_) => row.answer.final_answer.as_deref().and_then(yes_or_no),
        None => settled(answer_of(row)),
    },
    repeats: false,
};

/// As InternVL's evaluation reads answers, which is the published script's way.
pub static POPE_INTERNVL: Pope = Pope {
    card: Card {
        name: "pope_internvl",
        about: "pope, where everything that does not say no in its first sentence is yes",
        source: "InternVL, eval/pope",
        extraction: Extraction::FirstMarker,
        ..POPE.card
    },
    said: |_, row| Some(yes_no::internvl(answer_of_internvl(row))),
    repeats: false,
};

/// As VLMEvalKit reads answers, without its judge.
pub static POPE_VLMEVALKIT: Pope = Pope {
    card: Card {
        name: "pope_vlmevalkit",
        about: "pope with VLMEvalKit's reading, exactly one of the words yes and no, and its \
                count: a question of several categories counts several times over all",
        source: "VLMEvalKit, yorn; without a judge for the rest",
        ..POPE_INTERNVL.card
    },
    said: |_, row| yes_no::vlmevalkit(answer_of_internvl(row)),
    repeats: true,
};

/// The mean of the three splits' F1, as published: of files alone.
const MEAN_F1: &str = "mean_f1";

const RIGHT: usize = 0;
const ASKED: usize = 1;
const SAID_YES: usize = 2;
const IS_THERE: usize = 3;
const YES_AND_THERE: usize = 4;
const UNPARSABLE: usize = 5;
/// Two for each of [`SPLITS`], of files alone: twice the right yes; all yes, said and true.
const OF_SPLITS: usize = 6;

impl Benchmark for Pope {
    fn card(&self) -> &Card {
        &self.card
    }

    fn file(&self) -> Option<&'static File> {
        Some(&FILE)
    }

    /// VLMEvalKit compares with `Yes` and `No`, and wants a `category`.
    fn filed(&self, questions: &[&Question]) -> Vec<Question> {
        let splits = splits(questions.iter().copied());
        let filed = |question: &&Question| {
            let mut filed = (*question).clone();
            let answer = if is_there(question) { "Yes" } else { "No" };
            filed.answer = Some(answer.to_owned());
            filed.meta.insert("answer".to_owned(), answer.to_owned());
            if let Some(split) = splits.get(question.id.as_str()) {
                filed.meta.insert("category".to_owned(), (*split).to_owned());
            }
            filed
        };
        questions.iter().map(filed).collect()
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric { name: "accuracy", value: Value::Share(RIGHT, ASKED) },
            Metric { name: "precision", value: Value::Share(YES_AND_THERE, SAID_YES) },
            Metric { name: "recall", value: Value::Share(YES_AND_THERE, IS_THERE) },
            Metric {
                name: "f1",
                value: Value::Within(
                    |sums| ratio(2.0 * sums[YES_AND_THERE], sums[SAID_YES] + sums[IS_THERE]),
                    |sums| sums[SAID_YES] + sums[IS_THERE],
                ),
            },
            Metric { name: "yes_ratio", value: Value::Share(SAID_YES, ASKED) },
            Metric { name: "unparsable", value: Value::Share(UNPARSABLE, ASKED) },
            Metric {
                name: MEAN_F1,
                value: Value::Within(
                    |sums| {
                        let f1 = |split: usize| {
                            let at = OF_SPLITS + 2 * split;
                            ratio(sums[at], sums[at + 1])
                        };
                        Some((f1(0)? + f1(1)? + f1(2)?) / SPLITS.len() as f64)
                    },
                    |sums| (0..SPLITS.len()).map(|split| sums[OF_SPLITS + 2 * split + 1]).sum(),
                ),
            },
        ]
    }

    fn measures(&self, metric: &Metric, task: &str) -> bool {
        task == "all" || metric.name != MEAN_F1
    }

    fn selects(&self, question: &Question) -> bool {
        let is_yes_no = question.answer.as_deref().is_some_and(|answer| is_yes(answer).is_some());
        let has_split = question.generated.as_ref().is_some_and(|truth| truth.negative.is_some());
        let is_about_existence = question.task == "exists" || question.source == "pope";
        is_yes_no && (has_split || is_about_existence)
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        let splits = splits(asked.iter().map(|asked| asked.question));
        asked
            .iter()
            .map(|asked| {
                let said = (self.said)(asked.question, asked.row);
                let there = is_there(asked.question);
                let mut counts = Counts::default();
                counts[RIGHT] = flag(said == Some(there));
                counts[ASKED] = 1.0;
                counts[SAID_YES] = flag(said == Some(true));
                counts[IS_THERE] = flag(there);
                counts[YES_AND_THERE] = flag(said == Some(true) && there);
                counts[UNPARSABLE] = flag(said.is_none());
                let split = splits.get(asked.question.id.as_str()).copied();
                // A file's question may be in several.
                let categories = asked.question.says("category").split(',').map(str::trim);
                let categories = categories.filter(|category| SPLITS.contains(category));
                let split: Vec<&str> = split.into_iter().chain(categories).collect();
                if asked.question.generated.is_none() {
                    for at in split.iter().filter_map(|name| SPLITS.iter().position(|s| s == name))
                    {
                        counts[OF_SPLITS + 2 * at] = 2.0 * counts[YES_AND_THERE];
                        counts[OF_SPLITS + 2 * at + 1] = counts[SAID_YES] + counts[IS_THERE];
                    }
                }
                let times = match self.repeats {
                    true => asked.question.says("category").split(',').count(),
                    false => 1,
                };
                let all = std::iter::repeat_n("all", times);
                let groups = all.chain(split).map(str::to_owned).collect();
                Counted { groups, counts, score: Some(counts[RIGHT]) }
            })
            .collect()
    }
}

/// VLMEvalKit's column is `category`, which may list several; the authors' files are named for it.
fn question(record: &Record) -> Result<Question, String> {
    let mut question = answered(record, &["answer", "label"])?;
    let answer = question.answer.as_deref().unwrap_or_default();
    if is_yes(answer).is_none() {
        return Err(format!("`{answer}` is neither yes nor no"));
    }
    let of_file = SPLITS.into_iter().find(|split| record.file.contains(split));
    // The Hub's table numbers the rows of each split alike in `question_id`.
    if let Some(id) = record.text(&["index", "id"]) {
        question.id = id;
    }
    if let Some(split) = of_file.filter(|_| question.says("category").is_empty()) {
        question.meta.insert("category".to_owned(), split.to_owned());
    }
    Ok(question)
}

fn is_there(question: &Question) -> bool {
    question.answer.as_deref().and_then(is_yes) == Some(true)
}

/// Gives the rows of InternVL's table of all splits the labels of the authors' files: by category
/// and order, as its script has them.
///
/// # Errors
///
/// Label files that are not there, of another length, or about other pictures.
fn bring_labels(records: &mut [Record], path: &Path) -> Result<()> {
    if records.iter().any(|record| record.text(&["answer", "label"]).is_some()) {
        return Ok(());
    }
    for split in SPLITS {
        let of_split = |record: &&mut Record| record.text(&["category"]).as_deref() == Some(split);
        let mut rows: Vec<&mut Record> = records.iter_mut().filter(of_split).collect();
        if rows.is_empty() {
            continue;
        }
        let name = label_file(split);
        let file =
            labels(path).into_iter().find(|file| file.ends_with(&name)).ok_or_else(|| {
                Error::new(format!("{} has no labels, and {name} is not there", path.display()))
                    .hint("the authors' files lie beside it, or in `coco` there")
            })?;
        let known = json::read(&file, None)?;
        let picture = |record: &Record| record.text(&["image_name", "image"]);
        let agree = rows.iter().zip(&known).all(|(row, known)| picture(row) == picture(known));
        if rows.len() != known.len() || !agree {
            return Err(Error::new(format!(
                "{} does not hold the labels of the `{split}` rows of {}",
                file.display(),
                path.display()
            ))
            .hint("both ask about the same pictures in the same order: fetch them again"));
        }
        for (row, known) in rows.iter_mut().zip(&known) {
            let label = known.text(&["label"]).unwrap_or_default();
            row.fields.insert("label".to_owned(), label.into());
        }
    }
    Ok(())
}

/// The label files beside a table that may want them.
fn labels(path: &Path) -> Vec<PathBuf> {
    let is_table = path.extension().is_some_and(|end| end == "jsonl") && path.is_file();
    let folder = path.parent().filter(|_| is_table).unwrap_or(Path::new("")).to_path_buf();
    let files = SPLITS.into_iter().flat_map(|split| {
        [folder.join("coco"), folder.clone()].map(|folder| folder.join(label_file(split)))
    });
    files.filter(|file| is_table && file.is_file()).collect()
}

fn label_file(split: &str) -> String {
    format!("coco_pope_{split}.json")
}

/// Whether a known answer is yes; none where it is neither yes nor no.
fn is_yes(answer: &str) -> Option<bool> {
    match answer.trim().to_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// The split of each question that has one, by id.
fn splits<'a>(questions: impl Iterator<Item = &'a Question>) -> BTreeMap<&'a str, &'a str> {
    let mut splits = BTreeMap::new();
    let mut num_dealt = 0;
    for question in questions {
        let Some(truth) = &question.generated else { continue };
        if splits.contains_key(question.id.as_str()) {
            continue; // the same question with the other prompt
        }
        let split = if let Some(split) = &truth.negative {
            split.as_str()
        } else {
            num_dealt += 1;
            SPLITS[(num_dealt - 1) % SPLITS.len()]
        };
        splits.insert(question.id.as_str(), split);
    }
    splits
}
