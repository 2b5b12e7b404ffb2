//! Rules of the `[model]` table: parts that train, dimensions that fit each other, a template that
//! there is.

use super::finder::Finder;
use super::lists::suggest;
use super::model::{Model, Module};
use crate::data::template::TEMPLATES;

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
    let divides = [
        ("image_side", dims.image_side, "patch_side", dims.patch_side),
        ("vision_width", dims.vision_width, "vision_heads", dims.vision_heads),
        ("width", dims.width, "heads", dims.heads),
        ("heads", dims.heads, "kv_heads", dims.kv_heads),
    ];
    for (whole, a, part, b) in divides {
        if let (Some(a), Some(b)) = (a, b)
            && b > 0
            && a % b != 0
        {
            find.wrong(
                &format!("model.dims.{whole}"),
                format!("`{whole}` must be a multiple of `{part}`, got {a} and {b}"),
                format!("such as `{whole} = {}`", (a / b).max(1) * b),
            );
        }
    }
    if let (Some(image), Some(patch)) = (dims.image_side, dims.patch_side)
        && patch > 0
        && image % patch == 0
        && (image / patch) % 2 != 0
    {
        find.wrong(
            "model.dims.image_side",
            format!(
                "the pixel shuffle needs an even number of patches a side, got {}",
                image / patch
            ),
            format!("such as `image_side = {}`", (image / patch + 1) * patch),
        );
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
