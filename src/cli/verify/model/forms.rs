//! Whether recorded tensors have the ranks, shapes and ranges that everything here counts on.

use super::record::{IGNORED, Record};
use crate::model::Config;
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// Rows of tokens, by what stands before their names.
const BATCHES: [&str; 2] = ["", "mixed."];

impl Record {
    /// Refuses a folder that was damaged, or recorded of another model.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        for (name, tensor) in &self.inputs {
            if name == "pixel_values" || name.starts_with("pixel_values.") {
                self.pixels(name, tensor, config)?;
            }
            if name.ends_with("input_ids") || name.ends_with("attention_mask") {
                self.integers(name, tensor)?;
            }
        }
        for prefix in BATCHES {
            self.batch(prefix, config)?;
        }
        for (name, tensor) in &self.expected {
            self.recorded(name, tensor)?;
        }
        Ok(())
    }

    /// `[tiles, 3, height, width]`; square where image tokens are made of it.
    fn pixels(&self, name: &str, tensor: &Tensor, config: &Config) -> Result<()> {
        let size = tensor.size();
        let &[_, 3, height, width] = size.as_slice() else {
            return Err(self.wrong(name, &format!("is {size:?}, not [tiles, 3, height, width]")));
        };
        if tensor.kind() != Kind::Float {
            return Err(self.wrong(name, "are not 32-bit floats"));
        }
        let patch = config.vision.patch as i64;
        let is_cut = |side: i64, cell: i64| side > 0 && side % cell == 0;
        if !is_cut(height, patch) || !is_cut(width, patch) {
            let what = format!("of {height} x {width} pixels are no patches of {patch}");
            return Err(self.wrong(name, &what));
        }
        let side = config.image_side as i64;
        let gives_tokens = match name.strip_prefix("pixel_values.") {
            None => (height, width) == (side, side),
            // Some are recorded for the tower alone.
            Some(other) if self.expected(&format!("vision_features.{other}")).is_none() => true,
            Some(_) => height == width && is_cut(height, patch * config.shuffle as i64),
        };
        if !gives_tokens {
            let what =
                format!("of {height} x {width} pixels give no image tokens; {side} x {side} do");
            return Err(self.wrong(name, &what));
        }
        Ok(())
    }

    /// `[rows, tokens]` of 64-bit integers, at least one.
    fn integers(&self, name: &str, tensor: &Tensor) -> Result<()> {
        if tensor.kind() != Kind::Int64 || tensor.dim() != 2 || tensor.numel() == 0 {
            let (kind, size) = (tensor.kind(), tensor.size());
            return Err(
                self.wrong(name, &format!("are {kind:?} {size:?}, not [rows, tokens] of Int64"))
            );
        }
        Ok(())
    }

    /// Labels and flags of a batch.
    fn batch(&self, prefix: &str, config: &Config) -> Result<()> {
        let named = |name: &str| format!("{prefix}{name}");
        if let Some(labels) = self.inputs.get(&named("labels")) {
            let name = named("labels");
            self.integers(&name, labels)?;
            let vocabulary = config.language.vocabulary as i64;
            let known = labels.ge(0).logical_and(&labels.lt(vocabulary));
            let is_known = known.logical_or(&labels.eq(IGNORED)).all();
            if is_known.int64_value(&[]) == 0 {
                let what =
                    format!("hold a number that is neither {IGNORED} nor below {vocabulary}");
                return Err(self.wrong(&name, &what));
            }
        }
        if let Some(flags) = self.inputs.get(&named("image_flags")) {
            let tiles = self.input("pixel_values")?.size()[0];
            if flags.numel() as i64 != tiles {
                return Err(
                    self.wrong(&named("image_flags"), &format!("are not {tiles}, one a tile"))
                );
            }
        }
        Ok(())
    }

    /// What is compared row by row has the batch's rows and tokens.
    fn recorded(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let fails = |what: &str| {
            let path = self.dir.join("expected.safetensors");
            let size = tensor.size();
            Err(Error::new(format!("`{name}` of `{}` is {size:?}, not {what}", path.display())))
        };
        let prefix = if name.starts_with("mixed.") { "mixed." } else { "" };
        let own = name.strip_prefix(prefix).unwrap_or(name);
        if own == "loss" && tensor.numel() != 1 {
            return fails("one number");
        }
        let is_state =
            own.starts_with("llm_hidden.") || own == "last_hidden_state" || own == "logits";
        if is_state || own == "label_logprobs" {
            let (rows, tokens) =
                self.input(&format!("{prefix}input_ids"))?.size2().unwrap_or((0, 0));
            let (shape, what) = match is_state {
                true => (vec![rows, tokens], format!("[{rows}, {tokens}, width]")),
                false => (vec![rows, tokens - 1], format!("[{rows}, {}]", tokens - 1)),
            };
            let size = tensor.size();
            if size.len() != 2 + usize::from(is_state) || !size.starts_with(&shape) {
                return fails(&what);
            }
        }
        Ok(())
    }
}
