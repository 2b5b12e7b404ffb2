//! The decoder's part of `config.json`.

use super::Layout;
use crate::kernel::attention::Heads;
use crate::model::json::{LARGEST, Table};
use crate::{Error, Result};
use serde_json::Value;

/// The decoder's family: which names its tensors have and which of them are fused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Architecture {
    /// InternLM2: one `wqkv`, grouped by key-value head.
    InternLm2,
    /// Qwen2: q, k and v with bias. The embedded sizes are of this family.
    Qwen2,
    /// Llama.
    Llama,
    /// Phi-3: q, k and v in one matrix, gate and up in another.
    Phi3,
}

impl Architecture {
    /// All of them, with the names in `architectures` and `model_type`.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::InternLm2, "InternLM2ForCausalLM", "internlm2"),
        (Self::Qwen2, "Qwen2ForCausalLM", "qwen2"),
        (Self::Llama, "LlamaForCausalLM", "llama"),
        (Self::Phi3, "Phi3ForCausalLM", "phi3"),
    ];
}

impl Architecture {
    /// Whether a bias on q, k and v goes with one on the output projection.
    pub(crate) fn has_out_bias(self) -> bool {
        matches!(self, Self::InternLm2 | Self::Llama)
    }

    /// Epsilon of the norms where no key says it: the default of the family's own class.
    fn eps(self) -> f64 {
        match self {
            Self::InternLm2 | Self::Qwen2 | Self::Llama => 1e-6,
            Self::Phi3 => 1e-5,
        }
    }
}

/// How rotary angles change beyond the trained length.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Positions are divided by the factor, at any length.
    Linear(f64),
    /// Dynamic NTK: beyond the trained length the base grows.
    Dynamic(f64),
    /// LongRoPE ("su" in older files): each frequency has a divisor of its own, one for
    /// sequences up to the trained length and one beyond.
    Long {
        /// Divisors up to the trained length, `[head/2]`.
        short: Vec<f64>,
        /// Divisors beyond it.
        long: Vec<f64>,
        /// The length before it was extended.
        trained: usize,
        /// What cos and sin are multiplied by at any length.
        scale: f64,
    },
}

/// The decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageConfig {
    /// Its family.
    pub architecture: Architecture,
    /// Width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head: usize,
    /// MLP width.
    pub mlp: usize,
    /// Rows of embedding and head.
    pub vocabulary: usize,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Change of the angles at long lengths.
    pub rope_scaling: RopeScaling,
    /// Trained length in positions.
    pub positions: usize,
    /// Added to the mean square in norms.
    pub eps: f64,
    /// Bias on q, k and v.
    pub qkv_bias: bool,
    /// The head is the embedding.
    pub tied: bool,
}

impl LanguageConfig {
    /// How the columns of its fused projection are heads.
    pub fn attention_heads(&self) -> Heads {
        let grouped = self.architecture == Architecture::InternLm2;
        Heads { queries: self.heads, keys: self.kv_heads, grouped }
    }

    pub(super) fn parse(table: &Table, root: &Table, layout: Layout) -> Result<Self> {
        let named = match table.json.get("architectures").and_then(|list| list.get(0)) {
            Some(name) => name.as_str().unwrap_or_default(),
            None => table.str("model_type", "")?,
        };
        let architecture = Architecture::ALL
            .into_iter()
            .find(|(_, class, kind)| named == *class || named == *kind)
            .map(|(architecture, ..)| architecture)
            .ok_or_else(|| {
                let known = Architecture::ALL.map(|(_, class, _)| class).join(", ");
                Error::new(format!("the decoder `{named}` is unknown"))
                    .hint(format!("known ones: {known}"))
            })?;
        let width = table.usize("hidden_size", None)?;
        let heads = table.usize("num_attention_heads", None)?;
        let rope = rope_settings(table)?;
        let rope_theta = table.positive("rope_theta", Some(1e4))?;
        let rope_theta = match &rope {
            Some(rope) => rope.positive("rope_theta", Some(rope_theta))?,
            None => rope_theta,
        };
        for holder in [Some(table), rope.as_ref()].into_iter().flatten() {
            if holder.f64("partial_rotary_factor", Some(1.0))? != 1.0 {
                return Err(Error::new("`partial_rotary_factor` below 1 is not known here"));
            }
        }
        let positions = table.usize("max_position_embeddings", Some(LARGEST))?;
        let head = table.usize("head_dim", width.checked_div(heads))?;
        table.only("hidden_act", "silu")?;
        let layers = table.usize("num_hidden_layers", None)?;
        check_window(table, architecture, layers, positions)?;
        let bias = match architecture {
            Architecture::InternLm2 => ("bias", false),
            Architecture::Qwen2 => ("attention_bias", true),
            Architecture::Llama | Architecture::Phi3 => ("attention_bias", false),
        };
        Ok(Self {
            architecture,
            width,
            layers,
            heads,
            kv_heads: table.usize("num_key_value_heads", Some(heads))?,
            head,
            mlp: table.usize("intermediate_size", None)?,
            vocabulary: table.usize("vocab_size", None)?,
            rope_theta,
            rope_scaling: match rope {
                Some(rope) => RopeScaling::parse(&rope, table, positions, head)?,
                None => RopeScaling::None,
            },
            positions,
            eps: table.positive("rms_norm_eps", Some(architecture.eps()))?,
            qkv_bias: table.bool(bias.0, bias.1)?,
            tied: can_be_tied(architecture, table, root, layout)?,
        })
    }
}

