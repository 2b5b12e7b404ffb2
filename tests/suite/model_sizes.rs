//! The table of sizes against the released counts: no weight is made for it.

use prefab::model::Config;
use prefab::model::memory::{self, Batch, Counts};
use prefab::model::sizes::SIZES;
use prefab::spec::defaults;
use prefab::spec::model::{Dims, Lora, Model, Module, Size};
use prefab::spec::train::{Gradients, Moments, Precision, Train};

fn model(size: Size) -> Model {
    let train = vec![Module::Vision, Module::Projector, Module::Language];
    Model {
        size,
        checkpoint: None,
        dims: Dims::default(),
        train,
        lora: None,
        max_tiles: None,
        template: None,
        precision: Some(Precision::Bf16),
    }
}

fn config(size: Size) -> Config {
    Config::of(&model(size), 400, 0).unwrap()
}

#[test]
fn the_8b_is_exactly_what_its_files_hold() {
    // 16,150,730,752 bytes of bf16.
    let counts = Counts::of(&config(Size::V2_8B));
    assert_eq!(counts.total(), 8_075_365_376);
    assert_eq!(counts.vision, 304_012_288);
    // Two bytes a number, and four of norms, biases, position embeddings and projector.
    let frozen = memory::frozen(&config(Size::V2_8B)) as f64;
    assert!((2.0..2.02).contains(&(frozen / 8_075_365_376.0)), "{frozen}");
    assert_eq!(Counts::of(&config(Size::V2_26B)).vision, 5_536_496_000);
}

/// Within a share of the count, which is printed in billions.
#[track_caller]
fn assert_near(count: u64, billions: f64, share: f64) {
    let off = (count as f64 / 1e9 / billions - 1.0).abs();
    assert!(off <= share, "{count} is not {billions} billion: off by {off:.5}");
}

#[test]
fn totals_are_those_of_the_model_card() {
    // Printed with two digits behind the point.
    for (size, total) in [
        (Size::V2_2B, "2.21"),
        (Size::V2_4B, "4.15"),
        (Size::V2_8B, "8.08"),
        (Size::V2_26B, "25.51"),
        (Size::V2_40B, "40.07"),
    ] {
        let counted = Counts::of(&config(size)).total() as f64 / 1e9;
        assert_eq!(format!("{counted:.2}"), total, "{size:?}");
    }
    let millions = |count: u64| format!("{:.2}", count as f64 / 1e6);
    for (size, projector) in [
        (Size::V2_2B, "12.60"),
        (Size::V2_4B, "22.03"),
        (Size::V2_8B, "33.57"),
        (Size::V2_26B, "116.43"),
        (Size::V2_40B, "143.17"),
    ] {
        assert_eq!(millions(Counts::of(&config(size)).projector), projector, "{size:?}");
    }
    // The card prints 2.21 B for the 2B's decoder as well: that is the total.
    for (size, language) in [
        (Size::V2_4B, "3.82"),
        (Size::V2_8B, "7.74"),
        (Size::V2_26B, "19.86"),
        (Size::V2_40B, "34.39"),
    ] {
        let counted = Counts::of(&config(size)).language as f64 / 1e9;
        assert_eq!(format!("{counted:.2}"), language, "{size:?}");
    }
}

#[test]
fn every_released_size_is_within_a_thousandth() {
    for (size, total) in [
        (Size::V2_1B, 0.938),
        (Size::V2_2B, 2.206),
        (Size::V2_4B, 4.147),
        (Size::V2_8B, 8.075),
        (Size::V2_26B, 25.514),
        (Size::V2_40B, 40.069),
        (Size::V2_76B, 76.26),
        (Size::V2_5_1B, 0.938),
        (Size::V2_5_2B, 2.206),
        (Size::V2_5_4B, 3.713),
        (Size::V2_5_8B, 8.075),
        (Size::V2_5_26B, 25.514),
        (Size::V2_5_38B, 38.39),
        (Size::V2_5_78B, 78.41),
    ] {
        assert_near(Counts::of(&config(size)).total(), total, 1e-3);
    }
}

#[test]
fn every_name_of_the_spec_has_a_row() {
    let names: Vec<&str> = SIZES.iter().map(|row| row.size.name()).collect();
    assert_eq!(names, prefab::spec::lists::SIZES);
}

#[test]
fn states_are_bytes_a_number() {
    let config = config(Size::V2_8B);
    let total = Counts::of(&config).total();
    let bf16 = Train { precision: Precision::Bf16, ..defaults().train };
    let full = memory::states(&config, &model(Size::V2_8B), &bf16);
    assert_eq!((full.weights, full.gradients, full.moments), (4 * total, 4 * total, 8 * total));
    // What InternVL's own recipe holds: bf16 weights and gradients beside fp32 masters.
    let halved = Train { gradients: Gradients::Bf16, ..bf16.clone() };
    let states = memory::states(&config, &model(Size::V2_8B), &halved);
    let gib = states.total() as f64 / f64::from(1 << 30);
    assert!((gib - 120.3).abs() < 0.5, "{gib}");
    let small = Train { moments: Moments::Bf16, ..halved };
    let smaller = memory::states(&config, &model(Size::V2_8B), &small);
    assert_eq!(smaller.moments, 4 * total);
    let adapted = Model { lora: Some(Lora::default()), ..model(Size::V2_8B) };
    let lora = memory::states(&config, &adapted, &bf16);
    assert!(lora.total() < full.total() / 5, "{lora:?}");
}

#[test]
fn recomputed_layers_keep_their_inputs_alone() {
    let config = config(Size::V2_8B);
    let batch = Batch { tokens: 4000, predictions: 600, tiles: 13 };
    let plain = Train { precision: Precision::Bf16, ..defaults().train };
    let recomputed = Train { gradient_checkpointing: true, ..plain.clone() };
    let of = |train: &Train| memory::activations(&config, &model(Size::V2_8B), train, batch);
    assert!(of(&recomputed) < of(&plain) / 4, "{} {}", of(&recomputed), of(&plain));
}
