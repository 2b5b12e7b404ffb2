//! Pairs that a model helps to make: continuations without the picture, claims that it denies,
//! and mixtures of sources; with the committed base on small generated corpora.

use crate::support::small::{Small, candidates};
use prefab::data::record::Pair;
use prefab::data::template::Prompter;
use prefab::data::tokenizer::Tokenizer;
use prefab::pairs::dropout_ntp::kept;
use prefab::spec::candidates::{Candidates, Prompt};
use prefab::spec::embedded;
use prefab::spec::number::{Fraction, Positive};
use prefab::spec::pairs::{Chosen, DropoutNtp, Kinds, Length, Pairs, Source};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Descriptions with reasoning, which differ from sample to sample.
fn described() -> &'static Small {
    static STORE: OnceLock<Small> = OnceLock::new();
    STORE.get_or_init(|| sampled(None))
}

/// Plain descriptions: reasoned ones say everything twice, so that their second half needs no
/// picture.
fn plainly() -> &'static Small {
    static STORE: OnceLock<Small> = OnceLock::new();
    STORE.get_or_init(|| sampled(Some(Prompt::Open)))
}

fn sampled(open_prompt: Option<Prompt>) -> Small {
    let small = Small::new(&["describe", "count"], 60);
    small.sample(&Candidates { open_prompt, ..candidates(6) }).unwrap();
    small
}

fn of(sources: &[Source]) -> Pairs {
    Pairs { sources: sources.to_vec(), ..embedded().pairs.clone() }
}

fn dropout(change: impl Fn(&mut DropoutNtp)) -> Pairs {
    let mut settings = of(&[Source::DropoutNtp]);
    settings.dropout_ntp.batch = 8; // Chunks of 32 answers.
    change(&mut settings.dropout_ntp);
    settings
}

fn meta(pair: &Pair) -> &serde_json::Value {
    pair.rejected_meta.as_ref().unwrap()
}

#[test]
fn an_answer_is_continued_from_its_own_beginning_without_the_picture() {
    let small = plainly();
    let pairs = small.pair(&dropout(|_| ()), "plain").unwrap();
    let answers = small.answers();
    let first: BTreeMap<&str, &str> = answers
        .iter()
        .filter(|answer| answer.sample == 0)
        .map(|answer| (answer.question.as_str(), answer.text.as_str()))
        .collect();
    assert!(pairs.len() >= 25, "{} of 30 descriptions", pairs.len());
    for pair in &pairs {
        let id = meta(pair)["question"].as_str().unwrap();
        assert!(id.contains("describe") && pair.question.starts_with("<image>\n"), "{id}");
        assert_eq!(pair.chosen, first[id]);
        let beginning = kept(&pair.chosen, 0.5);
        assert!(pair.rejected.starts_with(beginning) && pair.rejected != pair.chosen, "{pair:?}");
        assert_eq!(meta(pair)["kept"], beginning);
        assert_eq!(meta(pair)["kind"], "dropout_ntp");
        assert_eq!(meta(pair)["image"], false);
    }
    // No picture is looked at: without any, the pairs are the same.
    let blind = Small::new(&["describe", "count"], 60);
    std::fs::create_dir_all(blind.path("candidates")).unwrap();
    let sampled = small.bytes("candidates", "candidates.jsonl");
    std::fs::write(blind.path("candidates").join("candidates.jsonl"), sampled).unwrap();
    std::fs::remove_dir_all(blind.path("corpus").join("images")).unwrap();
    blind.pair(&dropout(|_| ()), "plain").unwrap();
    assert_eq!(small.bytes("plain", "pairs.jsonl"), blind.bytes("plain", "pairs.jsonl"));
    assert!(blind.pair(&dropout(|settings| settings.image = true), "seen").is_err());
}

#[test]
fn controls_see_the_picture_or_begin_with_nothing() {
    let small = plainly();
    // Continuations of descriptions that say just what the chosen answer says, of 30.
    let agreeing = |name: &str, change: &dyn Fn(&mut DropoutNtp)| {
        let any = |settings: &mut DropoutNtp| {
            settings.of = Chosen::Any;
            settings.draws = 1;
            change(settings);
        };
        small.pair(&dropout(any), name).unwrap();
        let identical = ("describe".to_owned(), "skipped_identical".to_owned());
        small.stats(name).get(&identical).copied().unwrap_or_default()
    };
    let blind = agreeing("control-blind", &|_| ());
    let seen = agreeing("control-seen", &|settings| settings.image = true);
    assert!(seen >= 20.0 && blind <= 5.0, "{seen} with the picture, {blind} without");
    let nothing = agreeing("control-nothing", &|settings| {
        settings.ratio = Fraction::try_from(0.0).unwrap();
    });
    assert!(nothing <= blind, "{nothing}");
    let pairs =
        small.pair(&dropout(|s| s.ratio = Fraction::try_from(0.0).unwrap()), "zero").unwrap();
    let shared = pairs.iter().filter(|p| p.rejected.starts_with(kept(&p.chosen, 0.5))).count();
    assert!(shared < pairs.len() / 2 && pairs.iter().all(|pair| meta(pair)["kept"] == ""));
}

