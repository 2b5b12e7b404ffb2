"""Makes a folder for `prefab verify model` from a checkpoint, with transformers' InternVL class.

    python tests/record/record.py CHECKPOINT FOLDER [--seed 0]

Writes FOLDER/{model (a link), inputs.safetensors, expected.safetensors, expected.json}; README.md
beside this file says what stands in them. Computes in fp32 on the CPU with eager attention.
"""

import argparse
import json
import os

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import InternVLConfig, InternVLForConditionalGeneration

import layout

NEW_TOKENS = 12
GRADIENTS = 8  # of how many parameters whole gradients are kept
LARGEST = 20_000  # numbers of such a parameter


def read_json(path):
    with open(path) as file:
        return json.load(file)


def files_of(folder):
    index = os.path.join(folder, "model.safetensors.index.json")
    names = sorted(set(read_json(index)["weight_map"].values())) if os.path.exists(index) else ["model.safetensors"]
    return [os.path.join(folder, name) for name in names]


def image_token(folder, config):
    added = os.path.join(folder, "added_tokens.json")
    if "image_token_id" in config:
        return config["image_token_id"]
    if os.path.exists(added):
        return read_json(added)["<IMG_CONTEXT>"]
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True).convert_tokens_to_ids("<IMG_CONTEXT>")


class Checkpoint:
    """The model in fp32, and each parameter's name as the checkpoint's layout has it."""

    def __init__(self, folder):
        self.config = read_json(os.path.join(folder, "config.json"))
        self.original = "llm_config" in self.config
        self.image_token = image_token(folder, self.config)
        tensors = {}
        for file in files_of(folder):
            tensors.update(load_file(file))
        self.file_keys = sorted(tensors)
        if self.original:
            self.decoder = self.config["llm_config"]
            made = InternVLConfig(**layout.native_config(self.config, self.image_token))
            self.model = self.fresh(made)
            state = {}
            for name, tensor in tensors.items():
                parts = layout.split(name, tensor.float(), self.decoder)
                state.update(zip(layout.native_names(name), parts))
            missing, unknown = self.model.load_state_dict(state, strict=False)
            if missing or unknown:
                raise SystemExit(f"the checkpoint does not fit: missing {missing}, unknown {unknown}")
            self.names = self.file_keys
        else:
            self.decoder = self.config["text_config"]
            self.model = InternVLForConditionalGeneration.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager")
            self.names = [name for name, _ in self.model.named_parameters()]
        self.model.eval()

    @staticmethod
    def fresh(config):
        config._attn_implementation = "eager"
        return InternVLForConditionalGeneration._from_config(config, dtype=torch.float32)

    def stretched(self, positions):
        """The same weights, as if trained on shorter sequences."""
        config = InternVLConfig.from_dict(self.model.config.to_dict())
        config.text_config.max_position_embeddings = positions
        model = self.fresh(config)
        model.load_state_dict(self.model.state_dict())
        return model.eval()

    def gradient(self, name):
        of = dict(self.model.named_parameters())
        def one(name):
            return of[name].grad if of[name].grad is not None else torch.zeros_like(of[name])
        if not self.original:
            return one(name)
        return layout.join(name, [one(part) for part in layout.native_names(name)], self.decoder)

    def rope(self):
        """The kind of rotary scaling, and the length that it begins beyond."""
        scaling = self.decoder.get("rope_parameters") or self.decoder.get("rope_scaling") or {}
        text = self.model.config.text_config
        trained = self.decoder.get("original_max_position_embeddings")
        trained = trained or scaling.get("original_max_position_embeddings") or text.max_position_embeddings
        return scaling.get("rope_type", scaling.get("type")), trained

    def is_dynamic(self):
        return self.rope()[0] == "dynamic"

    def turned_by(self, length):
        """What of a sequence's length its rotary angles depend on."""
        kind, trained = self.rope()
        return {"dynamic": max(length, trained)}.get(kind, kind in ("longrope", "su") and length > trained)

    def side(self):
        """Pixels along an edge of a tile: not the tower's own where config.json says so."""
        return self.config.get("force_image_size") or self.model.config.vision_config.image_size[0]


