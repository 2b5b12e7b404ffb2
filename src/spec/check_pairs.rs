//! Rules of `[candidates]` and `[pairs]` that no single key can break alone.

use super::Settings;
use super::finder::Finder;
use super::lists::TASKS;
use super::pairs::{Chosen, Kinds, Length, MOST_DRAWS, Pairs, Source};

/// Checks both tables of one point.
pub(super) fn candidates_and_pairs(settings: &Settings, find: &mut Finder) {
    let (candidates, pairs) = (&settings.candidates, &settings.pairs);
    find.at_least("candidates.batch", candidates.batch, 1);
    find.at_least("candidates.max_tokens", candidates.max_tokens, 1);
    let compares = pairs.needs(Source::Correctness) || pairs.needs(Source::DivideAndConquer);
    if settings.loss.is_some() && compares && candidates.per_question < 2 {
        find.wrong(
            "candidates.per_question",
            format!("a pair needs two answers a question, got {}", candidates.per_question),
            "such as the default, `per_question = 8`",
        );
    }
    find.top_p("candidates.top_p", candidates.top_p.get());
    let empty = candidates.stop.iter().position(|stop| stop.is_empty());
    if let Some(index) = empty {
        let key = format!("candidates.stop.{index}");
        find.wrong(&key, "an empty stop string ends every answer at once", "take it out");
    }
    candidates.server.check("candidates.server", find);
    if candidates.import.is_some() && candidates.server.is_set() {
        find.wrong(
            "candidates.import",
            "`candidates.import` names ready-made answers, and `candidates.server` a server",
            "take out one of the two",
        );
    }
    find.at_least("pairs.max", pairs.max.unwrap_or(1), 1);
    if settings.corpus.files.is_none() {
        find.names("pairs.correctness.exclude", &pairs.correctness.exclude, TASKS, "tasks");
    }
    if pairs.needs(Source::Correctness) {
        let most = pairs.correctness.max_per_question;
        find.at_least("pairs.correctness.max_per_question", most, 1);
    }
    sources(pairs, find);
    weights(pairs, find);
    dropout_ntp(pairs, find);
    judge(pairs, find);
}

fn sources(pairs: &Pairs, find: &mut Finder) {
    if pairs.sources.is_empty() {
        let hint = "write `sources = [\"correctness\"]`";
        find.wrong("pairs.sources", "`pairs.sources` names none: there would be no pairs", hint);
    }
    let twice =
        (1..pairs.sources.len()).find(|&at| pairs.sources[..at].contains(&pairs.sources[at]));
    if let Some(index) = twice {
        let key = format!("pairs.sources.{index}");
        find.wrong(&key, "this source is listed twice", "take one of them out");
    }
    if pairs.sources.contains(&Source::Import) && pairs.import.is_none() {
        find.wrong(
            "pairs.sources",
            "`pairs.sources` lists `import`, but `pairs.import` names no file",
            "such as `import = \"data/mmpr/meta.json\"`",
        );
    }
    let others = pairs.sources.iter().any(|source| *source != Source::Correctness);
    if pairs.import.is_some() && others && !pairs.sources.contains(&Source::Import) {
        find.wrong(
            "pairs.sources",
            "`pairs.import` names a file, but `pairs.sources` does not list `import`",
            "add \"import\" to the list, or take out `pairs.import`",
        );
    }
    // A source whose settings are given and that is nowhere listed was meant to be.
    let tables = [
        (Source::DropoutNtp, "pairs.dropout_ntp"),
        (Source::DivideAndConquer, "pairs.divide_and_conquer"),
    ];
    for (source, table) in tables {
        if !pairs.needs(source) && find.is_written(table) && !find.is_written("pairs.sources") {
            let name = source.name();
            find.wrong(
                table,
                format!("`[{table}]` is set, but `pairs.sources` does not list `{name}`"),
                format!("write `sources = [\"{name}\"]` in `[pairs]`, or add it to the list"),
            );
        }
    }
}

/// A weight is for pairs that are made.
fn weights(pairs: &Pairs, find: &mut Finder) {
    let Kinds { correctness, format, dropout_ntp, divide_and_conquer, imported } = &pairs.weights;
    let judges = pairs.builds(Source::Correctness);
    for (name, weight, made) in [
        ("correctness", correctness, judges),
        ("format", format, judges && pairs.correctness.format_negatives),
        ("dropout_ntp", dropout_ntp, pairs.builds(Source::DropoutNtp)),
        ("divide_and_conquer", divide_and_conquer, pairs.builds(Source::DivideAndConquer)),
        ("imported", imported, pairs.builds(Source::Import)),
    ] {
        if weight.is_some() && !made {
            find.wrong(
                &format!("pairs.weights.{name}"),
                format!("`pairs.weights.{name}` is set, but no such pairs are made"),
                "take it out, or have them made: `pairs.sources` says which are, and \
                 `pairs.correctness.format_negatives` whether unparsable answers are rejected ones",
            );
        }
    }
}

