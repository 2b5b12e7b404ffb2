//! The key map between InternVL's original file layout and transformers' own.
//!
//! transformers writes two forms of its layout, with and without a leading `model.`;
//! both are read. What Prefab writes is the original layout's form of the model in
//! memory, or the Hub form of transformers' layout for a model that was read from it.

use super::config::Layout;

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

/// The name that a tensor of the original layout has in a file of `layout`; a fused
/// one is named by its first part.
pub(crate) fn published(name: &str, layout: Layout) -> String {
    parts(name, layout).remove(0)
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
