//! An invented experiment on disk: plan, scores, verdicts and training curves of the sizes that
//! real ones have, from formulas alone.

use prefab::plan::{Job, Plan, Stage, Task};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One invented job.
pub struct Invented {
    pub variant: Option<&'static str>,
    pub swept: Vec<(String, toml::Value)>,
    pub seed: u64,
    /// True accuracy with Direct and CoT prompts.
    pub accuracy: (f64, f64),
    /// Reward margin at the end of training, and how far the chosen reward drifts.
    pub rewards: (f64, f64),
}

/// Its folders.
pub struct Experiment {
    pub root: tempfile::TempDir,
    pub plan: Plan,
}

impl Experiment {
    pub fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    pub fn results(&self) -> PathBuf {
        self.root.path().join("results").join(&self.plan.name)
    }

    /// Forgets the scores of one job, as if it had not run yet.
    pub fn forget(&self, job: usize) {
        for &task in &self.plan.jobs[job].tasks {
            let task = &self.plan.tasks[task];
            if [Stage::Scores, Stage::Answers].contains(&task.stage) {
                fs::remove_dir_all(self.store().join(&task.key)).unwrap();
            }
        }
    }
}

/// Writes an experiment of `questions` test questions and `steps` optimizer steps.
pub fn experiment(name: &str, jobs: &[Invented], questions: usize, steps: u64) -> Experiment {
    let root = tempfile::tempdir().unwrap();
    let mut plan = Plan { name: name.into(), jobs: vec![], tasks: vec![] };
    let experiment = |plan| Experiment { root, plan };
    let base = Invented {
        variant: None,
        swept: vec![],
        seed: 0,
        accuracy: (0.652, 0.447),
        rewards: (0.0, 0.0),
    };
    for job in std::iter::once(&base).chain(jobs) {
        let is_base = job.variant.is_none() && job.swept.is_empty();
        let mut id = job.variant.unwrap_or(if is_base { "base" } else { "job" }).to_lowercase();
        for (key, value) in &job.swept {
            id += &format!("-{}{value}", key.rsplit('.').next().unwrap());
        }
        if !is_base {
            id += &format!("-s{}", job.seed);
        }
        let stages: &[Stage] = if is_base {
            &[Stage::Base, Stage::Answers, Stage::Scores]
        } else {
            &[Stage::Policy, Stage::Answers, Stage::Scores]
        };
        let first = plan.tasks.len();
        for stage in stages {
            plan.tasks.push(Task {
                stage: *stage,
                key: format!("{stage:?}-{id}").to_lowercase(),
                settings: serde_json::Map::new(),
                manner: serde_json::Map::new(),
                inputs: BTreeMap::new(),
                threads: 1,
                level: 0,
            });
        }
        plan.jobs.push(Job {
            id,
            variant: job.variant.map(str::to_owned),
            swept: job.swept.clone(),
            seed: job.seed,
            settings: prefab::spec::defaults(),
            rounds: vec![],
            also: vec![],
            tasks: (first..plan.tasks.len()).collect(),
        });
    }
    let experiment = experiment(plan);
    for (at, job) in std::iter::once(&base).chain(jobs).enumerate() {
        let record = &experiment.plan.jobs[at];
        for &task in &record.tasks {
            let task = &experiment.plan.tasks[task];
            let folder = experiment.store().join(&task.key);
            let payload = folder.join("payload");
            fs::create_dir_all(&payload).unwrap();
            fs::write(
                folder.join("stage.toml"),
                "commit = \"0123abc\"\ndevice = \"cpu\"\nwall_s = 61.5\npeak_gib = 0.8\n",
            )
            .unwrap();
            match task.stage {
                Stage::Policy => write_steps(&payload, job, steps),
                Stage::Scores => write_scores(&payload, job, questions),
                _ => {}
            }
        }
    }
    experiment
}