fn dropout_ntp(pairs: &Pairs, find: &mut Finder) {
    let settings = &pairs.dropout_ntp;
    find.at_least("pairs.dropout_ntp.per_question", settings.per_question, 1);
    find.at_least("pairs.dropout_ntp.batch", settings.batch, 1);
    find.at_least("pairs.dropout_ntp.max_tokens", settings.max_tokens, 1);
    find.at_least("pairs.dropout_ntp.draws", settings.draws, 1);
    if settings.draws > MOST_DRAWS {
        find.wrong(
            "pairs.dropout_ntp.draws",
            format!("`pairs.dropout_ntp.draws` must be {MOST_DRAWS} or below, got {}", settings.draws),
            "such as the default, `draws = 16`: what says the same so often has nothing else to say",
        );
    }
    if settings.ratio.get() >= 1.0 {
        find.wrong(
            "pairs.dropout_ntp.ratio",
            format!("`pairs.dropout_ntp.ratio` must be below 1, got {}", settings.ratio.get()),
            "such as the paper's 0.5; a whole answer leaves nothing to continue",
        );
    }
    find.top_p("pairs.dropout_ntp.top_p", settings.top_p.get());
    let whole = settings.temperature.get() == 1.0
        && settings.top_k == 0
        && settings.top_p.get() == 1.0
        && settings.length == Length::Free;
    if settings.apart && settings.server.is_set() {
        find.wrong(
            "pairs.dropout_ntp.apart",
            "`pairs.dropout_ntp.apart` needs the probabilities of a model here",
            "take it out, or `[pairs.dropout_ntp.server]`",
        );
    } else if settings.apart && !whole {
        find.wrong(
            "pairs.dropout_ntp.apart",
            "`pairs.dropout_ntp.apart` draws as the model does: at temperature 1, from all tokens, \
             to any length",
            "leave `temperature`, `top_k`, `top_p` and `length` at their defaults, or take it out",
        );
    }
    if settings.length == Length::Match && settings.server.is_set() {
        find.wrong(
            "pairs.dropout_ntp.length",
            "`pairs.dropout_ntp.length = \"match\"` needs a model here: no server forbids an end",
            "take it out, or `[pairs.dropout_ntp.server]`",
        );
    }
    settings.server.check("pairs.dropout_ntp.server", find);
}

fn judge(pairs: &Pairs, find: &mut Finder) {
    let judge = &pairs.judge;
    find.at_least(
        "pairs.divide_and_conquer.max_per_question",
        pairs.divide_and_conquer.max_per_question,
        1,
    );
    find.at_least(
        "pairs.divide_and_conquer.min_difference",
        pairs.divide_and_conquer.min_difference,
        1,
    );
    find.at_least("pairs.judge.batch", judge.batch, 1);
    find.at_least("pairs.judge.max_tokens", judge.max_tokens, 1);
    judge.server.check("pairs.judge.server", find);
    if judge.checkpoint.is_some() && judge.server.is_set() {
        find.wrong(
            "pairs.judge",
            "`pairs.judge` names a checkpoint and a server",
            "take out `checkpoint` or `[pairs.judge.server]`",
        );
    }
}

/// The most pairs that a point can have, where they are not imported.
pub(super) fn most(settings: &Settings) -> usize {
    let pairs = &settings.pairs;
    // Format pairs have a cap of their own, but are few.
    let correctness = pairs.correctness.max_per_question;
    let divided = pairs.divide_and_conquer.max_per_question;
    let continued = match pairs.dropout_ntp.of {
        Chosen::Open | Chosen::Any => pairs.dropout_ntp.per_question,
        Chosen::Correctness => correctness,
        Chosen::DivideAndConquer => divided,
    };
    let each = [
        (Source::Correctness, correctness),
        (Source::DivideAndConquer, divided),
        (Source::DropoutNtp, continued),
    ];
    let a_question: usize =
        each.iter().filter(|(source, _)| pairs.builds(*source)).map(|(_, most)| most).sum();
    let made = settings.corpus.train * a_question;
    pairs.max.map_or(made, |most| most.min(made))
}
