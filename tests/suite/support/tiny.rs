//! A model of the tiny size with random weights.

use prefab::model::{Config, Vlm};
use prefab::spec::model::{Dims, Model, Size};
use tch::Device;

/// Untrained, with a vocabulary of its own size; the image token is 5.
pub fn untrained(vocabulary: usize) -> Vlm {
    let model = Model {
        size: Size::Tiny,
        checkpoint: None,
        dims: Dims::default(),
        train: vec![],
        lora: None,
        max_tiles: None,
        template: None,
        precision: None,
    };
    Vlm::new(Config::of(&model, vocabulary, 5).expect("a valid size"), 7, Device::Cpu)
}
