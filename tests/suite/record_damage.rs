//! Damaged recordings for `prefab verify`: one clear error each, naming the tensor or the key.

use prefab::cli::verify::{Verify, run};
use prefab::run::device::Choice;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

type Tensors = BTreeMap<String, Tensor>;
/// What becomes of a tensor; none takes it out.
type Change<'a> = &'a dyn Fn(&Tensor) -> Option<Tensor>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}

/// What `verify` says of a recording whose inputs or expectations were edited: exit code 2.
#[track_caller]
fn refused(file: &str, edit: &dyn Fn(&mut Tensors)) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("orig_internlm2_ln"), folder.path());
    let path = folder.path().join(file);
    let mut tensors: Tensors = Tensor::read_safetensors(&path).unwrap().into_iter().collect();
    edit(&mut tensors);
    let tensors: Vec<(String, Tensor)> =
        tensors.into_iter().map(|(name, tensor)| (name, tensor.contiguous())).collect();
    Tensor::write_safetensors(&tensors, &path).unwrap();
    let device = Choice::Cpu;
    let error = run(&Verify::Model { dir: folder.path().to_owned(), device }).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn inputs_of_another_rank_or_range_are_refused_by_name() {
    let cases: [(&str, Change<'_>); 11] = [
        ("labels", &|_| None),
        ("mixed.labels", &|_| None),
        ("labels", &|labels| Some(labels.clamp_min(0) + 1_000_000)),
        ("labels", &|labels| Some(labels.clamp_min(-7))),
        ("labels", &|labels| Some(labels.full_like(-100))),
        ("pixel_values", &|pixels| Some(pixels.get(0))),
        ("pixel_values", &|pixels| Some(pixels.narrow(2, 0, pixels.size()[2] / 2))),
        ("pixel_values", &|pixels| Some(pixels.to_kind(Kind::Double))),
        ("pixel_values.sq", &|pixels| Some(pixels.narrow(3, 0, pixels.size()[3] / 2))),
        ("image_flags", &|flags| Some(flags.narrow(0, 0, 1))),
        ("input_ids", &|ids| Some(ids.get(0))),
    ];
    for (name, change) in cases {
        let said = refused("inputs.safetensors", &|tensors| {
            let old = tensors.remove(name).unwrap();
            tensors.extend(change(&old).map(|new| (name.to_owned(), new)));
        });
        assert!(said.contains(&format!("`{name}`")), "{name}: {said}");
        assert!(said.contains("inputs.safetensors"), "{name}: {said}");
    }
}

#[test]
fn expectations_of_another_rank_are_refused_by_name() {
    for name in
        ["logits", "label_logprobs", "last_hidden_state", "llm_hidden.1", "mixed.label_logprobs"]
    {
        for change in [|tensor: &Tensor| tensor.get(0), |tensor: &Tensor| tensor.narrow(1, 0, 2)] {
            let said = refused("expected.safetensors", &|tensors| {
                let old = tensors.remove(name).unwrap();
                tensors.insert(name.to_owned(), change(&old));
            });
            assert!(said.contains(&format!("`{name}`")), "{name}: {said}");
            assert!(said.contains("expected.safetensors"), "{name}: {said}");
        }
    }
}

/// What `verify` says of a copied folder one of whose JSON files was edited.
#[track_caller]
fn said_of(
    name: &str,
    file: &str,
    edit: impl Fn(&mut Value),
    what: fn(PathBuf) -> Verify,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), folder.path());
    let path = folder.path().join(file);
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
    run(&what(folder.path().to_owned())).unwrap_err().to_string()
}

#[test]
fn an_id_below_zero_is_no_token() {
    let edit = |json: &mut Value| json["plain"][0]["input_ids"][0] = json!(-3);
    let said = said_of("text", "prompts.json", edit, |dir| Verify::Prompts { dir });
    assert!(said.contains("`input_ids` holds -3"), "{said}");
}

#[test]
fn a_tile_has_pixels() {
    for file in ["expected.json", "grid_table.json"] {
        let edit = |json: &mut Value| json["image_size"] = json!(0);
        let said = said_of("images", file, edit, |dir| Verify::Tiles { dir });
        assert!(said.contains("`image_size` is 0"), "{said}");
        assert!(said.contains(file), "{said}");
    }
}

#[test]
fn a_record_that_is_not_there_is_bad_input_with_a_way_out() {
    let file = || PathBuf::from("nowhere");
    for what in [
        Verify::Losses { file: file() },
        Verify::Metrics { file: file() },
        Verify::Tiles { dir: file() },
        Verify::Prompts { dir: file() },
        Verify::Model { dir: file(), device: Choice::Cpu },
    ] {
        let error = run(&what).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert_eq!(error.to_string(), "there is no `nowhere`");
        assert!(error.hint_text().unwrap().contains("--help"), "{:?}", error.hint_text());
    }
}
