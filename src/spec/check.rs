//! Rules that no single key can break alone: names, sizes that must fit each
//! other, combinations that cannot be run.

use super::Settings;
use super::benchmarks;
use super::candidates::Prompt;
use super::check_files;
use super::check_model;
use super::check_pairs;
use super::eval::Split;
use super::finder::Finder;
use super::lists::TASKS;
use super::model::Module;
use super::train::{Gradients, Keep, Precision};
use crate::data::image::MOST_TILES;
use crate::loss::Mix;

/// A count above this is a slip of the pen, and two of them still multiply.
pub(super) const MOST: u64 = 1_000_000_000;

/// Checks one point of an experiment.
pub fn settings(settings: &Settings, find: &mut Finder) {
    let tables = serde_json::to_value(settings).expect("settings are plain JSON");
    magnitudes(&tables, &mut Vec::new(), find);
    check_model::model(&settings.model, find);
    corpus(settings, find);
    base(settings, find);
    check_pairs::candidates_and_pairs(settings, find);
    loss(settings, find);
    if settings.loss.is_some() {
        train(settings, find);
    }
    eval(settings, find);
}

/// Counts beyond all reason, in whatever table.
fn magnitudes(value: &serde_json::Value, path: &mut Vec<String>, find: &mut Finder) {
    if let Some(table) = value.as_object() {
        for (key, value) in table.iter().filter(|(key, _)| *key != "seed") {
            path.push(key.clone());
            magnitudes(value, path, find);
            path.pop();
        }
    }
    if let Some(count) = value.as_u64().filter(|count| *count > MOST) {
        let key = path.join(".");
        let message = format!("`{key}` must be {MOST} or below, got {count}");
        find.wrong(&key, message, format!("write `{key} = {MOST}` or less"));
    }
}

fn corpus(settings: &Settings, find: &mut Finder) {
    let corpus = &settings.corpus;
    let trains = settings.loss.is_some();
    let looks = trains && settings.eval.every > 0;
    let validates = looks || settings.eval.split == Split::Validation;
    let teaches = settings.model.checkpoint.is_none() && !settings.eval.server.is_set();
    match &corpus.files {
        None => {
            find.names("corpus.tasks", &corpus.tasks, TASKS, "tasks");
            if corpus.tasks.is_empty() {
                let message = "`corpus.tasks` names no task: there would be no questions";
                find.wrong("corpus.tasks", message, format!("tasks: {}", TASKS.join(", ")));
            }
            if trains && settings.pairs.import.is_none() {
                find.at_least("corpus.train", corpus.train, 1);
            }
            if teaches {
                find.at_least("corpus.base", corpus.base, 1);
            }
            if validates {
                find.at_least("corpus.validation", corpus.validation, 1);
            }
            if settings.eval.split == Split::Test {
                find.at_least("corpus.test", corpus.test, 1);
            }
        }
        Some(files) => {
            if validates && files.validation.is_none() {
                find.wrong(
                    "corpus.files",
                    "the validation split is used, but `corpus.files` has no `validation`",
                    "add `validation = \"FILE.jsonl\"`, or set `eval.split = \"test\"` and `eval.every = 0`",
                );
            }
            if teaches && files.base.is_none() {
                find.wrong(
                    "corpus.files",
                    "the embedded base is taught from `corpus.files.base`, which is not set",
                    "add `base = \"FILE.jsonl\"`, or start from `model.checkpoint`",
                );
            }
        }
    }
}

fn base(settings: &Settings, find: &mut Finder) {
    if settings.model.max_tiles.is_some_and(|most| most.get() > MOST_TILES) {
        find.wrong(
            "model.max_tiles",
            format!("`model.max_tiles` is above {MOST_TILES} tiles"),
            "released models take 12: write the most that `train.max_tokens` has room for",
        );
    }
    if settings.model.checkpoint.is_none() {
        find.at_least("base.vision_batch", settings.base.vision_batch, 1);
        find.at_least("base.batch", settings.base.batch, 1);
        let untaught = settings.base.steps == 0 && settings.base.vision_steps == 0;
        if !untaught {
            find.at_least("base.steps", settings.base.steps, 1);
        }
        if !untaught && settings.model.max_tiles.is_some_and(|most| most.get() > 1) {
            find.wrong(
                "model.max_tiles",
                "a base is taught with pictures of one tile",
                "set `base.steps` and `base.vision_steps` to 0 for random weights, or start from \
                 `model.checkpoint`",
            );
        }
    }
}

/// What the loss itself refuses, and a moving reference that would never move.
fn loss(settings: &Settings, find: &mut Finder) {
    let Some(loss) = &settings.loss else { return };
    if !find.is_sound("loss.algorithm") {
        return;
    }
    match Mix::new(loss) {
        Ok(mix) => {
            moving_reference(settings, &mix, find);
            several_pairs(settings, &mix, find);
        }
        Err(error) => {
            let hint = error.hint_text().unwrap_or("`prefab show losses` says what each takes");
            find.wrong(error.setting().unwrap_or("loss.algorithm"), error.to_string(), hint);
        }
    }
}

