//! Specs as people write them, right and wrong.

use crate::malformed;
use prefab::spec::benchmarks::TaskColumn;
use prefab::spec::candidates::Prompt;
use prefab::spec::{self, Experiment, benchmarks, lists, schema};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn parse(text: &str) -> prefab::Result<Experiment> {
    spec::parse("test", "test.toml", text, &[])
}

#[track_caller]
fn sound(text: &str, overrides: &[&str]) -> Experiment {
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    spec::parse("test", "test.toml", text, &overrides).unwrap_or_else(|error| panic!("{error}"))
}

/// The text without its marks, and `line:column` of what they surround.
fn marked(text: &str) -> (String, Option<String>) {
    let text = match text.strip_prefix('!') {
        Some(whole) => whole.to_owned(),
        None => format!("schema = 1\n{text}"),
    };
    let place = text.find('«').map(|at| {
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
        format!("[test.toml:{line}:{column}]")
    });
    (text.replace(['«', '»'], ""), place)
}

#[test]
fn a_hundred_malformed_specs_point_at_the_place_and_the_way_out() {
    let texts: BTreeSet<&str> = malformed::cases().map(|case| case.text).collect();
    assert!(texts.len() >= 100, "{} cases", texts.len());
    let failed: Vec<String> = malformed::cases().filter_map(complaint).collect();
    assert!(failed.is_empty(), "{} of {}\n\n{}", failed.len(), texts.len(), failed.join("\n\n"));
}

/// What is wrong with the message of a case.
fn complaint(case: &malformed::Case) -> Option<String> {
    let (text, place) = marked(case.text);
    let Err(error) = parse(&text) else { return Some(format!("accepted:\n{text}")) };
    let message = error.to_string();
    // A long line may be broken anywhere.
    let flat = message.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let missing = if error.exit_code() != 2 {
        format!("exit code {}", error.exit_code())
    } else if !message.starts_with("test.toml: a mistake") {
        "more than one mistake".to_owned()
    } else {
        let place = place.as_deref().unwrap_or("[test.toml:");
        let wanted = [place, "help: ", case.says, case.way_out];
        wanted.into_iter().find(|&part| !flat.contains(part))?.to_owned()
    };
    Some(format!("--- lacks: {missing}\n--- spec\n{text}\n--- message\n{message}"))
}

