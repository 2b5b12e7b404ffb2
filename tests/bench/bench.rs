//! `cargo bench --profile dev --bench bench [-- MODE]`: what Prefab's speed is worth.
//!
//! | mode | does |
//! |---|---|
//! | (none) | the step W1 beside a plain libtorch step, in turns, each in its own process |
//! | `kernels` | each kernel beside the plain tch code it equals |
//! | `sampling [QUESTIONS]` | K answers a question beside plain decoding |
//! | `plain bf16 STEPS` | the plain step alone |
//!
//! The machine should be quiet; turns and medians only soften what others do to it.

mod kernels;
mod plain;
mod plain_sampling;
mod sampling;

use serde_json::Value;
use std::process::Command;

/// Pairs/s in fp32 and bf16, and GiB in bf16, of the same step on two quiet Zen 5
/// cores with the stock allocator; medians of seven steps.
const PEERS: &[(&str, f64, f64, Option<f64>)] = &[
    ("TRL 1.16 DPOTrainer, reference each step", 11.0, 20.0, Some(2.1)),
    ("the same, reference given (emulated)", 13.0, 23.6, None),
    ("plain eager PyTorch by hand", 12.6, 26.0, Some(2.5)),
    ("lean eager: an image a pair, answer logits", 14.0, 30.1, Some(2.3)),
    ("lean eager + cached reference", 17.9, 34.5, Some(2.3)),
];

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => step(3, 5),
        [rounds, steps] if rounds.parse::<usize>().is_ok() => {
            step(rounds.parse().expect("checked"), steps.parse().expect("a number of steps"));
        }
        ["kernels"] => kernels::run(),
        ["sampling"] => sampling::run(256),
        ["sampling", questions] => sampling::run(questions.parse().expect("a number of questions")),
        ["plain", precision, steps] => {
            plain::run(precision == "bf16", steps.parse().expect("a number of steps"));
        }
        _ => {
            panic!("usage: [ROUNDS STEPS] | kernels | sampling [QUESTIONS] | plain fp32|bf16 STEPS")
        }
    }
}

/// Both sides in turns, then a table.
fn step(rounds: usize, steps: usize) {
    println!("W1: MPO on 32 pairs, everything trains, 5.5 M parameters; {rounds} rounds");
    println!("{:44}{:>9}{:>9}{:>9}{:>9}", "", "pairs/s", "best", "tokens/s", "GiB");
    for precision in ["fp32", "bf16"] {
        let (mut plain, mut prefab) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            plain.push(of_plain(precision, steps));
            prefab.push(of_prefab(precision, steps));
        }
        let line = |name: &str, runs: &[Value]| {
            println!(
                "{:44}{:9.1}{:9.1}{:9.0}{:9.2}",
                format!("{name}, {precision}"),
                median(runs, "pairs_per_s"),
                32.0 / minimum(runs, "best_s"),
                median(runs, "tokens_per_s"),
                median(runs, "peak_gib")
            );
        };
        line("plain libtorch step", &plain);
        line("prefab", &prefab);
        println!(
            "{:44}{:9.2}{:9.2}{:>9}{:9.2}",
            "ratio",
            median(&prefab, "pairs_per_s") / median(&plain, "pairs_per_s"),
            minimum(&plain, "best_s") / minimum(&prefab, "best_s"),
            "",
            median(&prefab, "peak_gib") / median(&plain, "peak_gib")
        );
        println!(
            "{:44}{:8.0}%",
            "prefab's share of the matrix-product roof",
            100.0 * median(&prefab, "roof_share")
        );
    }
    println!("\nPeers, two quiet Zen 5 cores: pairs/s in fp32, in bf16; GiB in bf16");
    for (name, fp32, bf16, gib) in PEERS {
        let gib = gib.map_or_else(String::new, |gib| format!("{gib:.1}"));
        println!("{name:44}{fp32:9.1}{bf16:9.1}{:9}{gib:>9}", "");
    }
}

fn of_plain(precision: &str, steps: usize) -> Value {
    let own = std::env::current_exe().expect("this program has a path");
    json(Command::new(own).args(["plain", precision, &steps.to_string()]))
}

fn of_prefab(precision: &str, steps: usize) -> Value {
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/bench-w1.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
    let precision = format!("train.precision=\"{precision}\"");
    json(command.args([
        "bench",
        spec,
        "--json",
        "--steps",
        &steps.to_string(),
        "--set",
        &precision,
    ]))
}

fn json(command: &mut Command) -> Value {
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{command:?}: {text}{error}"))
}

fn median(runs: &[Value], key: &str) -> f64 {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run[key].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn minimum(runs: &[Value], key: &str) -> f64 {
    runs.iter().filter_map(|run| run[key].as_f64()).fold(f64::INFINITY, f64::min)
}