/// What compares the pairs of a step needs some.
fn several_pairs(settings: &Settings, mix: &Mix, find: &mut Finder) {
    let name = mix.algorithm.name;
    if mix.algorithm.mixes_pairs && settings.train.pairs_per_step == 1 {
        find.wrong(
            "train.pairs_per_step",
            format!("`{name}` compares the pairs of a step, and with 1 there is none to compare"),
            "such as the default, `pairs_per_step = 32`",
        );
    }
}

fn moving_reference(settings: &Settings, mix: &Mix, find: &mut Finder) {
    let Some(sync) = mix.sync else { return };
    // The most pairs there can be: a run with fewer is caught when they are counted.
    let pairs = check_pairs::most(settings);
    let a_pass = pairs.div_ceil(settings.train.pairs_per_step.max(1)) as f64;
    let steps = (a_pass * settings.train.epochs.get()).ceil() as usize;
    if sync.alpha == 0.0 {
        find.wrong(
            "loss.tr_dpo.alpha",
            "`loss.tr_dpo.alpha` is 0: the reference would never move, and this would be dpo",
            "such as the default, `alpha = 0.9`",
        );
    }
    let counted = settings.corpus.files.is_none() && settings.pairs.import.is_none();
    if counted && sync.every >= steps && find.is_sound("train") {
        find.wrong(
            "loss.tr_dpo.every",
            format!(
                "`loss.tr_dpo.every` is {}, but there are at most {steps} steps: the reference \
                 would never move before the end, and this would be dpo",
                sync.every
            ),
            format!("such as `[loss.tr_dpo] every = {}`", (steps / 4).max(1)),
        );
    }
}

fn train(settings: &Settings, find: &mut Finder) {
    let train = &settings.train;
    if find.is_written("train.seed") {
        find.wrong(
            "train.seed",
            "`train.seed` is set by `seeds`, one job for each: what stands here would be ignored",
            format!("write `seeds = [{}]` at the top instead", train.seed),
        );
    }
    if train.epochs.get() > 10_000.0 {
        let message = format!("`train.epochs` must be 10000 or below, got {}", train.epochs.get());
        find.wrong("train.epochs", message, "such as the default, `train.epochs = 1.0`");
    }
    find.at_least("train.pairs_per_step", train.pairs_per_step, 1);
    find.at_least("train.micro_batch", train.micro_batch, 1);
    if train.gradients == Gradients::Bf16 && train.precision == Precision::Fp32 {
        find.wrong(
            "train.gradients",
            "`train.gradients` is \"bf16\", but `train.precision` is \"fp32\"".to_owned(),
            "set `train.precision = \"bf16\"`: a matrix has the gradient's number type",
        );
    }
    let drops = train.drop_path.is_some_and(|share| share.get() > 0.0);
    if drops && !settings.model.train.contains(&Module::Vision) {
        find.wrong(
            "train.drop_path",
            "`train.drop_path` is of a vision tower that trains, and `model.train` leaves it frozen",
            "take it out, or add \"vision\" to `model.train`",
        );
    }
    if train.drop_path.is_some_and(|share| share.get() >= 1.0) {
        find.wrong("train.drop_path", "`train.drop_path` must be below 1", "such as 0.1");
    }
    if settings.model.lora.is_some() {
        if train.gradients == Gradients::Bf16 {
            find.wrong(
                "train.gradients",
                "`train.gradients` beside `model.lora`: an adapter's gradients are fp32",
                "take out `train.gradients`: adapters are small",
            );
        }
        if !settings.model.train.iter().any(|module| *module != Module::Projector) {
            find.wrong(
                "model.train",
                "`model.lora` adapts the vision tower and the decoder, and neither trains",
                "add \"language\" or \"vision\" to `model.train`",
            );
        }
    }
    find.at_least("train.checkpoint_every", train.checkpoint_every, 1);
    if train.micro_batch > 0
        && !train.pairs_per_step.is_multiple_of(train.micro_batch)
        && find.is_sound("train.pairs_per_step")
    {
        let (step, micro) = (train.pairs_per_step, train.micro_batch);
        let fits = (1..=micro.min(step.max(1))).rev().find(|fits| step % fits == 0).unwrap_or(1);
        find.wrong(
            "train.micro_batch",
            format!(
                "`train.micro_batch` must divide `train.pairs_per_step`, got {micro} and {step}"
            ),
            format!("such as `micro_batch = {fits}`"),
        );
    }
    for (key, value) in
        [("train.adam_beta1", train.adam_beta1), ("train.adam_beta2", train.adam_beta2)]
    {
        if value.get() >= 1.0 {
            find.wrong(
                key,
                format!("`{key}` must be below 1, got {}", value.get()),
                "such as 0.9 or 0.999",
            );
        }
    }
    if train.keep == Keep::Best && settings.eval.every == 0 && find.is_sound("eval.every") {
        find.wrong(
            "train.keep",
            "`train.keep = \"best\"` needs looks at the validation split, and `eval.every` is 0",
            "set `eval.every = 50` or `keep = \"last\"`",
        );
    }
}

