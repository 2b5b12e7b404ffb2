//! Versions of what only some specs do: bumped where those do otherwise, so that all other
//! artifacts keep their keys. A stage's own version is bumped for all.

use super::Stage;
use crate::model::Config;
use crate::spec::model::Model;
use crate::spec::pairs::{Asked, Consistency, Source};
use crate::spec::train::Precision;
use crate::spec::{Settings, embedded};
use serde_json::Value;
use std::path::Path;

/// Bumped when imported rows are read or drawn otherwise: pairs made here keep their keys.
const IMPORT_VERSION: u64 = 5;
/// Bumped when answers are continued otherwise: pairs of other sources keep their keys.
const CONTINUED_VERSION: u64 = 2;
/// Bumped when a server is asked or read otherwise: what a model here makes keeps its key.
const SERVED_VERSION: u64 = 4;
/// Bumped when questions of files are asked otherwise, or answers to them, and those of released
/// checkpoints, paired otherwise: what is generated keeps its keys.
const FILED_VERSION: u64 = 4;
/// Bumped when free text is split into claims otherwise: generated scenes keep their keys.
const CLAIMS_VERSION: u64 = 2;
/// Bumped when weights share a limit otherwise: pairs without either keep their keys.
const WEIGHED_VERSION: u64 = 2;
/// Bumped when questions of benchmarks' files are exported or counted otherwise: generated ones
/// keep their keys.
const COUNTED_VERSION: u64 = 3;
/// Bumped when pictures of files are cut otherwise, or pairs say how: what has one tile a picture
/// keeps its key.
const TILES_VERSION: u64 = 3;
/// Bumped when questions of files are judged otherwise, or their answers told to be loops or to
/// contradict themselves: verdicts on generated questions keep their keys.
const LABELS_VERSION: u64 = 3;
/// Bumped when models of 16-bit files answer otherwise: those of fp32 keep their keys.
const NARROW_VERSION: u64 = 4;
/// Bumped when a checkpoint's config.json, or what stands beside it, is read otherwise: models that
/// are made here keep their keys.
const READ_VERSION: u64 = 3;

/// Those that enter a stage's key, by the name that they have there.
pub fn versions(stage: Stage, settings: &Settings) -> Vec<(String, Value)> {
    let loaded = loaded(stage, settings);
    let answers_narrowly =
        loaded.as_ref().is_some_and(|config| config.precision == Precision::Bf16);
    let entries = [
        ("import_version", IMPORT_VERSION, imports(stage, settings)),
        ("continued_version", CONTINUED_VERSION, continues(stage, settings)),
        ("narrow_version", NARROW_VERSION, answers_narrowly),
        ("read_version", READ_VERSION, loaded.is_some()),
        ("served_version", SERVED_VERSION, is_served(stage, settings)),
        ("filed_version", FILED_VERSION, asks_files(stage, settings)),
        ("claims_version", CLAIMS_VERSION, splits_text(stage, settings)),
        ("weighed_version", WEIGHED_VERSION, weighs(stage, settings)),
        ("counted_version", COUNTED_VERSION, counts_files(stage, settings)),
        ("tiles_version", TILES_VERSION, sees_questions(stage) && cuts_files(settings)),
        ("labels_version", LABELS_VERSION, judges_files(stage, settings)),
    ];
    let entering = entries.into_iter().filter(|(_, _, enters)| *enters);
    entering.map(|(name, version, _)| (name.to_owned(), version.into())).collect()
}

fn imports(stage: Stage, settings: &Settings) -> bool {
    stage == Stage::Pairs && settings.pairs.import.is_some()
}

fn continues(stage: Stage, settings: &Settings) -> bool {
    stage == Stage::Pairs && settings.pairs.builds(Source::DropoutNtp)
}

/// The checkpoint that is loaded to answer or to judge. One that is not there yet has no artifacts.
fn loaded(stage: Stage, settings: &Settings) -> Option<Config> {
    let checkpoint = match stage {
        Stage::Base => settings.model.checkpoint.as_deref(),
        Stage::Pairs if settings.pairs.asks_judge() => settings.pairs.judge.checkpoint.as_deref(),
        Stage::Scores => settings.eval.judge.checkpoint.as_deref(),
        _ => None,
    };
    checkpoint.and_then(|folder| Config::load(Path::new(folder)).ok())
}

fn is_served(stage: Stage, settings: &Settings) -> bool {
    match stage {
        Stage::Candidates => settings.candidates.server.is_set(),
        Stage::Pairs => settings.pairs.asks_server(),
        Stage::Answers => settings.eval.server.is_set(),
        _ => false,
    }
}

/// Whether a stage puts questions of files to a model, or pairs answers of released checkpoints.
fn asks_files(stage: Stage, settings: &Settings) -> bool {
    let of_files = settings.corpus.files.is_some();
    match stage {
        Stage::Base => of_files && settings.model.checkpoint.is_none(),
        Stage::Candidates | Stage::Answers => of_files,
        Stage::Policy => of_files && settings.eval.every > 0,
        Stage::Pairs => {
            let is_released = settings.model.checkpoint.as_deref().is_some_and(is_narrow);
            !settings.pairs.is_import_alone() && (of_files || is_released)
        }
        _ => false,
    }
}

fn splits_text(stage: Stage, settings: &Settings) -> bool {
    let pairs = &settings.pairs;
    stage == Stage::Pairs
        && pairs.needs(Source::DivideAndConquer)
        && pairs.divide_and_conquer.of == Asked::Any
}

fn weighs(stage: Stage, settings: &Settings) -> bool {
    let pairs = &settings.pairs;
    stage == Stage::Pairs && pairs.max.is_some() && pairs.weights != embedded().pairs.weights
}

fn counts_files(stage: Stage, settings: &Settings) -> bool {
    matches!(stage, Stage::Answers | Stage::Scores) && !settings.eval.files.is_empty()
}

/// Whether a stage judges answers to questions of files, or looks for contradictions in any.
fn judges_files(stage: Stage, settings: &Settings) -> bool {
    let of_files = settings.corpus.files.is_some();
    match stage {
        Stage::Candidates => of_files,
        // Imported pairs alone stand on no verdict of ours.
        Stage::Pairs if settings.pairs.is_import_alone() => false,
        Stage::Pairs => {
            let pairs = &settings.pairs;
            let is_checked = pairs.correctness.consistency == Consistency::Rule;
            of_files || is_checked && pairs.needs(Source::Correctness)
        }
        Stage::Policy => of_files && settings.eval.every > 0,
        Stage::Answers | Stage::Scores => of_files || !settings.eval.files.is_empty(),
        _ => false,
    }
}

/// Whether a stage looks at the pictures of the corpus' questions.
fn sees_questions(stage: Stage) -> bool {
    use Stage::{Answers, Candidates, Features, Pairs, Policy};
    matches!(stage, Features | Candidates | Pairs | Policy | Answers)
}

/// Whether pictures come from files and are cut into tiles.
fn cuts_files(settings: &Settings) -> bool {
    let Model { checkpoint, max_tiles, .. } = &settings.model;
    let cuts = match max_tiles {
        Some(most) => most.get() > 1,
        None => checkpoint.is_some(),
    };
    settings.corpus.files.is_some() && cuts
}

/// Whether a checkpoint answers in bf16 by itself. One that is not there yet has no artifacts.
fn is_narrow(checkpoint: &str) -> bool {
    Config::load(Path::new(checkpoint)).is_ok_and(|config| config.precision == Precision::Bf16)
}
