//! What transformers' layout says of pictures outside config.json: the image processor's file.
//!
//! Its limits of tiles and its tiles' side are taken as if config.json said them, under the keys
//! of InternVL's own layout; what would make other pixels is refused.

use super::{Config, Error, Result, Value};
use crate::data::image::Normalization;
use crate::error::Context;
use crate::model::json::Table;
use std::path::Path;

/// Files that may hold it, the first that is there: newer ones have it beside other processors.
const FILES: [&str; 2] = ["processor_config.json", "preprocessor_config.json"];
/// The table of the newer file.
const NESTED: &str = "image_processor";

/// Adds to config.json what the image processor's file says and config.json does not. InternVL's
/// own code reads no such file, so that none counts beside its layout.
///
/// # Errors
///
/// A file that cannot be read, or that makes other pixels of a picture than Prefab does: the key
/// is named.
pub(super) fn add(config: &mut Value, dir: &Path) -> Result<()> {
    if config.get("text_config").is_none() {
        return Ok(());
    }
    for name in FILES {
        let path = dir.join(name);
        let doing = || format!("reading `{}`", path.display());
        if !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(doing)?;
        let json: Value = serde_json::from_str(&text).with_context(doing)?;
        let root = Table::root(&json);
        let named = |error: Error| error.context(format!("`{}`", path.display()));
        let own = match name == FILES[0] {
            true => root.optional(NESTED).map_err(named)?,
            false => Some(root),
        };
        if let Some(table) = own {
            return take(config, &table).map_err(named);
        }
    }
    Ok(())
}

/// Whether a file is an image processor's, of whichever layout.
pub(crate) fn is_processor(name: &str) -> bool {
    FILES.contains(&name)
}

/// Writes the image processor's file of a model in transformers' layout.
///
/// # Errors
///
/// If the disk refuses.
pub(crate) fn write(config: &Config, dir: &Path) -> Result<()> {
    let path = dir.join(FILES[1]);
    let known = Normalization::Imagenet;
    let file = serde_json::json!({
        "crop_to_patches": config.max_tiles > 1,
        "do_convert_rgb": true,
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": known.mean(),
        "image_processor_type": "GotOcr2ImageProcessorFast",
        "image_std": known.deviation(),
        "max_patches": config.max_tiles,
        "min_patches": config.min_tiles,
        "processor_class": "InternVLProcessor",
        "resample": BICUBIC,
        "rescale_factor": 1.0 / 255.0,
        "size": { "height": config.image_side, "width": config.image_side },
    });
    let text = serde_json::to_string_pretty(&file).expect("numbers and names") + "\n";
    std::fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
}

fn take(config: &mut Value, table: &Table) -> Result<()> {
    check_pixels(table)?;
    // What its class takes where no file says otherwise stays unsaid, as in published files.
    let said = |tiles: usize, usual: usize| (tiles != usual).then_some(tiles);
    let vision = Table::root(config).table("vision_config");
    let trained = vision.and_then(|vision| vision.side("image_size")).ok();
    let keys = [
        ("min_dynamic_patch", said(super::tiles(table, "min_patches", 1)?, 1)),
        ("max_dynamic_patch", said(super::tiles(table, "max_patches", 12)?, 12)),
        ("force_image_size", side(table)?.filter(|side| Some(*side) != trained)),
    ];
    for (key, said) in keys {
        if let Some(said) = said.filter(|_| config.get(key).is_none_or(Value::is_null)) {
            config[key] = said.into();
        }
    }
    Ok(())
}

/// The side of a tile, where it is said.
fn side(table: &Table) -> Result<Option<usize>> {
    match table.json.get("size") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(_)) => {
            let size = table.table("size")?;
            let (height, width) = (size.usize("height", None)?, size.usize("width", None)?);
            match height == width {
                true => Ok(Some(height)),
                false => Err(table.error("size", "a square")),
            }
        }
        Some(_) => table.side("size").map(Some),
    }
}

