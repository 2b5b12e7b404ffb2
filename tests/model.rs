//! The model against values that the reference implementations recorded
//! (`tests/fixtures/internvl`), and against itself in other arrangements.

use prefab::model::{Config, Group, Vlm};
use prefab::spec::model::{Dims, Model, Module, Size};
use prefab::spec::train::Precision;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Largest differences that reordered f32 arithmetic makes; measured for the fixtures.
const FEATURES: f64 = 1e-5;
const LOGITS: f64 = 5e-5;
const LAST_HIDDEN: f64 = 3e-5;
const LOGPS: f64 = 3e-5;
const GRADIENTS: f64 = 1e-5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn read(path: &Path) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

fn ids(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor).unwrap()
}

/// A checkpoint with what went in and what must come out.
struct Recorded {
    model: Vlm,
    inputs: BTreeMap<String, Tensor>,
    expected: BTreeMap<String, Tensor>,
}

/// Tiles of the two samples of a fixture.
const TILES: [std::ops::Range<usize>; 2] = [0..2, 2..3];

impl Recorded {
    fn open(name: &str) -> Self {
        let dir = fixture(name);
        Self {
            model: Vlm::load(&dir.join("model"), Device::Cpu).unwrap(),
            inputs: read(&dir.join("inputs.safetensors")),
            expected: read(&dir.join("expected.safetensors")),
        }
    }

    /// The tokens of a sample that are not padding.
    fn tokens(&self, sample: i64) -> Vec<i64> {
        let real = ids(&self.inputs["attention_mask"].get(sample)).iter().sum::<i64>();
        ids(&self.inputs["input_ids"].get(sample).narrow(0, 0, real))
    }

    fn features(&self) -> Tensor {
        self.model.image_features(&self.inputs["pixel_values"])
    }

    fn check_vision(&self) {
        let pixels = &self.inputs["pixel_values"];
        for (index, state) in self.model.vision_states(pixels).iter().enumerate() {
            let off = difference(state, &self.expected[&format!("vit_hidden.{index}")]);
            assert!(off < FEATURES, "vision state {index} is off by {off:e}");
        }
        let features = self.features();
        if let Some(expected) = self.expected.get("pixel_shuffled") {
            assert!(difference(&features, expected) < FEATURES);
        }
        let projected = self.model.project(&features, Precision::Fp32);
        let off = difference(&projected, &self.expected["vision_features"]);
        assert!(off < FEATURES, "features are off by {off:e}");
    }

    fn check_other_sizes(&self) {
        for size in ["sq", "rect"] {
            let pixels = &self.inputs[&format!("pixel_values.{size}")];
            // The recorded state is the tower's last layer's, whatever is selected.
            if self.model.config.vision_layers_run() == self.model.config.vision.layers {
                let states = self.model.vision_states(pixels);
                let off = difference(
                    states.last().unwrap(),
                    &self.expected[&format!("vit_last_hidden.{size}")],
                );
                assert!(off < FEATURES, "{size} is off by {off:e}");
            }
        }
        let features = self.model.image_features(&self.inputs["pixel_values.sq"]);
        let projected = self.model.project(&features, Precision::Fp32);
        assert!(difference(&projected, &self.expected["vision_features.sq"]) < FEATURES);
    }

    fn check_language(&self) {
        let features = self.features();
        for sample in 0..2 {
            let tokens = self.tokens(sample);
            let length = tokens.len() as i64;
            let trace =
                self.model.trace(&tokens, TILES[sample as usize].clone(), &features).unwrap();
            let of = |name: &str| self.expected[name].get(sample).narrow(0, 0, length);
            for (index, input) in trace.inputs.iter().enumerate() {
                let off = difference(input, &of(&format!("llm_hidden.{index}")));
                assert!(off < LAST_HIDDEN, "input of layer {index} is off by {off:e}");
            }
            let off = difference(&trace.last, &of("last_hidden_state"));
            assert!(off < LAST_HIDDEN, "last hidden state is off by {off:e}");
            let off = difference(&trace.logits, &of("logits"));
            assert!(off < LOGITS, "logits are off by {off:e}");
        }
    }

