//! The report of an invented experiment: the same bytes from the same results, whole or partial.

use crate::support::synthetic::{Experiment, Invented, experiment, figure_3, grid};
use prefab::report::{self, chart::Chart};
use std::collections::BTreeMap;
use std::fs;

fn some(names: &[&str], seeds: u64) -> Vec<Invented> {
    let wanted = |job: &Invented| names.contains(&job.variant.unwrap()) && job.seed < seeds;
    figure_3().into_iter().filter(wanted).collect()
}

/// Reports with the given `[chart]` tables; every file by name.
fn run(experiment: &Experiment, charts: &str) -> BTreeMap<String, Vec<u8>> {
    let charts = report::charts(charts).unwrap();
    let results = experiment.results();
    let files = report::run(&results, &experiment.store(), &experiment.plan, &charts).unwrap();
    let name = |path: &std::path::PathBuf| {
        path.strip_prefix(&results).unwrap().to_str().unwrap().to_owned()
    };
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(files.get(name).unwrap_or_else(|| panic!("no {name}")).clone()).unwrap()
}

/// The hint of the first chart that cannot be drawn.
fn failure(experiment: &Experiment, charts: &str) -> (String, String) {
    let error = report::charts(charts)
        .and_then(|charts| {
            report::run(&experiment.results(), &experiment.store(), &experiment.plan, &charts)
        })
        .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    (error.to_string(), error.hint_text().unwrap_or_default().to_owned())
}

const FIGURE: &str = r#"
[chart.figure_3]
bars = { x = "variant", y = "reasoning.accuracy", group = "prompt", band = "seed", overlay = "figure-3" }
[chart.margins]
lines = { x = "step", y = "rewards/margins", group = "variant", band = "seed" }
"#;

#[test]
fn every_file_is_the_same_twice() {
    let experiment = experiment("twice", &some(&["SFT", "DPO", "MPO"], 2), 60, 30);
    let first = run(&experiment, FIGURE);
    let second = run(&experiment, FIGURE);
    assert_eq!(first, second);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "charts/figure_3.csv",
            "charts/figure_3.png",
            "charts/figure_3.svg",
            "charts/margins.csv",
            "charts/margins.png",
            "charts/margins.svg",
            "report.html",
            "runs.csv"
        ]
    );
    assert!(first.values().all(|bytes| !bytes.contains(&b'\r') || bytes.starts_with(b"\x89PNG")));
}

#[test]
fn runs_csv_holds_every_score_and_few_training_rows_in_plan_order() {
    let experiment = experiment("rows", &grid()[..2], 40, 120);
    let files = run(&experiment, "");
    let runs = text(&files, "runs.csv");
    let mut lines = runs.lines();
    assert_eq!(
        lines.next().unwrap(),
        "job,variant,loss.beta,loss.w_g,seed,stage,split,step,benchmark,task,prompt,metric,value,low,high,n"
    );
    assert_eq!(
        lines.next().unwrap(),
        "base,base,,,0,scores,test,,reasoning,all,direct,accuracy,0.75,0.6158079734112343,0.8841920265887657,40"
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    // Two prompts of four task rows each, and one of POPE.
    let scores = |job: &str| rows.iter().filter(|row| row[0] == job && row[5] == "scores").count();
    let ids: Vec<&str> = experiment.plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids.iter().map(|id| scores(id)).collect::<Vec<_>>(), [8, 9, 9]);
    // 121 steps become 50; the six validation rows are all kept.
    let of = |metric: &str| rows.iter().filter(|row| row[0] == ids[1] && row[11] == metric).count();
    assert_eq!((of("rewards/chosen"), of("validation/cot")), (50, 6));
    let order: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let position = |id: &&str| ids.iter().position(|known| known == id).unwrap();
    assert!(order.windows(2).all(|pair| position(&pair[0]) <= position(&pair[1])));
}

#[test]
fn a_charts_csv_is_exactly_what_it_draws() {
    let experiment = experiment("drawn", &some(&["DPO", "MPO"], 2), 60, 30);
    let files = run(&experiment, FIGURE);
    insta::assert_snapshot!("figure_3.csv", text(&files, "charts/figure_3.csv"));
    let margins = text(&files, "charts/margins.csv");
    // Two variants at steps 0 to 29, each the mean of two seeds inside its band.
    assert_eq!(margins.lines().count(), 1 + 2 * 30);
    for line in margins.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [value, low, high] = [4, 5, 6].map(|at: usize| cells[at].parse::<f64>().unwrap());
        assert!(low <= value && value <= high, "{line}");
    }
}

