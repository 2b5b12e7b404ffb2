//! `prefab plan`: jobs with their effective loss, what is cached, and what the
//! rest will cost. Does nothing of it.

use super::{Specs, aligned, bills, say};
use crate::loss::Mix;
use crate::plan::{self, Machine, Plan, Reuse, Stage, Task, estimate::estimate, past::Past};
use crate::report::number::counted;
use crate::run::device::{Choice, Devices};
use crate::spec::Experiment;
use crate::store::Record;
use crate::{Error, Result, spec, store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What to plan.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: Specs,
    /// Plan no stage after this one
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    until: Option<Stage>,
    /// Print the frozen plan as JSON
    #[arg(long)]
    json: bool,
    /// Where artifacts are kept
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
    /// cpu, cuda or cuda:N [default: cuda where there is one]
    #[arg(short, long, value_name = "NAME")]
    device: Option<Choice>,
    /// Take artifacts of other devices where this one has none
    #[arg(long)]
    reuse_across_devices: bool,
}

/// A stage by name, with all names where there is none.
///
/// # Errors
///
/// If there is no such stage.
pub fn stage(name: &str) -> Result<Stage, String> {
    Stage::of(name).ok_or_else(|| {
        let names: Vec<&str> = Stage::ALL.into_iter().map(Stage::name).collect();
        spec::lists::suggest(name, "stages", &names)
    })
}

/// Prints the plan of every spec.
///
/// # Errors
///
/// If a spec has mistakes.
pub fn run(args: &Args) -> Result<()> {
    let machine = Devices::resolve(args.device)?.machine();
    let store = store::artifacts(&args.store);
    let Specs { specs, overrides } = &args.given;
    let experiments: Vec<Experiment> =
        specs.iter().map(|path| spec::load(path, overrides)).collect::<Result<_>>()?;
    for experiment in &experiments {
        let plan = match args.reuse_across_devices {
            true => reusing(experiment, &machine, args.until, &store),
            false => plan::plan(experiment, &machine, args.until),
        };
        if args.json {
            let text = serde_json::to_string_pretty(&plan)
                .map_err(|error| Error::new(format!("writing the plan: {error}")))?;
            say(&format!("{text}\n"));
        } else {
            say(&summary(&plan, &store));
        }
    }
    Ok(())
}

/// The plan for people, with what is cached, what earlier runs took, and what judges will be paid,
/// from the folder of artifacts.
pub fn summary(plan: &Plan, artifacts: &Path) -> String {
    let cached = cached(plan, artifacts);
    let past = Past::read(artifacts);
    let cached = |key: &str| cached.contains(key);
    let text = describe(plan, &cached, &|task| past.seconds(plan, task));
    text + &bills::describe(plan, &cached, artifacts)
}

/// Keys of what need not be made. Weights that are gone count where nobody needs them.
fn cached<'a>(plan: &'a Plan, artifacts: &Path) -> BTreeSet<&'a str> {
    let mut cached: BTreeSet<&str> = BTreeSet::new();
    // Inputs come before their readers.
    for task in plan.tasks.iter().rev() {
        let readers =
            || plan.tasks.iter().filter(|t| t.inputs.values().any(|key| *key == task.key));
        let is_spent = task.sheds_weights() && store::is_shed(&artifacts.join(&task.key));
        if artifacts.join(&task.key).is_dir()
            && (!is_spent || readers().all(|reader| cached.contains(reader.key.as_str())))
        {
            cached.insert(&task.key);
        }
    }
    cached
}

