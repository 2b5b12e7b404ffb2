//! What enters a stage's key, and what does not.

use crate::plan::{MPO, changed, count, keys, machine, planned, read};
use Stage::{
    Answers, Base, Benchmarks, Candidates, Corpus, Features, Pairs, Policy, Reference, Scores,
};
use prefab::plan::{Machine, Plan, Stage, plan};
use prefab::spec;

/// Stages that a changed setting touches, from a one-job spec.
#[track_caller]
fn touched(set: &str) -> Vec<Stage> {
    let before = plan(&read(MPO, &[]), &machine(), None);
    let after = plan(&read(MPO, &[set]), &machine(), None);
    changed(&before, &after)
}

#[test]
fn a_setting_changes_the_stages_that_read_it_and_what_stands_on_them() {
    let after_policy = vec![Policy, Answers, Scores];
    assert_eq!(touched("loss.beta=0.2"), after_policy);
    assert_eq!(touched("train.learning_rate=1e-4"), after_policy);
    assert_eq!(touched("seeds=[7]"), after_policy);
    assert_eq!(touched("model.train=['language']"), after_policy);
    assert_eq!(touched("eval.every=10"), after_policy);
    assert_eq!(touched("train.precision=bf16"), [Reference, Policy, Answers, Scores]);
    assert_eq!(touched("pairs.max=100"), [Pairs, Reference, Policy, Answers, Scores]);
    assert_eq!(touched("candidates.seed=1")[0], Candidates);
    assert_eq!(touched("eval.split=validation"), [Answers, Scores]);
    // Without files there is no stage that reads them.
    let all: Vec<Stage> = Stage::ALL.into_iter().filter(|&stage| stage != Benchmarks).collect();
    assert_eq!(touched("base.seed=1"), all[1..]);
    assert_eq!(touched("model.dims.width=64"), all[1..]);
    assert_eq!(touched("corpus.seed=1"), all);
    assert_eq!(touched("eval.slice=10"), [], "nobody looks while every is 0");
    assert_eq!(touched("store.feature_gib=19"), []);
}

#[test]
fn a_later_setting_enters_a_key_only_away_from_its_default() {
    let from_pairs = [Pairs, Reference, Policy, Answers, Scores];
    for default in [
        "pairs.sources=['correctness']",
        "pairs.correctness.max_right=1.0",
        "pairs.correctness.consistency=none",
        "candidates.stop=[]",
        "candidates.multimodal=0.0",
        "candidates.server.attempts=5",
        "eval.files={}",
        "eval.judge.batch=64",
    ] {
        assert_eq!(touched(default), [], "{default}");
    }
    assert_eq!(touched("pairs.correctness.max_right=0.9"), from_pairs);
    assert_eq!(touched("pairs.correctness.exclude_domains=[]"), from_pairs);
    assert_eq!(touched("candidates.stop=['x']")[0], Candidates);
    // What a slice leaves out, the worker gets as the default.
    let plan = planned(MPO);
    let task = plan.task_of(plan.jobs.last().unwrap(), Pairs).unwrap();
    assert!(!task.settings["pairs"].as_object().unwrap().contains_key("sources"));
    let table = task.table::<spec::pairs::Pairs>("pairs").unwrap();
    assert_eq!(table, spec::embedded().pairs);
}

#[test]
fn keys_of_older_settings_have_not_moved() {
    // Worked out before any later setting was there; the corpus of files has no machine.
    let plan = planned("schema = 1\nloss.algorithm = \"mpo\"\n");
    let task = |stage| plan.task_of(plan.jobs.last().unwrap(), stage).unwrap();
    let names = |stage: Stage, table: &str| -> Vec<String> {
        task(stage).settings[table].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(Pairs, "pairs"), ["seed", "import", "max", "correctness"]);
    let correctness = &task(Pairs).settings["pairs"]["correctness"];
    let keys: Vec<&String> = correctness.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["max_per_question", "format_negatives", "exclude"]);
    // Nulls do not enter a key.
    let set = |name: &String| !task(Candidates).settings["candidates"][name.as_str()].is_null();
    let of_candidates = names(Candidates, "candidates").into_iter().filter(set).collect::<Vec<_>>();
    let expected =
        ["seed", "per_question", "temperature", "top_k", "top_p", "max_tokens", "prompt", "batch"];
    assert_eq!(of_candidates, expected);
}