#[test]
fn one_svg_of_each_kind_keeps_its_shape() {
    let figure = experiment("bars", &some(&["DPO", "MPO"], 2), 60, 10);
    let files = run(&figure, FIGURE);
    insta::assert_snapshot!("bars.svg", text(&files, "charts/figure_3.svg"));
    insta::assert_snapshot!("lines.svg", text(&files, "charts/margins.svg"));
    let files = run(
        &experiment("heat", &grid()[..6], 60, 10),
        "[chart.grid]\nheat = { x = 'beta', y = 'w_g', value = 'reasoning.accuracy', where = { prompt = 'cot' } }",
    );
    insta::assert_snapshot!("heat.svg", text(&files, "charts/grid.svg"));
}

/// w_p follows from w_q, as in a zipped sweep.
fn zipped() -> Vec<Invented> {
    let point = |(w_g, w_q): (f64, f64)| Invented {
        variant: None,
        swept: [("loss.w_g", w_g), ("loss.w_p", 1.0 - w_q), ("loss.w_q", w_q)]
            .map(|(key, value)| (key.to_owned(), toml::Value::Float(value)))
            .to_vec(),
        seed: 0,
        accuracy: (0.7, 0.6 + 0.1 * w_g),
        rewards: (1.0, 0.0),
    };
    [(0.0, 0.0), (1.0, 0.0), (0.0, 0.5), (1.0, 0.5)].map(point).into()
}

#[test]
fn what_a_zipped_axis_decides_needs_no_panel_and_no_label() {
    let charts = "[chart.grid]\nheat = { x = 'w_g', y = 'w_q', value = 'reasoning.accuracy', where = { prompt = 'cot' } }\n\
                  [chart.curve]\nlines = { x = 'step', y = 'rewards/margins', group = 'w_g', where = { w_q = '0.5' } }";
    let files = run(&experiment("zipped", &zipped(), 60, 4), charts);
    let panels = |name: &str| -> Vec<String> {
        let lines = text(&files, name);
        lines.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(panels("charts/grid.csv"), [""; 4], "one panel of four cells");
    let groups: std::collections::BTreeSet<String> = text(&files, "charts/curve.csv")
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap().to_owned())
        .collect();
    assert_eq!(groups, ["w_g 0".to_owned(), "w_g 1".to_owned()].into());
}

const AGAINST: &str = r#"
[chart.against]
differences = { y = "reasoning.accuracy", against = "DPO", where = { prompt = "cot" } }
"#;

