//! The step W1 written the obvious way, on tch alone: what `prefab bench` is measured
//! against.
//!
//! Chosen and rejected answers are concatenated behind their prompts and padded to the
//! longest; each sequence's image is encoded; logits of all positions exist; the
//! reference model runs in each step; tch's own AdamW, the stock allocator, autocast
//! in bf16. Same dimensions, lengths, loss and number of trained weights.

use prefab::kernel::autocast::Autocast;
use std::time::Instant;
use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Tensor};

const PAIRS: i64 = 32;
const SIDE: i64 = 64;
const PATCH: i64 = 8;
const VISION: i64 = 128;
const VISION_MLP: i64 = 512;
const WIDTH: i64 = 256;
const MLP: i64 = 1024;
const LAYERS: i64 = 4;
const HEADS: i64 = 4;
const VOCABULARY: i64 = 512;
/// Words before and behind the image tokens, markers included, and image tokens.
const PROMPT: (i64, i64, i64) = (2, 16, 40);
const BETA: f64 = 0.1;

struct VisionLayer {
    norms: [nn::LayerNorm; 2],
    qkv: nn::Linear,
    out: nn::Linear,
    mlp: [nn::Linear; 2],
    scales: [Tensor; 2],
}

struct Layer {
    norms: [Tensor; 2],
    qkv: [nn::Linear; 3],
    out: nn::Linear,
    gate: nn::Linear,
    up: nn::Linear,
    down: nn::Linear,
}

struct Model {
    patch: nn::Conv2D,
    class: Tensor,
    position: Tensor,
    vision: Vec<VisionLayer>,
    projector: (nn::LayerNorm, nn::Linear, nn::Linear),
    embedding: nn::Embedding,
    layers: Vec<Layer>,
    norm: Tensor,
    head: nn::Linear,
}

impl Model {
    fn new(p: &nn::Path) -> Model {
        let norm = |p: nn::Path, width| nn::layer_norm(p, vec![width], Default::default());
        let linear = |p: nn::Path, from, to, bias| {
            nn::linear(p, from, to, nn::LinearConfig { bias, ..Default::default() })
        };
        let vision = |i: i64| {
            let p = &(p / "vision" / i);
            VisionLayer {
                norms: [norm(p / "norm1", VISION), norm(p / "norm2", VISION)],
                qkv: linear(p / "qkv", VISION, 3 * VISION, true),
                out: linear(p / "out", VISION, VISION, true),
                mlp: [
                    linear(p / "fc1", VISION, VISION_MLP, true),
                    linear(p / "fc2", VISION_MLP, VISION, true),
                ],
                scales: [p.ones("ls1", &[VISION]), p.ones("ls2", &[VISION])],
            }
        };
        let layer = |i: i64| {
            let p = &(p / "language" / i);
            Layer {
                norms: [p.ones("norm1", &[WIDTH]), p.ones("norm2", &[WIDTH])],
                qkv: ["q", "k", "v"].map(|name| linear(p / name, WIDTH, WIDTH, true)),
                out: linear(p / "out", WIDTH, WIDTH, false),
                gate: linear(p / "gate", WIDTH, MLP, false),
                up: linear(p / "up", WIDTH, MLP, false),
                down: linear(p / "down", MLP, WIDTH, false),
            }
        };
        let patches = (SIDE / PATCH) * (SIDE / PATCH);
        let conv = nn::ConvConfig { stride: PATCH, ..Default::default() };
        Model {
            patch: nn::conv2d(p / "patch", 3, VISION, PATCH, conv),
            class: p.randn("class", &[1, 1, VISION], 0.0, 0.02),
            position: p.randn("position", &[1, patches + 1, VISION], 0.0, 0.02),
            vision: (0..LAYERS).map(vision).collect(),
            projector: (
                norm(p / "mlp_norm", 4 * VISION),
                linear(p / "mlp1", 4 * VISION, WIDTH, true),
                linear(p / "mlp2", WIDTH, WIDTH, true),
            ),
            embedding: nn::embedding(p / "embedding", VOCABULARY, WIDTH, Default::default()),
            layers: (0..LAYERS).map(layer).collect(),
            norm: p.ones("norm", &[WIDTH]),
            head: linear(p / "head", WIDTH, VOCABULARY, false),
        }
    }

