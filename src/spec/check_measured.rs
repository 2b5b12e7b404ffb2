//! What a chart measures against what the jobs of a spec will measure.

use super::benchmarks::{self, metrics_of};
use super::candidates::Prompt;
use super::draft::Draft;
use super::experiment::Point;
use super::lists::{BASE_STEPS, DATA_STAGES, POLICY_STEPS, suggest};
use super::loss::Loss;
use crate::loss::Mix;

/// What is wrong, and the way out.
type Wrong = (String, String);

impl Draft {
    /// Whether a job of a run will measure it; else what is wrong, and the way out.
    /// `benchmarks` are those of all jobs; `points` are those that the chart shows, none where
    /// something else is wrong with the spec.
    pub(super) fn check_measured(
        &self,
        measured: &str,
        benchmarks: Option<&[String]>,
        points: Option<&[&Point]>,
    ) -> Result<(), Wrong> {
        let Some((benchmark, metric)) = measured.split_once('.') else {
            return self.check_trained(measured, points);
        };
        let Some(benchmarks) = benchmarks.filter(|_| !DATA_STAGES.contains(&benchmark)) else {
            return Ok(());
        };
        if !benchmarks.iter().any(|known| known == benchmark) {
            let names: Vec<&str> = benchmarks.iter().map(String::as_str).collect();
            let message = format!("`{measured}` is not measured: no benchmark `{benchmark}`");
            return Err((message, suggest(benchmark, "`eval.benchmarks` has", &names)));
        }
        // Between the two there may be a task's name.
        let (task, metric) = match metric.rsplit_once('.') {
            Some((task, metric)) => (Some(task), metric),
            None => (None, metric),
        };
        let metrics = metrics_of(benchmark);
        if !metrics.is_empty() && !metrics.contains(&metric) {
            let message = format!("`{benchmark}` measures no `{metric}`");
            return Err((message, suggest(metric, "it has", metrics)));
        }
        self.check_filed(benchmark, metric)?;
        if task.is_some_and(|task| task != "all") && benchmarks::OF_ALL.contains(&metric) {
            let message = format!("`{metric}` is of all tasks together");
            return Err((message, format!("write `{benchmark}.{metric}`")));
        }
        task.map_or(Ok(()), |task| self.check_task(task, benchmark))
    }

    /// Some metrics are of files: the generated questions that stand in have none.
    fn check_filed(&self, benchmark: &str, metric: &str) -> Result<(), Wrong> {
        let Some(file) = benchmarks::file_of(benchmark) else { return Ok(()) };
        let has_file = !self.values(&format!("eval.files.{file}")).is_empty();
        if has_file || !benchmarks::OF_FILES.contains(&metric) {
            return Ok(());
        }
        let message = format!("`{benchmark}.{metric}` is measured on a file, and none is named");
        Err((
            message,
            format!("name one: `[eval.files] {file} = \"PATH\"`, or draw another metric"),
        ))
    }

    /// Whether training measures it, by the name of a column of steps.csv or base_steps.csv.
    fn check_trained(&self, measured: &str, points: Option<&[&Point]>) -> Result<(), Wrong> {
        let of_base_alone = BASE_STEPS.iter().filter(|column| !POLICY_STEPS.contains(column));
        let mut known: Vec<&str> = POLICY_STEPS.iter().chain(of_base_alone).copied().collect();
        if !known.contains(&measured) {
            let message = format!("training measures no `{measured}`");
            return Err((message, suggest(measured, "steps.csv has", &known)));
        }
        let looks = || self.values("eval.every").iter().any(|every| every.as_integer() != Some(0));
        if measured.starts_with("validation/") && !looks() {
            let message = format!("`{measured}` is not measured: training does not look");
            return Err((message, "add `[eval] every = 50`: steps between looks".to_owned()));
        }
        let Some(points) = points else { return Ok(()) };
        known.retain(|column| points.iter().any(|point| is_trained(point, column)));
        if known.contains(&measured) {
            return Ok(());
        }
        let message = format!("`{measured}` is not measured: {}", lacking(measured));
        let hint = match known.as_slice() {
            [] => "nothing is trained here: draw a benchmark's score".to_owned(),
            known => format!("training measures {}", known.join(", ")),
        };
        Err((message, hint))
    }
}

/// Whether a job of this point leaves numbers in a column of steps.csv or base_steps.csv.
fn is_trained(point: &Point, column: &str) -> bool {
    let base = &point.settings.base;
    let has_lessons = point.settings.model.checkpoint.is_none();
    let of_base = BASE_STEPS.contains(&column)
        && has_lessons
        && match column.starts_with("accuracy/") {
            true => base.vision_steps > 0,
            false => base.vision_steps + base.steps > 0,
        };
    let eval = &point.settings.eval;
    let asks = |prompt: Prompt| eval.every > 0 && eval.prompts.contains(&prompt);
    let of_policy = |loss: &Loss| {
        let weights = Mix::new(loss).ok().map(|mix| mix.weights);
        let has = |weight: fn(&crate::loss::Weights) -> f64| {
            weights.as_ref().is_none_or(|w| weight(w) > 0.0)
        };
        match column {
            "loss/preference" => has(|weights| weights.w_p),
            "loss/quality" | "delta" => has(|weights| weights.w_q),
            "loss/generation" => has(|weights| weights.w_g),
            "validation/direct" => asks(Prompt::Direct),
            "validation/cot" => asks(Prompt::Cot),
            _ if column.starts_with("validation/") => eval.every > 0,
            column => POLICY_STEPS.contains(&column),
        }
    };
    of_base || point.rounds.iter().any(|round| of_policy(&round.loss))
}

/// What the jobs lack that would measure it.
fn lacking(column: &str) -> &'static str {
    match column {
        "loss/preference" => "no loss has the preference term, `w_p` above 0",
        "loss/quality" | "delta" => "no loss has the quality term, `w_q` above 0",
        "loss/generation" => "no loss has the generation term, `w_g` above 0",
        "validation/direct" | "validation/cot" => "no look asks with this prompt",
        column if POLICY_STEPS.contains(&column) => "no policy is trained",
        _ => "no base is taught",
    }
}
