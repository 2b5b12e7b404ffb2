"""Makes a folder for `prefab verify prompts` from tokenizers, with InternVL's own code.

    python tests/record/prompts.py INTERNVL FOLDER NAME=TEMPLATE...

INTERNVL is a checkout of OpenGVLab/InternVL, of which conversation.py and train/dataset.py are
read; FOLDER/tokenizers/NAME holds the files of a tokenizer. Writes FOLDER/prompts.json and
FOLDER/training_masks.json. Needs transformers 4.37.2, sentencepiece and numpy.
"""

import argparse
import ast
import contextlib
import functools
import importlib.util
import io
import json
import os
import re
import types

import numpy as np
import transformers

TOKENS = 4  # image tokens a tile
FUNCTIONS = {
    "internlm2-chat": "preprocess_internlm",
    "Hermes-2": "preprocess_mpt",
    "phi3-chat": "preprocess_phi3",
    "internvl2_5": "preprocess_internvl2_5",
}
# Question, history, tiles of each picture, system message.
PROMPTS = [
    ("Hello, who are you?", None, None, None),
    ("<image>\nDescribe the image in detail.", None, [1], None),
    ("Describe the image in detail.", None, [3], None),
    ("Image-1: <image>\nImage-2: <image>\nWhat differs?", None, [2, 1], None),
    ("How many?", [("<image>\nWhat is it?", "A square.")], [1], None),
    ("你好，请描述这张图片。", None, [1], None),
    ("", None, [1], None),
    ("  leading and trailing spaces  ", None, None, None),
    ("line one\n\nline two\r\n\ttabbed", None, None, None),
    ("numbers 1234567890 and 3.14159", None, None, None),
    ("don't they've I'm we'll he'd", None, None, None),
    ("emoji 😀👍🏽 and accents: café naïve e\u0301", None, None, None),
    ("text with {end} inside and <img> literal", None, None, None),
    ("continue", [("a", "b"), ("  c", "d  "), ("e\n", "\nf")], None, None),
    ("日本語と한국어 и русский", None, None, "You are a helpful assistant."),
]
PLAIN = ["hello world", " hello", "hello ", "  two  spaces", "a\nb", "\n", "x<img>y", "<img> y", " <img>", "你好", "😀", "the cat sat.", ""]
CONVERSATIONS = [
    ([("human", "<image>\nWhat is in the picture?"), ("gpt", "A red square.")], [2]),
    ([("human", "<image>\nWhat is it?"), ("gpt", "A square."), ("human", "And how many?"), ("gpt", "Three.")], [1]),
    ([("human", "What is 2+2?"), ("gpt", "4")], None),
    ([("human", "Image-1: <image>\nImage-2: <image>\nCompare."), ("gpt", "One.\nTwo.")], [1, 3]),
    ([("human", "你好"), ("gpt", "你好！")], None),
    ([("human", "  spaces  "), ("gpt", "  answer with spaces \n")], None),
    ([("human", "first"), ("gpt", ""), ("human", "second"), ("gpt", "the last")], None),
    ([("gpt", "nobody asked"), ("human", "now?"), ("gpt", "yes")], None),
]


def internvl(checkout):
    """conversation.py, and the functions of dataset.py that mask labels, with numpy for torch."""
    package = os.path.join(checkout, "internvl_chat/internvl")
    path = os.path.join(package, "conversation.py")
    spec = importlib.util.spec_from_file_location("conversation", path)
    conversation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conversation)
    with open(os.path.join(package, "train/dataset.py")) as file:
        source = file.read()
    wanted = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS.values()]
    code = "\n\n".join(ast.get_source_segment(source, node) for node in wanted)
    for old, new in [(".unsqueeze(0)", "[None]"), ("'pt'", "'np'"), (".clone()", ".copy()"), ("torch.tensor(", "np.array("), ("torch.where", "np.where")]:
        code = code.replace(old, new)
    code = re.sub(r"(\w+)\.ne\(", r"np.not_equal(\1, ", code)
    scope = {
        "transformers": transformers, "np": np, "Dict": dict, "sys": types.SimpleNamespace(stdout=io.StringIO()),
        "get_conv_template": conversation.get_conv_template, "IGNORE_TOKEN_ID": -100,
        "IMG_START_TOKEN": "<img>", "IMG_END_TOKEN": "</img>", "IMG_CONTEXT_TOKEN": "<IMG_CONTEXT>",
    }
    exec(code, scope)
    return conversation, scope


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(value, file, ensure_ascii=False)


