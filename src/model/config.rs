//! `config.json` in InternVL's original layout (`vision_config`, `llm_config`) and
//! in transformers' own (`vision_config`, `text_config`).
//!
//! Keys that Prefab does not read are kept and written back.

mod fresh;
mod language;
mod other;
pub(crate) mod processor;
mod vision;

pub use language::{Architecture, LanguageConfig, RopeScaling};
pub use vision::VisionConfig;

use super::json::{LARGEST, Table};
use crate::data::image::{MOST_TILES, Tiling};
use crate::data::template::{Prompter, Template};
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::spec::train::Precision;
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// What a model is: its three parts and how they are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The vision tower.
    pub vision: VisionConfig,
    /// The decoder.
    pub language: LanguageConfig,
    /// Pixels along an edge of a tile.
    pub image_side: usize,
    /// Decoder positions of a tile.
    pub image_tokens: usize,
    /// Patches that become one image token, along an edge: 2 for a downsample ratio of ½.
    pub shuffle: usize,
    /// Whether pixel shuffle swaps its axes back (`ps_version` v2; released InternVL2 does).
    pub shuffle_swaps_back: bool,
    /// Fewest tiles of a picture's grid.
    pub min_tiles: usize,
    /// Most tiles of a picture's grid; 1 where pictures are not cut.
    pub max_tiles: usize,
    /// Whether a grid of several tiles is followed by the whole picture.
    pub has_thumbnail: bool,
    /// Which hidden state of the tower is taken: −1 is the last, 0 the embeddings.
    pub select_layer: i64,
    /// Id of `<IMG_CONTEXT>`, whose embeddings give way to image features.
    pub image_token: i64,
    /// Name of the chat template; transformers' own layout has no key for it.
    pub template: Option<String>,
    /// Of weights and matrix products where the model answers and does not train, as
    /// transformers takes its type: from `torch_dtype`, or from the file where no key says it.
    pub precision: Precision,
    /// Names of the checkpoint's tensors.
    pub layout: Layout,
    /// The whole file, as read.
    json: Value,
}

/// How a checkpoint names its tensors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// InternVL's own: `vision_model`, `mlp1`, `language_model`.
    Original,
    /// transformers': `vision_tower`, `multi_modal_projector`, `language_model`.
    Native,
}

/// Refuses another kind of model, whose parts may have the same names.
fn known_class(json: &Value) -> Result<()> {
    let named = json.get("architectures").and_then(|list| list.get(0)).or(json.get("model_type"));
    let known =
        ["InternVLChatModel", "InternVLForConditionalGeneration", "internvl_chat", "internvl"];
    match named {
        Some(named) if !named.as_str().is_some_and(|named| known.contains(&named)) => {
            Err(Error::new(format!("the architecture {named} is unknown"))
                .hint("known ones: InternVLChatModel, InternVLForConditionalGeneration"))
        }
        _ => Ok(()),
    }
}

/// Where config.json names the weights' type: older files have the first.
const TYPE_KEYS: [&str; 2] = ["torch_dtype", "dtype"];

/// A precision as config.json names it.
pub(super) fn type_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "float32",
        Precision::Bf16 => "bfloat16",
    }
}

/// What config.json says of the type; none where it says nothing. fp16 answers in bf16: as many
/// bits, and no overflow.
fn precision(root: &Table) -> Result<Option<Precision>> {
    for key in TYPE_KEYS {
        return Ok(Some(match root.word(key)? {
            None => continue,
            Some("float32") => Precision::Fp32,
            Some("bfloat16" | "float16") => Precision::Bf16,
            Some(_) => return Err(root.error(key, "`float32`, `bfloat16` or `float16`")),
        }));
    }
    Ok(None)
}

/// A limit of tiles.
fn tiles(root: &Table, key: &str, default: usize) -> Result<usize> {
    match root.usize(key, Some(default))? {
        tiles if (1..=MOST_TILES).contains(&tiles) => Ok(tiles),
        _ => Err(root.error(key, &format!("a number of tiles from 1 to {MOST_TILES}"))),
    }
}

/// Refuses what other values of keys that are not read would make of the model.
fn check_unread(root: &Table, layout: Layout) -> Result<()> {
    match layout {
        Layout::Native => {
            root.only("projector_hidden_act", "gelu")?;
            // "full" would keep the class token.
            root.only("vision_feature_select_strategy", "default")
        }
        Layout::Original if root.bool("pad2square", false)? => {
            Err(root.error("pad2square", "`false`"))
        }
        Layout::Original => Ok(()),
    }
}