    /// The supervised span of each sample as an answer to what is before it.
    fn check_answers(&self) {
        self.model.set_trainable(&[Module::Vision, Module::Projector, Module::Language]);
        let samples: Vec<(Vec<i64>, usize)> =
            (0..2).map(|sample| (self.tokens(sample), self.answer_start(sample))).collect();
        let groups: Vec<Group> = samples
            .iter()
            .zip(TILES)
            .map(|((tokens, start), tiles)| Group {
                prompt: &tokens[..*start],
                tiles,
                answers: vec![&tokens[*start..]],
            })
            .collect();
        let logps = self.model.answer_logps(&groups, &self.features(), Precision::Fp32).unwrap();
        let tokens = logps.tokens.unwrap();
        let mut done = 0;
        let mut supervised = vec![];
        for (sample, (group, count)) in groups.iter().zip(&logps.counts).enumerate() {
            let start = group.prompt.len() as i64 - 1;
            let count = *count as i64;
            let expected =
                self.expected["label_logprobs"].get(sample as i64).narrow(0, start, count);
            let ours = tokens.narrow(0, done, count);
            // Tokens inside the span that were not supervised were recorded as 0.
            let is_label =
                self.inputs["labels"].get(sample as i64).narrow(0, start + 1, count).ne(-100);
            let ours = ours.where_self(&is_label, &Tensor::from(0f32));
            let off = difference(&ours, &expected);
            assert!(off < LOGPS, "log-probabilities are off by {off:e}");
            supervised.push((ours.sum(Kind::Float), is_label.sum(Kind::Int64).int64_value(&[])));
            done += count;
        }
        let total: i64 = supervised.iter().map(|(_, count)| count).sum();
        let loss = supervised.iter().map(|(sum, _)| sum).sum::<Tensor>() / -(total as f64);
        let off = difference(&loss.detach().reshape([1]), &self.expected["loss"]);
        assert!(off < 5e-6, "loss is off by {off:e}");
        loss.backward();
        self.check_gradients();
    }

    /// Where the first supervised token of a sample stands.
    fn answer_start(&self, sample: i64) -> usize {
        ids(&self.inputs["labels"].get(sample)).iter().position(|&label| label != -100).unwrap()
    }

    fn check_gradients(&self) {
        let mut checked = 0;
        for (name, tensor) in self.model.parameters() {
            if let Some(expected) = self.expected.get(&format!("grad.{name}")) {
                let off = difference(&tensor.grad(), expected);
                assert!(off < GRADIENTS, "the gradient of {name} is off by {off:e}");
                checked += 1;
            }
        }
        assert!(checked > 0 || self.expected.keys().any(|name| name.starts_with("grad.model.")));
    }

    fn check(&self) {
        {
            let _no_grad = tch::no_grad_guard();
            self.check_vision();
            self.check_other_sizes();
            self.check_language();
        }
        self.check_answers();
    }
}

#[test]
fn internlm2_with_layer_norm_is_as_recorded() {
    Recorded::open("orig_internlm2_ln").check();
}

#[test]
fn sharded_qwen2_with_rms_and_qk_norm_is_as_recorded() {
    Recorded::open("orig_qwen2_rms_qknorm_sharded").check();
}

#[test]
fn bf16_llama_with_first_shuffle_and_selected_layer_is_as_recorded() {
    Recorded::open("orig_llama_bf16_psv1_sel").check();
}

#[test]
fn transformers_layout_is_as_recorded() {
    Recorded::open("hf_qwen2_ln").check();
}

#[test]
fn transformers_module_layout_is_as_recorded() {
    Recorded::open("hf_llama_rms_qknorm_modulekeys").check();
}

