//! The vision tower, pixel shuffle and projector; pictures of other sizes.

use super::{Check, FEATURES, HIDDEN};
use crate::Result;
use crate::spec::train::Precision;
use tch::{Kind, Tensor};

impl Check<'_> {
    /// Compares everything up to the projector; returns the features of all tiles.
    pub(super) fn vision(&mut self) -> Result<Tensor> {
        let pixels = self.record.input("pixel_values")?;
        let states = self.model.vision_states(pixels);
        for (index, recorded) in self.record.indexed("vit_hidden.") {
            let at = format!("vit_hidden.{index}");
            match states.get(index) {
                Some(state) => self.tensor("vision hidden states", &at, state, recorded, HIDDEN),
                None => self.ledger.compare("vision hidden states", &at, f64::NAN, 0.0, HIDDEN),
            }
        }
        let features = self.model.image_features(pixels);
        if let Some(recorded) = self.record.expected("pixel_shuffled") {
            self.tensor("pixel shuffle", "pixel_shuffled", &features, recorded, HIDDEN);
        }
        let projected = self.model.project(&features, Precision::Fp32);
        if let Some(recorded) = self.record.expected("vision_features") {
            self.tensor("vision features", "vision_features", &projected, recorded, FEATURES);
        }
        let largest = projected.abs().max().to_kind(Kind::Double).double_value(&[]);
        let recorded =
            self.record.json.get("scale").and_then(|scale| scale.get("vision_features_absmax"));
        self.number("scale", largest, recorded, FEATURES);
        self.other_sizes()?;
        Ok(features)
    }

    /// Pictures for which the position embedding is interpolated.
    fn other_sizes(&mut self) -> Result<()> {
        for (size, recorded) in self.record.expected_below("vit_last_hidden.") {
            let pixels = self.record.input(&format!("pixel_values.{size}"))?;
            let states = self.model.vision_states(pixels);
            let last = states.last().expect("the embeddings are there");
            let at = format!("vit_last_hidden.{size}");
            self.tensor("vision states, other sizes", &at, last, recorded, HIDDEN);
        }
        for (size, recorded) in self.record.expected_below("vision_features.") {
            let pixels = self.record.input(&format!("pixel_values.{size}"))?;
            let projected = self.model.project(&self.model.image_features(pixels), Precision::Fp32);
            let at = format!("vision_features.{size}");
            self.tensor("vision features, other sizes", &at, &projected, recorded, FEATURES);
        }
        Ok(())
    }
}
