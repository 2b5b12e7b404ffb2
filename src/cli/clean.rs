//! `prefab clean`: removes stored artifacts that no spec refers to, after
//! saying how much.

use crate::error::{Context, Result};
use crate::run::device::Devices;
use crate::run::worker;
use crate::store::{Store, clean};
use crate::{plan, spec};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Remove stored artifacts that no spec refers to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Really remove; else only say what would be.
    #[arg(short, long)]
    yes: bool,
    /// Specs and frozen plans below these folders keep their artifacts
    #[arg(long, value_name = "DIR", default_values = ["experiments"])]
    keep: Vec<PathBuf>,
    /// Where artifacts are kept.
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

/// Lists, and with `--yes` removes.
///
/// # Errors
///
/// If a run is using the store, or a spec cannot be read: then nothing is removed.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open(&args.store)?;
    let _alone = store.alone()?;
    let mut wanted = BTreeSet::new();
    for folder in &args.keep {
        wanted.extend(keys_below(folder)?);
    }
    let list = clean::rubbish(&store, &wanted)?;
    for rubbish in &list {
        let gib = rubbish.bytes as f64 / (1u64 << 30) as f64;
        println!("{gib:9.3} GiB  {}  ({})", rubbish.path.display(), rubbish.why);
    }
    let gib = list.iter().map(|item| item.bytes).sum::<u64>() as f64 / (1u64 << 30) as f64;
    if !args.yes {
        println!("{gib:9.3} GiB in {} places; `prefab clean --yes` removes them", list.len());
        return Ok(());
    }
    clean::remove(&list)?;
    println!("{gib:9.3} GiB in {} places removed", list.len());
    Ok(())
}

/// Keys that the specs and plans below a folder refer to, on the processor and on the device at
/// hand. A folder that is not there has none.
fn keys_below(folder: &Path) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(keys) };
    for entry in entries {
        let path = entry.with_context(|| format!("reading `{}`", folder.display()))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let plans = match ending {
            _ if path.is_dir() => {
                keys.extend(keys_below(&path)?);
                continue;
            }
            Some("toml") => {
                let experiment = spec::load(&path, &[])?;
                let devices = [Devices::cpu(), Devices::resolve(None)?];
                devices.map(|on| plan::plan(&experiment, &on.machine(), None)).into()
            }
            _ if path.file_name().is_some_and(|name| name == "plan.json") => {
                vec![worker::read_plan(&path)?]
            }
            _ => continue,
        };
        keys.extend(plans.into_iter().flat_map(|plan| plan.tasks).map(|task| task.key));
    }
    Ok(keys)
}
