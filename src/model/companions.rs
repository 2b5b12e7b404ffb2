//! The files of a Hub-style directory: weights with their config, and what
//! stands beside them (tokenizer, templates, licence, the code that the original
//! layout loads with; Prefab runs none of it).

use crate::Result;
use crate::error::Context;
use std::path::Path;

/// Whether a file holds weights or says what they are.
pub(crate) fn is_weights(name: &str) -> bool {
    name == "config.json" || name.ends_with(".safetensors") || name.ends_with(".index.json")
}

/// Whether a file belongs to a model whatever its weights.
pub(crate) fn is_companion(name: &str) -> bool {
    let ends = [".json", ".txt", ".model", ".jinja", ".md", ".py"];
    !is_weights(name) && (name.starts_with("LICENSE") || ends.iter().any(|end| name.ends_with(end)))
}

/// Copies the files of one folder whose names are wanted.
///
/// # Errors
///
/// If the disk refuses.
pub(crate) fn copy_files(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    let doing = || format!("copying files of `{}`", from.display());
    for file in std::fs::read_dir(from).with_context(doing)? {
        let file = file.with_context(doing)?;
        let name = file.file_name();
        if name.to_str().is_some_and(&is_wanted) && file.path().is_file() {
            std::fs::copy(file.path(), to.join(&name)).with_context(doing)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_weights_or_a_companion_or_neither() {
        for name in
            ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"]
        {
            assert!(is_weights(name) && !is_companion(name), "{name}");
        }
        for name in ["tokenizer.json", "tokenizer.model", "LICENSE", "modeling_internvl_chat.py"] {
            assert!(is_companion(name) && !is_weights(name), "{name}");
        }
        assert!(!is_companion("steps.csv") && !is_companion("pytorch_model.bin"));
    }
}
