//! Answers that are continued again because the first continuation said the same.

use crate::server_failures::blocked;
use crate::server_stages::{described, table};
use crate::support::http::{Server, texts};
use crate::support::small::{Small, candidates};
use prefab::data::record::Pair;
use prefab::data::tokenizer::Tokenizer;
use prefab::pairs::dropout_ntp::kept;
use prefab::spec::embedded;
use prefab::spec::number::Fraction;
use prefab::spec::pairs::{Chosen, Pairs, Source};
use prefab::spec::server::Server as Table;
use serde_json::Value;
use std::collections::BTreeSet;

fn dropout(draws: usize) -> Pairs {
    let mut settings = Pairs { sources: vec![Source::DropoutNtp], ..embedded().pairs.clone() };
    settings.dropout_ntp.draws = draws;
    settings.dropout_ntp.batch = 4; // Chunks of 16 answers.
    settings
}

fn meta(pair: &Pair) -> &Value {
    pair.rejected_meta.as_ref().unwrap()
}

fn draw(pair: &Pair) -> u64 {
    meta(pair)["draw"].as_u64().unwrap()
}

fn left_out(small: &Small, role: &str, reason: &str) -> usize {
    let all = ("all".to_owned(), format!("skipped_{reason}"));
    small.stats(role).get(&all).copied().unwrap_or_default() as usize
}

