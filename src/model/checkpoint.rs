//! Hub-style directories, read: safetensors files mapped into memory, whole or sharded,
//! every name, shape and type checked, each tensor copied once, to where it will live.

use super::config::{Config, Layout};
use super::mapped::Mapped;
use super::{native, parameters};
use crate::error::Context;
use crate::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// What matrices are in memory, the embedding among them. Norms, biases, the projector and the
/// patch convolution are f32 always.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Storage {
    /// f32: masters of a training in full.
    Widened,
    /// As in the file: no bit is lost, and bf16 takes half of the memory.
    AsStored,
    /// bf16: of a model that answers in it.
    Narrow,
}

/// The tensors of a model by their names in the original layout, in the order of
/// [`parameters::list`], and what each is in its file.
pub(super) struct Loaded {
    pub(super) tensors: Vec<(String, Tensor)>,
    pub(super) stored: Vec<Kind>,
}

/// The file and name of each part of each tensor, by its name in the original layout.
type Places = BTreeMap<String, BTreeMap<usize, (usize, String)>>;

/// Reads a checkpoint directory; also says whether the head is tied.
///
/// # Errors
///
/// A missing or damaged file; a tensor that is missing, not known to this kind of model, of
/// another shape or type, or not finite: each names the file and the tensor.
pub(super) fn load(
    dir: &Path,
    config: &mut Config,
    device: Device,
    storage: Storage,
) -> Result<Loaded> {
    let _no_grad = tch::no_grad_guard();
    let shards = Shards::open(dir)?;
    // Where each part of each tensor lies: transformers' layout has some in thirds.
    let mut places: Places = BTreeMap::new();
    for (file, name) in shards.names() {
        let (original, part) = match config.layout {
            Layout::Original => (name.clone(), 0),
            Layout::Native => native::original(&name),
        };
        // A buffer that old files hold beside the weights.
        if original.ends_with("rotary_emb.inv_freq") {
            continue;
        }
        let parts = places.entry(original).or_default();
        if let Some((other, twin)) = parts.get(&part) {
            return Err(Error::new(format!(
                "`{}` holds `{name}`, and `{}` `{twin}`: two names of one tensor",
                shards.files[file].path.display(),
                shards.files[*other].path.display(),
            )));
        }
        parts.insert(part, (file, name));
    }
    // A head in the file is the head, whatever config.json says: released ones contradict
    // themselves. Without one, config.json must say that the embedding serves for it.
    config.language.tied &= !places.contains_key(parameters::head_name(&config.language));
    let list = parameters::list(config);
    let known: BTreeSet<&str> = list.iter().map(|parameter| parameter.name.as_str()).collect();
    if let Some((name, parts)) = places.iter().find(|(name, _)| !known.contains(name.as_str())) {
        let (file, name) = parts.values().next().map_or((0, name), |(file, name)| (*file, name));
        return Err(Error::new(format!(
            "`{}` holds `{name}`, which config.json's model does not have",
            shards.files[file].path.display()
        ))
        .hint(match name.contains("lora_") || name.contains("base_model.model.") {
            true => {
                "it holds adapters beside its matrices: merge them with the tool that trained them"
            }
            false => "config.json must be the one that the weights were saved with",
        }));
    }
    let mut loaded = Loaded { tensors: vec![], stored: vec![] };
    for parameter in list {
        let name = &parameter.name;
        let published = native::parts(name, config.layout);
        let missing = |part: &str| shards.missing(dir, part);
        let parts = places.get(name).ok_or_else(|| missing(&published[0]))?;
        if let Some(part) = (0..published.len()).find(|part| !parts.contains_key(part)) {
            return Err(missing(&published[part]));
        }
        let mut shape = parameter.shape.clone();
        shape[0] /= published.len() as i64;
        let sources: Result<Vec<_>> =
            parts.values().map(|(file, name)| shards.files[*file].float(name, &shape)).collect();
        let sources = sources?;
        let stored = sources[0].kind;
        let kind = match storage {
            Storage::AsStored if parameters::is_matrix(name) => stored,
            Storage::Narrow if parameters::is_matrix(name) => Kind::BFloat16,
            _ => Kind::Float,
        };
        let tensor = Tensor::empty(&parameter.shape, (kind, device));
        for (part, source) in (0..).zip(&sources) {
            source.copy_to(&mut tensor.narrow(0, part * shape[0], shape[0]))?;
        }
        parts.values().for_each(|(file, name)| shards.files[*file].release(name));
        loaded.tensors.push((parameter.name, tensor));
        loaded.stored.push(stored);
    }
    Ok(loaded)
}

/// Whether the weights of a directory are in 16 bits; false where there are none to be read.
pub(super) fn is_narrow(dir: &Path) -> bool {
    let Ok(shards) = Shards::open(dir) else { return false };
    let bytes = |file: &Mapped| file.bytes_by_width();
    let [narrow, wide] =
        shards.files.iter().map(bytes).fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
    narrow > wide
}

/// Names of all tensors in the files of a directory.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    Ok(Shards::open(dir)?.names().into_iter().map(|(_, name)| name).collect())
}

/// The safetensors files of a directory.
struct Shards {
    files: Vec<Mapped>,
    /// The file of each tensor, where an index says so.
    index: Option<(PathBuf, BTreeMap<String, usize>)>,
}