#[test]
fn a_benchmarks_file_changes_answers_and_scores_alone() {
    let asked = format!("{MPO}eval.benchmarks = [\"reasoning\", \"m3cot\"]\n");
    let (without, with) =
        (planned(&asked), planned(&format!("{asked}eval.files.m3cot = \"m3cot.jsonl\"\n")));
    // Its pictures are encoded once too.
    assert_eq!(changed(&without, &with), [Features, Benchmarks, Answers, Scores]);
    assert_eq!((count(&with, Features), count(&with, Benchmarks)), (2, 1));
    assert!(keys(&with, Features).is_superset(&keys(&without, Features)));
    let job = with.jobs.last().unwrap();
    let task = |stage| with.task_of(job, stage).unwrap();
    let roles: Vec<&String> = task(Answers).inputs.keys().collect();
    assert_eq!(roles, ["benchmark_features", "benchmarks", "corpus", "features", "model"]);
    let roles: Vec<&String> = task(Scores).inputs.keys().collect();
    assert_eq!(roles, ["answers", "benchmarks", "corpus"]);
    assert!(!task(Benchmarks).settings.contains_key("machine"));
    // A judge is asked about answers, not for them.
    let server = "eval.judge.server = { url = \"http://localhost:1/v1\", model = \"m\" }\n";
    let judged = planned(&format!("{asked}{server}"));
    assert_eq!(changed(&without, &judged), [Scores]);
    let until =
        plan(&read(&format!("{asked}eval.files.m3cot = \"x\"\n"), &[]), &machine(), Some(Pairs));
    assert_eq!((count(&until, Features), count(&until, Benchmarks)), (1, 0));
}

#[test]
fn a_server_that_answers_needs_no_model() {
    let text = "schema = 1\nmodel.checkpoint = \"PATH/TO/DIR\"\n";
    let server = "eval.server = { url = \"http://localhost/v1\", model = \"m\" }\n";
    let (here, there) = (planned(text), planned(&format!("{text}{server}")));
    assert_eq!([&here, &there].map(|plan| count(plan, Stage::Features)), [1, 0]);
    let roles: Vec<&String> =
        there.task_of(&there.jobs[0], Answers).unwrap().inputs.keys().collect();
    assert_eq!((count(&there, Base), roles), (0, vec![&"corpus".to_owned()]));
    assert_eq!(changed(&here, &there), [Base, Features, Answers, Scores]);
    // Nor questions to teach one with.
    let files =
        "corpus.files = { root = \"PATH/TO/D\", train = \"a.jsonl\", test = \"b.jsonl\" }\n";
    assert_eq!(count(&planned(&format!("schema = 1\n{files}{server}")), Answers), 1);
}

