//! Rules on `[eval.files]` and `[eval.judge]`.

use super::benchmarks::{benchmark, file_of, files};
use super::eval::Eval;
use super::finder::Finder;
use super::lists::suggest;

/// Checks the files of benchmarks and who grades.
pub(super) fn files_and_judge(eval: &Eval, find: &mut Finder) {
    let names = files();
    for name in eval.files.keys() {
        let key = format!("eval.files.{name}");
        if !names.contains(&name.as_str()) {
            let hint = match file_of(name) {
                Some(own) => {
                    format!("its questions are those of `{own}`: write `eval.files.{own}`")
                }
                None => suggest(name, "benchmarks with files", &names),
            };
            find.wrong(&key, format!("no benchmark reads a file as `{name}`"), hint);
        } else if !eval.benchmarks.iter().any(|asked| file_of(asked) == Some(name)) {
            find.wrong(
                &key,
                format!("`eval.files.{name}` is given, but nothing in `eval.benchmarks` asks it"),
                format!("add \"{name}\" to `benchmarks`, or take the file out"),
            );
        } else if benchmark(name).is_some_and(|row| row.is_judged) && !eval.judge.is_set() {
            find.wrong(
                &key,
                format!("answers to the questions of `{name}` are graded, and `[eval.judge]` names nobody"),
                "add `[eval.judge.server]` with `url` and `model`, or `eval.judge.checkpoint`",
            );
        }
    }
    let judge = &eval.judge;
    find.at_least("eval.judge.batch", judge.batch, 1);
    find.at_least("eval.judge.max_tokens", judge.max_tokens, 1);
    eval.server.check("eval.server", find);
    judge.server.check("eval.judge.server", find);
    for (key, server) in [("eval.server", &eval.server), ("eval.judge.server", &judge.server)] {
        if server.failures.is_some() {
            find.wrong(
                &format!("{key}.failures"),
                format!("`{key}.failures` would leave questions of a benchmark out of its score"),
                "take it out; grades that failed are counted in benchmarks.csv",
            );
        }
    }
    if judge.checkpoint.is_some() && judge.server.is_set() {
        find.wrong(
            "eval.judge",
            "`eval.judge` names a checkpoint and a server",
            "take out `checkpoint` or `[eval.judge.server]`",
        );
    }
}
