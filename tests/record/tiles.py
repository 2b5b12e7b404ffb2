#!/usr/bin/env python3
"""Records how Pillow tiles the pictures of a folder, for `prefab verify tiles DIR`.

    python3 -m venv .venv && .venv/bin/pip install pillow numpy
    .venv/bin/python tests/record/tiles.py DIR [--side 448] [--max 12] [--normalize imagenet]

Writes expected.json, expected.safetensors and pil_bicubic_unit.safetensors into DIR. The
pipeline is InternVL's: convert('RGB'), the nearest grid, Pillow's bicubic, a thumbnail.
"""

import argparse
import hashlib
import json
import random
import struct
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.4814546, 0.4578275, 0.40821073), (0.2686295, 0.2613025, 0.2757711)),
    "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
FORMATS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"}


def grid(width, height, most, side):
    grids = {(c, r) for c in range(1, most + 1) for r in range(1, most + 1) if c * r <= most}
    best, least = (1, 1), float("inf")
    for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        distance = abs(width / height - columns / rows)
        fills = width * height > 0.5 * side * side * columns * rows
        if distance < least or (distance == least and fills):
            best, least = (columns, rows), distance
    return best


def cut(picture, most, side):
    columns, rows = grid(*picture.size, most, side)
    whole = picture.resize((columns * side, rows * side))
    corners = [(c * side, r * side) for r in range(rows) for c in range(columns)]
    tiles = [whole.crop((x, y, x + side, y + side)) for x, y in corners]
    return tiles + ([picture.resize((side, side))] if len(tiles) > 1 else [])


def tile(picture, mean, deviation):
    values = np.asarray(picture)
    planes = (values.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)
    planes = (planes - mean[:, None, None]) / deviation[:, None, None]
    return {
        "uint8_hwc_sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "float32_chw_sha256": hashlib.sha256(planes.astype("<f4").tobytes()).hexdigest(),
        "uint8_sum": int(values.sum(dtype=np.int64)),
        "mean": planes.mean(axis=(1, 2), dtype=np.float64).tolist(),
    }


def save(path, arrays):
    header, place = {}, 0
    for name, array in arrays.items():
        end = place + array.nbytes
        header[name] = {"dtype": "U8", "shape": array.shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def units(seed, count):
    """Small noisy pictures at random sizes: every order of the two passes."""
    draw, arrays = random.Random(seed), {}
    for case in range(count):
        width, height, to_width, to_height = (draw.randint(1, 60) for _ in range(4))
        values = np.frombuffer(draw.randbytes(width * height * 3), np.uint8)
        source = values.reshape(height, width, 3)
        arrays[f"case{case}.src"] = source
        arrays[f"case{case}.dst"] = np.asarray(Image.fromarray(source).resize((to_width, to_height)))
    return arrays


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--max", type=int, default=12)
    parser.add_argument("--normalize", choices=STATISTICS, default="imagenet")
    parser.add_argument("--units", type=int, default=200)
    options = parser.parse_args()
    mean, deviation = STATISTICS[options.normalize]
    images, decoded = [], {}
    for path in sorted(options.folder.iterdir()):
        if path.suffix.lower() not in FORMATS:
            continue
        opened = Image.open(path)
        picture = opened.convert("RGB")
        lossy = opened.format in ("JPEG", "WEBP")
        record = {"file": path.name, "width": opened.width, "height": opened.height}
        record["grids"] = {}
        for most in (1, 6, 12, 40):
            columns, rows = grid(*picture.size, most, options.side)
            count = columns * rows
            record["grids"][str(most)] = {
                "cols": columns,
                "rows": rows,
                "tiles": count,
                "tiles_with_thumbnail": count + (count > 1),
            }
        if lossy:
            # Decoders of lossy formats differ by a few units.
            decoded[f"{path.name}.decoded_uint8"] = np.asarray(picture)
        else:
            record["rgb_sha256"] = hashlib.sha256(picture.tobytes()).hexdigest()
            statistics = np.float32(mean), np.float32(deviation)
            tiles = [tile(one, *statistics) for one in cut(picture, options.max, options.side)]
            record["full"] = {"max_num": options.max, "use_thumbnail": True, "tiles": tiles}
        images.append(record)
    expected = {
        "image_size": options.side,
        "normalize": options.normalize,
        "mean": mean,
        "std": deviation,
        "versions": {"pillow": PIL.__version__},
        "images": images,
    }
    (options.folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    save(options.folder / "expected.safetensors", decoded)
    save(options.folder / "pil_bicubic_unit.safetensors", units(0, options.units))
    print(f"{len(images)} pictures recorded with Pillow {PIL.__version__}")


if __name__ == "__main__":
    main()