impl Config {
    /// Reads `config.json` of a Hub-style directory. Where it does not name the image
    /// token's id (the original layout does not), the tokenizer's files are asked; where it does
    /// not say how pictures are cut (transformers' does not), the image processor's.
    ///
    /// # Errors
    ///
    /// A missing or malformed file, a key that is absent, an architecture that is unknown.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading `{}`", path.display()))?;
        let mut json: Value =
            serde_json::from_str(&text).with_context(|| format!("reading `{}`", path.display()))?;
        if json.get("image_token_id").is_none()
            && let Some(id) = super::checkpoint::token_id(dir, "<IMG_CONTEXT>")
        {
            json["image_token_id"] = id.into();
        }
        processor::add(&mut json, dir)?;
        let named = |error: Error| error.context(format!("`{}`", path.display()));
        let says_type = precision(&Table::root(&json)).map_err(named)?.is_some();
        let mut config = Self::parse(json).map_err(named)?;
        if !says_type && super::checkpoint::is_narrow(dir) {
            config.precision = Precision::Bf16;
        }
        Ok(config)
    }

    /// Reads a parsed `config.json`.
    pub(crate) fn parse(json: Value) -> Result<Self> {
        let layout =
            if json.get("text_config").is_some() { Layout::Native } else { Layout::Original };
        let (vision, language) = match layout {
            Layout::Original => ("vision_config", "llm_config"),
            Layout::Native => ("vision_config", "text_config"),
        };
        let root = Table::root(&json);
        known_class(&json)?;
        let vision_side = root.table(vision)?.side("image_size")?;
        let downsample = root.positive("downsample_ratio", Some(0.5))?;
        if !(1.0 / 64.0..=1.0).contains(&downsample) {
            return Err(Error::new(format!(
                "`downsample_ratio` is {downsample}, not a share of an edge"
            )));
        }
        check_unread(&root, layout)?;
        let native = layout == Layout::Native;
        let config = Self {
            vision: VisionConfig::parse(&root.table(vision)?, layout)?,
            language: LanguageConfig::parse(&root.table(language)?, &root, layout)?,
            image_side: root.usize("force_image_size", Some(vision_side))?,
            image_tokens: 0,
            shuffle: (1.0 / downsample).round() as usize,
            shuffle_swaps_back: match root.str("ps_version", "")? {
                "v1" => false,
                "v2" => true,
                // transformers' class always swaps back; the original's default is v1.
                "" => layout == Layout::Native,
                _ => return Err(root.error("ps_version", "`v1` or `v2`")),
            },
            min_tiles: tiles(&root, "min_dynamic_patch", 1)?,
            // transformers' layout leaves tiles to its image processor.
            max_tiles: match root.bool("dynamic_image_size", native)? {
                false => 1,
                true => tiles(&root, "max_dynamic_patch", if native { 12 } else { 6 })?,
            },
            has_thumbnail: root.bool("use_thumbnail", native)?,
            select_layer: root.i64(
                if layout == Layout::Native { "vision_feature_layer" } else { "select_layer" },
                Some(-1),
            )?,
            image_token: root.i64("image_token_id", Some(-1))?,
            template: root.word("template")?.map(str::to_owned),
            precision: precision(&root)?.unwrap_or(Precision::Fp32),
            layout,
            json: Value::Null,
        };
        Self { json, ..config }.checked()
    }

    /// How pictures become tiles.
    pub fn tiling(&self) -> Tiling {
        Tiling {
            min_tiles: self.min_tiles,
            has_thumbnail: self.has_thumbnail,
            ..Tiling::new(self.image_side, self.max_tiles)
        }
    }

    /// Turns questions into tokens for this model.
    ///
    /// # Errors
    ///
    /// A template that does not fit the tokenizer; none, where the tokenizer does not tell which.
    pub fn prompter<'a>(&self, tokenizer: &'a Tokenizer) -> Result<Prompter<'a>> {
        Prompter::new(tokenizer, self.template_with(tokenizer)?, self.image_tokens)
    }

    /// The name of its template: config.json's, else the only one that fits the tokenizer.
    ///
    /// # Errors
    ///
    /// If the tokenizer does not tell.
    pub fn template_with(&self, tokenizer: &Tokenizer) -> Result<&str> {
        match &self.template {
            Some(name) => Ok(name),
            None => Ok(Template::fitting(tokenizer)?.name),
        }
    }

    /// The same model asked by a template.
    pub fn with_template(mut self, name: &str) -> Self {
        self.template = Some(name.to_owned());
        self.json["template"] = name.into();
        self
    }

    /// The same model answering in a precision.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        let key = TYPE_KEYS.into_iter().find(|key| self.json.get(key).is_some());
        self.json[key.unwrap_or(TYPE_KEYS[0])] = type_name(precision).into();
        self
    }

    /// The same model with at most so many tiles a picture.
    pub fn with_max_tiles(mut self, max_tiles: usize) -> Self {
        self.max_tiles = max_tiles;
        self.json["max_dynamic_patch"] = max_tiles.into();
        self.json["dynamic_image_size"] = (max_tiles > 1).into();
        // At least as many as a picture can have no more of would be none at all.
        self.min_tiles = self.min_tiles.min(max_tiles);
        if self.json.get("min_dynamic_patch").is_some() {
            self.json["min_dynamic_patch"] = self.min_tiles.into();
        }
        self
    }

    /// Refuses dimensions that do not fit each other.
    fn checked(mut self) -> Result<Self> {
        let (vision, language) = (&self.vision, &self.language);
        let divisible = |what: &str, number: usize, by: &str, divisor: usize| {
            if divisor > 0 && number > 0 && number.is_multiple_of(divisor) {
                return Ok(());
            }
            Err(Error::spec(format!("{what} {number} is not a multiple of {by} {divisor}")))
        };
        // What a damaged file says must neither fill the memory nor overflow a product.
        let heads = language.heads * language.head;
        let most = [
            ("layers of the tower", vision.layers, 1000),
            ("layers of the decoder", language.layers, 1000),
            ("pixels along a patch", vision.patch, 4096),
            ("patches along an edge", vision.side / vision.patch.max(1), 4096),
            ("width of all query heads", heads, LARGEST),
        ];
        if let Some((what, number, most)) = most.iter().find(|(_, number, most)| number > most) {
            return Err(Error::spec(format!("{number} {what}: more than {most}")));
        }
        let cell = vision.patch * self.shuffle;
        divisible("the image side", self.image_side, "an image token's side", cell)?;
        if !(1..=self.max_tiles).contains(&self.min_tiles) {
            return Err(Error::spec(format!(
                "`min_dynamic_patch` is {}, `max_dynamic_patch` {}: no picture has so many tiles",
                self.min_tiles, self.max_tiles
            )));
        }
        divisible("the image side", vision.side, "an image token's side", cell)?;
        divisible("the vision width", vision.width, "the vision heads", vision.heads)?;
        divisible("the query heads", language.heads, "the key-value heads", language.kv_heads)?;
        if language.head == 0 || !language.head.is_multiple_of(2) {
            return Err(Error::spec(format!(
                "the decoder's width {} does not give its {} heads an even width",
                language.width, language.heads
            )));
        }
        let states = vision.layers as i64 + 1;
        if !(-states..states).contains(&self.select_layer) {
            return Err(Error::spec(format!(
                "select_layer {} is beyond the {} vision layers",
                self.select_layer, vision.layers
            )));
        }
        self.image_tokens = (self.image_side / cell).pow(2);
        Ok(self)
    }

    /// Width of image features before the projector: `4·vision_width`.
    pub fn feature_width(&self) -> usize {
        self.vision.width * self.shuffle * self.shuffle
    }

    /// How many vision layers run: those above the selected hidden state do not.
    pub fn vision_layers_run(&self) -> usize {
        let states = self.vision.layers as i64 + 1;
        self.select_layer.rem_euclid(states) as usize
    }

    /// The file's text, as it was read or made.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.json).expect("a JSON value prints") + "\n"
    }

    /// The file's text for another layout or weights of another type; none: as it says.
    pub(crate) fn to_json(&self, layout: Layout, weights: Option<&str>) -> Result<String> {
        let mut json = match layout == self.layout {
            true => self.json.clone(),
            false => self.in_other_layout()?,
        };
        if let Some(weights) = weights {
            for key in TYPE_KEYS {
                if json.get(key).is_some() {
                    json[key] = weights.into();
                }
            }
        }
        let text = serde_json::to_string_pretty(&json).expect("a JSON value prints");
        Ok(text + "\n")
    }
}