impl Shards {
    fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("model.safetensors.index.json");
        let single = dir.join("model.safetensors");
        match (single.exists(), path.exists()) {
            (false, false) => return Err(absent(dir)),
            (true, false) => return Ok(Self { files: vec![Mapped::open(&single)?], index: None }),
            // transformers reads the whole file then; which one is meant, nobody knows.
            (true, true) => {
                return Err(Error::new(format!(
                    "`{}` holds model.safetensors and, in other files, model.safetensors.index.json",
                    dir.display()
                ))
                .hint("take away the one that is not meant, and its shards"));
            }
            (false, true) => {}
        }
        let doing = || format!("reading `{}`", path.display());
        let text = std::fs::read_to_string(&path).with_context(doing)?;
        let json: Value = serde_json::from_str(&text).with_context(doing)?;
        let wrong = |what: String| Error::new(format!("{}: {what}", doing()));
        let map = json.get("weight_map").and_then(Value::as_object);
        let map = map.ok_or_else(|| wrong("no `weight_map`".into()))?;
        let (mut files, mut index): (Vec<Mapped>, BTreeMap<String, usize>) = Default::default();
        let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
        for (tensor, file) in map {
            let file =
                file.as_str().filter(|name| !name.contains(['/', '\\'])).ok_or_else(|| {
                    wrong(format!(
                        "`{tensor}` is in {file}, which is not the name of a file beside it"
                    ))
                })?;
            let place = match opened.get(file) {
                Some(&place) => place,
                None => {
                    let mapped = Mapped::open(&dir.join(file)).map_err(|error| {
                        let index = path.display();
                        error.context(format!("`{index}` places `{tensor}` in `{file}`"))
                    })?;
                    files.push(mapped);
                    opened.insert(file, files.len() - 1);
                    files.len() - 1
                }
            };
            index.insert(tensor.clone(), place);
        }
        if files.is_empty() {
            return Err(wrong("`weight_map` is empty".into()));
        }
        // What a shard holds beside its share would be neither read nor missed.
        for (place, file) in files.iter().enumerate() {
            if let Some(name) =
                file.names().into_iter().find(|name| index.get(name) != Some(&place))
            {
                return Err(Error::new(format!(
                    "`{}` holds `{name}`, which `{}` does not place there",
                    file.path.display(),
                    path.display()
                )));
            }
        }
        Ok(Self { files, index: Some((path, index)) })
    }

    /// Every tensor with its file.
    fn names(&self) -> Vec<(usize, String)> {
        let of = |(place, file): (usize, &Mapped)| {
            file.names().into_iter().map(move |name| (place, name)).collect::<Vec<_>>()
        };
        self.files.iter().enumerate().flat_map(of).collect()
    }

    /// What is said of a tensor that no file holds.
    fn missing(&self, dir: &Path, name: &str) -> Error {
        let message = match &self.index {
            None => format!("`{}` does not hold `{name}`", self.files[0].path.display()),
            Some((path, index)) => match index.get(name) {
                Some(&place) => format!(
                    "`{}` does not hold `{name}`, which `{}` places there",
                    self.files[place].path.display(),
                    path.display()
                ),
                None => format!(
                    "no file in `{}` holds `{name}`, nor does `{}` know it",
                    dir.display(),
                    path.display()
                ),
            },
        };
        Error::new(message).hint("config.json says that the model has it")
    }
}

/// A directory without safetensors: pickled weights run code when they are read.
fn absent(dir: &Path) -> Error {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    match entries.iter().find(|path| is_pickled(path)) {
        Some(pickle) => refused(pickle),
        None => Error::new(format!("`{}` has no model.safetensors", dir.display())).hint(FORM),
    }
}

/// What a checkpoint is.
const FORM: &str =
    "a checkpoint is a directory with config.json and model.safetensors (or its index and shards)";

fn is_pickled(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["bin", "pt", "pth", "ckpt"].contains(&end))
}

/// What is said of a file where a directory belongs.
pub(super) fn not_a_folder(path: &Path) -> Error {
    match is_pickled(path) {
        true => refused(path),
        false => Error::new(format!("`{}` is a file", path.display())).hint(FORM),
    }
}

/// What is said of a pickled file, with the way to convert it.
fn refused(pickle: &Path) -> Error {
    Error::new(format!("`{}` is pickled: reading it would run what is in it", pickle.display()))
        .hint(
            "convert it where you trust it: python -c 'import sys; from transformers import AutoModel; \
             AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)\
             .save_pretrained(sys.argv[2], safe_serialization=True)' OLD NEW",
        )
}

/// The id of a special token, from a checkpoint's tokenizer files.
pub(crate) fn token_id(dir: &Path, token: &str) -> Option<i64> {
    let read = |name: &str| -> Option<Value> {
        serde_json::from_str(&std::fs::read_to_string(dir.join(name)).ok()?).ok()
    };
    let slow = || read("added_tokens.json")?.get(token)?.as_i64();
    let fast = || {
        let json = read("tokenizer.json")?;
        let added = json.get("added_tokens")?.as_array()?;
        added.iter().find(|entry| entry["content"] == token)?["id"].as_i64()
    };
    let configured = || {
        let json = read("tokenizer_config.json")?;
        let added = json.get("added_tokens_decoder")?.as_object()?;
        added.iter().find(|(_, entry)| entry["content"] == token)?.0.parse().ok()
    };
    slow().or_else(fast).or_else(configured)
}
