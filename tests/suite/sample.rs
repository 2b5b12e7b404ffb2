//! Generation against recorded tokens, against itself in other batches, and its draws
//! against the distributions that they come from.

use crate::support::tiny::untrained;
use prefab::model::Vlm;
use prefab::sample::draw::{Draws, choose};
use prefab::sample::{Bounds, Generated, Generation, Request, Watch, generate, generate_watched};
use prefab::spec::train::Precision;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn read(path: &Path) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

fn ids(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor).unwrap()
}

/// Not a token: nothing stops before the length limit.
const NEVER: i64 = -1;

fn quiet(_: u64, _: u64) {}

#[test]
fn greedy_tokens_are_as_recorded() {
    for name in [
        "orig_internlm2_ln",
        "orig_qwen2_rms_qknorm_sharded",
        "orig_llama_bf16_psv1_sel",
        "hf_qwen2_ln",
        "hf_llama_rms_qknorm_modulekeys",
    ] {
        let model = Vlm::load(&fixture(name).join("model"), Device::Cpu).unwrap();
        let inputs = read(&fixture(name).join("inputs.safetensors"));
        let expected = read(&fixture(name).join("expected.safetensors"));
        let features = tch::no_grad(|| model.image_features(&inputs["pixel_values"]));
        let mut requests = vec![];
        let mut wanted = vec![];
        for (batch, ends) in
            [("gen_image", [0, 2].as_slice()), ("gen_text", &[0, 0]), ("gen_batch", &[0, 2, 3])]
        {
            for (row, tiles) in ends.windows(2).map(|ends| ends[0]..ends[1]).enumerate() {
                let all = ids(&inputs[&format!("{batch}.input_ids")].get(row as i64));
                let real = ids(&inputs[&format!("{batch}.attention_mask")].get(row as i64));
                let prompt =
                    all.into_iter().zip(real).filter(|(_, real)| *real == 1).map(|(id, _)| id);
                requests.push(Request {
                    prompt: prompt.collect(),
                    tiles,
                    samples: 1,
                    ..Request::default()
                });
                wanted.push(ids(&expected[&format!("{batch}.tokens")].get(row as i64)));
            }
        }
        for batch in [1, 3, 8] {
            let settings = Generation::greedy(Precision::Fp32, 12, batch, NEVER);
            let answers = generate(&model, &requests, &features, &settings, &quiet).unwrap();
            let tokens: Vec<_> = answers.into_iter().map(|answer| answer.tokens).collect();
            assert_eq!(tokens, wanted, "{name} in batches of {batch}");
        }
    }
}

/// The tiny size with a vocabulary of 40; the image token is 5, the end token 3.
fn tiny() -> Vlm {
    untrained(40)
}

fn features() -> Tensor {
    (Tensor::arange(4 * 16 * 384, (Kind::Float, Device::Cpu)) * 0.37).sin().view([4, 16, 384])
}

fn requests() -> Vec<Request> {
    (0..9)
        .map(|index| {
            let tile = index % 4;
            let text = (0..3 + index as i64 % 3).map(|at| 8 + (index as i64 * 3 + at) % 30);
            Request {
                prompt: [1].into_iter().chain([5; 16]).chain(text).collect(),
                tiles: tile..tile + 1,
                samples: 1 + index % 5,
                stream: 100 + index as u64,
                prefix: vec![],
            }
        })
        .collect()
}

fn sampled(batch: usize) -> Generation {
    Generation {
        seed: 11,
        temperature: Some(1.0),
        ..Generation::greedy(Precision::Fp32, 70, batch, 3)
    }
}

#[test]
fn batching_changes_no_answer() {
    let (model, features, requests) = (tiny(), features(), requests());
    let one = generate(&model, &requests, &features, &sampled(1), &quiet).unwrap();
    let count: usize = requests.iter().map(|request| request.samples).sum();
    assert_eq!(one.len(), count);
    assert!(one.iter().any(|answer| answer.ended) && one.iter().any(|answer| !answer.ended));
    assert!(one.iter().all(|answer| answer.ended == (answer.tokens.last() == Some(&3))));
    assert!(one.iter().all(|answer| answer.ended || answer.tokens.len() == 70));
    for batch in [4, 7, 64] {
        let many = generate(&model, &requests, &features, &sampled(batch), &quiet).unwrap();
        assert_eq!(one, many, "in batches of {batch}");
    }
}

