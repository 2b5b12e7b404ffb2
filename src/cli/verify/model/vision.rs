//! The vision tower, pixel shuffle and projector; pictures of other sizes.

use super::{Check, FEATURES};
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
            self.state("vision hidden states", &at, states.get(index), recorded);
        }
        let features = self.model.image_features(pixels);
        if let Some(recorded) = self.record.expected("pixel_shuffled") {
            self.state("pixel shuffle", "pixel_shuffled", Some(&features), recorded);
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
            let at = format!("vit_last_hidden.{size}");
            self.state("vision states, other sizes", &at, states.last(), recorded);
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