    /// `[sequences, 3, side, side]` → `[sequences, image tokens, width]`.
    fn image(&self, pixels: &Tensor) -> Tensor {
        let patches = self.patch.forward(pixels).flatten(2, 3).transpose(1, 2);
        let count = pixels.size()[0];
        let class = self.class.expand([count, 1, VISION], false);
        let mut x = Tensor::cat(&[class.to_kind(patches.kind()), patches], 1) + &self.position;
        for layer in &self.vision {
            let qkv = layer.qkv.forward(&layer.norms[0].forward(&x));
            let parts = qkv.chunk(3, -1);
            let heads = |x: &Tensor| x.unflatten(2, [HEADS, VISION / HEADS]).transpose(1, 2);
            let attended =
                attention(&heads(&parts[0]), &heads(&parts[1]), &heads(&parts[2]), false);
            x = &x + layer.out.forward(&attended) * &layer.scales[0];
            let inner = layer.mlp[0].forward(&layer.norms[1].forward(&x)).gelu("none");
            x = &x + layer.mlp[1].forward(&inner) * &layer.scales[1];
        }
        let half = SIDE / PATCH / 2;
        let x = x.narrow(1, 1, 4 * half * half).reshape([count, half, 2, half, 2, VISION]);
        let x = x.permute([0, 1, 3, 2, 4, 5]).reshape([count, half * half, 4 * VISION]);
        let (norm, first, second) = &self.projector;
        second.forward(&first.forward(&norm.forward(&x)).gelu("none"))
    }

    /// Log-probability of each answer: `[sequences]`.
    fn logps(&self, batch: &Batch) -> Tensor {
        let words = self.embedding.forward(&batch.tokens);
        let (before, image, _) = PROMPT;
        let after = before + image;
        let length = words.size()[1];
        let pictures = self.image(&batch.pixels).to_kind(words.kind());
        let mut x = Tensor::cat(
            &[words.narrow(1, 0, before), pictures, words.narrow(1, after, length - after)],
            1,
        );
        let half = WIDTH / HEADS / 2;
        let frequencies = (Tensor::arange(half, (Kind::Float, Device::Cpu))
            * (-(1e4f64).ln() / half as f64))
            .exp();
        let angles = Tensor::arange(length, (Kind::Float, Device::Cpu)).outer(&frequencies);
        let (cos, sin) = (angles.cos().repeat([1, 2]), angles.sin().repeat([1, 2]));
        for layer in &self.layers {
            let normed = rms_norm(&x, &layer.norms[0]);
            let heads = |linear: &nn::Linear| {
                linear.forward(&normed).unflatten(2, [HEADS, WIDTH / HEADS]).transpose(1, 2)
            };
            let [q, k, v] = layer.qkv.each_ref().map(heads);
            let turn = |x: &Tensor| {
                let parts = x.chunk(2, -1);
                let rotated = Tensor::cat(&[-&parts[1], parts[0].shallow_clone()], -1);
                x * &cos + rotated * &sin
            };
            let attended = attention(&turn(&q), &turn(&k), &v.to_kind(Kind::Float), true);
            x = &x + layer.out.forward(&attended);
            let normed = rms_norm(&x, &layer.norms[1]);
            let inner = layer.gate.forward(&normed).silu() * layer.up.forward(&normed);
            x = &x + layer.down.forward(&inner);
        }
        let logits = self.head.forward(&rms_norm(&x, &self.norm)); // [sequences, length, vocabulary]
        let logps = logits.narrow(1, 0, length - 1).log_softmax(-1, Kind::Float);
        let targets = batch.tokens.narrow(1, 1, length - 1);
        let chosen = logps.gather(2, &targets.unsqueeze(2), false).squeeze_dim(2);
        (chosen * &batch.is_answer).sum_dim_intlist(1i64, false, Kind::Float)
    }
}

fn rms_norm(x: &Tensor, gain: &Tensor) -> Tensor {
    let x = x.to_kind(Kind::Float);
    let mean = x.square().mean_dim([-1i64].as_slice(), true, Kind::Float);
    x * (mean + 1e-6).rsqrt() * gain
}

fn attention(q: &Tensor, k: &Tensor, v: &Tensor, causal: bool) -> Tensor {
    let none = None::<&Tensor>;
    let out = Tensor::scaled_dot_product_attention(q, k, v, none, 0.0, causal, None, false);
    out.transpose(1, 2).flatten(2, 3)
}