/// The table of rotary settings. Newer files have one of another name; where both are there, the
/// older is the one that transformers takes, its base of the angles with it.
fn rope_settings<'a>(decoder: &Table<'a>) -> Result<Option<Table<'a>>> {
    let newer = decoder.optional("rope_parameters")?;
    let older = decoder.optional("rope_scaling")?;
    let says_something =
        |table: &Table| table.json.as_object().is_some_and(|keys| !keys.is_empty());
    Ok(older.filter(says_something).or(newer))
}

/// Whether the embedding serves as head where a file holds none. InternVL's own code stores a head
/// with every InternLM2; where no key says it, its other decoders are not tied. transformers' class
/// is tied unless its own key, above the decoder's, says otherwise.
fn can_be_tied(
    architecture: Architecture,
    decoder: &Table,
    root: &Table,
    layout: Layout,
) -> Result<bool> {
    let said = |table: &Table| -> Result<Option<bool>> {
        let silent = table.json.get(TIED).is_none_or(Value::is_null);
        let said = table.bool(TIED, false)?;
        Ok((!silent).then_some(said))
    };
    Ok(match [said(decoder)?, said(root)?] {
        _ if architecture == Architecture::InternLm2 => false,
        [_, None] if layout == Layout::Native => true,
        said => said.contains(&Some(true)),
    })
}

/// The key about it, in the decoder's table and above.
const TIED: &str = "tie_word_embeddings";

/// Refuses a decoder whose positions see only some of the past at lengths it was trained for.
fn check_window(
    table: &Table,
    architecture: Architecture,
    layers: usize,
    positions: usize,
) -> Result<()> {
    let window = match table.json.get("sliding_window") {
        // Its class has one, which `null` takes away.
        None if architecture == Architecture::Qwen2 => 4096,
        _ => table.usize("sliding_window", Some(LARGEST))?,
    };
    let used = match architecture {
        Architecture::Qwen2 => {
            table.bool("use_sliding_window", false)? && has_windowed_layer(table, layers)?
        }
        Architecture::Phi3 => true,
        Architecture::InternLm2 | Architecture::Llama => false,
    };
    if used && window < positions {
        return Err(Error::new(format!(
            "a sliding window of {window} positions, below the trained {positions}, is not known here"
        )));
    }
    Ok(())
}

/// Whether a Qwen2 with a window has layers that look through it: those that are listed so, else
/// those from `max_window_layers` on.
fn has_windowed_layer(table: &Table, layers: usize) -> Result<bool> {
    if let Some(types) = table.json.get("layer_types").and_then(Value::as_array) {
        return Ok(types.iter().any(|kind| kind != "full_attention"));
    }
    Ok(table.usize("max_window_layers", Some(28))? < layers)
}

/// What cosines and sines are multiplied by where positions go `extended` times beyond the trained
/// ones.
pub(super) fn long_scale(extended: f64, trained: usize) -> f64 {
    match extended <= 1.0 {
        true => 1.0,
        false => (1.0 + extended.ln() / (trained as f64).ln()).sqrt(),
    }
}