/// Noise in [-1, 1) from a name, the same on every machine.
fn noise(parts: &[u64]) -> f64 {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for part in parts {
        state = (state ^ part).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state ^= state >> 29;
        state = state.wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 32;
    }
    (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn name_hash(job: &Invented) -> u64 {
    let text = format!("{:?} {:?}", job.variant, job.swept);
    text.bytes().fold(7, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

fn write_steps(payload: &Path, job: &Invented, steps: u64) {
    let mut text = String::from(
        "step,epoch,loss,rewards/chosen,rewards/rejected,rewards/margins,logps/chosen,\
         logps/rejected,nll_loss,learning_rate,validation/direct,validation/cot,validation/n\n",
    );
    let (margin, drift) = job.rewards;
    for step in 0..=steps {
        let part = step as f64 / steps as f64;
        let jitter = |k| noise(&[name_hash(job), job.seed, step, k]);
        let rise = 1.0 - (-4.0 * part).exp();
        let chosen = drift * rise + 0.12 * jitter(1);
        let rejected = (drift - margin) * rise + 0.18 * jitter(2);
        let (direct, cot) = job.accuracy;
        let validation = if step % 25 == 0 || step == steps {
            let direct = 0.652 + (direct - 0.652) * rise + 0.012 * jitter(3);
            let cot = 0.447 + (cot - 0.447) * rise + 0.012 * jitter(4);
            format!("{direct},{cot},500")
        } else {
            ",,".into()
        };
        let training = if step == steps {
            format!("{step},1,,,,,,,,,")
        } else {
            let loss = 0.69 - 0.4 * rise + 0.03 * jitter(5);
            format!(
                "{step},{part},{loss},{chosen},{rejected},{},{},{},{},{},",
                chosen - rejected,
                -20.0 + 10.0 * chosen,
                -26.0 + 10.0 * rejected,
                0.6 - 0.1 * drift * rise + 0.01 * jitter(6),
                3e-4 * (1.0 - part),
            )
        };
        text += &format!("{training}{validation}\n");
    }
    fs::write(payload.join("steps.csv"), text).unwrap();
}

fn write_scores(payload: &Path, job: &Invented, questions: usize) {
    let mut scores = String::from("benchmark,task,prompt,split,metric,value,low,high,n\n");
    let mut verdicts = String::from("benchmark,question,task,image,prompt,score\n");
    for (k, (prompt, accuracy)) in
        [("direct", job.accuracy.0), ("cot", job.accuracy.1)].into_iter().enumerate()
    {
        // The same difficulty for every job: answers of two policies go together.
        let right: Vec<bool> = (0..questions as u64)
            .map(|q| {
                let shared = noise(&[q, 17]);
                let own = noise(&[name_hash(job), job.seed, q, k as u64]);
                let seed_effect = 0.012 * noise(&[name_hash(job), job.seed, k as u64]);
                (0.7 * shared + 0.3 * own) / 2.0 + 0.5 < accuracy + seed_effect
            })
            .collect();
        for task in ["all", "count", "chart", "receipt"] {
            let index = ["count", "chart", "receipt"].iter().position(|name| *name == task);
            let here: Vec<bool> = right
                .iter()
                .enumerate()
                .filter(|(q, _)| index.is_none_or(|index| q % 3 == index))
                .map(|(_, right)| *right)
                .collect();
            let n = here.len() as f64;
            let share = here.iter().filter(|right| **right).count() as f64 / n;
            let half = 1.96 * (share * (1.0 - share) / n).sqrt();
            scores += &format!(
                "reasoning,{task},{prompt},test,accuracy,{share},{},{},{}\n",
                share - half,
                share + half,
                here.len(),
            );
        }
        for (q, right) in right.iter().enumerate() {
            let task = ["count", "chart", "receipt"][q % 3];
            verdicts += &format!(
                "reasoning,q{q},{task},images/test/{:06}.png,{prompt},{}\n",
                q / 2,
                u8::from(*right)
            );
        }
    }
    scores += "pope,all,direct,test,f1,0.861,0.85,0.872,1000\n";
    fs::write(payload.join("scores.csv"), scores).unwrap();
    fs::write(payload.join("verdicts.csv"), verdicts).unwrap();
}

/// The seventeen variants of Figure 3 with SFT, three seeds each, with made-up accuracies.
pub fn figure_3() -> Vec<Invented> {
    let rows: [(&'static str, f64, f64, f64, f64); 17] = [
        ("SFT", 0.671, 0.655, 0.6, 0.5),
        ("DPO", 0.668, 0.571, 4.2, -2.4),
        ("RSO", 0.669, 0.583, 2.4, -1.2),
        ("IPO", 0.662, 0.575, 1.3, -0.6),
        ("cDPO", 0.668, 0.590, 2.0, -0.9),
        ("RobustDPO", 0.664, 0.569, 4.8, -2.9),
        ("BCO", 0.672, 0.612, 1.9, -0.2),
        ("SPPO", 0.663, 0.548, 5.2, -1.8),
        ("AOT", 0.667, 0.577, 3.9, -2.2),
        ("TR-DPO", 0.655, 0.489, 6.1, -4.1),
        ("ORPO", 0.672, 0.649, 0.9, 0.4),
        ("DPO+", 0.676, 0.667, 3.1, 0.2),
        ("cDPO+", 0.675, 0.664, 1.8, 0.3),
        ("RobustDPO+", 0.673, 0.661, 3.3, 0.1),
        ("BCO+", 0.677, 0.671, 1.7, 0.4),
        ("AOT+", 0.675, 0.666, 3.0, 0.2),
        ("MPO", 0.678, 0.673, 2.7, 0.3),
    ];
    let mut jobs = Vec::new();
    for (variant, direct, cot, margin, drift) in rows {
        for seed in 0..3 {
            jobs.push(Invented {
                variant: Some(variant),
                swept: vec![],
                seed,
                accuracy: (direct, cot),
                rewards: (margin, drift),
            });
        }
    }
    jobs
}

/// A grid of beta and w_g, one seed.
pub fn grid() -> Vec<Invented> {
    let mut jobs = Vec::new();
    for (i, beta) in [0.05, 0.1, 0.5, 1.0].into_iter().enumerate() {
        for (j, w_g) in [0.0, 0.5, 1.0].into_iter().enumerate() {
            let swept = [("loss.beta", beta), ("loss.w_g", w_g)];
            let cot = 0.56 + 0.05 * j as f64 - 0.02 * (i as f64 - 1.2).powi(2);
            jobs.push(Invented {
                variant: None,
                swept: swept.map(|(key, value)| (key.to_owned(), toml::Value::Float(value))).into(),
                seed: 0,
                accuracy: (0.66 + 0.004 * j as f64, cot),
                rewards: (2.0 / (1.0 + beta), 0.3 * j as f64 - 0.5),
            });
        }
    }
    jobs
}