#[test]
fn requests_are_independent_of_each_other() {
    let (model, features, requests) = (tiny(), features(), requests());
    let all = generate(&model, &requests, &features, &sampled(16), &quiet).unwrap();
    let alone = generate(&model, &requests[4..5], &features, &sampled(16), &quiet).unwrap();
    let same: Vec<Generated> = all
        .into_iter()
        .filter(|answer| answer.request == 4)
        .map(|answer| Generated { request: 0, ..answer })
        .collect();
    assert_eq!(alone, same);
    assert_ne!(alone[0].tokens, alone[1].tokens, "samples differ");
    let other = Generation { seed: 12, ..sampled(16) };
    let other = generate(&model, &requests[4..5], &features, &other, &quiet).unwrap();
    assert_ne!(alone, other, "seeds differ");
}

#[test]
fn an_answer_goes_on_from_its_own_beginning_as_before() {
    let (model, features) = (tiny(), features());
    for settings in [sampled(8), Generation::greedy(Precision::Fp32, 70, 8, 3)] {
        let request = Request { samples: 1, ..requests()[2].clone() };
        let whole =
            generate(&model, std::slice::from_ref(&request), &features, &settings, &quiet).unwrap();
        let cut = whole[0].tokens.len() / 2;
        assert!(cut > 0);
        let begun = Request { prefix: whole[0].tokens[..cut].to_vec(), ..request };
        let rest = generate(&model, &[begun], &features, &settings, &quiet).unwrap();
        assert_eq!(rest[0].tokens, whole[0].tokens[cut..]);
        assert_eq!(rest[0].ended, whole[0].ended);
    }
}

#[test]
fn greedy_tokens_are_the_likeliest_without_a_cache_too() {
    let (model, features) = (tiny(), features());
    let request = Request { samples: 2, ..requests()[1].clone() };
    let settings = Generation::greedy(Precision::Fp32, 40, 8, NEVER);
    let answers =
        generate(&model, std::slice::from_ref(&request), &features, &settings, &quiet).unwrap();
    assert_eq!(answers[0].tokens, answers[1].tokens);
    let sequence = [request.prompt.as_slice(), &answers[0].tokens].concat();
    let trace = tch::no_grad(|| model.trace(&sequence, request.tiles, &features)).unwrap();
    let likeliest = ids(&trace.logits.argmax(-1, false));
    let start = request.prompt.len() - 1;
    assert_eq!(answers[0].tokens, likeliest[start..start + 40]);
}

#[test]
fn draws_are_keyed_by_seed_stream_sample_and_position() {
    let number = |seed, stream, sample, position| {
        Draws::new(seed, stream).sample(sample, position).uniform()
    };
    let mut row = Draws::new(1, 2).sample(3, 0);
    let numbers: Vec<f32> = (0..100).map(|_| row.uniform()).collect();
    for (position, expected) in numbers.iter().enumerate() {
        assert_eq!(number(1, 2, 3, position), *expected);
    }
    for other in [number(2, 2, 3, 0), number(1, 3, 3, 0), number(1, 2, 4, 0), numbers[1]] {
        assert_ne!(other, numbers[0]);
    }
}