#[test]
fn the_model_enters_the_pairs_stage_only_where_a_source_asks_it() {
    let with = |more: &str| planned(&format!("{MPO}{more}"));
    let pairs = |plan: &Plan| plan.task_of(plan.jobs.last().unwrap(), Pairs).unwrap().clone();
    let blind = pairs(&with("pairs.sources = [\"dropout_ntp\"]\n"));
    let roles: Vec<&String> = blind.inputs.keys().collect();
    assert_eq!(roles, ["base", "candidates", "corpus", "features"]);
    assert!(blind.settings.contains_key("machine"));
    let server = "url = \"http://localhost:1/v1\", model = \"m\"";
    let remote = with(&format!(
        "pairs.sources = [\"dropout_ntp\"]\npairs.dropout_ntp.server = {{ {server} }}\n"
    ));
    assert!(!pairs(&remote).settings.contains_key("machine"));
    assert!(!pairs(&remote).inputs.contains_key("features"));
    let sampled = with(&format!("candidates.server = {{ {server} }}\n"));
    let task = sampled.task_of(sampled.jobs.last().unwrap(), Candidates).unwrap();
    assert!(!task.settings.contains_key("machine") && !task.inputs.contains_key("features"));
    // Settings of a source that is not built change nothing.
    let sources = "pairs.sources = [\"correctness\"]\n";
    let other = with(&format!("{sources}pairs.dropout_ntp.ratio = 0.25\n"));
    assert_eq!(changed(&with(sources), &other), []);
    let both = "pairs.sources = [\"correctness\", \"dropout_ntp\"]\n";
    let other = with(&format!("{both}pairs.dropout_ntp.ratio = 0.25\n"));
    assert_eq!(changed(&with(both), &other)[0], Pairs);
    let once = "pairs.dropout_ntp.draws = 1\n";
    assert_eq!(changed(&with(both), &with(&format!("{both}{once}")))[0], Pairs);
    assert_eq!(changed(&with(sources), &with(&format!("{sources}{once}"))), []);
}

#[test]
fn charts_descriptions_comments_and_names_enter_no_key() {
    let plain = planned(MPO);
    let chart = "[chart.a]\nbars = { x = \"variant\", y = \"reasoning.accuracy\" }\n";
    let dressed = planned(&format!("# why\n{MPO}description = \"why\"\n{chart}"));
    let dressed = changed(&plain, &dressed);
    assert!(dressed.is_empty(), "{dressed:?}");
    let named = planned("schema = 1\n[[variant]]\nname = \"x\"\nloss.algorithm = \"mpo\"\n");
    assert_eq!(changed(&plain, &named), []);
}

#[test]
fn the_machine_enters_only_keys_of_tensors() {
    let experiment = read(MPO, &[]);
    let here = plan(&experiment, &machine(), None);
    let cuda = Machine { device: "cuda 9.0".into(), ..machine() };
    let there = plan(&experiment, &cuda, None);
    let all: Vec<Stage> = Stage::ALL.into_iter().filter(|&stage| stage != Benchmarks).collect();
    assert_eq!(changed(&here, &there), all[1..], "all but the corpus stand on tensors");
    let of = |plan: &Plan, stage| plan.tasks.iter().find(|t| t.stage == stage).unwrap().clone();
    for stage in [Corpus, Pairs, Scores] {
        assert_eq!(of(&here, stage).settings, of(&there, stage).settings, "{stage}");
    }
    for (stage, threads) in [(Base, 2), (Policy, 1)] {
        assert_eq!(of(&here, stage).settings["machine"]["threads"], threads);
        assert_eq!(of(&here, stage).threads, threads);
    }
}

#[test]
fn only_the_policy_reads_the_seed() {
    let two = planned("schema = 1\nseeds = [0, 1]\nloss.algorithm = \"mpo\"\n");
    for stage in Stage::ALL {
        let expected = match stage {
            Policy => 2,
            Answers | Scores => 3,
            Benchmarks => 0,
            _ => 1,
        };
        assert_eq!(count(&two, stage), expected, "{stage}");
    }
}

#[test]
fn imported_files_enter_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let meta = folder.path().join("meta.json");
    let text = format!("{MPO}pairs.import = {:?}\n", meta.to_str().unwrap());
    std::fs::write(&meta, "{}").unwrap();
    let before = planned(&text);
    assert_eq!(changed(&before, &planned(&text)), []);
    std::fs::write(&meta, "{ }").unwrap();
    assert_eq!(changed(&before, &planned(&text))[0], Pairs);
    // The files that a meta.json names count as well.
    let named = r#"{ "a": { "root": ".", "annotation": "a.jsonl", "length": 1 } }"#;
    std::fs::write(&meta, named).unwrap();
    std::fs::write(folder.path().join("a.jsonl"), "1\n").unwrap();
    let before = planned(&text);
    std::fs::write(folder.path().join("a.jsonl"), "2\n").unwrap();
    assert_eq!(changed(&before, &planned(&text))[0], Pairs);
}

