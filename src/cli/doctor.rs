//! `prefab doctor`: what this machine has.

use crate::Result;
use crate::run::{device, machine};
use crate::store::{Store, clean};
use std::path::PathBuf;

/// Say what this machine has: libtorch, devices, threads, store.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where artifacts are kept.
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

/// Prints a line a thing.
///
/// # Errors
///
/// If the store cannot be opened.
pub fn run(args: &Args) -> Result<()> {
    let folder = device::libtorch_folder();
    let at = folder.as_ref().map_or_else(|| "not found".into(), |at| at.display().to_string());
    println!("prefab    {} at {}", env!("CARGO_PKG_VERSION"), machine::commit());
    println!("libtorch  {} in {at}", device::libtorch_version());
    println!("cores     {}", machine::cores());
    let cards = device::cards();
    println!("devices   cpu{}", if cards.is_empty() { "" } else { " and:" });
    for card in &cards {
        println!("          cuda:{} {} (compute {})", card.index, card.name, card.capability);
    }
    if cards.is_empty() {
        let half = folder.is_some_and(|at| at.join("libtorch_cuda.so").exists());
        println!(
            "          no CUDA: {}",
            match half {
                true => "libtorch has its CUDA half, but the driver names no card",
                false => "libtorch's CUDA half is not there",
            }
        );
    } else {
        match device::open_cuda() {
            Ok(()) => println!("          libtorch sees {} of them", tch::Cuda::device_count()),
            Err(error) => println!("          {error}"),
        }
    }
    println!("kernels   C++ on the processor, plain libtorch elsewhere");
    let store = Store::open(&args.store)?;
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    println!("store     {:.3} GiB in {}", gib(clean::size(store.root())), store.root().display());
    if let Some(free) = machine::free_bytes(store.root()) {
        println!("disk      {:.1} GiB free there", gib(free));
    }
    Ok(())
}
