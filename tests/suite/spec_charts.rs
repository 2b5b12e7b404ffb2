//! Charts against what the jobs of a spec measure, whichever layer makes one measure it.

use prefab::spec;
use std::fs;

/// What is wrong with a spec that trains, if anything; a long line may be broken anywhere.
fn complaint(text: &str) -> Option<String> {
    let text = format!("schema = 1\nloss.algorithm = \"mpo\"\n{text}");
    let error = spec::parse("charts", "charts.toml", &text, &[]).err()?;
    Some(flat(&error))
}

/// A message on one line.
fn flat(error: &prefab::Error) -> String {
    let text = error.to_string().replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Draws what a look at the validation split measures, and what a benchmark does.
const LOOKS: &str = "[chart.a]\nlines = { x = \"step\", y = \"validation/cot\" }\n";
const COUNTS: &str = "[chart.a]\nbars = { x = \"variant\", y = \"pope.accuracy\" }\n";

/// Without that benchmark.
const FEW: &str = "[eval]\nbenchmarks = [\"reasoning\"]\n";

#[test]
fn what_one_job_measures_can_be_drawn() {
    for (layer, drawn) in [
        // The whole spec.
        ("[eval]\nevery = 50\n", LOOKS),
        ("[eval]\nbenchmarks = [\"pope\"]\n", COUNTS),
        // A variant beside one that measures less.
        ("[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\neval = { every = 50 }\n", LOOKS),
        (
            "[eval]\nbenchmarks = [\"reasoning\"]\n[[variant]]\nname = \"a\"\n\
             [[variant]]\nname = \"b\"\neval = { benchmarks = [\"pope\"] }\n",
            COUNTS,
        ),
        // A sweep, lists side by side, and a variant's own sweep.
        ("[sweep]\n\"eval.every\" = [0, 50]\n", LOOKS),
        ("[[sweep.zip]]\n\"eval.every\" = [0, 50]\n\"loss.beta\" = [0.1, 0.2]\n", LOOKS),
        (
            "[eval]\nbenchmarks = [\"reasoning\"]\n[sweep]\n\
             \"eval.benchmarks\" = [[\"reasoning\"], [\"reasoning\", \"pope\"]]\n",
            COUNTS,
        ),
        (
            "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\n\
             sweep = { \"eval.every\" = [25, 50] }\n",
            LOOKS,
        ),
        (
            "[eval]\nevery = 50\n[[variant]]\nname = \"a\"\neval = { every = 0 }\n\
             [[variant]]\nname = \"b\"\n",
            LOOKS,
        ),
    ] {
        let text = format!("{layer}{drawn}");
        assert_eq!(complaint(&text), None, "{text}");
    }
}

#[test]
fn what_no_job_measures_is_refused() {
    let looks = "`validation/cot` is not measured: training does not look";
    let counts = "`pope.accuracy` is not measured: no benchmark `pope`";
    for (layers, drawn, says) in [
        ("", LOOKS, looks),
        (FEW, COUNTS, counts),
        ("[sweep]\n\"eval.every\" = [0]\n", LOOKS, looks),
        // What the spec says at the top is what no job has.
        ("[eval]\nevery = 50\n[[variant]]\nname = \"a\"\neval = { every = 0 }\n", LOOKS, looks),
        (
            "[[variant]]\nname = \"a\"\neval = { benchmarks = [\"reasoning\"] }\n\
             [[variant]]\nname = \"b\"\neval = { benchmarks = [\"describe\"] }\n",
            COUNTS,
            counts,
        ),
        ("[sweep]\n\"eval.benchmarks\" = [[\"reasoning\"], [\"describe\"]]\n", COUNTS, counts),
    ] {
        let text = format!("{layers}{drawn}");
        let said = complaint(&text).expect(&text);
        assert!(said.contains(says), "{text}{said}");
    }
    let said = complaint(LOOKS).unwrap();
    assert!(said.contains("add `[eval] every = 50`: steps between looks"), "{said}");
}

/// Everything is measured, with two seeds and two variants, one of them in two rounds.
const ALL: &str = "seeds = [0, 1]\n[eval]\nbenchmarks = [\"reasoning\", \"pope\", \"describe\", \"shift\"]\n\
                   [[variant]]\nname = \"SFT\"\nsweep = { \"loss.beta\" = [0.1, 1.0] }\n\
                   [[variant]]\nname = \"MPO\"\n[[variant.round]]\n[[variant.round]]\n";

#[test]
fn what_a_chart_is_limited_to_must_be_there() {
    let bars = |y: &str, rows: &str| {
        format!("{ALL}[chart.a]\nbars = {{ x = \"variant\", y = \"{y}\", where = {{ {rows} }} }}\n")
    };
    for (y, rows) in [
        ("reasoning.accuracy", "prompt = \"cot\", seed = \"1\", variant = \"base\""),
        ("reasoning.accuracy", "\"loss.beta\" = \"0.1\", split = \"test\", task = \"count\""),
        ("reasoning.accuracy", "\"loss.beta\" = \"1\", task = \"all\""),
        ("pope.f1", "task = \"popular\""),
        ("shift.accuracy", "task = \"75\", prompt = \"cot\""),
        ("logps/chosen", "round = \"2\", split = \"train\""),
        ("pairs.chosen_sloppy", "round = \"1\""),
    ] {
        assert_eq!(complaint(&bars(y, rows)), None, "{y} {rows}");
    }
    for (y, rows, says, way_out) in [
        ("reasoning.accuracy", "prompt = \"cott\"", "the prompt `cott`", "did you mean `cot`?"),
        ("reasoning.accuracy", "seed = \"7\"", "the seed `7`", "values of `seed`: 0, 1"),
        ("reasoning.accuracy", "variant = \"MPQ\"", "the variant `MPQ`", "did you mean `MPO`?"),
        ("reasoning.accuracy", "\"loss.beta\" = \"0.2\"", "the loss.beta `0.2`", "0.1"),
        ("reasoning.accuracy", "task = \"cuont\"", "the task `cuont`", "did you mean `count`?"),
        ("reasoning.accuracy", "split = \"train\"", "the split `train`", "test"),
        ("reasoning.accuracy", "round = \"1\"", "has no `round`", "take it out of `where`"),
        ("pope.f1", "task = \"rare\"", "the task `rare`", "random, popular, adversarial, all"),
        ("shift.accuracy", "prompt = \"direct\"", "the prompt `direct`", "cot"),
        ("logps/chosen", "prompt = \"cot\"", "has no `prompt`", "take it out of `where`"),
        ("logps/chosen", "round = \"3\"", "the round `3`", "1, 2"),
    ] {
        let said = complaint(&bars(y, rows)).unwrap_or_else(|| panic!("{y} {rows}"));
        assert!(said.contains(says) && said.contains(way_out), "{y} {rows}: {said}");
    }
}

#[test]
fn a_task_between_benchmark_and_metric_must_be_there() {
    let chart = |y: &str| format!("{ALL}[chart.a]\nbars = {{ x = \"variant\", y = \"{y}\" }}\n");
    for y in ["reasoning.count.accuracy", "pope.random.f1", "shift.25.logp_gap"] {
        assert_eq!(complaint(&chart(y)), None, "{y}");
    }
    for (y, says) in [
        ("reasoning.nosuch.accuracy", "`reasoning` has no task `nosuch`"),
        ("pope.rare.f1", "`pope` has no task `rare`"),
        ("shift.30.accuracy", "`shift` has no task `30`"),
    ] {
        let said = complaint(&chart(y)).expect(y);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn only_what_every_question_scored_is_paired() {
    let chart =
        |y: &str| format!("{ALL}[chart.a]\ndifferences = {{ y = \"{y}\", against = \"SFT\" }}\n");
    for y in
        ["reasoning.accuracy", "reasoning.count.accuracy", "describe.faithful", "shift.75.accuracy"]
    {
        assert_eq!(complaint(&chart(y)), None, "{y}");
    }
    for (y, way_out) in [
        ("pope.f1", "`pope.accuracy` is one"),
        ("describe.mention_rate", "`describe.faithful` is one"),
        ("reasoning.unparsable", "`reasoning.accuracy` is one"),
        ("shift.75.logp_gap", "`shift.accuracy` is one"),
        ("logps/chosen", "draw it with `bars`"),
    ] {
        let said = complaint(&chart(y)).expect(y);
        assert!(
            said.contains("is no score that every question has") && said.contains(way_out),
            "{said}"
        );
    }
}

#[test]
fn a_table_of_the_paper_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = |overlay: &str| {
        let file = folder.path().join("charts.toml");
        let chart = "bars = { x = \"variant\", y = \"reasoning.accuracy\", overlay = ";
        let text =
            format!("schema = 1\nloss.algorithm = \"mpo\"\n[chart.a]\n{chart}\"{overlay}\" }}\n");
        fs::write(&file, text).unwrap();
        spec::load(&file, &[]).map_err(|error| flat(&error))
    };
    loaded("figure-3").unwrap();
    let said = loaded("figure-33").unwrap_err();
    assert!(
        said.contains("no table `figure-33`") && said.contains("did you mean `figure_3`?"),
        "{said}"
    );
}