#[test]
fn what_changed_for_servers_and_files_moves_no_other_key() {
    let marks = |text: &str, stage: Stage| -> Vec<String> {
        let plan = planned(text);
        let settings = plan.task_of(plan.jobs.last().unwrap(), stage).unwrap().settings.clone();
        settings.keys().filter(|key| key.ends_with("_version")).cloned().collect()
    };
    let splits = ["root", "base", "train", "validation", "test"]
        .map(|key| format!("corpus.files.{key} = \"PATH/TO/{key}\"\n"));
    let files = format!("{MPO}{}", splits.concat());
    assert_eq!(marks(MPO, Scores), Vec::<String>::new());
    for stage in [Features, Candidates, Pairs, Answers] {
        assert_eq!(marks(MPO, stage), Vec::<String>::new(), "{stage}");
        let of_files: &[&str] =
            if matches!(stage, Candidates | Pairs | Answers) { &["filed_version"] } else { &[] };
        let judged: &[&str] = if stage == Features { &[] } else { &["labels_version"] };
        assert_eq!(
            marks(&files, stage),
            [of_files, judged].concat(),
            "{stage}: one tile a picture"
        );
        let cut = format!("{files}model.checkpoint = \"DIR\"\n");
        assert_eq!(
            marks(&cut, stage),
            [of_files, &["tiles_version"][..], judged].concat(),
            "{stage}"
        );
        let whole = format!("{cut}model.max_tiles = 1\n");
        assert_eq!(marks(&whole, stage), [of_files, judged].concat(), "{stage}");
    }
    assert_eq!(marks(&files, Policy), Vec::<String>::new(), "nobody looks");
    let looked = marks(&format!("{files}eval.every = 10\n"), Policy);
    assert_eq!(looked, ["filed_version", "labels_version"]);
    assert_eq!(marks(&files, Base), ["filed_version"]);
    assert_eq!(marks(&format!("{files}model.checkpoint = \"DIR\"\n"), Base), Vec::<String>::new());
    let asked = format!("{MPO}eval.benchmarks = [\"reasoning\", \"m3cot\"]\n");
    let imported = format!("{files}pairs.import = \"PATH/TO/meta.json\"\n");
    assert_eq!(marks(&imported, Pairs), ["import_version"]);
    let of_file = format!("{asked}eval.files.m3cot = \"m3cot.jsonl\"\n");
    assert_eq!(marks(&of_file, Candidates), Vec::<String>::new());
    assert_eq!(marks(&of_file, Answers), ["counted_version", "labels_version"]);
    assert_eq!(marks(&of_file, Scores), ["counted_version", "labels_version"]);
    let checked = format!("{MPO}pairs.correctness.consistency = \"rule\"\n");
    assert_eq!(marks(&checked, Pairs), ["labels_version"]);
    let server = "{ url = \"http://localhost:1/v1\", model = \"m\" }\n";
    let sampled = format!("{MPO}candidates.server = {server}");
    assert_eq!(marks(&sampled, Candidates), ["served_version"]);
    assert_eq!(marks(&sampled, Pairs), Vec::<String>::new());
    let judged =
        format!("{MPO}pairs.correctness.consistency = \"judge\"\npairs.judge.server = {server}");
    assert_eq!(marks(&judged, Pairs), ["served_version"]);
    let answered = format!("schema = 1\neval.server = {server}");
    assert_eq!(marks(&answered, Answers), ["served_version"]);
    let asked = format!("{MPO}eval.benchmarks = [\"m3cot\"]\neval.files.m3cot = \"x\"\n");
    for stage in [Benchmarks, Answers, Scores] {
        let counted: &[&str] = &["counted_version", "labels_version"];
        let expected = if stage == Benchmarks { &[] } else { counted };
        assert_eq!(marks(&asked, stage), expected, "{stage}");
    }
    let weighed = format!("{MPO}pairs.max = 9\npairs.weights.correctness = 1.0\n");
    assert_eq!(marks(&weighed, Pairs), ["weighed_version"]);
    let claims =
        "pairs.sources = [\"divide_and_conquer\"]\npairs.divide_and_conquer.of = \"any\"\n";
    assert_eq!(marks(&format!("{MPO}{claims}"), Pairs), ["claims_version"]);
}

