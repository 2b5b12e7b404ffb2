//! The model against values that the reference implementations recorded
//! (`tests/fixtures/internvl`), and checkpoints that do not fit their config.

use prefab::model::{Group, Vlm};
use prefab::spec::model::Module;
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
        let parameters: BTreeMap<&str, &Tensor> = self.model.parameters().into_iter().collect();
        let recorded = self
            .expected
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix("grad.")?, tensor)));
        let mut checked = 0;
        for (name, expected) in recorded {
            // transformers names them by module, and has q, k and v of the tower apart.
            let ours = [
                (
                    "model.vision_tower.embeddings.position_embeddings",
                    "vision_model.embeddings.position_embedding",
                ),
                ("model.vision_tower.encoder.layer.", "vision_model.encoder.layers."),
                ("attention.k_proj", "attn.qkv"),
                ("attention.q_norm", "attn.q_norm"),
                ("lambda_1", "ls1"),
                ("model.multi_modal_projector.linear_2", "mlp1.3"),
                ("model.language_model.", "language_model.model."),
            ];
            let is_key = name.contains("attention.k_proj");
            let ours = match name.starts_with("model.") {
                true => ours.iter().fold(name.to_owned(), |name, (a, b)| name.replace(a, b)),
                false => name.to_owned(),
            };
            let grad = parameters[ours.as_str()].grad();
            let grad = if is_key { grad.chunk(3, 0).swap_remove(1) } else { grad };
            let off = difference(&grad, expected);
            assert!(off < GRADIENTS, "the gradient of {name} is off by {off:e}");
            checked += 1;
        }
        assert!(checked >= 5, "{checked} gradients were recorded");
    }

    /// A batch in which one sample has no picture.
    fn check_mixed(&self) {
        let Some(expected) = self.expected.get("mixed.label_logprobs") else { return };
        let features = self.features();
        for (sample, tiles) in [(0, 0..2), (1, 0..0)] {
            let of = |name: &str| self.inputs[&format!("mixed.{name}")].get(sample);
            let real = ids(&of("attention_mask")).iter().sum::<i64>();
            let tokens = ids(&of("input_ids").narrow(0, 0, real));
            let trace = self.model.trace(&tokens, tiles, &features).unwrap();
            let labels = of("labels").narrow(0, 1, real - 1);
            let is_label = labels.ne(-100);
            let logps = trace.logits.narrow(0, 0, real - 1).log_softmax(-1, Kind::Float);
            let logps = logps.gather(1, &labels.clamp_min(0).unsqueeze(1), false).squeeze_dim(1);
            let logps = logps.where_self(&is_label, &Tensor::from(0f32));
            let off = difference(&logps, &expected.get(sample).narrow(0, 0, real - 1));
            assert!(off < LOGPS, "log-probabilities of sample {sample} are off by {off:e}");
        }
    }

    fn check(&self) {
        {
            let _no_grad = tch::no_grad_guard();
            self.check_vision();
            self.check_other_sizes();
            self.check_language();
            self.check_mixed();
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
