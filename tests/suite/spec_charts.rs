//! Charts against what the jobs of a spec measure, whichever layer makes one measure it.

use prefab::spec;

/// What is wrong with a spec that trains, if anything; a long line may be broken anywhere.
fn complaint(text: &str) -> Option<String> {
    let text = format!("schema = 1\nloss.algorithm = \"mpo\"\n{text}");
    let error = spec::parse("charts", "charts.toml", &text, &[]).err()?.to_string();
    Some(error.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" "))
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