/// Chosen sequences, then rejected ones, padded at the end.
struct Batch {
    /// `[sequences, length]`.
    tokens: Tensor,
    /// Whether the next token is an answer's, as 0 and 1: `[sequences, length − 1]`.
    is_answer: Tensor,
    pixels: Tensor,
    /// Tokens of each answer.
    counts: Tensor,
}

impl Batch {
    fn new() -> Batch {
        let prompt = PROMPT.0 + PROMPT.1 + PROMPT.2;
        let answers: Vec<i64> = (0..PAIRS)
            .map(|i| 50 + 7 * i % 21)
            .chain((0..PAIRS).map(|i| 50 + (11 * i + 3) % 21))
            .collect();
        let length = prompt + answers.iter().max().expect("there are answers");
        let counts = Tensor::from_slice(&answers);
        let at = Tensor::arange(length - 1, (Kind::Int64, Device::Cpu)) + 1;
        let is_answer = at.ge(prompt).logical_and(&at.lt_tensor(&(counts.unsqueeze(1) + prompt)));
        let pixels = Tensor::randn([PAIRS, 3, SIDE, SIDE], (Kind::Float, Device::Cpu));
        Batch {
            tokens: Tensor::randint(VOCABULARY, [2 * PAIRS, length], (Kind::Int64, Device::Cpu)),
            is_answer: is_answer.to_kind(Kind::Float),
            pixels: Tensor::cat(&[&pixels, &pixels], 0),
            counts: counts.to_kind(Kind::Float),
        }
    }

    fn real_tokens(&self) -> i64 {
        PAIRS * (PROMPT.0 + PROMPT.1 + PROMPT.2) + self.counts.sum(Kind::Int64).int64_value(&[])
    }
}

/// MPO: 0.8 DPO + 0.2 BCO + 1.0 SFT.
fn loss(policy: &Tensor, reference: &Tensor, counts: &Tensor, shift: &mut (f64, f64)) -> Tensor {
    let rewards = (policy - reference) * BETA;
    let (chosen, rejected) = (rewards.narrow(0, 0, PAIRS), rewards.narrow(0, PAIRS, PAIRS));
    let dpo = -(&chosen - &rejected).log_sigmoid().mean(Kind::Float);
    shift.0 += rewards.mean(Kind::Float).double_value(&[]);
    shift.1 += 1.0;
    let delta = shift.0 / shift.1;
    let bco = -(chosen - delta).log_sigmoid().mean(Kind::Float)
        - (-(rejected - delta)).log_sigmoid().mean(Kind::Float);
    let sft =
        -policy.narrow(0, 0, PAIRS).sum(Kind::Float) / counts.narrow(0, 0, PAIRS).sum(Kind::Float);
    dpo * 0.8 + bco * 0.2 + sft
}

/// Times `steps` steps after two more; prints one line of JSON.
pub fn run(bf16: bool, steps: usize) {
    let policy = nn::VarStore::new(Device::Cpu);
    let model = Model::new(&policy.root());
    let mut reference = nn::VarStore::new(Device::Cpu);
    let held = Model::new(&reference.root());
    reference.copy(&policy).expect("the same names and shapes");
    reference.freeze();
    let batch = Batch::new();
    let mut optimizer = nn::AdamW::default().build(&policy, 1e-5).expect("AdamW takes these");
    let mut times = Vec::new();
    let mut shift = (0.0, 0.0);
    for step in 0..steps + 2 {
        let start = Instant::now();
        let loss = {
            let _autocast = bf16.then(Autocast::bf16);
            let reference = tch::no_grad(|| held.logps(&batch));
            let policy = model.logps(&batch);
            loss(&policy, &reference, &batch.counts, &mut shift)
        };
        optimizer.zero_grad();
        loss.backward();
        optimizer.clip_grad_norm(1.0);
        optimizer.step();
        assert!(loss.double_value(&[]).is_finite());
        if step >= 2 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    let step_s = times[times.len() / 2];
    println!(
        "{}",
        serde_json::json!({
            "step_s": step_s,
            "best_s": times[0],
            "pairs_per_s": PAIRS as f64 / step_s,
            "tokens_per_s": batch.real_tokens() as f64 / step_s,
            "peak_gib": prefab::run::machine::peak_gib(),
        })
    );
}