/// Refuses other values of a pixel than [`Normalization::Imagenet`]'s, and another resampling.
fn check_pixels(table: &Table) -> Result<()> {
    for key in ["do_resize", "do_rescale", "do_normalize"] {
        if !table.bool(key, true)? {
            return Err(table.error(key, "`true`"));
        }
    }
    let is_near = |got: f64, wanted: f64| (got - wanted).abs() < 1e-6;
    if !is_near(table.f64("rescale_factor", Some(1.0 / 255.0))?, 1.0 / 255.0) {
        return Err(table.error("rescale_factor", "1/255"));
    }
    if table.usize("resample", Some(BICUBIC))? != BICUBIC {
        return Err(table.error("resample", "3, which is bicubic,"));
    }
    let known = Normalization::Imagenet;
    for (key, wanted) in [("image_mean", known.mean()), ("image_std", known.deviation())] {
        let is_known = |said: &Value| {
            let got = said.as_array().map(|list| list.iter().filter_map(Value::as_f64));
            got.is_some_and(|got| {
                let got: Vec<f64> = got.collect();
                got.len() == 3 && got.iter().zip(wanted).all(|(got, wanted)| is_near(*got, wanted))
            })
        };
        // Where it is not said, the class takes another: CLIP's.
        if !table.json.get(key).is_some_and(is_known) {
            return Err(table.error(key, &format!("ImageNet's {wanted:?}")));
        }
    }
    Ok(())
}

/// Pillow's number for it.
const BICUBIC: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Config;
    use serde_json::json;

    /// A recorded model beside a file of its image processor.
    fn read(model: &str, file: &str, said: Value) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let config = super::super::recorded(model).to_string();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        std::fs::write(folder.path().join(file), said.to_string()).unwrap();
        Config::load(folder.path())
    }

    /// As published, with another value of a key.
    fn published(key: &str, value: Value) -> Value {
        let mut said = json!({
            "crop_to_patches": false,
            "do_normalize": true,
            "image_mean": [0.485, 0.456, 0.406],
            "image_processor_type": "GotOcr2ImageProcessorFast",
            "image_std": [0.229, 0.224, 0.225],
            "max_patches": 12,
            "min_patches": 1,
            "resample": 3,
            "rescale_factor": 0.003_921_568_627_450_98,
            "size": { "height": 56, "width": 56 },
        });
        said[key] = value;
        said
    }

    #[test]
    fn the_image_processors_limits_and_side_are_the_models() {
        let usual = published("resample", 3.into());
        let plain = read("hf_qwen2_ln", "config.txt", Value::Null).unwrap();
        assert_eq!(read("hf_qwen2_ln", FILES[1], usual).unwrap(), plain);
        let fewer = published("max_patches", 4.into());
        assert_eq!(read("hf_qwen2_ln", FILES[1], fewer.clone()).unwrap().max_tiles, 4);
        let nested = json!({ NESTED: fewer });
        assert_eq!(read("hf_qwen2_ln", FILES[0], nested).unwrap().max_tiles, 4);
        let larger = published("size", json!({ "height": 84, "width": 84 }));
        let config = read("hf_qwen2_ln", FILES[1], larger).unwrap();
        assert_eq!((config.image_side, config.image_tokens), (84, 9));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let plain = read("hf_qwen2_ln", "config.txt", Value::Null).unwrap();
        for config in [plain.clone(), Config { max_tiles: 6, min_tiles: 2, ..plain }] {
            let folder = tempfile::tempdir().unwrap();
            write(&config, folder.path()).unwrap();
            let text = std::fs::read_to_string(folder.path().join(FILES[1])).unwrap();
            let said = serde_json::from_str(&text).unwrap();
            let again = read("hf_qwen2_ln", FILES[1], said).unwrap();
            let limits = |config: &Config| (config.min_tiles, config.max_tiles, config.image_side);
            assert_eq!(limits(&again), limits(&config));
        }
    }

    #[test]
    fn other_pixels_are_refused_by_file_and_key() {
        for (key, value) in [
            ("image_mean", json!([0.481, 0.458, 0.408])),
            ("image_mean", Value::Null),
            ("image_std", json!([0.229, 0.224])),
            ("do_rescale", json!(false)),
            ("rescale_factor", json!(1.0)),
            ("resample", json!(2)),
            ("size", json!({ "height": 56, "width": 28 })),
            ("size", json!({ "shortest_edge": 56 })),
            ("max_patches", json!(100_000_000)),
            ("min_patches", json!(0)),
        ] {
            let error = read("hf_qwen2_ln", FILES[1], published(key, value)).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(FILES[1]) && said.contains(key), "{key}: {said}");
            // InternVL's own code does not look at it.
            let other = published(key, json!("anything"));
            assert!(read("orig_internlm2_ln", FILES[1], other).is_ok(), "{key}");
        }
    }
}
