"""InternVL's original checkpoint layout as transformers' own class: config, names and rows.

transformers has no InternLM2; taken apart it is a Llama. What its class cannot be (the
first pixel shuffle, another epsilon in norms of queries and keys) is refused.
"""

import torch

VISION = [
    ("embeddings.class_embedding", "embeddings.cls_token"),
    ("embeddings.position_embedding", "embeddings.position_embeddings"),
    ("embeddings.patch_embedding.", "embeddings.patch_embeddings.projection."),
    ("encoder.layers.", "encoder.layer."),
    (".attn.proj.", ".attention.projection_layer."),
    (".attn.q_norm.", ".attention.q_norm."),
    (".attn.k_norm.", ".attention.k_norm."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".ls1", ".lambda_1"),
    (".ls2", ".lambda_2"),
]
PROJECTOR = [("mlp1.0.", "layer_norm."), ("mlp1.1.", "linear_1."), ("mlp1.3.", "linear_2.")]
DECODER = [
    ("language_model.output.", "lm_head."),
    ("language_model.lm_head.", "lm_head."),
    ("language_model.model.", "model.language_model."),
    (".tok_embeddings.", ".embed_tokens."),
    (".attention.wo.", ".self_attn.o_proj."),
    (".feed_forward.w1.", ".mlp.gate_proj."),
    (".feed_forward.w3.", ".mlp.up_proj."),
    (".feed_forward.w2.", ".mlp.down_proj."),
    (".attention_norm.", ".input_layernorm."),
    (".ffn_norm.", ".post_attention_layernorm."),
]


def rename(name, table):
    for old, new in table:
        name = name.replace(old, new)
    return name


def native_names(name):
    """The modules that hold a tensor of the original layout, in the order of its rows."""
    if name.startswith("vision_model."):
        name = rename("model.vision_tower." + name[len("vision_model."):], VISION)
        parts = [".attention.%s_proj." % x for x in "qkv"]
        return [name.replace(".attn.qkv.", part) for part in parts] if ".attn.qkv." in name else [name]
    if name.startswith("mlp1."):
        return ["model.multi_modal_projector." + rename(name, PROJECTOR)]
    name = rename(name, DECODER)
    if ".attention.wqkv." in name:
        return [name.replace(".attention.wqkv.", ".self_attn.%s_proj." % x) for x in "qkv"]
    return [name]


def split(name, tensor, decoder):
    """A tensor of the original layout as its modules have it."""
    if ".attn.qkv." in name:
        return list(tensor.chunk(3))
    if ".attention.wqkv." in name:
        keys = decoder["num_key_value_heads"]
        each = decoder["num_attention_heads"] // keys
        groups = tensor.view(keys, each + 2, -1, *tensor.shape[1:])
        parts = groups[:, :each], groups[:, each:each + 1], groups[:, each + 1:]
        return [part.reshape(-1, *tensor.shape[1:]) for part in parts]
    return [tensor]


def join(name, parts, decoder):
    """The reverse."""
    if ".attention.wqkv." in name:
        keys = decoder["num_key_value_heads"]
        rest = parts[0].shape[1:]
        groups = [part.view(keys, -1, decoder_head(decoder), *rest) for part in parts]
        return torch.cat(groups, 1).reshape(-1, *rest)
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def decoder_head(decoder):
    return decoder.get("head_dim") or decoder["hidden_size"] // decoder["num_attention_heads"]


def native_config(config, image_token_id):
    """config.json of the original layout as keyword arguments of InternVLConfig."""
    vision, decoder = config["vision_config"], config["llm_config"]
    if config.get("ps_version", "v1") != "v2":
        raise SystemExit("transformers' class has the second pixel shuffle only (ps_version v2)")
    eps = vision.get("layer_norm_eps", 1e-6)
    if vision.get("qk_normalization") and eps != 1e-6:
        raise SystemExit("transformers' class norms queries and keys with an epsilon of 1e-6 only")
    kind = {"InternLM2ForCausalLM": "llama", "LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2",
            "Phi3ForCausalLM": "phi3"}[decoder["architectures"][0]]
    kept = ["bos_token_id", "eos_token_id", "pad_token_id", "head_dim", "hidden_act", "hidden_size", "intermediate_size",
            "max_position_embeddings", "original_max_position_embeddings", "num_attention_heads",
            "num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "rope_scaling", "rope_theta", "vocab_size"]
    text = {key: decoder[key] for key in kept if decoder.get(key) is not None}
    text["model_type"] = kind
    scaling = text.get("rope_scaling")
    if scaling and scaling.get("type") == "su":  # LongRoPE's first name
        text["rope_scaling"] = {**scaling, "type": "longrope"}
    if kind == "llama":
        text["attention_bias"] = decoder.get("bias", decoder.get("attention_bias", False))
    size = vision["image_size"]
    return {
        "vision_config": {
            "hidden_size": vision["hidden_size"], "num_hidden_layers": vision["num_hidden_layers"],
            "num_attention_heads": vision["num_attention_heads"], "intermediate_size": vision["intermediate_size"],
            "attention_bias": vision.get("qkv_bias", False), "use_qk_norm": vision.get("qk_normalization", False),
            "norm_type": vision.get("norm_type", "layer_norm"), "layer_norm_eps": eps,
            "image_size": [size, size], "patch_size": [vision["patch_size"]] * 2, "hidden_act": "gelu",
        },
        "text_config": text,
        "downsample_ratio": config["downsample_ratio"],
        "image_token_id": image_token_id,
        "image_seq_length": ((config.get("force_image_size") or size) // vision["patch_size"]
                             // round(1 / config["downsample_ratio"])) ** 2,
        "vision_feature_layer": config.get("select_layer", -1),
        "tie_word_embeddings": False,
    }
