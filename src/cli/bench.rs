//! `prefab bench`: how fast a training step of a spec is on this machine.
//!
//! Times the trainer's own parts (log-probabilities, loss, gradient, optimizer) on
//! made-up pairs in the spec's model, so that nothing has to be run before. Lengths
//! are those that peers were measured with: a prompt of 40 words and an image,
//! answers of 50 to 70 tokens.

use super::{aligned, say};
use crate::loss::{Mix, Shift};
use crate::model::parameters::{head_name, is_embedding};
use crate::model::{Config, Group, Vlm, kind_of};
use crate::run::machine;
use crate::spec::model::{Model, Module};
use crate::spec::train::{Precision, Train};
use crate::spec::{self, loss::Loss};
use crate::train::gradient::{self, Known, PairLogps};
use crate::train::optimizer::{AdamW, Settings};
use crate::{Error, Result};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Spec file; its first point is measured
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Set a value over the spec's own: table.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Timed steps, after two that are not
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// What was measured; times are medians.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Numbers in all weights.
    pub parameters: i64,
    /// `fp32` or `bf16`.
    pub precision: String,
    /// Threads of the matrix products.
    pub threads: i32,
    /// Pairs a step.
    pub pairs: usize,
    /// Tokens a step: each prompt once, both answers.
    pub tokens: usize,
    /// Median, and the quickest.
    pub step_s: f64,
    /// The quickest step.
    pub best_s: f64,
    /// Of the median step.
    pub pairs_per_s: f64,
    /// Of the median step.
    pub tokens_per_s: f64,
    /// Largest resident memory of the process.
    pub peak_gib: f64,
    /// Operations of a step's matrix products, in 10⁹.
    pub step_gflop: f64,
    /// What a bare matrix product of the model's shape reaches, 10⁹ a second.
    pub roof_gflops: f64,
    /// Share of that which the median step reaches.
    pub roof_share: f64,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Loss of the last step.
    pub last_loss: f64,
}

/// Measures and prints.
///
/// # Errors
///
/// If the spec has mistakes, or has no `[loss]` to train with.
pub fn run(args: &Args) -> Result<()> {
    let experiment = spec::load(&args.spec, &args.overrides)?;
    let point = experiment.points.first().expect("a spec has at least one point");
    let round = point.rounds.first().ok_or_else(|| {
        Error::spec(format!("`{}` trains nothing", args.spec.display()))
            .hint("bench measures the policy step of a spec with a `[loss]` table")
    })?;
    let measured = measure(&point.settings.model, &round.loss, &round.train, args.steps)?;
    if args.json {
        let line = serde_json::to_string(&measured)
            .map_err(|error| Error::new(format!("writing the result: {error}")))?;
        say(&format!("{line}\n"));
    } else {
        say(&describe(&measured));
    }
    Ok(())
}

fn describe(m: &Measured) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    aligned(&[
        row("pairs/s", format!("{:.1}", m.pairs_per_s)),
        row("tokens/s", format!("{:.0}", m.tokens_per_s)),
        row(
            "step",
            format!(
                "{:.3} s (quickest {:.3}), {} pairs, {} tokens, {} threads, {}",
                m.step_s, m.best_s, m.pairs, m.tokens, m.threads, m.precision
            ),
        ),
        row("peak memory", format!("{:.2} GiB", m.peak_gib)),
        row(
            "matrix products",
            format!(
                "{:.0} GFLOP a step, {:.0} % of the {:.0} GFLOP/s they reach alone",
                m.step_gflop,
                100.0 * m.roof_share,
                m.roof_gflops
            ),
        ),
        row("loss", format!("{:.4} first, {:.4} last", m.first_loss, m.last_loss)),
    ])
}

