//! Rules of the `[model]` table: parts that train, dimensions that fit each other, a template that
//! there is.

use super::check::MOST;
use super::finder::Finder;
use super::lists::suggest;
use super::model::{Model, Module};
use crate::data::template::TEMPLATES;
use crate::model::Config;
use crate::model::sizes::Row;

/// Checks the table.
pub fn model(model: &Model, find: &mut Finder) {
    if model.train.is_empty() {
        find.wrong(
            "model.train",
            "`model.train` names no module: nothing would train",
            "such as the default, `train = [\"projector\", \"language\"]`",
        );
    }
    let twice = |(index, module): (usize, &Module)| model.train[..index].contains(module);
    if let Some(index) = model.train.iter().enumerate().position(twice) {
        let key = format!("model.train.{index}");
        find.wrong(&key, "this module is listed twice", "take one of them out");
    }
    if let Some(template) = &model.template {
        chat_template(template, model.checkpoint.is_some(), find);
    }
    let dims = &model.dims;
    if model.checkpoint.is_some() && *dims != Default::default() {
        find.wrong(
            "model.dims",
            "`model.dims` beside `model.checkpoint`: a checkpoint has its own dimensions",
            "take out `[model.dims]` or `checkpoint`",
        );
    }
    let all = [
        ("image_side", dims.image_side),
        ("patch_side", dims.patch_side),
        ("vision_width", dims.vision_width),
        ("vision_layers", dims.vision_layers),
        ("vision_heads", dims.vision_heads),
        ("vision_mlp", dims.vision_mlp),
        ("width", dims.width),
        ("layers", dims.layers),
        ("heads", dims.heads),
        ("kv_heads", dims.kv_heads),
        ("mlp", dims.mlp),
        ("vocabulary", dims.vocabulary),
    ];
    for (name, value) in all {
        find.at_least(&format!("model.dims.{name}"), value.unwrap_or(1), 1);
    }
    // What is wrong by itself is a mistake of its own already.
    let sound = |(_, value): &(&str, Option<usize>)| {
        value.is_none_or(|value| (1..=MOST).contains(&(value as u64)))
    };
    if model.checkpoint.is_none() && all.iter().all(sound) {
        fitting(model, find);
    }
}

/// Dimensions that fit each other, those of the size among them.
fn fitting(model: &Model, find: &mut Finder) {
    let (dims, row) = (&model.dims, Row::of(model.size, &model.dims));
    if *dims == Default::default() {
        return;
    }
    let (tower, decoder) = (row.tower, row.decoder);
    // Name, value, whether the spec sets it.
    let image = ("image_side", row.image_side, dims.image_side.is_some());
    let patch = ("patch_side", tower.patch, dims.patch_side.is_some());
    let heads = ("heads", decoder.heads, dims.heads.is_some());
    let divides = [
        (image, patch),
        (
            ("vision_width", tower.width, dims.vision_width.is_some()),
            ("vision_heads", tower.heads, dims.vision_heads.is_some()),
        ),
        (("width", decoder.width, dims.width.is_some()), heads),
        (heads, ("kv_heads", decoder.kv_heads, dims.kv_heads.is_some())),
    ];
    // The first alone: another may hang on it.
    let apart = divides.into_iter().find(|((_, whole, _), (_, part, _))| whole % part != 0);
    if let Some(((whole, a, is_set), (part, b, _))) = apart {
        let divisor = (1..=b.min(a)).rev().find(|divisor| a % divisor == 0).unwrap_or(1);
        let (key, way_out) = match is_set {
            true => (whole, (a / b).max(1) * b),
            false => (part, divisor),
        };
        find.wrong(
            &format!("model.dims.{key}"),
            format!("`{whole}` must be a multiple of `{part}`, got {a} and {b}"),
            format!("such as `{key} = {way_out}`"),
        );
        return;
    }
    let ((_, image, image_is_set), (_, patch, _)) = (image, patch);
    if (image / patch) % 2 != 0 {
        let (key, way_out) = match image_is_set {
            true => ("image_side", (image / patch + 1) * patch),
            false => ("patch_side", image / (image / patch + 1)),
        };
        find.wrong(
            &format!("model.dims.{key}"),
            format!(
                "the pixel shuffle needs an even number of patches a side, got {}",
                image / patch
            ),
            format!("such as `{key} = {way_out}`"),
        );
        return;
    }
    // What the model's own reader would refuse in the middle of a run.
    if let Err(error) = Config::of(model, 1, 0) {
        let hint = "`prefab show sizes` has dimensions that fit";
        find.wrong("model.dims", error.to_string(), hint);
    }
}

/// A template that there is, of a model that does not bring its own.
fn chat_template(template: &str, is_checkpoint: bool, find: &mut Finder) {
    let names: Vec<&str> = TEMPLATES.iter().map(|known| known.name).collect();
    if !names.contains(&template) {
        let message = format!("no chat template is called `{template}`");
        find.wrong("model.template", message, suggest(template, "templates", &names));
    } else if !is_checkpoint {
        find.wrong(
            "model.template",
            "`model.template` without `model.checkpoint`: a size that is made here has its own",
            "take it out, or start from `model.checkpoint`",
        );
    }
}
