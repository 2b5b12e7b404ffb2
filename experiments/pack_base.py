"""Packs a base of experiments/base.toml for the repository: fp32 weights rounded to bf16.

python3 experiments/pack_base.py STORE OUT    takes the newest STORE/base-*/payload; standard library only
"""
import array, glob, json, os, shutil, struct, sys

store, out = sys.argv[1:]
source = max(glob.glob(os.path.join(store, "base-*", "payload")), key=os.path.getmtime)
os.makedirs(out, exist_ok=True)
for name in ("config.json", "tokenizer.json"):
    shutil.copy(os.path.join(source, name), os.path.join(out, name))

blob = open(os.path.join(source, "model.safetensors"), "rb").read()
(length,) = struct.unpack("<Q", blob[:8])
header, body = json.loads(blob[8 : 8 + length]), blob[8 + length :]
packed, data = {}, bytearray()
for name, entry in sorted(header.items()):
    if name == "__metadata__":
        packed[name] = entry
        continue
    assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}"
    words = array.array("I", body[slice(*entry["data_offsets"])])
    # Round to nearest, ties to even.
    halves = array.array("H", ((w + 0x7FFF + ((w >> 16) & 1)) >> 16 for w in words))
    start = len(data)
    data += halves.tobytes()
    packed[name] = {"dtype": "BF16", "shape": entry["shape"], "data_offsets": [start, len(data)]}
text = json.dumps(packed, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(out, "model.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
print(f"{out}: {(8 + len(text) + len(data)) / 1e6:.2f} MB from {os.path.basename(os.path.dirname(source))}")
