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
        // Newer files hold rope's settings in a table of their own.
        let rope = table.optional("rope_parameters")?;
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
        let scaling = match rope {
            Some(rope) => Some(rope),
            None => table.optional("rope_scaling")?,
        };
        let positions = table.usize("max_position_embeddings", Some(LARGEST))?;
        let head = table.usize("head_dim", width.checked_div(heads))?;
        table.only("hidden_act", "silu")?;
        check_window(table, architecture, positions)?;
        let bias = match architecture {
            Architecture::InternLm2 => ("bias", false),
            Architecture::Qwen2 => ("attention_bias", true),
            Architecture::Llama | Architecture::Phi3 => ("attention_bias", false),
        };
        Ok(Self {
            architecture,
            width,
            layers: table.usize("num_hidden_layers", None)?,
            heads,
            kv_heads: table.usize("num_key_value_heads", Some(heads))?,
            head,
            mlp: table.usize("intermediate_size", None)?,
            vocabulary: table.usize("vocab_size", None)?,
            rope_theta,
            rope_scaling: match scaling {
                Some(scaling) => RopeScaling::parse(&scaling, table, positions, head)?,
                None => RopeScaling::None,
            },
            positions,
            eps: table.positive("rms_norm_eps", Some(1e-6))?,
            qkv_bias: table.bool(bias.0, bias.1)?,
            tied: can_be_tied(architecture, table, root, layout)?,
        })
    }
}

/// Whether the embedding serves as head where a file holds none. InternVL's own code stores a head
/// with every InternLM2; where no key says it, its other decoders are not tied, and
/// transformers' class is.
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
        [None, None] => layout == Layout::Native,
        said => said.contains(&Some(true)),
    })
}

/// The key about it, in the decoder's table and above.
const TIED: &str = "tie_word_embeddings";

/// Refuses a decoder whose positions see only some of the past at lengths it was trained for.
fn check_window(table: &Table, architecture: Architecture, positions: usize) -> Result<()> {
    let window = table.usize("sliding_window", Some(LARGEST))?;
    let used = match architecture {
        Architecture::Qwen2 => table.bool("use_sliding_window", false)?,
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