#[test]
fn tokens_are_drawn_with_their_probabilities() {
    let probabilities = [0.4f32, 0.05, 0.3, 0.25];
    let shares = |settings: &Generation| -> Vec<f64> {
        let rows = 20_000;
        let mut draws = Draws::new(5, 0);
        let uniforms: Vec<f32> = (0..rows).map(|_| draws.uniform()).collect();
        let logits = Tensor::from_slice(&probabilities).log().expand([rows, 4], false);
        let tokens = choose(&logits, &uniforms, settings);
        let count = |token| tokens.iter().filter(|&&drawn| drawn == token).count();
        (0..4).map(|token| count(token) as f64 / rows as f64).collect()
    };
    let check = |settings: Generation, expected: [f64; 4]| {
        for (share, expected) in shares(&settings).into_iter().zip(expected) {
            // Four standard errors; a token that may not be drawn never is.
            let error = 4.0 * (expected * (1.0 - expected) / 20_000f64).sqrt();
            assert!((share - expected).abs() <= error, "{share} for {expected} with {settings:?}");
        }
    };
    let plain = sampled(1);
    check(plain, [0.4, 0.05, 0.3, 0.25]);
    check(Generation { top_k: 2, ..plain }, [0.4 / 0.7, 0.0, 0.3 / 0.7, 0.0]);
    check(Generation { top_p: 0.9, ..plain }, [0.4 / 0.95, 0.0, 0.3 / 0.95, 0.25 / 0.95]);
    check(Generation { top_p: 0.0, ..plain }, [1.0, 0.0, 0.0, 0.0]);
    let squares = [0.16, 0.0025, 0.09, 0.0625].map(|square| square / 0.315);
    check(Generation { temperature: Some(0.5), ..plain }, squares);
    check(Generation { temperature: None, ..plain }, [1.0, 0.0, 0.0, 0.0]);
}

/// Probabilities of the next token after some tokens, without a cache.
fn next(model: &Vlm, request: &Request, features: &Tensor, answer: &[i64]) -> Vec<f64> {
    let sequence = [request.prompt.as_slice(), answer].concat();
    let trace = tch::no_grad(|| model.trace(&sequence, request.tiles.clone(), features)).unwrap();
    let last = trace.logits.get(-1).softmax(-1, Kind::Double);
    Vec::try_from(&last).unwrap()
}

/// Pearson's statistic of drawn tokens against their probabilities, and its degrees of
/// freedom. Tokens that are expected fewer than five times are taken together.
fn chi_square(drawn: &[i64], probabilities: &[f64]) -> (f64, f64) {
    let mut cells: Vec<(f64, f64)> = Vec::new();
    let mut rare = (0.0, 0.0);
    for (token, probability) in probabilities.iter().enumerate() {
        let seen = drawn.iter().filter(|&&one| one == token as i64).count() as f64;
        let expected = probability * drawn.len() as f64;
        match expected >= 5.0 {
            true => cells.push((seen, expected)),
            false => rare = (rare.0 + seen, rare.1 + expected),
        }
    }
    cells.push(rare);
    let statistic = cells.iter().filter(|(_, expected)| *expected > 0.0);
    let statistic = statistic.map(|(seen, expected)| (seen - expected).powi(2) / expected).sum();
    (statistic, cells.len() as f64 - 1.0)
}

#[test]
fn sampled_tokens_follow_the_models_own_distribution() {
    let (model, features) = (tiny(), features());
    let draws = 30_000;
    let request = Request { samples: draws, stream: 3, ..requests()[4].clone() };
    let one = std::slice::from_ref(&request);
    for temperature in [1.0, 0.5] {
        let settings = Generation {
            seed: 21,
            temperature: Some(temperature),
            ..Generation::greedy(Precision::Fp32, 2, 4096, NEVER)
        };
        let answers = generate(&model, one, &features, &settings, &quiet).unwrap();
        let heated = |probabilities: Vec<f64>| {
            let powers: Vec<f64> =
                probabilities.iter().map(|p| p.powf(1.0 / temperature)).collect();
            let total: f64 = powers.iter().sum();
            powers.into_iter().map(|power| power / total).collect::<Vec<f64>>()
        };
        let check = |drawn: &[i64], given: &[i64]| {
            let (statistic, freedom) =
                chi_square(drawn, &heated(next(&model, &request, &features, given)));
            // The mean is `freedom`, the deviation √(2 · freedom): four of them.
            let most = freedom + 4.0 * (2.0 * freedom).sqrt();
            assert!(freedom > 5.0 && statistic < most, "{statistic} of {freedom} at {temperature}");
        };
        let first: Vec<i64> = answers.iter().map(|answer| answer.tokens[0]).collect();
        check(&first, &[]);
        // The second token depends on the first, which the cache holds.
        let often = (0..40).max_by_key(|&token| first.iter().filter(|&&f| f == token).count());
        let often = often.unwrap();
        let after = answers.iter().filter(|answer| answer.tokens[0] == often);
        let second: Vec<i64> = after.map(|answer| answer.tokens[1]).collect();
        check(&second, &[often]);
    }
}