def load(folder):
    with open(os.path.join(folder, "tokenizer_config.json")) as file:
        name = json.load(file)["tokenizer_class"]
    kind = getattr(transformers, name.removesuffix("Fast"), None)
    if kind is None:  # a class of the checkpoint's own, such as InternLM2Tokenizer
        return transformers.AutoTokenizer.from_pretrained(folder, use_fast=False, trust_remote_code=True)
    return kind.from_pretrained(folder)


def chat(template, question, history, tiles, system):
    """InternVLChatModel.chat, up to the tokenizer."""
    if history is None and tiles is not None and "<image>" not in question:
        question = "<image>\n" + question
    if system is not None:
        template.system_message = system
    for asked, answered in history or []:
        template.append_message(template.roles[0], asked)
        template.append_message(template.roles[1], answered)
    template.append_message(template.roles[0], question)
    template.append_message(template.roles[1], None)
    text = template.get_prompt()
    for count in tiles or []:
        text = text.replace("<image>", "<img>" + "<IMG_CONTEXT>" * TOKENS * count + "</img>", 1)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("internvl")
    parser.add_argument("folder")
    parser.add_argument("pairs", nargs="+", metavar="NAME=TEMPLATE")
    args = parser.parse_args()
    conversation, scope = internvl(args.internvl)
    prompts, plain, cases = [], [], []
    for pair in args.pairs:
        name, style = pair.split("=")
        tokenizer = load(os.path.join(args.folder, "tokenizers", name))
        end = conversation.get_conv_template(style).sep.strip()
        for index, (question, history, tiles, system) in enumerate(PROMPTS):
            question = question.replace("{end}", end)
            text = chat(conversation.get_conv_template(style), question, history, tiles, system)
            prompts.append({
                "index": index, "template": style, "tokenizer": name, "question": question, "history": history,
                "num_patches_list": tiles, "system_message": system, "text": text,
                "input_ids": tokenizer(text).input_ids, "eos_token_id": tokenizer.convert_tokens_to_ids(end),
            })
        for text in PLAIN:
            ids = tokenizer(text).input_ids
            row = {"tokenizer": name, "text": text, "input_ids": ids}
            # transformers 4 puts spaces around added tokens that no setting names special.
            unnamed = set(tokenizer.get_added_vocab().values()) - set(tokenizer.all_special_ids)
            if not unnamed & set(ids):
                row["decoded"] = tokenizer.decode(ids, skip_special_tokens=True)
            plain.append(row)
        for index, (turns, tiles) in enumerate(CONVERSATIONS):
            source = [{"from": role, "value": text} for role, text in turns]
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                row = scope[FUNCTIONS[style]](
                    style, [source], tokenizer, [TOKENS * count for count in tiles or []],
                    text_only=tiles is None, group_by_length=True, ds_name="recorded", num_image=len(tiles or []),
                )
            labels = np.asarray(row["labels"])[0].tolist()
            cases.append({
                "function": FUNCTIONS[style], "template": style, "tokenizer": name, "index": index,
                "conversation": turns, "num_tiles": tiles, "warning": said.getvalue().strip() or None,
                "input_ids": np.asarray(row["input_ids"])[0].tolist(), "labels": labels,
                "n_supervised": sum(label != -100 for label in labels),
            })
    versions = {"transformers": transformers.__version__}
    write = functools.partial(write_json, args.folder)
    write("prompts.json", {"num_image_token": TOKENS, "versions": versions, "prompts": prompts, "plain": plain})
    write("training_masks.json", {"num_image_token": TOKENS, "ignore_index": -100, "versions": versions, "cases": cases})


if __name__ == "__main__":
    main()
