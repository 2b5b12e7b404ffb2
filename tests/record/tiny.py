"""Builds the tiny random checkpoints of tests/fixtures/internvl whose values are recorded by record.py.

    python tests/record/tiny.py tests/fixtures/internvl

Phi-3 beyond, within and on both sides of its trained length, fp16, and a tied head: forms that
released checkpoints have.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import InternVLConfig, InternVLForConditionalGeneration

import layout
import record

IMAGE_TOKEN = 90
SHORT, LONG = [1.0, 1.05, 1.1, 1.3], [1.2, 1.9, 3.1, 4.6]
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
          "image_size": [28, 28], "patch_size": [7, 7], "attention_bias": True}
TEXT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 48, "vocab_size": 96, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def phi3(trained, **more):
    return {**TEXT, "model_type": "phi3", "rms_norm_eps": 1e-5, "max_position_embeddings": 4 * trained,
            "original_max_position_embeddings": trained, "rope_theta": 1e4,
            "rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG}, **more}


def make(text, seed, tied=False, **vision):
    config = InternVLConfig(vision_config={**VISION, **vision}, text_config={**text, "tie_word_embeddings": tied},
                            image_token_id=IMAGE_TOKEN, image_seq_length=4, tie_word_embeddings=tied)
    model = InternVLForConditionalGeneration._from_config(config, dtype=torch.float32)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=draw)
            if tensor.dim() > 1 and "embed" not in name:
                tensor.copy_(noise * 1.4 / tensor[0].numel() ** 0.5)
            elif tensor.dim() > 1:
                tensor.copy_(noise * 0.5)
            elif "norm" in name and name.endswith("weight"):
                tensor.copy_(1 + 0.2 * noise)
            elif "lambda" in name:
                tensor.copy_(0.6 + 0.2 * noise)
            else:
                tensor.copy_(0.1 * noise)
    return model


def write_added(folder):
    with open(os.path.join(folder, "added_tokens.json"), "w") as file:
        json.dump({"<img>": IMAGE_TOKEN - 2, "</img>": IMAGE_TOKEN - 1, "<IMG_CONTEXT>": IMAGE_TOKEN}, file, indent=1)
        file.write("\n")


def save_original(model, folder, dtype):
    """As InternVL's own code would: its names, its config with transformers 4.37's keys."""
    os.makedirs(folder, exist_ok=True)
    text, vision = model.config.text_config, model.config.vision_config
    decoder = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "attention_bias": False,
               "hidden_act": "silu", "rms_norm_eps": text.rms_norm_eps, "rope_theta": 1e4,
               "max_position_embeddings": text.max_position_embeddings, "sliding_window": 262144,
               "original_max_position_embeddings": text.original_max_position_embeddings,
               "rope_scaling": {"type": "su", "short_factor": SHORT, "long_factor": LONG},
               "tie_word_embeddings": False, **TEXT}
    config = {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat", "downsample_ratio": 0.5,
              "dynamic_image_size": True, "force_image_size": 28, "llm_config": decoder, "max_dynamic_patch": 12,
              "min_dynamic_patch": 1, "ps_version": "v2", "select_layer": -1, "template": "phi3-chat",
              "torch_dtype": str(dtype).split(".")[1], "use_thumbnail": True,
              "vision_config": {"architectures": ["InternVisionModel"], "model_type": "intern_vit_6b",
                                "drop_path_rate": 0.1, "hidden_act": "gelu", "hidden_size": vision.hidden_size,
                                "image_size": 28, "intermediate_size": vision.intermediate_size,
                                "layer_norm_eps": 1e-6, "norm_type": "layer_norm", "num_attention_heads": 2,
                                "num_hidden_layers": 2, "patch_size": 7, "qk_normalization": False, "qkv_bias": True}}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=1)
        file.write("\n")
    state, names = model.state_dict(), []
    layers = [f"vision_model.encoder.layers.{i}." for i in range(2)]
    for at in layers:
        names += [at + part for part in ["ls1", "ls2"]]
        names += [at + part + end for end in ["weight", "bias"] for part in
                  ["attn.qkv.", "attn.proj.", "mlp.fc1.", "mlp.fc2.", "norm1.", "norm2."]]
    names += [f"mlp1.{i}.{end}" for i in [0, 1, 3] for end in ["weight", "bias"]]
    names += ["vision_model.embeddings." + part for part in
              ["class_embedding", "position_embedding", "patch_embedding.weight", "patch_embedding.bias"]]
    names += ["language_model." + name.replace("model.language_model.", "model.") for name in state
              if name.startswith(("model.language_model.", "lm_head."))]
    tensors = {name: layout.join(name, [state[part] for part in layout.native_names(name)], decoder)
               for name in names}
    save_file({name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def build(root):
    made = {
        "hf_phi3_long_fp16": lambda to: make(phi3(8), 11).half().save_pretrained(to),
        "hf_phi3_mixed": lambda to: make(phi3(22), 14).save_pretrained(to),
        "hf_qwen2_tied": lambda to: make(
            {**TEXT, "model_type": "qwen2", "rms_norm_eps": 1e-6, "rope_theta": 1e6}, 12, tied=True,
            norm_type="rms_norm", use_qk_norm=True, attention_bias=False).save_pretrained(to),
        "orig_phi3_su_bf16": lambda to: save_original(make(phi3(64), 13), to, torch.bfloat16),
    }
    for name, save in made.items():
        folder = os.path.join(root, name)
        os.makedirs(os.path.join(folder, "model"), exist_ok=True)
        save(os.path.join(folder, "model"))
        write_added(os.path.join(folder, "model"))
        record.record(os.path.join(folder, "model"), folder, seed=5)
        print(name)


if __name__ == "__main__":
    build(sys.argv[1])
