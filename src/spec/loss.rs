//! `[loss]`: the algorithm, its weights and its settings.

use super::number::{FlipRate, Fraction, NonNegative, Positive};
use crate::loss::{self, Algorithm};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The `[loss]` table: `L = w_p · L_p[algorithm] + w_q · L_q + w_g · L_g`.
///
/// Absent keys are the algorithm's own: `prefab show losses` lists them, and
/// [`loss::Mix::new`] resolves them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// A row of `prefab show losses`: the preference term and the default weights.
    pub algorithm: Name,
    /// Weight of the preference term; default: the algorithm's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w_p: Option<NonNegative>,
    /// Weight of the quality term (BCO); default: the algorithm's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w_q: Option<NonNegative>,
    /// Weight of the generation term (SFT); default: the algorithm's. "X+" is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w_g: Option<NonNegative>,
    /// How tightly the policy is held to the reference; default: the algorithm's under `hyper`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<Positive>,
    /// Where an algorithm's own defaults come from.
    pub hyper: Hyper,
    /// Reward shift of the quality term; default: `"running"`, or the peer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
    /// How the generation term averages; default: over tokens, or the peer's way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// A peer's version of every option above that is not set.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub as_peer: Option<Peer>,
    /// Settings of cdpo.
    pub cdpo: Smoothing,
    /// Settings of robust_dpo.
    pub robust_dpo: Smoothing,
    /// Settings of ipo.
    pub ipo: Ipo,
    /// Settings of aot.
    pub aot: Aot,
    /// Settings of tr_dpo.
    pub tr_dpo: TrDpo,
    /// Settings of exo.
    pub exo: Smoothing,
    /// Settings of discopop.
    pub discopop: Discopop,
}

/// The name of an algorithm in [`loss::ALGORITHMS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Name(&'static Algorithm);

impl Loss {
    /// Whether the reference follows the policy.
    pub fn moves_reference(&self) -> bool {
        self.algorithm.row().moves_reference
    }
}

impl Name {
    /// The row of the list.
    pub fn row(self) -> &'static Algorithm {
        self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = loss::find(&name).map(Name);
        known.ok_or_else(|| de::Error::unknown_variant(&name, loss::NAMES))
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": loss::NAMES })
    }
}

/// Where an algorithm's own defaults come from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hyper {
    /// Its paper.
    Paper,
    /// What suits the short answers of the embedded tasks.
    Embedded,
}

/// How the generation term averages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// Over all answer tokens of the step (TRL, InternVL).
    Token,
    /// Over the tokens of each answer, then over answers (LLaMA-Factory, the paper's text).
    Answer,
}

/// A peer whose version of a loss is wanted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// InternVL's trainer on TRL 0.10: δ cumulative, before, per micro-batch.
    Internvl,
    /// TRL 1.x: no δ.
    Trl,
    /// LLaMA-Factory: `w_p` and `w_q` scaled to sum 1, generation averaged per answer.
    LlamaFactory,
    /// The MPO paper's text: δ from earlier steps, generation averaged per answer.
    Paper,
}

/// Reward shift δ of the quality term: `"none"`, `"running"`, a number, or a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delta {
    /// No shift.
    None,
    /// This shift, always.
    Fixed(f64),
    /// A mean of rewards.
    Moving(Moving),
}

/// A mean of rewards: `{ mode, decay, update, per }`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moving {
    /// Which mean.
    #[serde(default)]
    pub mode: Mode,
    /// Share of the old mean that an update keeps; only with `mode = "ema"`, there 0.9 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<Fraction>,
    /// Whether a batch's rewards enter the mean before or after its loss.
    #[serde(default)]
    pub update: Update,
    /// Which batch.
    #[serde(default)]
    pub per: Per,
}

/// Which mean of rewards.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Of all batches so far, equally.
    #[default]
    Cumulative,
    /// Exponentially weighted.
    Ema,
}

/// Whether a batch's rewards enter the mean before or after its loss.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// As InternVL and TRL 0.10 do.
    #[default]
    Before,
    /// As "previous rewards" in the paper's text.
    After,
}

/// Which batch a moving δ is updated by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The whole step.
    #[default]
    Step,
    /// Each `train.micro_batch` of the step in turn, as the peers do.
    MicroBatch,
}

impl Delta {
    /// Short for cumulative, before, per step.
    pub const RUNNING: Self = Self::Moving(Moving {
        mode: Mode::Cumulative,
        decay: None,
        update: Update::Before,
        per: Per::Step,
    });
}

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordNumberOrTable;

        impl<'de> Visitor<'de> for WordNumberOrTable {
            type Value = Delta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"none\"`, `\"running\"`, a number, or a table such as `{ mode = \"ema\", decay = 0.9 }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Delta, E> {
                match word {
                    "none" => Ok(Delta::None),
                    "running" => Ok(Delta::RUNNING),
                    other => Err(E::unknown_variant(other, &["none", "running"])),
                }
            }

            fn visit_f64<E: de::Error>(self, shift: f64) -> Result<Delta, E> {
                if shift.is_finite() {
                    Ok(Delta::Fixed(shift))
                } else {
                    Err(E::custom(format!("must be finite, got {shift}")))
                }
            }

            fn visit_i64<E: de::Error>(self, shift: i64) -> Result<Delta, E> {
                self.visit_f64(shift as f64)
            }

            fn visit_u64<E: de::Error>(self, shift: u64) -> Result<Delta, E> {
                self.visit_f64(shift as f64)
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Delta, M::Error> {
                let moving = Moving::deserialize(de::value::MapAccessDeserializer::new(map))?;
                if moving.decay.is_some() && moving.mode == Mode::Cumulative {
                    return Err(de::Error::custom("`decay` needs `mode = \"ema\"`"));
                }
                if moving.decay.is_some_and(|decay| decay.get() == 1.0) {
                    return Err(de::Error::custom(
                        "a `decay` of 1 keeps the shift at 0 for good: give one below, or `\"none\"`",
                    ));
                }
                Ok(Delta::Moving(moving))
            }
        }

        deserializer.deserialize_any(WordNumberOrTable)
    }
}

impl Serialize for Delta {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Fixed(shift) => serializer.serialize_f64(*shift),
            delta if *delta == Self::RUNNING => serializer.serialize_str("running"),
            Self::Moving(moving) => moving.serialize(serializer),
        }
    }
}

impl JsonSchema for Delta {
    fn schema_name() -> Cow<'static, str> {
        "Delta".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let moving = generator.subschema_for::<Moving>();
        json_schema!({ "anyOf": [
            { "type": "string", "enum": ["none", "running"] },
            { "type": "number" },
            moving,
        ] })
    }
}

/// Label smoothing.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smoothing {
    /// Share of labels believed to be the wrong way round.
    pub label_smoothing: FlipRate,
}

/// Settings of ipo.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ipo {
    /// Whether log-probabilities are averaged over tokens (TRL, the authors) or summed (OpenRLHF).
    pub average: bool,
}

/// Settings of aot.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aot {
    /// Whether margins are sorted (paired) or log-ratios are (unpaired).
    pub paired: bool,
    /// Share of labels believed to be the wrong way round.
    pub label_smoothing: FlipRate,
}

/// Settings of tr_dpo.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrDpo {
    /// Share of the policy in the new reference; default by `hyper`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<Fraction>,
    /// Optimizer steps between two syncs; default by `hyper`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<std::num::NonZeroUsize>,
}

/// Settings of discopop.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discopop {
    /// Temperature of the modulation.
    pub temperature: Positive,
}
