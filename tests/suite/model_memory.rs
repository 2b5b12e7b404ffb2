//! Loading a checkpoint takes little more memory than its weights do, and saving a training's
//! state and going on from it next to none.
//!
//! `cargo test --test suite model_memory -- --ignored --nocapture` makes a checkpoint of 1 GiB and
//! prints what was measured.

use crate::support::memory::anonymous;
use prefab::model::memory::shapes;
use prefab::model::{Config, Storage, Vlm};
use prefab::spec::model::{Dims, Model, Size};
use prefab::train::checkpoint::Checkpoints;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// A bf16 checkpoint of zeros.
fn write(dir: &std::path::Path, config: &Config) -> u64 {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in shapes(config) {
        let begin = end;
        end += 2 * shape.iter().product::<i64>() as u64;
        let entry =
            serde_json::json!({ "dtype": "BF16", "shape": shape, "data_offsets": [begin, end] });
        header.insert(name, entry);
    }
    let mut header = serde_json::to_string(&header).unwrap();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = std::fs::File::create(dir.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + end).unwrap();
    end
}

/// Does something, and the most anonymous memory that it took.
fn watched<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let idle = anonymous();
    let (peak, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let watch = std::thread::spawn({
        let (peak, done) = (peak.clone(), done.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let made = work();
    done.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    (made, peak.load(Ordering::Relaxed).saturating_sub(idle))
}

#[test]
#[ignore = "needs a gigabyte of disk and three of memory"]
fn slow_loading_takes_little_more_than_the_weights() {
    let dims = Dims { layers: Some(12), vision_layers: Some(6), ..Dims::default() };
    let model = Model {
        size: Size::V2_2B,
        checkpoint: None,
        dims,
        train: vec![],
        lora: None,
        max_tiles: None,
        template: None,
        precision: None,
    };
    let config = Config::of(&model, 92_553, 92_546).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bytes = write(dir.path(), &config);
    std::fs::write(dir.path().join("config.json"), config.text()).unwrap();
    println!("a checkpoint of {:.2} GiB in bf16", bytes as f64 / (1u64 << 30) as f64);
    assert!(bytes > 1 << 30);
    for (storage, width) in [(Storage::AsStored, 2), (Storage::Narrow, 2), (Storage::Widened, 4)] {
        let start = std::time::Instant::now();
        let (vlm, over_idle) = watched(|| Vlm::load_as(dir.path(), Device::Cpu, storage).unwrap());
        let seconds = start.elapsed().as_secs_f64();
        // In the target's type throughout, whatever of it is kept in f32.
        let numbers: usize = vlm.parameters().iter().map(|(_, tensor)| tensor.numel()).sum();
        let weights = width * numbers as u64;
        let ratio = over_idle as f64 / weights as f64;
        println!(
            "{storage:?}: weights {:.2} GiB, peak above idle {:.2} GiB, ratio {ratio:.3}, {seconds:.1} s",
            weights as f64 / (1u64 << 30) as f64,
            over_idle as f64 / (1u64 << 30) as f64,
        );
        assert!(ratio <= 1.1, "{ratio}");
        drop(vlm);
    }
}

#[test]
#[ignore = "needs a gigabyte of disk and one of memory"]
fn slow_a_training_is_saved_and_resumed_in_place() {
    // An embedding of 256 MiB with its moments, one of them narrow.
    let numbers = [1 << 13, 1 << 13];
    let kinds = [("model.w", Kind::Float), ("mean.w", Kind::Float), ("square.w", Kind::BFloat16)];
    let state: Vec<(String, Tensor)> = kinds
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), Tensor::ones(numbers, (*kind, Device::Cpu))))
        .collect();
    let work = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(work.path(), "policy");
    let ((), saving) = watched(|| checkpoints.save(1, &state, &()).unwrap());
    for (_, tensor) in &state {
        let _ = tensor.shallow_clone().zero_();
    }
    let ((), resuming) = watched(|| {
        let (_, restored) = checkpoints.newest::<()>().unwrap();
        for (name, tensor) in &state {
            restored.copy_to(name, tensor).unwrap();
        }
    });
    for (name, tensor) in &state {
        assert!(tensor.equal(&tensor.ones_like()), "{name}");
    }
    let mib = [saving, resuming].map(|bytes| bytes >> 20);
    println!("640 MiB of state: {} MiB to save, {} MiB to resume", mib[0], mib[1]);
    assert!(mib.iter().all(|mib| *mib < 64), "{mib:?}");
}