#[test]
fn messages_read_well() {
    for case in malformed::cases().filter(|case| !case.snapshot.is_empty()) {
        let (text, _) = marked(case.text);
        insta::assert_snapshot!(case.snapshot, parse(&text).unwrap_err().to_string());
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    let text = "\
seed = 3

[model]
size = \"tinny\"

[corpus]
tasks = [\"count\", \"cuont\"]
train = -1

[train]
schedule = 0
epochs   = 0
beta     = 0.1

[loss]
algorithm = \"mpoo\"
w_g       = -1

[eval]
split = \"train\"

[sweep]
\"train.learning_rat\" = [1e-4]

[chart.one]
bars = { x = \"varian\", y = \"reasoning.accuracy\" }
";
    insta::assert_snapshot!("all_at_once", parse(text).unwrap_err().to_string());
}

#[test]
fn a_missing_spec_and_missing_data_are_named() {
    let missing = spec::load("experiments/quickstat.toml".as_ref(), &[]).unwrap_err();
    assert!(missing.to_string().contains("there is no such file"), "{missing}");
    assert_eq!(missing.hint_text(), Some("did you mean `experiments/quickstart.toml`?"));
    assert_eq!(missing.exit_code(), 2);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.toml");
    let cases = [
        ("[model]\ncheckpoint = \"no/such\"\n", "there is no folder `no/such`"),
        (
            "[loss]\nalgorithm = \"mpo\"\n[pairs]\nimport = \"no.json\"\n",
            "there is no file `no.json`",
        ),
        (
            "[corpus.files]\nroot = \".\"\nbase = \"a\"\ntrain = \"b\"\ntest = \"Cargo.toml\"\n",
            "no file `b`",
        ),
    ];
    for (text, says) in cases {
        std::fs::write(&file, format!("schema = 1\n{text}")).unwrap();
        let error = spec::load(&file, &[]).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn a_bad_set_is_refused_at_its_place() {
    for (set, says) in [
        ("loss.beta=-1", "`loss.beta` must be above 0, got -1"),
        ("loss.bta=1", "did you mean `beta`?"),
        ("beta=1", "did you mean `--set loss.beta=…`?"),
        ("loss.beta", "sets nothing"),
        ("=3", "sets nothing"),
        ("loss.beta=[", "not TOML"),
        ("variant=[]", "change `variant` in the spec itself"),
        ("train.seed=x", "`train.seed` must be a whole number"),
    ] {
        let error = spec::parse(
            "test",
            "test.toml",
            "schema = 1\nloss.algorithm = \"mpo\"\n",
            &[set.to_owned()],
        )
        .unwrap_err();
        assert!(error.to_string().contains(says), "{set}: {error}");
        assert!(error.to_string().contains("[--set:1:"), "{set}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn layers_stack_in_order() {
    let text = "schema = 1\n[loss]\nalgorithm = \"dpo\"\nbeta = 0.2\n[train]\nepochs = 2\n\
                [[variant]]\nname = \"a\"\nloss = { beta = 0.4 }\n[[variant]]\nname = \"b\"\n\
                [sweep]\n\"train.warmup\" = [0.1]\n";
    let experiment = sound(text, &["loss.beta=0.3", "eval.split=validation", "seeds=[4, 5]"]);
    let [a, b] = experiment.points.as_slice() else { panic!("two points") };
    let beta = |point: &spec::Point| point.settings.loss.as_ref().unwrap().beta.unwrap().get();
    assert_eq!(beta(a), 0.4, "a variant is above --set");
    assert_eq!(beta(b), 0.3, "--set is above the spec");
    assert_eq!(a.settings.train.epochs.get(), 2.0, "the spec is above the defaults");
    assert_eq!(a.settings.train.warmup.get(), 0.1, "the sweep is above the defaults");
    assert_eq!(a.settings.eval.split.name(), "validation", "a bare word is a text");
    assert_eq!(experiment.seeds, [4, 5]);
    assert!(experiment.name.starts_with("test@"), "{}", experiment.name);
}

#[test]
fn a_sweep_is_a_product_and_zips_go_side_by_side() {
    let text = "schema = 1\nloss.algorithm = \"mpo\"\n[sweep]\n\"loss.beta\" = [0.1, 0.3]\n\
                [[sweep.zip]]\n\"loss.w_p\" = [1.0, 0.5]\n\"loss.w_q\" = [0.0, 0.5]\n";
    let swept: Vec<String> = sound(text, &[])
        .points
        .iter()
        .map(|point| point.swept.iter().map(|(_, v)| v.to_string()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(swept, ["0.1 1.0 0.0", "0.1 0.5 0.5", "0.3 1.0 0.0", "0.3 0.5 0.5"]);
}

#[test]
fn a_variant_can_have_a_sweep_of_its_own() {
    let text = "schema = 1\n[[variant]]\nname = \"SFT\"\nloss.algorithm = \"sft\"\n\
                [[variant]]\nname = \"grid\"\nloss.algorithm = \"dpo\"\n\
                [variant.sweep]\n\"loss.beta\" = [0.1, 0.3]\n";
    let experiment = sound(text, &[]);
    let counts: Vec<usize> = experiment.points.iter().map(|point| point.swept.len()).collect();
    assert_eq!(counts, [0, 1, 1]);
    assert_eq!(experiment.points[1].swept[0].0, "loss.beta");
}

#[test]
fn rounds_override_settings_and_name_their_reference() {
    let text = "schema = 1\nloss.algorithm = \"dpo\"\n[[round]]\n[[round]]\nreference = \"previous\"\n\
                train = { learning_rate = 1e-4 }\n";
    let point = &sound(text, &[]).points[0];
    let rates: Vec<f64> = point.rounds.iter().map(|r| r.train.learning_rate.get()).collect();
    assert_eq!(rates, [3e-4, 1e-4]);
    assert_eq!(point.rounds[1].reference, spec::root::ReferenceOf::Previous);
}

#[test]
fn an_empty_spec_ends_at_the_base() {
    let experiment = sound("schema = 1\n", &[]);
    assert!(experiment.points[0].settings.loss.is_none());
    assert!(experiment.points[0].rounds.is_empty());
}

#[test]
fn every_delta_can_be_swept() {
    let text = "schema = 1\nloss.algorithm = \"mpo\"\n[sweep]\n\
                \"loss.delta\" = [\"none\", \"running\", 0.5, { mode = \"ema\", decay = 0.9 }]\n";
    assert_eq!(sound(text, &[]).points.len(), 4);
}

#[test]
fn defaults_name_every_key() {
    for key in schema::keys() {
        let (table, name) = key.rsplit_once('.').unwrap();
        let heading = [format!("[{table}]"), format!("# [{table}]")];
        let text = spec::layer::DEFAULTS;
        let at = heading
            .iter()
            .find_map(|h| text.find(&format!("\n{h}")))
            .unwrap_or_else(|| panic!("{key}"));
        let body: Vec<&str> = text[at + 1..].lines().skip(1).collect();
        let end = body
            .iter()
            .position(|line| {
                line.trim_start_matches("# ").starts_with('[') && !line.contains("\",")
            })
            .unwrap_or(body.len());
        let has = |line: &&str| {
            let line = line.trim_start_matches("# ");
            line.split_once('=').is_some_and(|(left, _)| left.trim() == name)
        };
        assert!(body[..end].iter().any(has), "`{key}` is not in defaults.toml");
    }
}

#[test]
fn lists_are_those_of_their_rooms() {
    let tasks: Vec<&str> = prefab::tasks::FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(lists::TASKS, tasks);
    let own: Vec<&str> = prefab::eval::BENCHMARKS.iter().map(|b| b.name()).collect();
    assert_eq!(benchmarks::names(), own);
    for (benchmark, row) in prefab::eval::BENCHMARKS.iter().zip(benchmarks::BENCHMARKS) {
        let (name, reads) = (benchmark.name(), benchmark.file().is_some());
        assert_eq!(row.file, reads.then(|| benchmark.asks()), "{name}");
        assert_eq!(row.is_judged, benchmark.grader().is_some(), "{name}");
        assert_eq!(row.needs_likelihood, benchmark.needs_likelihood(), "{name}");
        let wanted = [Prompt::Direct, Prompt::Cot];
        let asked = row.prompt.map_or(wanted.to_vec(), |own| vec![own]);
        assert_eq!(asked, benchmark.prompts(&wanted), "{name}");
        let shares = match row.column {
            TaskColumn::Shares(shares) => shares,
            _ => &[0],
        };
        assert_eq!(shares, benchmark.given_percents(), "{name}");
        for share in shares {
            assert_eq!(row.given_percent(&share.to_string()), *share, "{name}");
        }
        assert!(row.file.is_some() || !matches!(row.column, TaskColumn::OfFile), "{name}");
        let metrics: Vec<&str> = benchmark.metrics().iter().map(|metric| metric.name).collect();
        assert_eq!(row.metrics, metrics, "{name}");
    }
    for (benchmark, row) in prefab::eval::BENCHMARKS.iter().zip(benchmarks::BENCHMARKS) {
        for family in prefab::tasks::FAMILIES {
            // Some of a family's questions may not do; of twenty, one does.
            let asks = (0..20).any(|index| {
                let id = format!("{}-{index}", family.name);
                let record = family.item(0, index).record(id, "a.png".to_owned(), family.name);
                benchmark.selects(&record)
            });
            let stands_in = row.tasks.contains(&family.name);
            assert_eq!(asks, stands_in, "{} {}", benchmark.name(), family.name);
        }
    }
}

#[test]
fn the_committed_schema_is_fresh() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/spec.schema.json");
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == schema::text(), "`just bless` writes it anew");
}

/// Every committed experiment: stem, path, text.
fn committed() -> Vec<(String, String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments");
    let mut specs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            (stem, path.display().to_string(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    specs.sort();
    specs
}

#[test]
fn committed_experiments_are_sound_and_open_with_their_question() {
    let specs = committed();
    assert!(specs.len() >= 10);
    for (stem, file, text) in specs {
        spec::parse(&stem, &file, &text, &[]).unwrap_or_else(|error| panic!("{error}"));
        for heading in ["?\n#\n", "\n# Expect  ", "\n# After   ", "\n# Power   ", "\n# Found   "] {
            assert!(text.contains(heading), "{stem} lacks {heading:?}");
        }
    }
}

#[test]
fn what_readme_writes_is_sound() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [whole, sweep, ..] = blocks[..] else { panic!("{} blocks", blocks.len()) };
    assert_eq!(parse(whole).unwrap_or_else(|error| panic!("{error}")).points.len(), 3);
    // Three variants, three betas, two numbers of pairs, two schedules.
    let both = format!("{whole}\n{sweep}");
    assert_eq!(parse(&both).unwrap_or_else(|error| panic!("{error}")).points.len(), 36);
}

#[test]
fn files_of_benchmarks_and_their_judge_are_checked() {
    let server = "eval.judge.server = { url = \"http://localhost:1/v1\", model = \"m\" }\n";
    let with = |text: &str| parse(&format!("schema = 1\n{text}")).map_err(|e| e.to_string());
    for (text, says) in [
        ("eval.benchmarks = [\"pope\"]\neval.files.popee = \"x\"\n", "did you mean `pope`?"),
        (
            "eval.benchmarks = [\"pope\"]\neval.files.pope_internvl = \"x\"\n",
            "write `eval.files.pope`",
        ),
        ("eval.benchmarks = [\"pope\"]\neval.files.ai2d = \"x\"\n", "add \"ai2d\" to `benchmarks`"),
        (
            "eval.benchmarks = [\"mm_vet\"]\neval.files.mm_vet = \"x\"\n",
            "`[eval.judge]` names nobody",
        ),
        ("eval.judge.server.model = \"m\"\n", "but `eval.judge.server.url` no server"),
        ("eval.judge.batch = 0\n", "must be 1 or above"),
        ("corpus.tasks = [\"count\"]\neval.benchmarks = [\"ai2d\"]\n", "name `eval.files.ai2d`"),
        ("eval.files = \"x\"\n", "`eval.files` must be a table"),
    ] {
        let said = with(text).expect_err(text);
        assert!(said.contains(says), "{text} gives {said}");
    }
    let both = format!("{server}eval.judge.checkpoint = \"x\"\n");
    assert!(with(&both).unwrap_err().contains("names a checkpoint and a server"));
    // A peer's way of scoring asks for the file too; a file needs no generated questions.
    let sound = "corpus.tasks = [\"count\"]\neval.benchmarks = [\"pope_internvl\"]\neval.files.pope = \"x\"\n";
    assert!(with(sound).is_ok());
    assert!(
        with(&format!("eval.benchmarks = [\"mm_vet\"]\neval.files.mm_vet = \"x\"\n{server}"))
            .is_ok()
    );
}

#[test]
fn show_spec_names_the_layer_of_every_value() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/quickstart.toml");
    let shown = spec::show::resolved(file.as_ref(), &["train.epochs=2".to_owned()]).unwrap();
    for line in shown.lines().filter(|line| line.contains(" = ")) {
        assert!(line.contains("  # "), "{line}");
    }
    assert!(shown.contains("# --set train.epochs=2"), "{shown}");
    assert!(shown.contains("quickstart.toml:"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written, the answer is settings or a message, never a panic.
    #[test]
    fn damaged_specs_never_panic(at in 0_usize..2000, cut in 0_usize..40, put in "[\\[\\]{}=\"a-z0-9.\n #-]{0,8}") {
        let (_, _, text) = committed().into_iter().find(|(stem, ..)| stem == "quickstart").unwrap();
        let mut bytes: Vec<char> = text.chars().collect();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.chars());
        let damaged: String = bytes.into_iter().collect();
        if let Err(error) = parse(&damaged) {
            prop_assert_eq!(error.exit_code(), 2);
            prop_assert!(error.to_string().contains("help: "), "{}", error);
        }
    }

    /// Any sound number survives the way through layers and settings unchanged.
    #[test]
    fn numbers_survive(rate in 1e-9_f64..10.0, seed in 0_u64..1 << 40) {
        let text = format!("schema = 1\n[train]\nlearning_rate = {rate:e}\n[base]\nseed = {seed}\n");
        let settings = &parse(&text).unwrap().points[0].settings;
        prop_assert_eq!(settings.train.learning_rate.get(), rate);
        prop_assert_eq!(settings.base.seed, seed);
    }
}
