//! The key map between InternVL's original file layout and transformers' own.
//!
//! transformers writes two forms of its layout, with and without a leading `model.`;
//! both are read. What Prefab writes is the original layout's form of the model in
//! memory, or the Hub form of transformers' layout for a model that was read from it.

use super::config::{Architecture, LanguageConfig, Layout};
use tch::Tensor;

/// Prefixes in transformers' layouts and in the original one.
const PREFIXES: &[(&str, &str)] = &[
    ("model.vision_tower.", "vision_model."),
    ("vision_tower.", "vision_model."),
    ("model.multi_modal_projector.", "mlp1."),
    ("multi_modal_projector.", "mlp1."),
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
];

/// Parts of names in transformers' layout and in the original one, below the prefix.
const VISION: &[(&str, &str)] = &[
    ("embeddings.cls_token", "embeddings.class_embedding"),
    ("embeddings.position_embeddings", "embeddings.position_embedding"),
    ("embeddings.patch_embeddings.projection.", "embeddings.patch_embedding."),
    ("encoder.layer.", "encoder.layers."),
    (".attention.projection_layer.", ".attn.proj."),
    (".attention.q_norm.", ".attn.q_norm."),
    (".attention.k_norm.", ".attn.k_norm."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".lambda_1", ".ls1"),
    (".lambda_2", ".ls2"),
];
const PROJECTOR: &[(&str, &str)] =
    &[("layer_norm.", "0."), ("linear_1.", "1."), ("linear_2.", "3.")];
const THIRDS: [&str; 3] = [".attention.q_proj.", ".attention.k_proj.", ".attention.v_proj."];

/// Parts of a decoder's names as InternLM2 and as transformers' Llama has them.
const INTERNLM2: &[(&str, &str)] = &[
    (".tok_embeddings.", ".embed_tokens."),
    (".attention.wo.", ".self_attn.o_proj."),
    (".feed_forward.w1.", ".mlp.gate_proj."),
    (".feed_forward.w3.", ".mlp.up_proj."),
    (".feed_forward.w2.", ".mlp.down_proj."),
    (".attention_norm.", ".input_layernorm."),
    (".ffn_norm.", ".post_attention_layernorm."),
    ("language_model.output.", "language_model.lm_head."),
];
const WQKV: &str = ".attention.wqkv.";
const UNFUSED: [&str; 3] = [".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj."];

/// The original layout's name of a tensor in transformers' layout, and which part of
/// it this is: q, k and v of the vision tower are thirds of one `qkv`.
pub(crate) fn original(name: &str) -> (String, usize) {
    let found = PREFIXES.iter().find_map(|(from, to)| Some((name.strip_prefix(from)?, *to)));
    let Some((rest, prefix)) = found else { return (name.to_owned(), 0) };
    let mut rest = rest.to_owned();
    let mut part = 0;
    let table = match prefix {
        "vision_model." => VISION,
        "mlp1." => PROJECTOR,
        _ => &[],
    };
    if prefix == "vision_model."
        && let Some(third) = THIRDS.iter().position(|third| rest.contains(third))
    {
        rest = rest.replace(THIRDS[third], ".attn.qkv.");
        part = third;
    }
    for (from, to) in table {
        rest = rest.replace(from, to);
    }
    (format!("{prefix}{rest}"), part)
}

/// The names in a file of `layout` that a tensor of the original layout is spread over,
/// along its first axis.
pub(crate) fn parts(name: &str, layout: Layout) -> Vec<String> {
    if layout == Layout::Original {
        return vec![name.to_owned()];
    }
    if let Some(rest) = name.strip_prefix("vision_model.") {
        let back = |name: String| {
            let rest =
                VISION.iter().fold(name, |name, (native, original)| name.replace(original, native));
            format!("vision_tower.{rest}")
        };
        return match rest.contains(".attn.qkv.") {
            true => THIRDS.iter().map(|third| back(rest.replace(".attn.qkv.", third))).collect(),
            false => vec![back(rest.to_owned())],
        };
    }
    if let Some(rest) = name.strip_prefix("mlp1.") {
        let (native, original) = PROJECTOR
            .iter()
            .find(|(_, original)| rest.starts_with(original))
            .expect("the projector has three parts");
        return vec![format!("multi_modal_projector.{}", rest.replacen(original, native, 1))];
    }
    vec![name.to_owned()]
}

/// A tensor of a file that is written: the whole of a model's tensor, or some of its rows.
pub(crate) struct Piece {
    pub(crate) name: String,
    cut: Cut,
}