def make_inputs(checkpoint, seed):
    """Two samples of two tiles and one, padded on the right; prompts to answer."""
    draw = torch.Generator().manual_seed(seed)
    config = checkpoint.model.config
    side, patch = checkpoint.side(), config.vision_config.patch_size[0]
    cell = round(1 / config.downsample_ratio)  # patches along an edge of an image token
    per_tile = (side // patch // cell) ** 2
    step = max(2, cell) * patch
    vocabulary = checkpoint.decoder["vocab_size"]
    words = [i for i in range(3, vocabulary) if i != checkpoint.image_token]

    def text(count):
        return [words[i] for i in torch.randint(len(words), (count,), generator=draw)]

    def pixels(tiles, height, width):
        return torch.randn(tiles, 3, height, width, generator=draw)

    def pad(rows, filler, left=False):
        longest = max(map(len, rows))
        return torch.tensor([[filler] * (longest - len(r)) * left + r + [filler] * (longest - len(r)) * (not left)
                             for r in rows])

    def batch(rows, left=False):
        return {"input_ids": pad(rows, words[0], left), "attention_mask": pad([[1] * len(r) for r in rows], 0, left)}

    def question(tiles):
        return text(3) + [checkpoint.image_token] * (tiles * per_tile) + text(5)

    prompts, answers = [question(2), question(1)], [text(10), text(8)]
    rows = [p + a for p, a in zip(prompts, answers)]
    labels = [[-100] * len(p) + a for p, a in zip(prompts, answers)]
    inputs = {"pixel_values": pixels(3, side, side), **batch(rows), "labels": pad(labels, -100)}
    inputs["pixel_values.sq"] = pixels(1, side + step, side + step)
    # A tower of one step has nothing smaller.
    inputs["pixel_values.rect"] = pixels(1, side - step if side > step else side + 2 * step, side + step)
    generations = {"gen_image": ([prompts[0]], False), "gen_text": ([text(9)], False),
                   "gen_batch": ([question(2), question(1)], True)}
    for name, (rows, left) in generations.items():
        inputs.update({f"{name}.{key}": value for key, value in batch(rows, left).items()})
    if checkpoint.original:
        inputs["image_flags"] = torch.ones(3, 1, dtype=torch.long)
        inputs["mixed.image_flags"] = torch.tensor([[1], [1], [0]])
        blind = text(9)
        rows = [prompts[0] + answers[0], blind + answers[1]]
        labels = [[-100] * len(prompts[0]) + answers[0], [-100] * len(blind) + answers[1]]
        inputs.update({f"mixed.{key}": value for key, value in batch(rows).items()})
        inputs["mixed.labels"] = pad(labels, -100)
    return inputs


class Recorder:
    def __init__(self, checkpoint, inputs):
        self.checkpoint, self.model, self.inputs = checkpoint, checkpoint.model, inputs
        self.tensors, self.json = {}, {}

    def hooked(self, modules, call):
        """Runs and collects what goes into the first module and comes out of each."""
        states, handles = [], []

        def before(module, args, kwargs):
            states.append((args[0] if args else kwargs["hidden_states"]).detach())

        def after(module, args, output):
            states.append((output[0] if isinstance(output, tuple) else output).detach())

        handles.append(modules[0].register_forward_pre_hook(before, with_kwargs=True))
        handles += [module.register_forward_hook(after) for module in modules]
        result = call()
        for handle in handles:
            handle.remove()
        return states, result

    def features(self, pixels):
        layer = self.model.config.vision_feature_layer
        out = self.model.model.get_image_features(
            pixel_values=pixels, vision_feature_layer=layer, vision_feature_select_strategy="default")
        return out if torch.is_tensor(out) else out.pooler_output

    def embed(self, ids, pixels):
        embedded = self.model.get_input_embeddings()(ids)
        if pixels is None:
            return embedded
        features = self.features(pixels).reshape(-1, embedded.shape[-1])
        mask = (ids == self.checkpoint.image_token).unsqueeze(-1).expand_as(embedded)
        return embedded.masked_scatter(mask, features)

    @staticmethod
    def forget_lengths(model):
        """Rotary scaling by length remembers the longest sequence so far."""
        decoder = model.model.language_model
        decoder.rotary_emb = type(decoder.rotary_emb)(decoder.config)

    def decode(self, ids, mask, pixels, model=None):
        """Last hidden states and logits."""
        model = model or self.model
        self.forget_lengths(model)
        hidden = model.model.language_model(
            inputs_embeds=self.embed(ids, pixels), attention_mask=mask, use_cache=False).last_hidden_state
        return hidden, model.lm_head(hidden)

    def tower(self):
        tower = self.model.model.vision_tower
        for suffix in ["", ".sq", ".rect"]:
            pixels = self.inputs["pixel_values" + suffix]
            states, _ = self.hooked(list(tower.encoder.layer), lambda: tower(pixels))
            if suffix:
                self.tensors["vit_last_hidden" + suffix] = states[-1]
            else:
                self.tensors.update({f"vit_hidden.{i}": state for i, state in enumerate(states)})
            if suffix != ".rect":
                self.tensors["vision_features" + suffix] = self.features(pixels).reshape(
                    pixels.shape[0], -1, self.checkpoint.decoder["hidden_size"])

    def label_logprobs(self, logits, labels):
        labels = labels[:, 1:]
        logp = logits[:, :-1].float().log_softmax(-1).gather(2, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return logp.masked_fill(labels == -100, 0.0)

    def forward(self):
        ids, mask, labels = (self.inputs[key] for key in ["input_ids", "attention_mask", "labels"])
        layers = list(self.model.model.language_model.layers)
        states, (hidden, logits) = self.hooked(layers, lambda: self.decode(ids, mask, self.inputs["pixel_values"]))
        logp = self.label_logprobs(logits, labels)
        count = (labels[:, 1:] != -100).sum(1)
        loss = -logp.sum() / count.sum()
        self.tensors.update({f"llm_hidden.{i}": state for i, state in enumerate(states[:-1])})
        self.tensors.update({"last_hidden_state": hidden, "logits": logits, "label_logprobs": logp,
                             "loss": loss.reshape(1)})
        real = logits[mask == 1].detach()
        self.json.update({
            "loss": loss.item(), "label_logprob_sum_per_sample": logp.double().sum(1).tolist(),
            "num_supervised": count.tolist(),
            "scale": {"vision_features_absmax": self.tensors["vision_features"].abs().max().item(),
                      "logits_absmax": real.abs().max().item(), "logits_std": real.std().item(),
                      "loss": loss.item()}})
        loss.backward()
        norms = {name: self.checkpoint.gradient(name).double().norm().item() for name in self.checkpoint.names}
        self.json["grad_norm"] = norms
        self.json["grad_norm_total"] = sum(norm ** 2 for norm in norms.values()) ** 0.5
        small = [n for n in self.checkpoint.names if self.checkpoint.gradient(n).numel() <= LARGEST and norms[n] > 0]
        for name in small[::max(1, len(small) // GRADIENTS)]:
            self.tensors["grad." + name] = self.checkpoint.gradient(name).clone()

    def mixed(self):
        of = {key: self.inputs["mixed." + key] for key in ["input_ids", "attention_mask", "labels", "image_flags"]}
        pixels = self.inputs["pixel_values"][of["image_flags"].flatten() == 1]
        _, logits = self.decode(of["input_ids"], of["attention_mask"], pixels)
        logp = self.label_logprobs(logits, of["labels"])
        loss = -logp.sum() / (of["labels"][:, 1:] != -100).sum()
        self.tensors.update({"mixed.label_logprobs": logp, "mixed.loss": loss.reshape(1)})
        self.json["mixed_loss"] = loss.item()

    def stretched(self):
        ids, mask = self.inputs["input_ids"], self.inputs["attention_mask"]
        positions = ids.shape[1] * 2 // 3
        model, pixels = self.checkpoint.stretched(positions), self.inputs["pixel_values"]
        _, logits = self.decode(ids, mask, pixels, model)
        change = (logits - self.tensors["logits"])[mask == 1].abs().max().item()
        self.json[f"ntk{positions}"] = {"max_position_embeddings": positions, "seq_len": ids.shape[1],
                                        "max_abs_change_vs_plain": change}
        self.tensors[f"ntk{positions}.logits_sample0_last8"] = logits[0, mask[0] == 1][-8:].clone()

    def apart(self, ids, mask, pixels):
        """The rows of a batch without their padding, each with its tiles."""
        rows, start, per_tile = [], 0, self.tensors["vision_features"].shape[1]
        for row, real in zip(ids, mask == 1):
            tiles = (row[real] == self.checkpoint.image_token).sum().item() // per_tile
            own = pixels[start:start + tiles] if tiles else None
            rows.append((row[real][None], torch.ones_like(row[real])[None], own))
            start += tiles
        return rows

    def greedy(self, ids, mask, pixels, count=NEW_TOKENS):
        """Tokens, the logits of the first, and the smallest margin. Keys stay as they were turned."""
        decoder, embedded = self.model.model.language_model, self.embed(ids, pixels)
        positions, cache, margin, tokens, logits = (mask.cumsum(-1) - 1).clamp(min=0), None, float("inf"), [], []
        self.forget_lengths(self.model)
        for _ in range(count):
            out = decoder(inputs_embeds=embedded, attention_mask=mask, position_ids=positions,
                          past_key_values=cache, use_cache=True)
            last, cache = self.model.lm_head(out.last_hidden_state[:, -1]), out.past_key_values
            top = last.topk(2).values
            margin = min(margin, (top[:, 0] - top[:, 1]).min().item())
            tokens.append(last.argmax(-1, keepdim=True))
            logits.append(last)
            embedded = self.embed(tokens[-1], None)
            mask, positions = torch.cat([mask, torch.ones_like(mask[:, :1])], 1), positions[:, -1:] + 1
        return torch.cat(tokens, 1), logits[0], margin

    def generation(self):
        runs = {"gen_image": self.inputs["pixel_values"][:2], "gen_text": None,
                "gen_batch": self.inputs["pixel_values"]}
        self.json["generation"] = {}
        for run, pixels in runs.items():
            ids, mask = self.inputs[run + ".input_ids"], self.inputs[run + ".attention_mask"]
            ends = self.checkpoint.turned_by(ids.shape[1] + NEW_TOKENS)
            # Padded rows are turned by the longest one's length: where that matters each is by itself.
            is_plain = self.checkpoint.turned_by(mask.sum(1).min().item()) == ends
            rows = [(ids, mask, pixels)] if is_plain else self.apart(ids, mask, pixels)
            tokens, _, margins = zip(*[self.greedy(*row) for row in rows])
            self.tensors[run + ".step0_logits"] = self.greedy(ids, mask, pixels, 1)[1]
            self.tensors[run + ".tokens"] = torch.cat(tokens)
            self.json["generation"][run] = {"tokens": torch.cat(tokens).tolist()}
            if is_plain:  # no pass over the whole answer gives them otherwise
                self.json["generation"][run]["min_margin"] = min(margins)
        whole = self.json["generation"]["gen_image"]["tokens"][0]
        at = max(i for i in range(NEW_TOKENS) if whole.index(whole[i]) == i)
        self.json["generation"]["gen_image_eos"] = {"eos_token_id": whole[at], "tokens": [whole[:at + 1]]}

    def about(self, folder):
        def shape(name, parameters=dict(self.model.named_parameters())):
            return list(parameters[name].shape)
        if self.checkpoint.original:
            shapes = {}
            for file in files_of(folder):
                shapes.update({name: list(tensor.shape) for name, tensor in load_file(file).items()})
            self.json["param_shapes"] = shapes
        else:
            self.json["module_param_shapes"] = {name: shape(name) for name in self.checkpoint.names}
            self.json["file_keys"] = self.checkpoint.file_keys
        if os.path.exists(os.path.join(folder, "added_tokens.json")):
            added = read_json(os.path.join(folder, "added_tokens.json"))
            self.json["ids"] = {token: added[token] for token in ["<img>", "</img>", "<IMG_CONTEXT>"] if token in added}
        self.json["versions"] = {"torch": torch.__version__, "transformers": transformers.__version__}


def record(folder, out, seed):
    torch.set_num_threads(1)
    checkpoint = Checkpoint(folder)
    inputs = make_inputs(checkpoint, seed)
    recorder = Recorder(checkpoint, inputs)
    recorder.tower()
    recorder.forward()
    with torch.no_grad():
        if checkpoint.original:
            recorder.mixed()
        if checkpoint.is_dynamic():
            recorder.stretched()
        recorder.generation()
    recorder.about(folder)
    os.makedirs(out, exist_ok=True)
    save_file({k: v.contiguous() for k, v in inputs.items()}, os.path.join(out, "inputs.safetensors"))
    save_file({k: v.detach().contiguous() for k, v in recorder.tensors.items()},
              os.path.join(out, "expected.safetensors"))
    with open(os.path.join(out, "expected.json"), "w") as file:
        json.dump(recorder.json, file, indent=1)
        file.write("\n")
    link = os.path.join(out, "model")
    if not os.path.exists(link):
        os.symlink(os.path.abspath(folder), link)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    record(args.checkpoint, args.folder, args.seed)
