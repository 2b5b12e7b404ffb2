#!/bin/sh
# Puts nvcc 13.0 into .cuda, from PyPI's wheels, 0.3 GB; no card and no toolkit are needed. Done
# once. Where NVCC names a compiler, kernels/build.rs takes that.
set -eu
cd "$(dirname "$0")/.."
[ ! -e .cuda/complete ] || exit 0

echo "fetching nvcc 13.0 from PyPI" >&2
new=.cuda.new
rm -rf "$new"
trap 'rm -rf "$new"' EXIT
# The versions that the wheel of torch 2.11.0 pins.
python3 -m pip install -q --disable-pip-version-check --no-cache-dir --no-deps --target "$new" \
    nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
chmod +x "$new"/nvidia/cu13/bin/* "$new"/nvidia/cu13/nvvm/bin/*
touch "$new/complete"
rm -rf .cuda
mv "$new" .cuda
trap - EXIT