#[test]
fn differences_are_those_of_the_verdicts() {
    let experiment = experiment("differences", &some(&["DPO", "MPO"], 1), 60, 4);
    let files = run(&experiment, AGAINST);
    insta::assert_snapshot!("differences.svg", text(&files, "charts/against.svg"));
    // The same difference by hand: mean score of the one less that of the other.
    let mean = |job: &str| {
        let job = experiment.plan.jobs.iter().find(|known| known.id == job).unwrap();
        let task = &experiment.plan.tasks[*job.tasks.last().unwrap()];
        let path = experiment.store().join(&task.key).join("payload/verdicts.csv");
        let mut table = csv::Reader::from_path(path).unwrap();
        let header = table.headers().unwrap().clone();
        let at = |name: &str| header.iter().position(|column| column == name).unwrap();
        let (benchmark, prompt, score) = (at("benchmark"), at("prompt"), at("score"));
        let scores: Vec<f64> = table
            .records()
            .map(Result::unwrap)
            .filter(|row| &row[benchmark] == "reasoning" && &row[prompt] == "cot")
            .map(|row| row[score].parse().unwrap())
            .collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let drawn = text(&files, "charts/against.csv");
    for (label, job) in [("base", "base"), ("MPO", "mpo-s0")] {
        let row = drawn.lines().find(|line| line.starts_with(&format!(",{label},cot,"))).unwrap();
        let cells: Vec<&str> = row.split(',').collect();
        let [value, low, high] = [4, 5, 6].map(|at: usize| cells[at].parse::<f64>().unwrap());
        assert!((value - (mean(job) - mean("dpo-s0"))).abs() < 1e-12, "{row}");
        assert!(low < value && value < high);
        // Beyond chance by the mark only where the interval leaves zero out.
        assert!(cells[3] != "differs" || low > 0.0 || high < 0.0, "{row}");
    }
    assert_eq!(drawn.lines().count(), 3, "DPO is not held against itself");
}

#[test]
fn labels_of_seventeen_variants_are_all_there() {
    let experiment = experiment("labels", &figure_3(), 30, 4);
    let files = run(&experiment, FIGURE);
    let svg = text(&files, "charts/figure_3.svg");
    for label in figure_3().iter().map(|job| job.variant.unwrap()).chain(["base", "Direct", "CoT"])
    {
        assert!(svg.contains(&format!(">\n{label}\n<")), "{label}");
    }
    assert!(
        svg.contains("Accuracy (%)") && svg.contains("mean of 3 seeds of the policy (0, 1, 2)")
    );
    let drawn = text(&files, "charts/figure_3.csv");
    // Each of the eighteen rows has the paper's two numbers.
    assert_eq!(drawn.lines().filter(|line| line.contains(",paper,")).count(), 36);
}

#[test]
fn a_spec_without_charts_gets_the_default_ones() {
    let experiment = experiment("defaults", &grid(), 30, 30);
    let files = run(&experiment, "");
    let charts: Vec<&str> = files
        .keys()
        .filter_map(|name| name.strip_prefix("charts/")?.strip_suffix(".png"))
        .collect();
    assert_eq!(
        charts,
        ["grid", "scores", "training_log_probabilities", "training_rewards", "training_validation"]
    );
    // Three by four cells under two prompts.
    assert_eq!(text(&files, "charts/grid.csv").lines().count(), 1 + 2 * 12);
}

#[test]
fn a_partial_experiment_reports_what_is_there_and_says_what_is_not() {
    let experiment = experiment("partial", &some(&["SFT", "MPO"], 3), 60, 10);
    experiment.forget(6);
    let files = run(&experiment, FIGURE);
    let page = text(&files, "report.html");
    assert!(page.contains("This experiment is unfinished."));
    assert!(page.contains("6 of 7 jobs finished") && page.contains("mpo-s2"));
    assert!(text(&files, "charts/figure_3.csv").contains("MPO,cot,seed 1,"));
    assert!(!text(&files, "charts/figure_3.csv").contains("MPO,cot,seed 2,"));
    // Its training is there all the same.
    assert!(text(&files, "runs.csv").contains("mpo-s2,MPO,2,policy,train,0,"));
}

#[test]
fn an_experiment_without_any_result_still_has_a_page() {
    let experiment = experiment("nothing", &some(&["MPO"], 1), 10, 4);
    fs::remove_dir_all(experiment.store()).unwrap();
    let files = run(&experiment, FIGURE);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["report.html", "runs.csv"]);
    assert!(text(&files, "report.html").contains("figure_3, margins"));
}

#[test]
fn mistakes_in_charts_point_at_the_way_out() {
    let experiment = experiment("mistakes", &grid()[..2], 20, 4);
    let cases = [
        ("bar = { x = 'variant', y = 'reasoning.accuracy' }", "did you mean `bars`?"),
        ("bars = { x = 'varient', y = 'reasoning.accuracy' }", "did you mean `variant`?"),
        ("bars = { x = 'loss.betta', y = 'reasoning.accuracy' }", "did you mean `loss.beta`?"),
        ("bars = { x = 'variant', y = 'reasoning.acuracy' }", "did you mean `reasoning.accuracy`?"),
        ("lines = { x = 'step', y = 'reward/chosen' }", "did you mean `rewards/chosen`?"),
        ("lines = { x = 'job', y = 'reasoning.accuracy' }", "draw it with `bars`"),
        ("differences = { y = 'reasoning.accuracy', against = 'bas' }", "did you mean `base`?"),
        (
            "bars = { x = 'variant', y = 'reasoning.accuracy', overlay = 'figure_4' }",
            "did you mean `figure_3`?",
        ),
    ];
    for (chart, wanted) in cases {
        let (message, hint) = failure(&experiment, &format!("[chart.mine]\n{chart}"));
        assert!(message.contains("chart `mine`"), "{message}");
        assert_eq!(hint, wanted, "{chart}");
    }
    let (message, _) = failure(&experiment, "[chart.mine]\nbars = { x = 'variant', why = '' }");
    assert!(message.contains("unknown field `why`"), "{message}");
}