#[test]
fn how_a_stage_works_enters_no_key_and_reaches_its_worker() {
    let server = "url = \"http://localhost:1/v1\", model = \"m\"";
    let served = format!(
        "{MPO}candidates.server = {{ {server} }}\n\
         pairs.sources = [\"dropout_ntp\"]\npairs.dropout_ntp.server = {{ {server} }}\n"
    );
    let with = |sets: &[&str]| plan(&read(&served, sets), &machine(), None);
    let plain = with(&[]);
    for same in [
        "candidates.server.requests=2",
        "candidates.server.attempts=2",
        "candidates.server.timeout_s=9.0",
        "candidates.server.key_variable=X",
        "pairs.dropout_ntp.server.requests=2",
        "pairs.judge.server.requests=2",
        "eval.server.attempts=2",
        "eval.judge.server.requests=2",
        "train.checkpoint_every=7",
    ] {
        assert_eq!(changed(&plain, &with(&[same])), [], "{same}");
    }
    // What may fail for good hangs on how often it is asked.
    let lenient = "candidates.server.failures=0.1";
    assert_eq!(changed(&plain, &with(&[lenient]))[0], Candidates);
    let fewer = with(&[lenient, "candidates.server.attempts=2"]);
    assert_eq!(changed(&with(&[lenient]), &fewer)[0], Candidates);
    assert_eq!(changed(&plain, &with(&["candidates.server.model=other"]))[0], Candidates);

    let told = with(&[
        "candidates.server.requests=2",
        "pairs.dropout_ntp.server.key_variable=X",
        "train.checkpoint_every=7",
    ]);
    let frozen: Plan = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
    let task = |stage| frozen.task_of(frozen.jobs.last().unwrap(), stage).unwrap();
    let candidates = task(Candidates).table::<spec::candidates::Candidates>("candidates").unwrap();
    assert_eq!((candidates.server.requests, candidates.server.attempts), (2, 5));
    let pairs = task(Pairs).table::<spec::pairs::Pairs>("pairs").unwrap();
    assert_eq!(pairs.dropout_ntp.server.key_variable, "X");
    assert_eq!(task(Policy).table::<spec::train::Train>("train").unwrap().checkpoint_every, 7);
    assert_eq!(task(Policy).settings["train"]["checkpoint_every"], 50);
}

#[test]
fn settings_that_nobody_reads_enter_no_key() {
    let splits = ["root", "base", "train", "validation", "test"]
        .map(|key| format!("corpus.files.{key} = \"PATH/TO/{key}\"\n"));
    let imported = format!("{MPO}{}candidates.import = \"PATH/TO/x.jsonl\"\n", splits.concat());
    let continued = format!("{MPO}pairs.sources = [\"dropout_ntp\"]\n");
    for (text, same) in [
        (&imported, "candidates.temperature = 0.5"),
        (&imported, "candidates.batch = 8"),
        (&imported, "candidates.stop = [\"x\"]"),
        (&imported, "candidates.seed = 3"),
        (&continued, "pairs.correctness.max_per_question = 7"),
        (&continued, "pairs.correctness.consistency = \"rule\""),
    ] {
        let more = format!("{text}{same}\n");
        assert_eq!(changed(&planned(text), &planned(&more)), [], "{same}");
    }
    let other = format!("{imported}candidates.prompt = \"direct\"\n");
    assert_eq!(changed(&planned(&imported), &planned(&other))[0], Candidates);
    let lent = format!("{continued}pairs.dropout_ntp.of = \"correctness\"\n");
    let other = format!("{lent}pairs.correctness.max_per_question = 7\n");
    assert_eq!(changed(&planned(&lent), &planned(&other))[0], Pairs);
}
