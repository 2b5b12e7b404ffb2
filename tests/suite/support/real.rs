//! Specs of real stages at sizes that take seconds.

/// Two algorithms on the carried base, with looks at the validation split and two checkpoints or
/// more a policy, and several parts of every stage that works in parts.
pub const SMALL: &str = r#"
schema = 1

[model]
checkpoint = "ROOT/experiments/base"

[corpus]
base = 0
train = 24
validation = 8
test = 12
tasks = ["count", "compare", "exists", "describe"]

[candidates]
per_question = 4
batch = 8

[train]
pairs_per_step = 4
micro_batch = 4
checkpoint_every = 2

[eval]
benchmarks = ["reasoning", "describe"]
batch = 4
every = 3
slice = 4

[loss]
beta = 0.1

[[variant]]
name = "DPO"
loss = { algorithm = "dpo" }

[[variant]]
name = "MPO"
loss = { algorithm = "mpo" }

[chart.accuracy]
bars = { x = "variant", y = "reasoning.accuracy", group = "prompt", band = "question" }

[chart.chosen]
lines = { x = "step", y = "logps/chosen", group = "variant" }
"#;

/// A base of a few thousand weights, taught for a few steps: both of its lessons.
pub const BASE: &str = r#"
schema = 1

[model]
dims = { vision_width = 16, vision_layers = 1, vision_heads = 2, vision_mlp = 32, width = 16, layers = 1, heads = 2, kv_heads = 2, mlp = 32 }

[corpus]
base = 24
train = 4
validation = 0
test = 8
tasks = ["count", "compare", "chart"]

[base]
vision_steps = 4
vision_batch = 4
steps = 4
batch = 4

[eval]
benchmarks = ["reasoning"]
"#;

/// A spec with `ROOT` in it, as a file for a folder elsewhere.
pub fn rooted(spec: &str) -> String {
    spec.replace("ROOT", env!("CARGO_MANIFEST_DIR"))
}