#[test]
fn a_broken_chart_does_not_cost_the_others() {
    let experiment = experiment("broken", &some(&["MPO"], 1), 20, 4);
    failure(&experiment, &format!("[chart.a]\nbars = {{ x = 'nothing', y = 'a.b' }}\n{FIGURE}"));
    assert!(experiment.results().join("charts/figure_3.svg").exists());
    assert!(experiment.results().join("report.html").exists());
}

#[test]
fn every_chart_that_fails_is_named() {
    let experiment = experiment("several", &some(&["MPO"], 1), 20, 4);
    let (message, hint) = failure(
        &experiment,
        "[chart.one]\nbars = { x = 'varient', y = 'reasoning.accuracy' }\n\
         [chart.two]\nbars = { x = 'variant', y = 'reasoning.acuracy' }",
    );
    assert!(message.contains("2 charts") && message.contains("`one`"), "{message}");
    assert!(message.contains("`two`"), "{message}");
    assert!(hint.contains("`variant`?") && hint.contains("`reasoning.accuracy`?"), "{hint}");
    // A run has cost its time by then: a job's failure, not a mistake that stopped it.
    let store = prefab::store::Store::open(experiment.root.path()).unwrap();
    let charts = report::charts("[chart.a]\nbars = { x = 'nothing', y = 'a.b' }").unwrap();
    let drawn = prefab::run::dispatch::REAL.report;
    let error = drawn(&experiment.results(), &store, &experiment.plan, &charts).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}

#[test]
fn a_chart_without_a_mark_is_not_drawn() {
    let experiment = experiment("unseen", &some(&["DPO"], 1), 20, 4);
    let files = run(
        &experiment,
        "[chart.late]\nbars = { x = 'variant', y = 'logps/chosen', where = { step = '10' } }\n\
         [chart.placeless]\nbars = { x = 'task', y = 'logps/chosen' }",
    );
    assert_eq!(files.keys().collect::<Vec<_>>(), ["report.html", "runs.csv"]);
    assert!(text(&files, "report.html").contains("late, placeless"));
}

#[test]
fn charts_that_a_spec_no_longer_names_are_removed() {
    let experiment = experiment("stale", &some(&["MPO"], 1), 20, 4);
    run(&experiment, FIGURE);
    run(&experiment, &FIGURE.replace("margins]", "kept]"));
    let charts = experiment.results().join("charts");
    assert!(charts.join("kept.svg").exists() && !charts.join("margins.svg").exists());
}

#[test]
fn the_page_ranks_compares_and_needs_nothing_else() {
    let experiment = experiment("page", &some(&["SFT", "TR-DPO", "MPO"], 3), 2000, 10);
    fs::create_dir_all(experiment.results()).unwrap();
    let spec = "# Does <b> sort out?\n#\n# Expect  yes\nschema = 1\n";
    fs::write(experiment.results().join("experiment.toml"), spec).unwrap();
    let page = text(&run(&experiment, FIGURE), "report.html");
    assert!(page.contains("The best CoT accuracy is"), "ranked sentence");
    assert!(page.contains("Does &lt;b&gt; sort out?"), "text is escaped");
    assert!(page.contains("▲") && page.contains("Holm’s correction for 6 comparisons"));
    assert!(page.contains("four times out of five"), "smallest difference");
    assert!(page.contains("0123abc") && page.contains("<pre># Does"), "provenance");
    assert_eq!(page.matches("<svg ").count(), 2);
    for outside in ["http://", "https://", "src=", "@import", "<script", "<link"] {
        let rest = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains(outside), "{outside}");
    }
}

#[test]
fn a_damaged_score_names_file_line_and_way_out() {
    let experiment = experiment("damaged", &some(&["MPO"], 1), 20, 4);
    let task = experiment.plan.tasks.last().unwrap();
    let scores = experiment.store().join(&task.key).join("payload/scores.csv");
    let text = fs::read_to_string(&scores).unwrap().replace(",20\n", ",twenty\n");
    fs::write(&scores, text).unwrap();
    let error =
        report::run(&experiment.results(), &experiment.store(), &experiment.plan, &[]).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("scores.csv: line 2: `n` is `twenty`"), "{message}");
    assert!(error.hint_text().is_some());
}

#[test]
fn charts_parse_in_the_specs_order() {
    let charts = report::charts(FIGURE).unwrap();
    let names: Vec<&str> = charts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["figure_3", "margins"]);
    assert!(matches!(charts[1].1, Chart::Lines(_)));
}
