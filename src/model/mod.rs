//! InternVL2's shape for every size: vision tower → pixel shuffle → projector → decoder.
//!
//! | file | what it holds |
//! |---|---|
//! | `sizes` | the table of embedded sizes; a new size is a new row |
//! | `config` | `config.json`: what a checkpoint says about itself |
//! | `parameters` | every tensor's file name, shape and initial value |
//! | `checkpoint` | Hub-style directories, read |
//! | `mapped` | one safetensors file, mapped into memory |
//! | `native` | the key map between the two published file layouts |
//! | `export` | models written back, in either layout |
//! | `lora` | low-rank adapters beside frozen matrices |
//! | `projection` | one linear map with its stored matrices and adapters |
//! | `pass` | number type, training noise and recomputation of a pass |
//! | `rope` | rotary angles and their scalings |
//! | `embed` | tokens and image features as one row of embeddings |
//! | `masters` | bf16 copies of f32 matrices, which have bf16 gradients |
//! | `memory` | what a model needs to run and to train, without making it |
//! | `ops` | one function per operation: the places where a fused kernel goes in |
//! | `vision`, `projector`, `language` | the three parts |
//! | `packing` | how ragged prompts and their branching answers lie in one flat row of tokens |
//! | `vlm` | the whole: features, log-probabilities of answers |
//! | `features` | the stage that encodes every picture once |
//! | `pictures` | their features for those who look: cached, or encoded when seen |
//!
//! A new decoder architecture is a variant of [`config::Architecture`], its names in
//! `parameters` and, where projections are fused differently, an arm in `language`.
//!
//! # Shapes
//!
//! A word means one thing in the whole crate.
//!
//! | word | meaning |
//! |---|---|
//! | `tiles` | square pictures (a large image may be cut into several) |
//! | `side` | pixels along an edge of a tile |
//! | `patches` | vision positions of a tile, without the class token |
//! | `image_tokens` | decoder positions of a tile: `patches / 4` |
//! | `vision_width` | width of the vision tower; features are `4·vision_width` wide |
//! | `width` | width of the decoder |
//! | `heads`, `kv_heads`, `head` | query heads, key-value heads, width of one head |
//! | `tokens` | flat packed positions of a batch, no padding |
//! | `predictions` | answer tokens of a batch: positions that have a log-probability |
//! | `groups` | prompts; a group's answers branch from its prompt |
//! | `seq` | positions of a group, padded to the longest of its bucket |
//! | `vocabulary` | rows of the embedding and of the head |

pub(crate) mod checkpoint;
pub(crate) mod companions;
pub mod config;
mod embed;
pub mod export;
pub mod features;
pub(crate) mod json;
pub mod language;
mod lora;
pub(crate) mod mapped;
mod masters;
pub mod memory;

pub(crate) mod native;
pub mod ops;
pub mod packing;
pub(crate) mod parameters;
pub mod pass;
pub mod pictures;
pub mod projection;
pub(crate) mod projector;
pub mod rope;
pub mod sizes;
pub(crate) mod vision;
mod vlm;

pub use checkpoint::Storage;
pub use config::{Config, LanguageConfig, VisionConfig};
pub use features::Features;
pub use pictures::{Pictures, Seen, Tower};
pub use vlm::{AnswerLogps, Group, Trace, Vlm};
pub(crate) use vlm::{Prompt, kind_of};
