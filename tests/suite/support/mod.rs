//! A project folder with a small sweep: of stages that only pretend, or of real ones.

pub mod benchmark;
pub mod checkpoint;
pub mod counting;
pub mod fault;
pub mod files;
pub mod http;
pub mod judged;
pub mod loss_table;
pub mod memory;
pub mod mmpr;
pub mod real;
pub mod scores;
pub mod small;
pub mod synthetic;
pub mod tiny;

use prefab::plan::{Plan, Stage};
use prefab::run::device::Devices;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Two algorithms at two values of beta, and the base: 5 jobs.
pub const SPEC: &str = r#"
schema = 1

[sweep]
"loss.algorithm" = ["dpo", "ipo"]
"loss.beta" = [0.1, 0.2]
"#;

/// A folder of its own for one test.
pub struct Project {
    pub dir: tempfile::TempDir,
    /// What every run is started with.
    run: &'static [&'static str],
}

impl Project {
    /// With stages that only pretend; [`Self::freeze`] says which.
    pub fn new() -> Self {
        Self::of(&["run", "experiments/plan.json", "--fake", "--device", "cpu"])
    }

    /// With real stages.
    pub fn real(spec: &str) -> Self {
        let project = Self::of(&["run", "experiments/sweep.toml", "--device", "cpu"]);
        fs::write(project.path("experiments/sweep.toml"), spec).unwrap();
        project
    }

    fn of(run: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("experiments")).unwrap();
        Self { dir, run }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Freezes the sweep, with a `fake` table for the tasks that are to misbehave.
    pub fn freeze(&self, fake: impl Fn(usize, Stage) -> Option<serde_json::Value>) -> Plan {
        let experiment = prefab::spec::parse("sweep", "sweep.toml", SPEC, &[]).unwrap();
        let mut plan = prefab::plan::plan(&experiment, &Devices::cpu().machine(), None);
        for (index, task) in plan.tasks.iter_mut().enumerate() {
            if let Some(table) = fake(index, task.stage) {
                task.settings.insert("fake".into(), table);
            }
        }
        let text = serde_json::to_string(&plan).unwrap();
        fs::write(self.path("experiments/plan.json"), text).unwrap();
        plan
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        command.current_dir(self.dir.path()).args(arguments);
        command.env_remove("PREFAB_LOG");
        command
    }

    /// Runs the sweep to its end.
    pub fn run(&self, more: &[&str]) -> Output {
        self.run_with(more, &[])
    }

    pub fn run_with(&self, more: &[&str], env: &[(&str, &str)]) -> Output {
        let env = env.iter().copied();
        self.command(self.run).args(more).envs(env).output().unwrap()
    }

    /// Starts the sweep in a process group of its own.
    pub fn start(&self, more: &[&str]) -> Child {
        self.command(self.run)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    pub fn table(&self, name: &str) -> String {
        fs::read_to_string(self.path("results/sweep").join(name)).unwrap()
    }

    /// Everything that must be the same after any history: payloads, checksums, tables.
    pub fn outcome(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(self.path(".prefab/store")).unwrap() {
            let folder = entry.unwrap().path();
            let key = folder.file_name().unwrap().to_string_lossy().into_owned();
            for (file, sum) in prefab::store::Manifest::of(&folder.join("payload")).unwrap().0 {
                all.insert(format!("{key}/{file}"), sum);
            }
            all.insert(
                format!("{key}/payload.b3"),
                fs::read_to_string(folder.join("payload.b3")).unwrap(),
            );
        }
        for entry in fs::read_dir(self.path("results/sweep/charts")).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.extension().is_some_and(|ending| ending == "csv" || ending == "svg") {
                all.insert(format!("charts/{name}"), fs::read_to_string(path).unwrap());
            }
        }
        all.insert("runs.csv".into(), self.table("runs.csv"));
        all.insert(
            "jobs.csv".into(),
            without(&self.table("jobs.csv"), &["wall_s", "peak_gib", "commit"]),
        );
        all.insert(
            "stages.csv".into(),
            without(&self.table("stages.csv"), &["wall_s", "peak_gib", "cached"]),
        );
        all.insert("plan.json".into(), self.table("plan.json"));
        all
    }

    /// Nothing half-done is left, and nothing was found damaged.
    pub fn assert_tidy(&self) {
        let names = |below: &str| -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(self.path(below))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let odd: Vec<_> = names(".prefab/store")
            .into_iter()
            .filter(|name| ["new-", "damaged-", "stale-"].iter().any(|odd| name.starts_with(odd)))
            .collect();
        assert_eq!(odd, Vec::<String>::new());
        assert_eq!(names(".prefab/work"), Vec::<String>::new());
    }
}

/// What an undisturbed run gives.
pub fn undisturbed(
    fake: impl Fn(usize, Stage) -> Option<serde_json::Value>,
) -> BTreeMap<String, String> {
    let project = Project::new();
    project.freeze(fake);
    assert_code(&project.run(&["-j2"]), 0);
    project.outcome()
}

/// A table without some of its columns.
fn without(table: &str, columns: &[&str]) -> String {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let keep = |record: &csv::StringRecord| -> String {
        let cells = header.iter().zip(record).filter(|(name, _)| !columns.contains(name));
        cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",")
    };
    let rows: Vec<String> = reader.records().map(|record| keep(&record.unwrap())).collect();
    keep(&header) + "\n" + &rows.join("\n")
}

#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Process ids of the workers that run in a store.
pub fn workers(store: &Path) -> Vec<i32> {
    let store = store.to_string_lossy().into_owned();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("\0job\0") && line.contains(&store)
        })
        .collect()
}