fn eval(settings: &Settings, find: &mut Finder) {
    let eval = &settings.eval;
    let names = benchmarks::names();
    find.names("eval.benchmarks", &eval.benchmarks, &names, "benchmarks");
    if eval.benchmarks.is_empty() {
        let message = "`eval.benchmarks` names none: nothing would be measured";
        find.wrong("eval.benchmarks", message, format!("benchmarks: {}", names.join(", ")));
    }
    if settings.corpus.files.is_none() && find.is_sound("corpus.tasks") {
        askable(settings, find);
    }
    check_files::files_and_judge(eval, find);
    if eval.server.is_set() {
        served(settings, find);
    }
    if eval.prompts.is_empty() {
        let hint = "write `prompts = [\"direct\", \"cot\"]`";
        find.wrong("eval.prompts", "`eval.prompts` names none: nothing would be asked", hint);
    }
    let twice = |(index, prompt): (usize, &Prompt)| eval.prompts[..index].contains(prompt);
    if let Some(index) = eval.prompts.iter().enumerate().position(twice) {
        let key = format!("eval.prompts.{index}");
        find.wrong(&key, "this prompt is listed twice", "take one of them out");
    }
    if !matches!(eval.split, Split::Validation | Split::Test) {
        find.wrong(
            "eval.split",
            format!("`eval.split` cannot be `{}`: models are taught from it", eval.split.name()),
            "settings are chosen on \"validation\" and reported on \"test\"",
        );
    }
    find.at_least("eval.max_tokens", eval.max_tokens, 1);
    find.at_least("eval.batch", eval.batch, 1);
    if settings.loss.is_some() && eval.every > 0 {
        find.at_least("eval.slice", eval.slice, 1);
        if settings.corpus.files.is_none()
            && eval.slice > settings.corpus.validation
            && find.is_sound("corpus.validation")
        {
            find.wrong(
                "eval.slice",
                format!(
                    "`eval.slice` is {}, but the validation split has {} questions",
                    eval.slice, settings.corpus.validation
                ),
                format!("such as `slice = {}`", settings.corpus.validation),
            );
        }
    }
}

/// A server answers for one model, and says nothing of likelihoods.
fn served(settings: &Settings, find: &mut Finder) {
    if settings.loss.is_some() {
        let message = "`[eval.server]` would answer for every policy that `[loss]` trains";
        find.wrong("eval.server.url", message, "take out `[loss]`, or `[eval.server]`");
    }
    if settings.measures_likelihood() {
        let message = "`eval.benchmarks` has one that measures likelihoods, which no server tells";
        find.wrong("eval.benchmarks", message, "leave `shift` out");
    }
}

/// Whether the generated questions have some for every benchmark.
fn askable(settings: &Settings, find: &mut Finder) {
    let tasks = &settings.corpus.tasks;
    // What is wrong with the list itself comes first.
    let is_listed = |(index, task): (usize, &String)| {
        TASKS.contains(&task.as_str()) && !tasks[..index].contains(task)
    };
    if tasks.is_empty() || !tasks.iter().enumerate().all(is_listed) {
        return;
    }
    for (index, name) in settings.eval.benchmarks.iter().enumerate() {
        let Some(benchmark) = benchmarks::benchmark(name) else { continue };
        if benchmark.file.is_some_and(|own| settings.eval.files.contains_key(own)) {
            continue;
        }
        if benchmark.tasks.is_empty() {
            find.wrong(
                &format!("eval.benchmarks.{index}"),
                format!("benchmark `{name}` asks the questions of a file, and none is named"),
                format!("name it: `eval.files.{name} = \"PATH\"`"),
            );
            continue;
        }
        if !benchmark.tasks.iter().any(|task| tasks.iter().any(|known| known == task)) {
            let key = match find.is_written("eval.benchmarks") {
                true => format!("eval.benchmarks.{index}"),
                false => "corpus.tasks".to_owned(),
            };
            let file =
                benchmark.file.map_or(String::new(), |own| format!(", name `eval.files.{own}`"));
            find.wrong(
                &key,
                format!("benchmark `{name}` would find no question: no task of its kind is in `corpus.tasks`"),
                format!("add `{}` to `corpus.tasks`{file}, or leave `{name}` out of `eval.benchmarks`", benchmark.tasks[0]),
            );
        }
    }
}
