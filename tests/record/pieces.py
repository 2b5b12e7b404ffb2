"""Builds the tiny SentencePiece tokenizers that prompts.py records: Llama's class as Phi-3 and Yi have it.

    python tests/record/pieces.py FOLDER

Writes FOLDER/tokenizers/{phi3,yi,llama}. Needs sentencepiece.
"""

import json
import os
import random
import shutil
import sys
import tempfile

import sentencepiece

WORDS = "the a cat sat on mat red square circle how many what is in image picture describe answer question yes no one two three and of to it where when total number line text first second".split()
PIECES = 420
IMAGES = "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>".split()
# Marks with whether they take the spaces behind them; `legacy` of the class; end; padding.
TOKENIZERS = {
    "phi3": (
        [("<|endoftext|>", False), ("<|assistant|>", True), ("<|end|>", True), ("<|system|>", True), ("<|user|>", True)],
        False, "<|endoftext|>", "<|endoftext|>",
    ),
    "yi": ([("<|im_start|>", False), ("<|im_end|>", False)], None, "<|im_end|>", "<unk>"),
    "llama": ([("<|im_start|>", False), ("<|im_end|>", False)], False, "<|im_end|>", "<unk>"),
}


def model(folder):
    random.seed(0)
    text = os.path.join(folder, "text.txt")
    with open(text, "w") as file:
        file.writelines(" ".join(random.choice(WORDS) for _ in range(8)) + ".\n" for _ in range(400))
    sentencepiece.SentencePieceTrainer.train(
        input=text, model_prefix=os.path.join(folder, "tiny"), vocab_size=PIECES, model_type="bpe", byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2,
    )
    return os.path.join(folder, "tiny.model")


def write(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        path = model(scratch)
        for name, (marks, legacy, end, pad) in TOKENIZERS.items():
            folder = os.path.join(sys.argv[1], "tokenizers", name)
            os.makedirs(folder, exist_ok=True)
            shutil.copy(path, os.path.join(folder, "tokenizer.model"))
            token = lambda text, rstrip: {"content": text, "lstrip": False, "normalized": False, "rstrip": rstrip, "single_word": False, "special": True}
            added = marks + [(text, False) for text in IMAGES]
            tokens = {str(id): token(text, False) for id, text in enumerate(["<unk>", "<s>", "</s>"])}
            tokens |= {str(PIECES + place): token(*one) for place, one in enumerate(added)}
            named = {"bos_token": "<s>", "eos_token": end, "pad_token": pad, "unk_token": "<unk>"}
            config = named | {
                "add_bos_token": True, "add_eos_token": False, "added_tokens_decoder": tokens, "clean_up_tokenization_spaces": False,
                "model_max_length": 4096, "tokenizer_class": "LlamaTokenizer",
            }
            if legacy is not None:
                config["legacy"] = legacy
            write(os.path.join(folder, "tokenizer_config.json"), config)
            write(os.path.join(folder, "added_tokens.json"), {text: PIECES + place for place, (text, _) in enumerate(added)})
            write(os.path.join(folder, "special_tokens_map.json"), named)


if __name__ == "__main__":
    main()
