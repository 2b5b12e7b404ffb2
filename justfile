# Everything a person does with this repository. `./just` finds or installs `just` itself.

set shell := ["sh", "-euc"]

prefab := "target/debug/prefab"
runner := if `command -v cargo-nextest || true` == "" { "test" } else { "nextest run" }

# This list
default:
    @just --list --unsorted

# Run experiments from nothing to charts (default: the quickstart)
sweep *SPECS="experiments/quickstart.toml": build
    {{prefab}} run {{SPECS}}

# What `sweep` would do, and how long it would take
plan *SPECS="experiments/quickstart.toml": build
    {{prefab}} plan {{SPECS}}

# The first five minutes: base, SFT, DPO, DPO+, MPO and a small grid
quickstart: (sweep "experiments/quickstart.toml")

# Any verb: `./just prefab show losses`
prefab *ARGS: build
    {{prefab}} {{ARGS}}

# The binary
build: libtorch
    cargo build --quiet

# libtorch from PyPI into .libtorch, once; LIBTORCH=DIR links an existing one
libtorch:
    kernels/libtorch.sh

# For NVIDIA cards: libtorch's CUDA half, 4.6 GB, nvcc, and a binary with kernels for cards
cuda: nvcc
    kernels/libtorch.sh --cuda
    cargo build --quiet --features cuda

# nvcc from PyPI into .cuda, 0.3 GB; NVCC=FILE takes that one
nvcc:
    test -n "${NVCC:-}" || kernels/nvcc.sh

# Every kernel for cards compiles; no card and no CUDA half of libtorch are needed
check-cuda: libtorch nvcc
    cargo check --quiet --package prefab-kernels --features cuda

# Unit, law, snapshot and golden tests; random cases are the same each time (PROPTEST_RNG_SEED)
test: libtorch
    OMP_NUM_THREADS=1 PROPTEST_RNG_SEED=1 cargo {{runner}}

# Kills, faults and whole pipelines: minutes
test-slow: libtorch
    OMP_NUM_THREADS=1 cargo {{runner}} {{ if runner == "test" { "-- --ignored short_ slow_" } else { "--run-ignored only short_ slow_" } }}

# The part of it that continuous integration runs: kills, faults and whole pipelines, two minutes
test-slow-short: libtorch
    OMP_NUM_THREADS=1 PROPTEST_RNG_SEED=1 cargo {{runner}} {{ if runner == "test" { "short_ -- --ignored" } else { "--run-ignored only short_" } }}

# The training step beside a plain libtorch step: pairs a second, memory, ratios
bench: libtorch
    cargo bench --profile dev --bench bench

# The base that the quickstart starts from, rebuilt: ten minutes
base: build
    {{prefab}} run experiments/base.toml
    python3 experiments/pack_base.py .prefab/store experiments/base

# easy-VQA from PyPI into data/easy-vqa
easy-vqa:
    python3 experiments/fetch_easy_vqa.py

# torch and transformers in .venv, 5 GB, for `record` and `check-export`
peers:
    test -e .venv/complete || { rm -rf .venv && python3 -m venv .venv; }
    test -e .venv/complete || .venv/bin/pip install -q --no-cache-dir torch==2.11.0 transformers==5.24.0 safetensors numpy
    touch .venv/complete

# A folder for `prefab verify model` from a checkpoint: transformers' values of it
record CHECKPOINT FOLDER="recorded": peers
    .venv/bin/python tests/record/record.py {{CHECKPOINT}} {{FOLDER}}

# Checkpoints that were trained for a step load in transformers and give the same logits
check-export: libtorch peers
    rm -rf target/export && PREFAB_EXPORT=target/export cargo test --quiet --test suite model_export:: -- --ignored
    .venv/bin/python tests/record/check_export.py target/export

# A short quickstart into a folder of its own: CSV and charts exist, a second run does nothing
smoke: build
    tests/smoke.sh {{prefab}}

# Accept new snapshots and the schema; say why in the commit
bless: build
    INSTA_UPDATE=always OMP_NUM_THREADS=1 cargo {{runner}} || true
    {{prefab}} show schema > experiments/spec.schema.json

# What continuous integration runs
ci: fmt-check lint doc test test-slow-short check-experiments smoke

# `cargo fmt` does not follow modules that a macro declares
fmt-check:
    git ls-files '*.rs' | xargs rustfmt --edition 2024 --check

# Format every source
fmt:
    git ls-files '*.rs' | xargs rustfmt --edition 2024

lint: libtorch
    cargo clippy --quiet --workspace --all-targets -- -D warnings

doc: libtorch
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps

# Every committed spec parses and plans; the schema is fresh
check-experiments: build easy-vqa
    {{prefab}} check experiments/*.toml
    {{prefab}} show schema | diff - experiments/spec.schema.json
