"""Loads checkpoints that Prefab wrote with transformers and compares logits.

    python tests/record/check_export.py FOLDER

FOLDER holds one folder a checkpoint, each with check.safetensors: input_ids, pixel_values and
the logits that Prefab computed. `just check-export` makes and checks them.
"""

import os
import sys

import torch
from safetensors.torch import load_file

import record

LIMIT = 5e-5

worst = 0.0
folders = sorted(os.listdir(sys.argv[1]))
for name in folders:
    folder = os.path.join(sys.argv[1], name)
    inputs = load_file(os.path.join(folder, "check.safetensors"))
    checkpoint = record.Checkpoint(folder)
    with torch.no_grad():
        ids = inputs["input_ids"]
        _, logits = record.Recorder(checkpoint, inputs).decode(ids, torch.ones_like(ids), inputs["pixel_values"])
    apart = (logits[0] - inputs["logits"]).abs().max().item()
    print(f"{name:<40} {apart:.3e}")
    worst = max(worst, apart)
if not folders or not worst <= LIMIT:
    sys.exit(f"{len(folders)} checkpoints, apart by {worst:.3e}; the limit is {LIMIT:.0e}")