/// Trains `steps` steps on made-up pairs and times each.
///
/// # Errors
///
/// If model or loss settings contradict each other.
pub fn measure(model: &Model, loss: &Loss, train: &Train, steps: u16) -> Result<Measured> {
    let mix = Mix::new(loss)?;
    let vocabulary = model.dims.vocabulary.unwrap_or(512);
    let config = Config::of(model, vocabulary, vocabulary as i64 - 1)?;
    let vlm = Vlm::new(config, 0, Device::Cpu);
    vlm.set_trainable(&model.train);
    let batch = Batch::new(&vlm, train.pairs_per_step, vocabulary as i64 - 1);
    let mut optimizer = AdamW::new(&vlm.parameters(), Settings::of(train));
    let known = {
        let _no_grad = tch::no_grad_guard();
        let all: Vec<usize> = (0..train.pairs_per_step).collect();
        let reference = batch.logps(&vlm, &all, train.precision, false)?;
        let tokens = |answers: &[Vec<i64>]| {
            let counts: Vec<f32> = answers.iter().map(|answer| answer.len() as f32).collect();
            Tensor::from_slice(&counts)
        };
        Known {
            reference,
            chosen_tokens: tokens(&batch.chosen),
            rejected_tokens: tokens(&batch.rejected),
        }
    };
    let trains_vision = model.train.contains(&Module::Vision);
    let (mut shift, mut times, mut losses) = (Shift::default(), Vec::new(), Vec::new());
    for step in 0..steps + 2 {
        let start = Instant::now();
        optimizer.zero_grad();
        let policy = |at: &[usize]| batch.logps(&vlm, at, train.precision, trains_vision);
        let pieces = gradient::pieces(&batch.lengths(), train.micro_batch);
        let mut after = shift;
        let (_, terms) = gradient::backward(&known, &pieces, policy, |logps| {
            let (terms, _, next) = mix.step(logps, shift, train.micro_batch);
            after = next;
            terms
        })?;
        shift = after;
        let norm = optimizer.grad_norm();
        optimizer.step(1e-5, norm);
        losses.push(terms.loss.double_value(&[]));
        if step >= 2 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let peak_gib = machine::peak_gib();
    times.sort_by(f64::total_cmp);
    let step_s = times[times.len() / 2];
    let tokens: usize = batch.lengths().iter().sum();
    let roof_gflops = roof(&vlm.config, tokens as i64, train.precision);
    let step_gflop = batch.flop(&vlm, model) / 1e9;
    Ok(Measured {
        parameters: vlm.parameters().iter().map(|(_, tensor)| tensor.numel() as i64).sum(),
        precision: match train.precision {
            Precision::Fp32 => "fp32".into(),
            Precision::Bf16 => "bf16".into(),
        },
        threads: tch::get_num_threads(),
        pairs: train.pairs_per_step,
        tokens,
        step_s,
        best_s: times[0],
        pairs_per_s: train.pairs_per_step as f64 / step_s,
        tokens_per_s: tokens as f64 / step_s,
        peak_gib,
        step_gflop,
        roof_gflops,
        roof_share: step_gflop / step_s / roof_gflops,
        first_loss: losses[0],
        last_loss: losses[losses.len() - 1],
    })
}

/// Made-up pairs of fixed lengths.
struct Batch {
    prompts: Vec<Vec<i64>>,
    chosen: Vec<Vec<i64>>,
    rejected: Vec<Vec<i64>>,
    /// `[pairs, 3, side, side]`.
    pixels: Tensor,
    /// What stands for them where the tower is frozen: `[pairs, tokens, 4·vision_width]`.
    features: Tensor,
}

impl Batch {
    fn new(vlm: &Vlm, pairs: usize, image_token: i64) -> Batch {
        let ids = |count: usize, salt: usize| -> Vec<i64> {
            let id = |at: usize| (at * 7 + salt * 31 + at * at % 11) as i64 % image_token;
            (0..count).map(id).collect()
        };
        let prompt = |pair: usize| {
            // A word, the image between its two markers, then the words of the question.
            let mut prompt = ids(2, pair);
            prompt.resize(2 + vlm.config.image_tokens, image_token);
            prompt.extend(ids(40, pair + 1));
            prompt
        };
        let side = vlm.config.vision.side as i64;
        let shape = [pairs as i64, 3, side, side];
        let pixels = (Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu))
            * 0.7)
            .sin()
            .view(shape);
        let features = {
            let _no_grad = tch::no_grad_guard();
            vlm.image_features(&pixels)
        };
        Batch {
            prompts: (0..pairs).map(prompt).collect(),
            chosen: (0..pairs).map(|pair| ids(50 + 7 * pair % 21, pair + 2)).collect(),
            rejected: (0..pairs).map(|pair| ids(50 + (11 * pair + 3) % 21, pair + 3)).collect(),
            pixels,
            features,
        }
    }

    fn lengths(&self) -> Vec<usize> {
        let pairs = self.prompts.iter().zip(&self.chosen).zip(&self.rejected);
        pairs
            .map(|((prompt, chosen), rejected)| prompt.len() + chosen.len() + rejected.len())
            .collect()
    }

    fn logps(
        &self,
        vlm: &Vlm,
        at: &[usize],
        precision: Precision,
        encode: bool,
    ) -> Result<PairLogps> {
        let rows: Vec<i64> = at.iter().map(|&pair| pair as i64).collect();
        let rows = Tensor::from_slice(&rows);
        let features = match encode {
            true => vlm.image_features_in(&self.pixels.index_select(0, &rows), precision),
            false => self.features.index_select(0, &rows),
        };
        let group = |(tile, &pair): (usize, &usize)| Group {
            prompt: &self.prompts[pair],
            tiles: tile..tile + 1,
            answers: vec![&self.chosen[pair], &self.rejected[pair]],
        };
        let groups: Vec<Group> = at.iter().enumerate().map(group).collect();
        let sums = vlm.answer_logps(&groups, &features, precision)?.sums.view([-1, 2]);
        Ok(PairLogps { chosen: sums.select(1, 0), rejected: sums.select(1, 1) })
    }

    /// Operations of the matrix products of one step: 2 forward and, from the first
    /// trained module on, 4 backward for each weight and row.
    fn flop(&self, vlm: &Vlm, model: &Model) -> f64 {
        let tokens: usize = self.lengths().iter().sum();
        let predictions: usize = self.chosen.iter().chain(&self.rejected).map(Vec::len).sum();
        let images = self.prompts.len() as f64;
        let side = (vlm.config.vision.side / vlm.config.vision.patch) as f64;
        let trains_vision = model.train.contains(&Module::Vision);
        let mut total = 0.0;
        for (name, tensor) in vlm.parameters() {
            let rows = match Vlm::module_of(name) {
                // A tied model's head.
                _ if is_embedding(name) && vlm.config.language.tied => predictions as f64,
                _ if tensor.dim() < 2 || name.contains("embedding") || is_embedding(name) => 0.0,
                Module::Vision if trains_vision => images * (side * side + 1.0),
                Module::Vision => 0.0,
                Module::Projector => images * vlm.config.image_tokens as f64,
                Module::Language if name == head_name(&vlm.config.language) => predictions as f64,
                Module::Language => tokens as f64,
            };
            total += 6.0 * rows * tensor.numel() as f64;
        }
        total
    }
}

/// What the MLP's first product reaches alone, the best of several, in 10⁹ a second.
fn roof(config: &Config, tokens: i64, precision: Precision) -> f64 {
    let _no_grad = tch::no_grad_guard();
    let kind = kind_of(precision);
    let (width, mlp) = (config.language.width as i64, 2 * config.language.mlp as i64);
    let x = Tensor::ones([tokens, width], (kind, Device::Cpu));
    let weight = Tensor::ones([mlp, width], (kind, Device::Cpu));
    let seconds = (0..12).map(|_| {
        let start = Instant::now();
        let _ = x.linear(&weight, None::<&Tensor>);
        start.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    2.0 * (tokens * width * mlp) as f64 / best / 1e9
}