#[test]
fn bounds_forbid_an_early_end_and_stop_a_late_one() {
    let (model, features) = (tiny(), features());
    // Enough answers that some end within their first tokens.
    let requests: Vec<Request> =
        requests().into_iter().map(|request| Request { samples: 12, ..request }).collect();
    let settings = sampled(16);
    let free = generate(&model, &requests, &features, &settings, &quiet).unwrap();
    let bounds: Vec<Bounds> = (0..requests.len())
        .map(|index| match index % 3 {
            0 => Bounds { least: usize::MAX, most: 9 },
            1 => Bounds { least: 6, most: 20 },
            _ => Bounds { least: 0, most: 70 },
        })
        .collect();
    let watch = Watch { bounds: Some(&bounds), without: None, stops: None, progress: &quiet };
    let bound = generate_watched(&model, &requests, &features, &settings, &watch).unwrap();
    let mut shortest = usize::MAX;
    for (answer, free) in bound.iter().zip(&free) {
        match answer.request % 3 {
            0 => assert!(answer.tokens.len() == 9 && !answer.ended && !answer.tokens.contains(&3)),
            1 => {
                assert!((6..=20).contains(&answer.tokens.len()));
                assert!(answer.ended || answer.tokens.len() == 20);
            }
            // Other rows' bounds change nothing.
            _ => assert_eq!(answer, free),
        }
        shortest = shortest.min(free.tokens.len());
    }
    assert!(shortest < 6, "some answer would have ended early: {shortest}");
}

#[test]
fn an_answer_can_be_kept_from_a_first_token() {
    let (model, features, requests) = (tiny(), features(), requests());
    let settings = sampled(16);
    let free = generate(&model, &requests, &features, &settings, &quiet).unwrap();
    // Every second request cannot begin as its first answer does.
    let first = |request| free.iter().find(|answer| answer.request == request).unwrap().tokens[0];
    let without: Vec<Option<i64>> =
        (0..requests.len()).map(|request| (request % 2 == 0).then(|| first(request))).collect();
    let watch = Watch { bounds: None, without: Some(&without), stops: None, progress: &quiet };
    let kept = generate_watched(&model, &requests, &features, &settings, &watch).unwrap();
    assert_eq!(kept.len(), free.len());
    for (answer, free) in kept.iter().zip(&free) {
        match without[answer.request] {
            Some(token) => assert_ne!(answer.tokens[0], token),
            None => assert_eq!(answer, free),
        }
    }
    let later = kept.iter().flat_map(|a| a.tokens[1..].iter().map(|t| (without[a.request], *t)));
    assert!(later.into_iter().any(|(token, next)| token == Some(next)), "it may come later");
}

#[test]
fn a_rule_can_end_an_answer() {
    let (model, features, requests) = (tiny(), features(), requests());
    let settings = sampled(16);
    let free = generate(&model, &requests, &features, &settings, &quiet).unwrap();
    let stops = |tokens: &[i64]| {
        tokens.ends_with(&[11]) || tokens.len() >= 2 && tokens[tokens.len() - 2] == 12
    };
    let watch = Watch { bounds: None, without: None, stops: Some(&stops), progress: &quiet };
    let stopped = generate_watched(&model, &requests, &features, &settings, &watch).unwrap();
    for (answer, free) in stopped.iter().zip(&free) {
        let end = (1..=free.tokens.len()).find(|&length| stops(&free.tokens[..length]));
        assert_eq!(answer.tokens, free.tokens[..end.unwrap_or(free.tokens.len())]);
        assert_eq!(answer.ended, end.is_some() || free.ended);
    }
}