/// The plan for people.
pub fn describe(
    plan: &Plan,
    cached: &dyn Fn(&str) -> bool,
    measured: &dyn Fn(&Task) -> Option<f64>,
) -> String {
    let num_jobs = counted(plan.jobs.len(), "job");
    let num_tasks = counted(plan.tasks.len(), "task");
    let num_levels = counted(plan.levels(), "level");
    let mut text = format!("{}: {num_jobs}, {num_tasks} in {num_levels}\n\n", plan.name);

    let mut rows = vec![["job", "loss", "left"].map(str::to_owned).to_vec()];
    for job in &plan.jobs {
        let mut left: Vec<&str> = Vec::new();
        for &index in &job.tasks {
            let task = &plan.tasks[index];
            if !cached(&task.key) && !left.contains(&task.stage.name()) {
                left.push(task.stage.name());
            }
        }
        let nothing_cached = job.tasks.iter().all(|&index| !cached(&plan.tasks[index].key));
        let left = match left.as_slice() {
            [] => "nothing".to_owned(),
            _ if nothing_cached => "everything".to_owned(),
            some => some.join(" "),
        };
        rows.push(vec![job.id.clone(), loss(job), left]);
        rows.extend(job.also.iter().map(|id| vec![format!("  = {id}")]));
    }
    text.push_str(&aligned(&rows));

    let estimate = estimate(plan, cached, measured);
    let mut rows = vec![["stage", "tasks", "cached", "left"].map(str::to_owned).to_vec()];
    for row in &estimate.rows {
        let how = if row.measured { "" } else { " (rough)" };
        let left = match row.tasks - row.cached {
            0 => "nothing".to_owned(),
            left if row.unknown == left => "?".to_owned(),
            _ => format!("{}{how}", duration(row.seconds)),
        };
        rows.push(vec![
            row.stage.name().to_owned(),
            row.tasks.to_string(),
            row.cached.to_string(),
            left,
        ]);
    }
    text.push('\n');
    text.push_str(&aligned(&rows));
    text.push_str(&without_features(plan));
    text.push_str(&plan::memory::describe(plan));
    let total = estimate.seconds();
    text.push_str(&match (total, estimate.unknown()) {
        (0.0, 0) => "\nAll results are there.\n".to_owned(),
        (_, 0) => format!("\nAbout {} with one worker.\n", duration(total)),
        (_, unknown) => format!(
            "\nAbout {} with one worker, and {} of which a first run will tell.\n",
            duration(total),
            counted(unknown, "task")
        ),
    });
    text
}

/// Of which jobs image features are not kept: one job's may be where another's are not valid.
fn without_features(plan: &Plan) -> String {
    let sees = |job: &&plan::Job| {
        let stages = || job.tasks.iter().map(|&index| plan.tasks[index].stage);
        let runs_here = job.settings.loss.is_some() || !job.settings.eval.server.is_set();
        runs_here && stages().any(|s| s > Stage::Features) && stages().all(|s| s != Stage::Features)
    };
    let jobs: Vec<&str> = plan.jobs.iter().filter(sees).map(|job| job.id.as_str()).collect();
    let of = match jobs.len() {
        0 => return String::new(),
        count if count == plan.jobs.len() => String::new(),
        1..=4 => format!(" for {}", jobs.join(", ")),
        count => format!(" for {}", counted(count, "job")),
    };
    format!(
        "\nImage features are not kept{of} (the vision tower trains, or they exceed \
         store.feature_gib): images are encoded once a pair and pass.\n"
    )
}

/// The effective terms and weights; of each round where they differ.
fn loss(job: &plan::Job) -> String {
    let describe = |loss: &spec::loss::Loss| {
        Mix::new(loss).map_or_else(|error| error.to_string(), |mix| mix.describe())
    };
    let mut all: Vec<String> = match job.rounds.as_slice() {
        [] => job.settings.loss.iter().map(describe).collect(),
        rounds => rounds.iter().map(|round| describe(&round.loss)).collect(),
    };
    all.dedup();
    all.join(", then ")
}

/// `45 s`, `12 min`, `3 h 20 min`.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{} s", seconds.ceil()),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// What every artifact in the store says about itself, from its stage.toml.
fn records(artifacts: &Path) -> impl Iterator<Item = Record> {
    std::fs::read_dir(artifacts).into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What is being made, or was set aside, begins with another word.
        name.split_once('-').and_then(|(stage, _)| Stage::of(stage))?;
        Record::load(&entry.path()).ok()
    })
}

/// A plan that takes artifacts of other devices where this one has none.
pub fn reusing(
    experiment: &Experiment,
    machine: &Machine,
    until: Option<Stage>,
    artifacts: &Path,
) -> Plan {
    let machine_of = |record: Record| -> Option<Machine> {
        record.settings.get("machine")?.clone().try_into().ok()
    };
    let mut machines: Vec<Machine> =
        records(artifacts).filter_map(machine_of).filter(|m| m.device != machine.device).collect();
    machines.sort_by(|a, b| (&b.device, &b.kernels).cmp(&(&a.device, &a.kernels)));
    machines.dedup();
    let exists = |key: &str| artifacts.join(key).is_dir();
    plan::plan_reusing(experiment, machine, until, &Reuse { machines, exists: &exists })
}