impl RopeScaling {
    /// `{ type | rope_type, factor | short_factor, long_factor }`.
    ///
    /// # Source
    ///
    /// Ding et al. 2024, arXiv:2402.13753, as in transformers' Phi-3.
    fn parse(scaling: &Table, decoder: &Table, positions: usize, head: usize) -> Result<Self> {
        let kind = scaling.str("rope_type", scaling.str("type", "")?)?;
        match kind {
            // A table without a type scales nothing, so that it may say nothing about how.
            "" => scaling.only_keys(&["rope_theta", "partial_rotary_factor"]).map(|()| Self::None),
            "default" => Ok(Self::None),
            "linear" => Ok(Self::Linear(scaling.positive("factor", None)?)),
            "dynamic" => Ok(Self::Dynamic(scaling.positive("factor", None)?)),
            "longrope" | "su" => {
                let key = "original_max_position_embeddings";
                // Phi-3's own key has the last word.
                let trained = scaling.usize(key, Some(positions))?;
                let trained = decoder.usize(key, Some(trained))?;
                let extended = positions as f64 / trained.max(1) as f64;
                let extended = scaling.positive("factor", Some(extended))?;
                let scale = long_scale(extended, trained);
                let scale = scaling.positive("attention_factor", Some(scale))?;
                let divisors = |key| scaling.positives(key, head / 2);
                let (short, long) = (divisors("short_factor")?, divisors("long_factor")?);
                Ok(Self::Long { short, long, trained, scale })
            }
            other => Err(Error::new(format!("rope scaling `{other}` is unknown"))
                .hint("known ones: default, linear, dynamic, longrope, su")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Config;
    use serde_json::json;

    /// A recorded model of transformers' layout whose config was edited.
    fn read(name: &str, edit: impl Fn(&mut Value)) -> Result<LanguageConfig> {
        let mut json = super::super::recorded(name);
        edit(&mut json);
        Config::parse(json).map(|config| config.language)
    }

    #[test]
    fn of_two_tables_of_rotary_settings_the_older_counts() {
        let both = |older: Value| {
            let of_both = |json: &mut Value| {
                json["text_config"]["rope_scaling"] = older.clone();
                json["text_config"]["rope_parameters"] =
                    json!({ "rope_type": "default", "rope_theta": 1e6 });
            };
            let language = read("hf_qwen2_ln", of_both).unwrap();
            (language.rope_scaling, language.rope_theta)
        };
        for unsaid in [Value::Null, json!({})] {
            assert_eq!(both(unsaid), (RopeScaling::None, 1e6));
        }
        // The base goes with it, and is the class's where it says none.
        let linear = json!({ "type": "linear", "factor": 2.0 });
        assert_eq!(both(linear), (RopeScaling::Linear(2.0), 1e4));
        let dynamic = json!({ "rope_type": "dynamic", "factor": 3.0, "rope_theta": 5e5 });
        assert_eq!(both(dynamic), (RopeScaling::Dynamic(3.0), 5e5));
    }

    #[test]
    fn an_epsilon_that_is_not_said_is_the_familys() {
        for (name, eps) in [("hf_qwen2_ln", 1e-6), ("hf_phi3_long_fp16", 1e-5)] {
            let unsaid = |json: &mut Value| json["text_config"]["rms_norm_eps"] = Value::Null;
            assert_eq!(read(name, unsaid).unwrap().eps, eps, "{name}");
        }
    }

    #[test]
    fn a_window_that_no_layer_looks_through_is_none() {
        let types = |second: &str| json!(["full_attention", second]);
        for (most, types, is_known) in [
            (2, Value::Null, true),
            (1, Value::Null, false),
            (0, types("full_attention"), true),
            (2, types("sliding_attention"), false),
        ] {
            for window in [json!(8), json!("absent")] {
                let edit = |json: &mut Value| {
                    let decoder = json["text_config"].as_object_mut().unwrap();
                    decoder.insert("use_sliding_window".into(), true.into());
                    decoder.insert("max_window_layers".into(), most.into());
                    decoder.insert("layer_types".into(), types.clone());
                    decoder.insert("sliding_window".into(), window.clone());
                    decoder.retain(|_, value| value != "absent");
                };
                assert_eq!(read("hf_qwen2_ln", edit).is_ok(), is_known, "{most} {types} {window}");
            }
        }
    }

    #[test]
    fn transformers_own_class_is_tied_unless_its_own_key_says_otherwise() {
        for (decoder, whole, is_tied) in [
            (json!(false), Value::Null, true),
            (json!(false), json!(true), true),
            (json!(false), json!(false), false),
            (Value::Null, json!(false), false),
        ] {
            let edit = |json: &mut Value| {
                json["text_config"][TIED] = decoder.clone();
                json[TIED] = whole.clone();
            };
            assert_eq!(read("hf_qwen2_ln", edit).unwrap().tied, is_tied, "{decoder} {whole}");
        }
    }
}
