//! `prefab score ANSWERS --benchmark NAME`: scores answers that are there, without a model.

use super::{aligned, prompt, say};
use crate::error::{Context, Error, Kind, Result};
use crate::eval::asking::Asking;
use crate::eval::judging::{Judge, complete};
use crate::eval::scores::{Score, Scored, score_asked};
use crate::eval::{benchmark, files, foreign};
use crate::spec::candidates::Prompt;
use crate::spec::{self, benchmarks};
use crate::statistics::around;
use std::path::{Path, PathBuf};

/// Which answers, and to what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Answers: VLMEvalKit's table as .tsv, or .json or .jsonl with a question's id and its answer
    answers: PathBuf,
    /// The benchmark, of `prefab show benchmarks`
    #[arg(short, long, value_name = "NAME")]
    benchmark: String,
    /// Its own file or folder [default: the answers, which hold the questions]
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
    /// Whether answers are answers alone (direct) or end a reasoning (cot)
    #[arg(short, long, default_value = "direct", value_parser = prompt)]
    prompt: Prompt,
    /// Set a value, such as eval.judge.server.url=…
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// A folder for scores.csv, verdicts.csv, benchmarks.csv and judgements.jsonl
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where a judge's replies are kept
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

/// Prints the scores, and writes them where a folder is given.
///
/// # Errors
///
/// A benchmark without a file, files that cannot be read, questions without an answer, answers
/// without a question, and a judge that gave no reply.
pub fn run(args: &Args) -> Result<()> {
    let scored = scored(args).map_err(|error| error.kind(Kind::Spec))?;
    complete(&scored.judgements)?;
    say(&text(&scored));
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
        scored.write(out)?;
        say(&format!("{}\n", out.display()));
    }
    Ok(())
}

fn scored(args: &Args) -> Result<Scored> {
    let benchmark = benchmark(&args.benchmark)?;
    let own = benchmarks::file_of(benchmark.name()).ok_or_else(|| {
        Error::spec(format!("benchmark `{}` reads no file", benchmark.name()))
            .hint("`prefab show benchmarks` says which do")
    })?;
    let path = args.questions.as_deref().unwrap_or(&args.answers);
    let mut eval = eval(args, own, path)?;
    let questions = files::read_blind(benchmark, path)?;
    let apart = args.questions.is_some();
    let rows = foreign::answers(&args.answers, &questions, args.prompt, apart)?;
    eval.prompts = vec![args.prompt];
    let asking = Asking::new(&eval, questions)?;
    let replies = args.store.join("replies");
    let mut judge = Judge::with(&eval.judge, &replies, tch::Device::Cpu)?;
    judge.tell = |text| eprintln!("{text}");
    if asking.questions.iter().all(|question| question.images.is_empty()) {
        let text = "no column names the pictures: intervals take each question for one of its own; \
                    `--questions` names the file that has them";
        (judge.tell)(text);
    }
    let mut scored = score_asked(&eval, &asking, &rows, &[], &mut judge)?;
    for Score { value, low, high, .. } in &mut scored.scores {
        [*low, *high] = around(*value, *low, *high);
    }
    Ok(scored)
}

/// `[eval]` for one benchmark of a file, under the options of the command line.
fn eval(args: &Args, own: &str, path: &Path) -> Result<spec::eval::Eval> {
    let benchmarks = toml::Value::from(vec![args.benchmark.clone()]);
    let file = toml::Value::from(path.display().to_string());
    let text = format!("schema = 1\neval.benchmarks = {benchmarks}\neval.files.{own} = {file}\n");
    let experiment = spec::parse("score", "the command line", &text, &args.overrides)?;
    Ok(experiment.points[0].settings.eval.clone())
}

/// Scores and where they come from.
fn text(scored: &Scored) -> String {
    let mut rows =
        vec![["task", "metric", "value", "low", "high", "n"].map(str::to_owned).to_vec()];
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
    for Score { task, metric, value, low, high, n, .. } in &scored.scores {
        let numbers = [Some(*value), *low, *high].map(number);
        let mut row = vec![task.clone(), metric.clone()];
        row.extend(numbers);
        row.push(n.to_string());
        rows.push(row);
    }
    let mut text = aligned(&rows);
    for origin in &scored.origins {
        text += &format!(
            "\n{}: {} questions of {}; answer: {}\n",
            origin.benchmark, origin.n, origin.questions, origin.extraction
        );
        if origin.by_rule + origin.judged + origin.failed > 0 {
            text += &format!(
                "graded: {} by rule, {} by {}, {} failed; {} tokens read, {} written, {:.2} in all\n",
                origin.by_rule,
                origin.judged,
                if origin.judge.is_empty() { "nobody" } else { &origin.judge },
                origin.failed,
                origin.tokens_read,
                origin.tokens_written,
                origin.cost
            );
        }
    }
    text
}