/// A copy of a fixture's model folder with another `config.json`.
fn with_config(name: &str, edit: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture(name).join("model")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
    folder
}

#[test]
fn dynamic_ntk_stretches_the_angles_beyond_the_trained_length() {
    let folder = with_config("orig_internlm2_ln", |json| {
        json["llm_config"]["max_position_embeddings"] = 24.into();
    });
    let recorded = Recorded::open("orig_internlm2_ln");
    let model = Vlm::load(folder.path(), Device::Cpu).unwrap();
    let trace = model.trace(&recorded.tokens(0), 0..2, &recorded.features()).unwrap();
    let length = trace.logits.size()[0];
    let last = trace.logits.narrow(0, length - 8, 8);
    let off = difference(&last, &recorded.expected["ntk24.logits_sample0_last8"]);
    assert!(off < LOGITS, "logits are off by {off:e}");
}

/// The tiny size with a vocabulary of 40; the image token is 5.
fn tiny() -> Vlm {
    let model = Model { size: Size::Tiny, checkpoint: None, dims: Dims::default(), train: vec![] };
    Vlm::new(Config::of(&model, 40, 5).unwrap(), 7, Device::Cpu)
}

/// A prompt with one tile and some text.
fn prompt(text: &[i64]) -> Vec<i64> {
    [&[1, 2], [5; 16].as_slice(), text].concat()
}

#[test]
fn the_tiny_size_has_about_1_2_million_parameters() {
    let count: usize = tiny().parameters().iter().map(|(_, tensor)| tensor.numel()).sum();
    assert!((1_100_000..1_300_000).contains(&count), "{count}");
}

#[test]
fn a_shared_prompt_gives_what_separate_sequences_give_gradients_too() {
    let model = tiny();
    model.set_trainable(&[Module::Projector, Module::Language]);
    let features = Tensor::randn([3, 16, 384], (Kind::Float, Device::Cpu));
    let prompts = [prompt(&[8, 9, 10]), prompt(&[11]), vec![12, 13, 14, 15]];
    let answers: [Vec<Vec<i64>>; 3] = [
        vec![vec![20, 21, 22, 3], vec![3], vec![23, 5, 24, 25, 26, 27, 3]],
        vec![vec![28, 3]],
        vec![vec![29; 30], vec![30, 31, 3]],
    ];
    let tiles = [2..3, 0..1, 0..0];
    let groups: Vec<Group> = (0..3)
        .map(|i| Group {
            prompt: &prompts[i],
            tiles: tiles[i].clone(),
            answers: answers[i].iter().map(Vec::as_slice).collect(),
        })
        .collect();
    let gradients = |sums: &Tensor| -> Vec<Tensor> {
        let weights = Tensor::from_slice(&[1f32, -0.5, 0.3, 0.7, 1.1, -0.2]);
        for (_, tensor) in model.parameters() {
            tensor.shallow_clone().zero_grad();
        }
        (sums * weights).sum(Kind::Float).backward();
        let learning = model.parameters().into_iter().filter(|(_, tensor)| tensor.requires_grad());
        learning.map(|(_, tensor)| tensor.grad().copy()).collect()
    };
    let shared = model.answer_logps(&groups, &features, Precision::Fp32).unwrap();
    assert_eq!(shared.counts, [4, 1, 7, 2, 30, 3]);
    let shared_gradients = gradients(&shared.sums);
    let separate: Vec<Tensor> = groups
        .iter()
        .flat_map(|group| group.answers.iter().map(move |answer| (group, *answer)))
        .map(|(group, answer)| {
            let alone = Group { answers: vec![answer], ..group.clone() };
            model.answer_logps(&[alone], &features, Precision::Fp32).unwrap().sums
        })
        .collect();
    let separate = Tensor::cat(&separate, 0);
    assert!(difference(&shared.sums, &separate) < 1e-4);
    let separate_gradients = gradients(&separate);
    assert_eq!(shared_gradients.len(), separate_gradients.len());
    for (a, b) in shared_gradients.iter().zip(&separate_gradients) {
        let scale = b.abs().max().double_value(&[]);
        assert!(difference(a, b) < 1e-5 * (1.0 + scale), "{} of {scale}", difference(a, b));
    }
}