#[test]
fn a_matched_continuation_is_as_long_as_the_chosen_answer() {
    let small = plainly();
    let pairs = small.pair(&dropout(|settings| settings.length = Length::Match), "match").unwrap();
    let tokenizer = Tokenizer::load(&small.path("base")).unwrap();
    let prompter = Prompter::new(&tokenizer, "plain", 16).unwrap();
    for pair in &pairs {
        let [chosen, rejected] =
            [&pair.chosen, &pair.rejected].map(|text| prompter.encode_answer(text).len());
        assert_eq!(chosen, rejected, "{pair:?}");
        assert_eq!(meta(pair)["tokens"].as_u64(), Some(rejected as u64));
    }
    let column = |name| small.kinds("match", "dropout_ntp", "all", name);
    assert_eq!(column("chosen_tokens"), column("rejected_tokens"));
    assert!(pairs.len() >= 25, "{}", pairs.len());
}

#[test]
fn a_killed_stage_goes_on_to_the_same_bytes() {
    let small = described();
    let settings = dropout(|settings| {
        settings.of = Chosen::Any;
        settings.per_question = 2;
    });
    small.pair(&settings, "whole").unwrap();
    let ctx = small.stage("killed", &["corpus", "base", "candidates"]);
    let first = "continued-0000-000000.jsonl";
    std::fs::copy(small.work("whole").join(first), ctx.work.join(first)).unwrap();
    std::fs::write(ctx.work.join("continued-0000-000001.unfinished"), "{\"te").unwrap();
    small.pair(&settings, "killed").unwrap();
    for file in ["pairs.jsonl", "stats.csv", "kinds.csv", "meta.json"] {
        assert_eq!(small.bytes("whole", file), small.bytes("killed", file), "{file}");
    }
    // Two answers of a question are continued, each in its own way.
    let pairs = small.pair(&settings, "whole").unwrap();
    let ids: Vec<&str> =
        pairs.iter().map(|pair| meta(pair)["question"].as_str().unwrap()).collect();
    let twice = ids.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(twice > 20, "{twice} of {}", pairs.len());
}

#[test]
fn claims_that_the_base_denies_decide_which_description_is_preferred() {
    let small = described();
    let pairs = small.pair(&of(&[Source::DivideAndConquer]), "divided").unwrap();
    assert!(pairs.len() >= 10, "{}", pairs.len());
    let questions = small.questions();
    let (mut absent, mut denied) = (0, 0);
    for pair in &pairs {
        let count = |meta: &serde_json::Value| meta["denied"].as_array().unwrap().len();
        let chosen = pair.chosen_meta.as_ref().unwrap();
        assert!(count(meta(pair)) > count(chosen), "{pair:?}");
        assert!(count(meta(pair)) <= meta(pair)["claims"].as_u64().unwrap() as usize);
        let question = questions.iter().find(|q| meta(pair)["question"] == q.id.as_str()).unwrap();
        let truth = question.generated.as_ref().unwrap();
        for object in meta(pair)["denied"].as_array().unwrap() {
            denied += 1;
            absent += usize::from(!truth.objects.iter().any(|known| object == known.as_str()));
        }
    }
    // The base is no oracle, but what it denies is mostly not there.
    assert!(f64::from(absent as u32) > 0.7 * f64::from(denied as u32), "{absent} of {denied}");
    let stats = small.stats("divided");
    let stat = |metric: &str| stats[&("all".to_owned(), metric.to_owned())];
    assert!(stat("claims") > 100.0 && (0.02..0.6).contains(&stat("claims_denied")));
    let mean =
        |name| small.kinds("divided", "divide_and_conquer", "all", name).parse::<f64>().unwrap();
    let off = (mean("chosen_words") - mean("rejected_words")).abs() / mean("rejected_words");
    assert!(off < 0.05, "lengths are balanced: {off}");
}

