#!/bin/sh
# Puts libtorch 2.11.0 into .libtorch, from PyPI's wheel, in the layout that its rpath expects:
# .libtorch/torch/{include,lib} beside .libtorch/nvidia/cu13/lib. Done once; a second call is free.
#
#   kernels/libtorch.sh          the CPU half, 0.5 GB; everything where an NVIDIA driver is at hand
#   kernels/libtorch.sh --cuda   everything, 4.6 GB
#   LIBTORCH=DIR kernels/libtorch.sh   links DIR (with include/ and lib/) in place of a download
set -eu
cd "$(dirname "$0")/.."
version=2.11.0

kind=cpu
if [ "${1:-}" = --cuda ] || [ -e /proc/driver/nvidia/version ]; then kind=cuda; fi

if [ -n "${LIBTORCH:-}" ] && [ "$(readlink -f "$LIBTORCH")" != "$(readlink -f .libtorch/torch)" ]; then
    [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] || {
        echo "LIBTORCH is $LIBTORCH, which has no lib/libtorch_cpu.so" >&2
        exit 1
    }
    rm -rf .libtorch
    mkdir .libtorch
    ln -s "$(readlink -f "$LIBTORCH")" .libtorch/torch
    echo linked > .libtorch/complete
fi

# `complete` is written last: a folder without it is half a download and is redone.
have=$(cat .libtorch/complete 2>/dev/null || echo none)
case "$have/$kind" in linked/* | cuda/* | cpu/cpu) exit 0 ;; esac

echo "fetching libtorch $version ($kind) from PyPI" >&2
new=.libtorch.new
rm -rf "$new"
mkdir "$new"
trap 'rm -rf "$new"' EXIT
# Every manylinux tag up to torch's own: NVIDIA's packages carry several.
platforms=$(for minor in 17 18 19 20 21 22 23 24 25 26 27 28; do echo "--platform manylinux_2_${minor}_x86_64"; done)
pip() { python3 -m pip "$@" -q --disable-pip-version-check --only-binary=:all: --python-version 3.12 --implementation cp --abi cp312 --abi none --abi abi3 \
    $platforms --platform manylinux2014_x86_64; }
if [ "$kind" = cuda ]; then
    pip install --target "$new" "torch==$version"
else
    pip download --no-deps --no-cache-dir -d "$new/wheels" "torch==$version" nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96
    python3 - "$new" <<'PYTHON'
import glob, sys, zipfile
new = sys.argv[1]
keep = ("torch/include/", "torch/lib/libc10.so", "torch/lib/libtorch_cpu.so", "torch/lib/libtorch.so",
        "torch/lib/libgomp.so.1", "nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13",
        "torch-2.11.0.dist-info/licenses", "torch-2.11.0.dist-info/LICENSE")
for path in glob.glob(new + "/wheels/*.whl"):
    wheel = zipfile.ZipFile(path)
    for member in wheel.infolist():
        if member.filename.startswith(keep):
            wheel.extract(member, new)
PYTHON
    rm -rf "$new/wheels"
fi
echo "$version+cu130" > "$new/torch/build-version"
echo "$kind" > "$new/complete"
rm -rf .libtorch
mv "$new" .libtorch
trap - EXIT
