#!/usr/bin/env python3
"""Decoding and tiling, Prefab beside Pillow + torchvision, on one thread: CPU ms a picture.

    python3 -m venv .venv && .venv/bin/pip install pillow numpy    # and torchvision, if wanted
    .venv/bin/python tests/bench/tiles.py DIR [--max 12] [--repeats 5]

Without torchvision, numpy does what its ToTensor and Normalize do. A ratio above 1 means
that Prefab is faster.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "record"))
from tiles import STATISTICS, cut  # noqa: E402

MEAN, DEVIATION = (np.float32(values)[:, None, None] for values in STATISTICS["imagenet"])

try:
    import torch
    from torchvision import transforms

    torch.set_num_threads(1)
    steps = [transforms.ToTensor(), transforms.Normalize(*STATISTICS["imagenet"])]
    to_tensor, stack, peer = transforms.Compose(steps), torch.stack, "Pillow + torchvision"
except ImportError:
    stack, peer = np.stack, "Pillow + numpy"

    def to_tensor(tile):
        planes = np.ascontiguousarray(np.asarray(tile).transpose(2, 0, 1)).astype(np.float32)
        planes /= np.float32(255)
        planes -= MEAN
        planes /= DEVIATION
        return planes


def pixels(path, most):
    picture = Image.open(path).convert("RGB")
    return stack([to_tensor(tile) for tile in cut(picture, most, 448)])


def best(path, most, repeats):
    least = float("inf")
    for _ in range(repeats):
        start = time.thread_time()
        pixels(path, most)
        least = min(least, (time.thread_time() - start) * 1e3)
    return least


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--max", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    bench = ["cargo", "bench", "-q", "--profile", "dev", "--bench", "tiles", "--"]
    bench += [str(options.folder.resolve()), str(options.max), str(options.repeats)]
    lines = subprocess.run(bench, check=True, capture_output=True, text=True).stdout.splitlines()
    print(f"{'picture':<32} {'tiles':>5} {'prefab':>9} {peer:>20} {'ratio':>6}")
    ratios = []
    for line in lines:
        name, tiles, ours = line.rsplit(" ", 2)
        theirs = best(options.folder / name, options.max, options.repeats)
        ratios.append(theirs / float(ours))
        print(f"{name:<32} {tiles:>5} {float(ours):>9.2f} {theirs:>20.2f} {ratios[-1]:>6.2f}")
    mean = float(np.exp(np.mean(np.log(ratios))))
    print(f"geometric mean of {len(ratios)} ratios: {mean:.2f}; least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