#[test]
fn the_same_prompts_and_chosen_answers_serve_both_methods() {
    let small = described();
    let divided = small.pair(&of(&[Source::DivideAndConquer]), "both-divided").unwrap();
    let continued =
        small.pair(&dropout(|settings| settings.of = Chosen::DivideAndConquer), "both").unwrap();
    let key = |pair: &Pair| (pair.image.0.clone(), pair.question.clone(), pair.chosen.clone());
    let known: BTreeSet<_> = divided.iter().map(key).collect();
    assert!(continued.iter().all(|pair| known.contains(&key(pair))));
    let stats = small.stats("both");
    let skipped = |reason: &str| {
        stats.get(&("all".to_owned(), format!("skipped_{reason}"))).copied().unwrap_or_default()
    };
    let made = continued.len() as f64 + skipped("identical") + skipped("same_pair");
    assert_eq!(made, divided.len() as f64, "{stats:?}");
    let rejected: BTreeSet<&String> = divided.iter().map(|pair| &pair.rejected).collect();
    assert!(continued.iter().any(|pair| !rejected.contains(&pair.rejected)));
    // Two continuations of one answer differ: each has random numbers of its own.
    let distinct: BTreeSet<_> = continued.iter().map(|pair| (key(pair), &pair.rejected)).collect();
    assert_eq!(distinct.len(), continued.len());
}

#[test]
fn kinds_are_mixed_by_counts_and_weights() {
    let small = described();
    let sources = [Source::DropoutNtp, Source::Correctness, Source::DivideAndConquer];
    let all = small.pair(&of(&sources), "mixed").unwrap();
    let count =
        |pairs: &[Pair], kind: &str| pairs.iter().filter(|pair| meta(pair)["kind"] == kind).count();
    let kinds: Vec<&str> = all.iter().map(|pair| meta(pair)["kind"].as_str().unwrap()).collect();
    let mut order = kinds.clone();
    order.dedup();
    assert!(
        order.starts_with(&["correctness"])
            && order.ends_with(&["dropout_ntp", "divide_and_conquer"]),
        "{order:?}"
    );
    let number = |value: f64| Some(Positive::try_from(value).unwrap());
    let mut settings = of(&sources);
    settings.counts.divide_and_conquer = Some(5);
    settings.weights =
        Kinds { correctness: number(2.0), dropout_ntp: number(1.0), ..settings.weights };
    let mixed = small.pair(&settings, "weighted").unwrap();
    assert_eq!(count(&mixed, "divide_and_conquer"), 5);
    let (right, blind) = (count(&mixed, "correctness"), count(&mixed, "dropout_ntp"));
    assert_eq!(right / 2, blind, "{right} {blind}");
    let enough = (count(&all, "correctness") / 2).min(count(&all, "dropout_ntp"));
    assert_eq!(blind, enough, "{} {}", count(&all, "correctness"), count(&all, "dropout_ntp"));
    assert_eq!(count(&mixed, "format"), count(&all, "format"));
    settings.max = Some(30);
    // The limit is filled, and the proportion kept to less than a pair of each kind.
    let few = small.pair(&settings, "weighted-max").unwrap();
    assert_eq!(few.len(), 30);
    let (right, blind) = (count(&few, "correctness"), count(&few, "dropout_ntp"));
    assert!(right.abs_diff(2 * blind) <= 2, "{right} {blind}");
    // The order of the list changes nothing.
    let mut reversed = sources;
    reversed.reverse();
    small.pair(&of(&reversed), "reversed").unwrap();
    assert_eq!(small.bytes("mixed", "pairs.jsonl"), small.bytes("reversed", "pairs.jsonl"));
}

#[test]
fn the_cost_of_a_pair_is_counted_in_tokens() {
    let small = plainly();
    small.pair(&dropout(|_| ()), "cost").unwrap();
    let cell = |name| small.kinds("cost", "dropout_ntp", "all", name).parse::<f64>().unwrap();
    // A pair costs its chosen answer and what was written behind the kept words; one that says
    // the same cost something too.
    let mut written = 0;
    for file in std::fs::read_dir(small.work("cost")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        // A checksum comes first.
        for line in text.lines().skip(1) {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            written += row["written"].as_u64().unwrap() as usize;
            let whole = row["tokens"].as_u64().unwrap() as usize;
            assert!(whole >= row["written"].as_u64().unwrap() as usize);
        }
    }
    let answers = small.answers();
    let first = answers.iter().filter(|a| a.sample == 0 && a.question.contains("describe"));
    let spent = written + first.map(|answer| answer.tokens).sum::<usize>();
    assert_eq!(cell("tokens_a_pair"), spent as f64 / cell("pairs"));
    // All sampled answers of a question are what its correctness pairs cost.
    small.pair(&of(&[Source::Correctness]), "cost-right").unwrap();
    let closed = answers.iter().filter(|answer| !answer.question.contains("describe"));
    let spent: usize = closed.map(|answer| answer.tokens).sum();
    let made = |kind| {
        let stats = small.stats("cost-right");
        stats.get(&("all".to_owned(), format!("pairs_{kind}"))).copied().unwrap_or_default()
    };
    let a_pair = small.kinds("cost-right", "correctness", "all", "tokens_a_pair");
    assert_eq!(
        a_pair.parse::<f64>().unwrap(),
        spent as f64 / (made("correctness") + made("format"))
    );
}