/// config.json of a recorded model.
#[cfg(test)]
fn recorded(name: &str) -> Value {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl");
    let text = std::fs::read(models.join(name).join("model/config.json")).expect("it is there");
    serde_json::from_slice(&text).expect("it is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_tiles_change_no_thumbnail_and_bound_the_fewest() {
        let mut json = recorded("orig_internlm2_ln");
        json["use_thumbnail"] = false.into();
        json["min_dynamic_patch"] = 4.into();
        let config = Config::parse(json).unwrap().with_max_tiles(2);
        assert_eq!((config.min_tiles, config.max_tiles, config.has_thumbnail), (2, 2, false));
        // As it is written, and read again.
        assert_eq!(Config::parse(config.json.clone()).unwrap(), config);
    }

    #[test]
    fn a_limit_of_tiles_that_no_picture_needs_is_a_slip() {
        let limited = |most: usize| {
            let mut json = recorded("orig_internlm2_ln");
            json["dynamic_image_size"] = true.into();
            json["max_dynamic_patch"] = most.into();
            Config::parse(json).map(|config| config.max_tiles)
        };
        assert_eq!(limited(MOST_TILES).unwrap(), MOST_TILES);
        for most in [0, MOST_TILES + 1] {
            let error = limited(most).unwrap_err().to_string();
            assert!(error.contains("`max_dynamic_patch`") && error.contains("1024"), "{error}");
        }
    }
}