#[test]
fn bf16_is_close_to_fp32() {
    let model = tiny();
    let features = Tensor::randn([1, 16, 384], (Kind::Float, Device::Cpu));
    let prompt = prompt(&[8, 9]);
    let groups =
        [Group { prompt: &prompt, tiles: 0..1, answers: vec![&[20, 21, 3], &[22, 23, 24, 3]] }];
    let full = model.answer_logps(&groups, &features, Precision::Fp32).unwrap();
    let half = model.answer_logps(&groups, &features, Precision::Bf16).unwrap();
    let off = difference(&full.tokens.unwrap(), &half.tokens.unwrap());
    assert!(off > 0.0 && off < 0.05, "{off}");
    assert_eq!(half.sums.kind(), Kind::Float);
}

#[test]
fn a_saved_model_is_read_back_to_the_byte() {
    for model in [tiny(), Recorded::open("hf_qwen2_ln").model] {
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let again = Vlm::load(folder.path(), Device::Cpu).unwrap();
        let bits = |model: &Vlm| -> Vec<(String, Vec<i32>)> {
            let all = model.parameters().into_iter();
            all.map(|(name, tensor)| {
                let bits = tensor.flatten(0, -1).view_dtype(Kind::Int);
                (name.to_owned(), Vec::try_from(bits).unwrap())
            })
            .collect()
        };
        assert_eq!(bits(&model), bits(&again));
        let second = tempfile::tempdir().unwrap();
        again.save(second.path()).unwrap();
        for file in ["config.json", "model.safetensors"] {
            let bytes = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file));
            assert_eq!(bytes(&folder).unwrap(), bytes(&second).unwrap(), "{file}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let weights = |seed| {
        let model = Vlm::new(tiny().config, seed, Device::Cpu);
        Vec::<f32>::try_from(model.parameters().last().unwrap().1.flatten(0, -1)).unwrap()
    };
    assert_eq!(weights(7), weights(7));
    assert_ne!(weights(7), weights(8));
}

#[test]
fn a_wrong_number_of_image_tokens_names_the_group() {
    let model = tiny();
    let features = Tensor::zeros([1, 16, 384], (Kind::Float, Device::Cpu));
    let (whole, cut) = (prompt(&[8]), vec![1, 5, 5, 8]);
    let group = |prompt| Group { prompt, tiles: 0..1, answers: vec![[20, 3].as_slice()] };
    let error =
        model.answer_logps(&[group(&whole), group(&cut)], &features, Precision::Fp32).unwrap_err();
    assert_eq!(
        error.to_string(),
        "group 1 has 2 image tokens in its prompt where its 1 tiles give 16"
    );
}

#[test]
fn a_checkpoint_that_does_not_fit_its_config_names_file_and_tensor() {
    let folder = with_config("orig_qwen2_rms_qknorm_sharded", |json| {
        json["llm_config"]["intermediate_size"] = 96.into();
    });
    let error = Vlm::load(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("model-00002-of-00002.safetensors"), "{error}");
    assert!(error.contains("language_model.model.layers.0.mlp.gate_proj.weight"), "{error}");
    assert!(error.contains("[128, 64]") && error.contains("[96, 64]"), "{error}");

    let folder = with_config("orig_qwen2_rms_qknorm_sharded", |json| {
        json["llm_config"]["num_hidden_layers"] = 1.into();
    });
    let error = Vlm::load(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("language_model.model.layers.1."), "{error}");

    let folder = with_config("orig_llama_bf16_psv1_sel", |_| ());
    std::fs::write(folder.path().join("model.safetensors"), b"cut").unwrap();
    let error = Vlm::load(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
}