/// Which rows.
#[derive(Clone, Copy)]
enum Cut {
    Whole,
    /// One of three equal parts.
    Third(i64),
    /// q (0), k (1) or v (2) of InternLM2's rows, which are grouped by key-value head: each
    /// group has `each` query heads, a key head and a value head.
    Grouped {
        part: usize,
        keys: i64,
        each: i64,
    },
}

/// What a file of `layout` holds of a tensor. transformers has no InternLM2: it is written
/// as the Llama that it is when its projections are taken apart.
pub(crate) fn pieces(name: &str, language: &LanguageConfig, layout: Layout) -> Vec<Piece> {
    let whole = |name: String| vec![Piece { name, cut: Cut::Whole }];
    let is_internlm2 = language.architecture == Architecture::InternLm2;
    if layout == Layout::Native && is_internlm2 && name.starts_with("language_model.") {
        if name.contains(WQKV) {
            let keys = language.kv_heads as i64;
            let each = language.heads as i64 / keys;
            let piece = |(part, unfused): (usize, &str)| Piece {
                name: name.replace(WQKV, unfused),
                cut: Cut::Grouped { part, keys, each },
            };
            return UNFUSED.into_iter().enumerate().map(piece).collect();
        }
        let renamed = INTERNLM2.iter().fold(name.to_owned(), |name, (a, b)| name.replace(a, b));
        return whole(renamed);
    }
    let names = parts(name, layout);
    match names.len() {
        1 => names.into_iter().flat_map(whole).collect(),
        _ => (0..).zip(names).map(|(part, name)| Piece { name, cut: Cut::Third(part) }).collect(),
    }
}

impl Piece {
    /// Its shape, of a tensor of this shape.
    pub(crate) fn shape(&self, whole: &[i64]) -> Vec<i64> {
        let rows = match self.cut {
            Cut::Whole => whole[0],
            Cut::Third(_) => whole[0] / 3,
            Cut::Grouped { part: 0, each, .. } => whole[0] * each / (each + 2),
            Cut::Grouped { each, .. } => whole[0] / (each + 2),
        };
        [&[rows], &whole[1..]].concat()
    }

    /// Its rows.
    pub(crate) fn of(&self, whole: &Tensor) -> Tensor {
        let shape = self.shape(&whole.size());
        match self.cut {
            Cut::Whole => whole.shallow_clone(),
            Cut::Third(part) => whole.narrow(0, part * shape[0], shape[0]),
            Cut::Grouped { part, keys, each } => {
                let head = whole.size()[0] / (keys * (each + 2));
                let rest = whole.numel() as i64 / whole.size()[0];
                let groups = whole.reshape([keys, each + 2, head, rest]);
                let (first, count) = match part {
                    0 => (0, each),
                    part => (each + part as i64 - 1, 1),
                };
                groups.narrow(1, first, count).reshape(shape)
            }
        }
    }
}

/// The name by which transformers knows a tensor of its Hub layout in memory.
pub(crate) fn module(name: &str) -> String {
    let hub = [
        ("vision_tower.", "model.vision_tower."),
        ("multi_modal_projector.", "model.multi_modal_projector."),
        ("language_model.model.", "model.language_model."),
        ("language_model.lm_head.", "lm_head."),
    ];
    let renamed =
        hub.iter().find_map(|(hub, module)| Some(format!("{module}{}", name.strip_prefix(hub)?)));
    renamed.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let original_names = [
            "vision_model.embeddings.class_embedding",
            "vision_model.embeddings.position_embedding",
            "vision_model.embeddings.patch_embedding.weight",
            "vision_model.encoder.layers.3.attn.qkv.weight",
            "vision_model.encoder.layers.3.attn.q_norm.weight",
            "vision_model.encoder.layers.3.attn.proj.bias",
            "vision_model.encoder.layers.3.norm2.weight",
            "vision_model.encoder.layers.3.ls1",
            "vision_model.encoder.layers.3.mlp.fc2.bias",
            "mlp1.0.weight",
            "mlp1.3.bias",
            "language_model.model.layers.0.self_attn.q_proj.weight",
            "language_model.lm_head.weight",
        ];
        for name in original_names {
            for (part, published) in parts(name, Layout::Native).into_iter().enumerate() {
                assert_eq!(original(&published), (name.to_owned(), part), "{published}");
            }
        }
        assert_eq!(
            original("model.language_model.norm.weight").0,
            "language_model.model.norm.weight"
        );
        assert_eq!(original("lm_head.weight").0, "language_model.lm_head.weight");
    }
}
