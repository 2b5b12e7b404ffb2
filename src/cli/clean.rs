//! `prefab clean`: removes stored artifacts that no spec refers to, after
//! saying how much.

use super::say;
use crate::error::{Context, Error, Result};
use crate::plan::memory::gib;
use crate::plan::{self, Plan};
use crate::run::device::Devices;
use crate::spec;
use crate::store::Store;
use crate::store::clean::{self, Rubbish};
use std::collections::BTreeSet;
use std::io::Write;
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
        if !folder.is_dir() {
            let message =
                format!("there is no folder `{}` of specs to keep artifacts for", folder.display());
            return Err(Error::spec(message)
                .hint("start it beside `experiments/`, or name folders with `--keep DIR`"));
        }
        wanted.extend(keys_below(folder)?);
    }
    let list = clean::rubbish(&store, &wanted)?;
    let mut text = String::new();
    for Rubbish { path, bytes, why } in &list {
        text += &format!("{:9.3} GiB  {}  ({why})\n", gib(*bytes), path.display());
    }
    let (all, places) = (gib(list.iter().map(|item| item.bytes).sum()), list.len());
    text += &format!("{all:9.3} GiB in {places} places");
    if !args.yes {
        say(&format!("{text}; `prefab clean --yes` removes them\n"));
        return Ok(());
    }
    // Whether or not anybody reads it, the work is done.
    let _ = writeln!(std::io::stdout(), "{text}");
    clean::remove(&list)?;
    say("removed\n");
    Ok(())
}

/// Keys that the specs and plans below a folder refer to, on the processor and on the device at
/// hand.
fn keys_below(folder: &Path) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    let doing = || format!("reading `{}`", folder.display());
    for entry in std::fs::read_dir(folder).with_context(doing)? {
        let path = entry.with_context(doing)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let plans = match ending {
            _ if path.is_dir() => {
                keys.extend(keys_below(&path)?);
                continue;
            }
            Some("toml") => match spec::load(&path, &[]) {
                Ok(experiment) => {
                    let devices = [Devices::cpu(), Devices::resolve(None)?];
                    devices.map(|on| plan::plan(&experiment, &on.machine(), None)).into()
                }
                // Its data may be gone, or not fetched yet; what it ran with was written down.
                Err(error) => match frozen(&path) {
                    Some(plan) => vec![Plan::load(&plan)?],
                    None => return Err(error),
                },
            },
            _ if path.file_name().is_some_and(|name| name == "plan.json") => {
                vec![Plan::load(&path)?]
            }
            _ => continue,
        };
        keys.extend(plans.into_iter().flat_map(|plan| plan.tasks).map(|task| task.key));
    }
    Ok(keys)
}

/// The plan that a spec's last run froze.
fn frozen(spec: &Path) -> Option<PathBuf> {
    let plan = Path::new("results").join(spec.file_stem()?).join("plan.json");
    plan.is_file().then_some(plan)
}
