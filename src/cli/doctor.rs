//! `prefab doctor`: what this machine has.

use super::{aligned, say};
use crate::Result;
use crate::kernel::FOR_CARDS;
use crate::plan::Stage;
use crate::plan::memory::gib;
use crate::run::device::{self, Card};
use crate::run::machine;
use crate::store::clean;
use std::path::{Path, PathBuf};

/// Say what this machine has: libtorch, threads, devices, kernels, store.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where artifacts are kept.
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

/// Prints a line a thing. Makes nothing, the store's folder neither.
///
/// # Errors
///
/// None.
pub fn run(args: &Args) -> Result<()> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows =
        vec![row("prefab", format!("{} at {}", env!("CARGO_PKG_VERSION"), machine::commit()))];
    let folder = device::libtorch_folder();
    let at = folder.as_ref().map_or_else(|| "not found".into(), |at| at.display().to_string());
    rows.push(row("libtorch", format!("{} in {at}", device::libtorch_version())));
    rows.push(row("threads", threads()));
    rows.push(row("devices", "cpu".into()));
    let cards = device::cards();
    for card in &cards {
        let Card { index, name, capability } = card;
        rows.push(row("", format!("cuda:{index}  {name} (compute {capability})")));
    }
    rows.push(row("", cuda(&cards, folder.is_some_and(|at| at.join("libtorch_cuda.so").exists()))));
    let isa = device::vector_units();
    let on_cards = match FOR_CARDS {
        true => "fused CUDA on cards",
        false => "plain libtorch on cards (`./just cuda` builds fused ones)",
    };
    rows.push(row("kernels", format!("fused C++ on the processor ({isa}); {on_cards}")));
    let store = match args.store.canonicalize() {
        Ok(root) => format!("{:.3} GiB in {}", gib(clean::size(&root)), root.display()),
        Err(_) => format!("none yet at {}", args.store.display()),
    };
    rows.push(row("store", store));
    if let Some(free) = machine::free_bytes(existing(&args.store)) {
        rows.push(row("disk", format!("{:.1} GiB free there", gib(free))));
    }
    say(&aligned(&rows));
    Ok(())
}

/// Cores, and what each stage's worker takes of them.
fn threads() -> String {
    let several = Stage::ALL.into_iter().filter(|stage| stage.threads() > 1);
    let several: Vec<String> =
        several.map(|stage| format!("{} at the stage {stage}", stage.threads())).collect();
    format!("{} cores; a worker takes 1, {}", machine::cores(), several.join(", "))
}

/// What stands between this process and the cards.
fn cuda(cards: &[Card], has_half: bool) -> String {
    match (cards.is_empty(), has_half) {
        (true, true) => "no CUDA: the driver names no card".into(),
        (true, false) => "no CUDA: libtorch's CUDA half is not there".into(),
        (false, _) => match device::open_cuda() {
            Ok(()) => format!("libtorch sees {} of them", tch::Cuda::device_count()),
            Err(error) => error.to_string(),
        },
    }
}

/// The closest folder above a path that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."))
}