/// Tokens in the continuations that a stage has kept in its work folder.
fn written(small: &Small, role: &str) -> usize {
    let files = std::fs::read_dir(small.work(role)).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    // A checksum comes first.
    let rows = |text: String| -> Vec<Value> {
        text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    texts.flat_map(rows).map(|row| row["written"].as_u64().unwrap() as usize).sum()
}

#[test]
fn an_answer_is_continued_until_that_is_another_text() {
    // Reasoned descriptions say everything twice: without the picture, too, many say the same.
    let small = Small::new(&["describe"], 40);
    small.sample(&candidates(2)).unwrap();
    let settings = |draws| {
        let mut settings = dropout(draws);
        settings.dropout_ntp.per_question = 2;
        settings
    };
    let once = small.pair(&settings(1), "once").unwrap();
    let again = small.pair(&settings(16), "again").unwrap();
    let same = left_out(&small, "once", "identical");
    assert!(same >= 3 && once.len() + same == again.len(), "{same} of {}", again.len());
    assert_eq!(left_out(&small, "again", "identical"), 0);
    assert!(once.iter().all(|pair| draw(pair) == 1));
    let key = |pair: &Pair| (pair.chosen.clone(), pair.rejected.clone());
    let first: BTreeSet<_> = once.iter().map(key).collect();
    for pair in &again {
        assert_eq!(first.contains(&key(pair)), draw(pair) == 1, "{pair:?}");
        assert!(pair.rejected.starts_with(kept(&pair.chosen, 0.5)), "{pair:?}");
        assert!(pair.rejected.trim() != pair.chosen.trim() && draw(pair) <= 16, "{pair:?}");
    }

    // What was drawn in vain was paid for.
    let of = |pair: &Pair| pair.chosen_meta.as_ref().unwrap()["tokens"].as_u64().unwrap() as usize;
    let spent = written(&small, "again") + again.iter().map(of).sum::<usize>();
    let a_pair = (spent as f64 / again.len() as f64).to_string();
    assert_eq!(small.kinds("again", "dropout_ntp", "all", "tokens_a_pair"), a_pair);

    // A stage that is killed in the first draw, or in the last one, goes on to the same bytes.
    let files = std::fs::read_dir(small.work("again")).unwrap();
    let mut parts: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    parts.sort();
    assert!(parts.len() > 5, "{parts:?}");
    for (role, some) in [("killed", 1), ("killed-later", parts.len() - 1)] {
        let ctx = small.stage(role, &["corpus", "base", "candidates"]);
        for part in &parts[..some] {
            std::fs::copy(small.work("again").join(part), ctx.work.join(part)).unwrap();
        }
        std::fs::write(ctx.work.join("continued-0000-000001.unfinished"), "{\"te").unwrap();
        small.pair(&settings(16), role).unwrap();
        for file in ["pairs.jsonl", "stats.csv", "kinds.csv", "meta.json"] {
            assert_eq!(small.bytes("again", file), small.bytes(role, file), "{role}: {file}");
        }
    }
    // In other batches the same is drawn.
    let mut batched = settings(16);
    batched.dropout_ntp.batch = 7;
    small.pair(&batched, "batched").unwrap();
    assert_eq!(small.bytes("again", "pairs.jsonl"), small.bytes("batched", "pairs.jsonl"));
}

#[test]
fn answers_that_are_all_but_sure_are_parted_from() {
    let small = Small::new(&["describe"], 30);
    small.sample(&candidates(1)).unwrap();
    // Behind three quarters of the words, most continuations say the same.
    let settings = |draws, apart| {
        let mut settings = dropout(draws);
        settings.dropout_ntp.ratio = Fraction::try_from(0.75).unwrap();
        settings.dropout_ntp.apart = apart;
        settings
    };
    let again = small.pair(&settings(8, false), "again").map_or(0, |pairs| pairs.len());
    let parted = small.pair(&settings(8, true), "parted").unwrap();
    assert!(again <= 15 && parted.len() >= 29, "{again} and {} of 30", parted.len());
    for pair in &parted {
        assert_eq!(meta(pair)["apart"] == true, draw(pair) > 1, "{pair:?}");
        assert!(pair.rejected.starts_with(kept(&pair.chosen, 0.75)), "{pair:?}");
        assert_ne!(pair.rejected.trim(), pair.chosen.trim());
    }
    let texts: BTreeSet<&String> = parted.iter().map(|pair| &pair.rejected).collect();
    assert_eq!(texts.len(), parted.len());
}

/// Descriptions and what stands behind the kept words of each, which are cut in this order.
fn with_rests() -> (Small, Vec<String>) {
    let small = described();
    let server = Server::start(|_, _| texts(&[" and a cow"]));
    let pairs = small.pair(&asking(&server, 1), "plain").unwrap();
    assert_eq!(pairs.len(), 24);
    let rest = |pair: Pair| pair.chosen[kept(&pair.chosen, 0.5).len()..].to_owned();
    (small, pairs.into_iter().map(rest).collect())
}

/// One request at a time, so that the server knows which answer it continues.
fn asking(server: &Server, draws: usize) -> Pairs {
    let mut settings = dropout(draws);
    settings.dropout_ntp.server = Table { requests: 1, ..table(server) };
    settings
}

#[test]
fn a_server_that_says_the_same_is_asked_again() {
    let (small, rests) = with_rests();
    let server = Server::start(move |before, _| match before {
        0..48 => texts(&[&rests[before % 24]]),
        _ => texts(&[" and a purple elephant"]),
    });
    let error = small.pair(&asking(&server, 2), "twice").unwrap_err().to_string();
    assert!(error.contains("left out were 24 identical"), "{error}");
    assert_eq!(server.count(), 48);
    // The replies of before are kept: each answer is continued once more.
    let pairs = small.pair(&asking(&server, 16), "often").unwrap();
    assert_eq!((pairs.len(), server.count()), (24, 72));
    let tokenizer = Tokenizer::load(&small.path("base")).unwrap();
    let tokens = |text: &str| tokenizer.encode(text).len() + 1;
    let mut spent = 0;
    for pair in &pairs {
        let beginning = kept(&pair.chosen, 0.5);
        assert_eq!(pair.rejected, format!("{beginning} and a purple elephant"));
        assert_eq!(draw(pair), 3);
        let length = pair.chosen_meta.as_ref().unwrap()["tokens"].as_u64().unwrap() as usize;
        spent += length + 2 * tokens(&pair.chosen[beginning.len()..]);
        spent += tokens(" and a purple elephant");
    }
    let a_pair = (spent as f64 / 24.0).to_string();
    assert_eq!(small.kinds("often", "dropout_ntp", "all", "tokens_a_pair"), a_pair);
    let asked = server.asked.lock().unwrap();
    let seeds: BTreeSet<u64> =
        asked.iter().map(|asked| asked.body["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds.len(), 72, "a server answers the same to the same seed");
}

#[test]
fn failures_of_all_draws_count_together() {
    let (small, rests) = with_rests();
    let failing = |rows: &'static [usize]| {
        let rests = rests.clone();
        Server::start(move |before, _| match before {
            _ if rows.contains(&before) => blocked(),
            0..24 => texts(&[&rests[before]]),
            _ => texts(&[" and a purple elephant"]),
        })
    };
    // One of 24 may fail.
    let lenient = |server: &Server| {
        let mut settings = asking(server, 3);
        let failures = Some(Fraction::try_from(0.05).unwrap());
        settings.dropout_ntp.server.failures = failures;
        settings
    };
    let one = failing(&[30]);
    let pairs = small.pair(&lenient(&one), "one").unwrap();
    assert_eq!((pairs.len(), left_out(&small, "one", "failed")), (23, 1));
    assert_eq!(one.count(), 48, "what failed for good is not continued again");
    let two = failing(&[5, 30]);
    let error = small.pair(&lenient(&two), "two").unwrap_err().to_string();
    assert!(error.contains("failed for 1 of"), "{error}");
}

#[test]
fn an_answer_that_is_chosen_twice_is_held_against_two_texts() {
    let small = Small::new(&["count"], 30);
    small.sample(&candidates(6)).unwrap();
    let key = |pair: &Pair| (pair.image.0.clone(), pair.question.clone(), pair.chosen.clone());
    let keys = |pairs: &[Pair]| {
        let mut keys: Vec<_> = pairs.iter().map(key).collect();
        keys.sort();
        keys
    };
    let right = keys(&small.pair(&embedded().pairs, "right").unwrap());
    let cuts = right.len();
    let answers = right.iter().collect::<BTreeSet<_>>().len();
    assert!(answers < cuts, "{cuts} pairs of {answers} answers");
    let server = Server::start(move |before, _| match before < cuts {
        true => texts(&[" and a cow"]),
        false => texts(&[&format!(" and cow {before}")]),
    });
    let of_right = |draws| {
        let mut settings = asking(&server, draws);
        settings.dropout_ntp.of = Chosen::Correctness;
        settings
    };
    let once = small.pair(&of_right(1), "once").unwrap();
    assert_eq!((once.len(), left_out(&small, "once", "same_pair")), (answers, cuts - answers));
    let again = small.pair(&of_right(2), "again").unwrap();
    assert_eq!(keys(&again), right, "the same answers, as often");
    assert_eq!(again.iter().filter(|pair| draw(pair) == 2).count(), cuts - answers);
    assert_eq!(left_out(&small, "again", "same_pair"), 0);
}

#[test]
fn an_answer_whose_kept_words_fill_the_limit_is_left_out() {
    let (small, _) = with_rests();
    let server = Server::start(|_, _| texts(&[" and a purple elephant"]));
    let tokenizer = Tokenizer::load(&small.path("base")).unwrap();
    let mut settings = asking(&server, 1);
    let lengths = |pairs: &[Pair]| -> Vec<usize> {
        pairs.iter().map(|pair| tokenizer.encode(kept(&pair.chosen, 0.5)).len()).collect()
    };
    let all = lengths(&small.pair(&settings, "room").unwrap());
    let longest = *all.iter().max().unwrap();
    settings.dropout_ntp.max_tokens = longest;
    let before = server.count();
    let some = small.pair(&settings, "less-room").unwrap();
    let full = all.iter().filter(|length| **length == longest).count();
    assert_eq!((some.len(), left_out(&small, "less-room", "no_room")), (all.len() - full, full));
    assert_eq!(server.count() - before, some.len(), "nobody is asked for nothing");
    settings.dropout_ntp.max_tokens = 1;
    let error = small.pair(&settings, "no-room").unwrap_err();
    let told = format!("the kept words of {0} of {0} answers fill", all.len());
    assert!(error.to_string().contains(&told), "{error}");
    assert!(error.hint_text().unwrap().contains("raise `max_tokens`"), "{error:?}");
}

#[test]
fn a_continuation_without_text_is_asked_for_again() {
    let (small, _) = with_rests();
    let server = Server::start(|before, _| texts(&[if before == 0 { " " } else { "a cow" }]));
    let mut settings = asking(&server, 2);
    settings.dropout_ntp.ratio = Fraction::try_from(0.0).unwrap();
    settings.dropout_ntp.server.requests = 1;
    let pairs = small.pair(&settings, "empty").unwrap();
    assert!(pairs.iter().all(|pair| pair.rejected == "a cow"));
    assert_eq!(server.count(), pairs.len() + 1);
    settings.dropout_ntp.draws = 1;
    settings.seed += 1;
    let server = Server::start(|_, _| texts(&["\n"]));
    settings.dropout_ntp.server = table(&server);
    let error = small.pair(&settings, "nothing").unwrap_err();
    assert!(error.to_string().contains("empty answer"), "{error}");
}