#[test]
fn ready_made_pairs_stand_beside_sampled_ones() {
    let small = described();
    let folder = small.folder.path().join("mmpr");
    std::fs::create_dir_all(folder.join("pictures")).unwrap();
    image::RgbImage::new(64, 64).save(folder.join("pictures/a.png")).unwrap();
    let rows = "{\"image\": \"a.png\", \"question\": \"What?\", \"chosen\": \"red\", \"rejected\": \"blue\"}\n\
                {\"question\": \"1 + 1?\", \"chosen\": \"2\", \"rejected\": \"3\"}\n";
    std::fs::write(folder.join("rows.jsonl"), rows).unwrap();
    let meta_file = folder.join("meta.json");
    let text = "{\"set\": {\"root\": \"pictures\", \"annotation\": \"rows.jsonl\", \"length\": 2}}";
    std::fs::write(&meta_file, text).unwrap();
    let import = Some(meta_file.to_str().unwrap().to_owned());
    let settings = Pairs { import, ..of(&[Source::Correctness, Source::Import]) };
    let pairs = small.pair(&settings, "beside").unwrap();
    assert_eq!(pairs[pairs.len() - 2].image.0, ["images/set/a.png"]);
    assert_eq!(pairs[pairs.len() - 1].question, "1 + 1?");
    let sets = prefab::data::pairs::read_meta(&small.path("beside").join("meta.json")).unwrap();
    let lengths: Vec<(&str, usize)> =
        sets.iter().map(|(name, set)| (&**name, set.length.unwrap())).collect();
    assert_eq!(lengths, [("prefab_pairs", pairs.len() - 2), ("prefab_imported", 2)]);
    for (_, set) in &sets {
        let file = small.path("beside").join(&set.annotation);
        let rows = prefab::data::lines::read::<Pair>(&file).unwrap();
        assert_eq!(Some(rows.len()), set.length);
        for image in rows.iter().flat_map(|pair| &pair.image.0) {
            assert!(small.path("beside").join(&set.root).join(image).is_file(), "{image}");
        }
    }
    // Ready-made pairs alone need no candidates.
    let alone = Pairs { sources: vec![Source::Correctness], ..settings };
    let ctx = small.stage("alone", &["corpus"]);
    prefab::pairs::run(&alone, &ctx).unwrap();
    assert_eq!(small.kinds("alone", "imported", "set", "pairs"), "2");
}

#[test]
fn no_pairs_of_a_source_say_what_was_left_out() {
    let small = Small::new(&["count"], 6);
    small.sample(&candidates(2)).unwrap();
    let error = small.pair(&dropout(|_| ()), "none").unwrap_err();
    assert!(error.to_string().contains("no answer is one that the sources"), "{error}");
    assert!(error.hint_text().unwrap().contains("describe"), "{error:?}");
}

#[test]
fn a_data_sets_tiles_limit_its_questions_and_their_pairs() {
    let small = Small::new(&["count"], 3);
    let mut questions = small.questions();
    for (question, source) in questions.iter_mut().zip(["scienceqa_train", "ChartQA", "my own"]) {
        (question.generated, question.source) = (None, source.to_owned());
        question.answer = Some("2".to_owned());
    }
    let train = small.path("corpus").join("train.jsonl");
    prefab::data::questions::write_questions(&train, &questions).unwrap();
    let answer = |id: &str, sample: usize, last: &str, verdict: &str| {
        json!({ "question": id, "prompt": "cot", "sample": sample, "tokens": 9, "ended": true,
                "text": format!("so\nFinal answer: {last}"), "final": last, "verdict": verdict })
    };
    let lines: String = questions
        .iter()
        .flat_map(|question| {
            let id = &question.id;
            [answer(id, 0, "2", "right"), answer(id, 1, "5", "wrong")]
        })
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::create_dir_all(small.path("candidates")).unwrap();
    std::fs::write(small.path("candidates").join("candidates.jsonl"), lines).unwrap();
    let limits = |name: &str| -> Vec<Option<usize>> {
        let pairs = small.pair(&of(&[Source::Correctness]), name).unwrap();
        pairs.iter().map(|pair| pair.max_tiles).collect()
    };
    assert_eq!(limits("one"), [None, None, None], "the embedded base cuts no picture");
    let base = small.path("base");
    let config = prefab::model::Config::load(&base).unwrap().with_max_tiles(12);
    std::fs::write(base.join("config.json"), config.text()).unwrap();
    assert_eq!(limits("twelve"), [Some(6), None, None]);
    let shown = |at: usize, most: usize| {
        let tiling = prefab::data::image::Tiling::new(448, most);
        prefab::model::features::shown(&questions[at], &tiling)[0].max_tiles
    };
    assert_eq!([shown(0, 12), shown(1, 12), shown(2, 12)], [6, 12, 12]);
    assert_eq!([shown(0, 4), shown(0, 1)], [4, 1]);
}
