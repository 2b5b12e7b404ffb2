//! Sampling beside plain decoding: the same model and weights, K answers a question, the same
//! lengths; all see the question's picture.
//!
//! | way | prompt | picture | decoded together |
//! |---|---|---|---|
//! | plain libtorch, an answer at a time | computed for each answer | encoded for each question | 1 |
//! | plain libtorch, a question at a time | computed for each of its K answers | encoded for each question | K |
//! | Prefab's, a question at a time | computed for each of its K answers | encoded for each question | K |
//! | Prefab's, a question at a time, shared | computed once | encoded once | K |
//! | Prefab | computed once | features read | `BATCH` rows of many questions |

#[path = "../suite/support/tiny.rs"]
mod tiny;

use crate::plain_sampling::Plain;
use prefab::model::Vlm;
use prefab::sample::{Generation, Request, generate};
use prefab::spec::train::Precision;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Answers a question, and the tokens of each: no answer ends early, so that all ways write as much.
const SAMPLES: usize = 8;
const TOKENS: usize = 32;
/// Rows decoded together by Prefab: the default of `[candidates]`.
const BATCH: usize = 64;
/// Text tokens of a prompt, as a generated question with its instruction has them.
const TEXT: usize = 24;
/// The image token of [`tiny::untrained`].
const IMAGE: i64 = 5;
/// Not a token.
const NEVER: i64 = -1;

struct Bench {
    model: Vlm,
    pixels: Tensor,
    features: Tensor,
    questions: usize,
}

/// Writes answers; how many tokens.
type Way = fn(&Bench) -> usize;

/// Prints tokens/s of each way and ratios to the plain ones.
pub fn run(questions: usize) {
    prefab::run::machine::tune_allocator();
    tch::set_num_threads(1);
    let model = tiny::untrained(256);
    let pixels = Tensor::rand([questions as i64, 3, 64, 64], (Kind::Float, Device::Cpu));
    let features = tch::no_grad(|| model.image_features(&pixels));
    let bench = Bench { model, pixels, features, questions };
    println!(
        "sampling: tiny size, {questions} questions, {SAMPLES} answers of {TOKENS} tokens, one thread"
    );
    // A warm-up, then turns; the best of three of each.
    bench.ours(64);
    bench.agree();
    let ways: [(&str, Way); 5] = [
        ("plain libtorch, an answer at a time", Bench::plain_by_answer),
        ("plain libtorch, a question's answers together", Bench::plain_by_question),
        ("prefab's, a question's answers together", Bench::by_question),
        ("the same, prompt once", Bench::by_question_shared),
        ("prefab", |bench| bench.ours(bench.questions)),
    ];
    let mut best = [0.0_f64; 5];
    for _ in 0..3 {
        for (best, (_, way)) in best.iter_mut().zip(&ways) {
            let start = Instant::now();
            let tokens = way(&bench);
            *best = best.max(tokens as f64 / start.elapsed().as_secs_f64());
        }
    }
    println!("{:54}{:>10}{:>18}", "", "tokens/s", "prefab is times");
    for ((name, _), rate) in ways.iter().zip(best) {
        println!("{name:54}{rate:10.0}{:18.1}", best[4] / rate);
    }
}

impl Bench {
    /// Questions for the plain ways: fewer, since they are slow and their rate is the same.
    fn few(&self) -> std::ops::Range<usize> {
        0..self.questions.min(24)
    }

    fn request(&self, question: usize, tile: usize, samples: usize, stream: u64) -> Request {
        let text = (0..TEXT as i64).map(|at| 8 + (question as i64 * 3 + at) % 200);
        Request {
            prompt: [1].into_iter().chain([IMAGE; 16]).chain(text).collect(),
            tiles: tile..tile + 1,
            samples,
            stream,
            prefix: vec![],
        }
    }

    fn write(&self, requests: &[Request], features: &Tensor, batch: usize) -> usize {
        let settings = Generation {
            temperature: Some(1.0),
            ..Generation::greedy(Precision::Fp32, TOKENS, batch, NEVER)
        };
        let answers = generate(&self.model, requests, features, &settings, &|_, _| ());
        answers.expect("good requests").iter().map(|answer| answer.tokens.len()).sum()
    }

    fn encode(&self, question: usize) -> Tensor {
        tch::no_grad(|| self.model.image_features(&self.pixels.narrow(0, question as i64, 1)))
    }

    /// The plain code is the same model: its likeliest tokens are ours.
    fn agree(&self) {
        for question in self.few() {
            let plain = self.plain(question, 1, true);
            let settings = Generation::greedy(Precision::Fp32, TOKENS, 1, NEVER);
            let request = self.request(question, question, 1, 0);
            let ours = generate(&self.model, &[request], &self.features, &settings, &|_, _| ());
            let ours = ours.expect("a good request").remove(0).tokens;
            assert_eq!(Vec::<i64>::try_from(plain.squeeze()).expect("a row"), ours);
        }
    }

    fn plain(&self, question: usize, rows: usize, greedy: bool) -> Tensor {
        let plain = Plain::new(&self.model);
        let features = self.encode(question);
        tch::no_grad(|| {
            let picture = self.model.project(&features, Precision::Fp32).squeeze_dim(0);
            let prompt = self.request(question, 0, rows, 0).prompt;
            plain.answers(&prompt, &picture, IMAGE, rows as i64, TOKENS, greedy)
        })
    }

    fn plain_by_answer(&self) -> usize {
        let answers = self.few().flat_map(|question| (0..SAMPLES).map(move |_| question));
        answers.map(|question| self.plain(question, 1, false).numel()).sum()
    }

    fn plain_by_question(&self) -> usize {
        self.few().map(|question| self.plain(question, SAMPLES, false).numel()).sum()
    }

    fn by_question(&self) -> usize {
        self.few()
            .map(|question| {
                let features = self.encode(question);
                let each: Vec<Request> =
                    (0..SAMPLES).map(|k| self.request(question, 0, 1, k as u64)).collect();
                self.write(&each, &features, SAMPLES)
            })
            .sum()
    }

    fn by_question_shared(&self) -> usize {
        self.few()
            .map(|question| {
                let features = self.encode(question);
                self.write(&[self.request(question, 0, SAMPLES, 0)], &features, SAMPLES)
            })
            .sum()
    }

    fn ours(&self, questions: usize) -> usize {
        let requests: Vec<Request> = (0..questions.min(self.questions))
            .map(|question| self.request(question, question, SAMPLES, question as u64))
            .collect();
        self.write(&requests, &self.features, BATCH)
    }
}
