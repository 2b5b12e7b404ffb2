//! Rounds of a spec, and of a variant alone.

use prefab::spec;
use prefab::spec::pairs::Source;
use prefab::spec::root::ReferenceOf;

const OWN: &str = "schema = 1
[[variant]]
name = \"one\"
loss = { algorithm = \"mpo\" }
[[variant]]
name = \"two\"
loss = { algorithm = \"mpo\" }
train = { epochs = 2 }
[[variant.round]]
loss = { algorithm = \"sft\" }
[[variant.round]]
reference = \"previous\"
pairs = { sources = [\"dropout_ntp\"] }
";

/// What is wrong with a spec; a long line may be broken anywhere.
fn complaint(text: &str) -> String {
    let error = spec::parse("rounds", "rounds.toml", text, &[]).unwrap_err().to_string();
    error.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_variant_can_have_rounds_of_its_own() {
    let experiment = spec::parse("rounds", "rounds.toml", OWN, &[]).unwrap();
    let [one, two] = experiment.points.as_slice() else { panic!("two points") };
    let names = |point: &spec::Point| -> Vec<&str> {
        point.rounds.iter().map(|round| round.loss.algorithm.row().name).collect()
    };
    assert_eq!((names(one), names(two)), (vec!["mpo"], vec!["sft", "mpo"]));
    let sources: Vec<&[Source]> = two.rounds.iter().map(|r| r.pairs.sources.as_slice()).collect();
    assert_eq!(sources, [[Source::Correctness], [Source::DropoutNtp]]);
    assert!(two.rounds.iter().all(|round| round.train.epochs.get() == 2.0));
    assert_eq!(two.rounds[1].reference, ReferenceOf::Previous);
    // Those at the top are for the other variants.
    let text = format!("{OWN}[[round]]\n[[round]]\n[[round]]\n");
    let experiment = spec::parse("rounds", "rounds.toml", &text, &[]).unwrap();
    let counts: Vec<usize> = experiment.points.iter().map(|point| point.rounds.len()).collect();
    assert_eq!(counts, [3, 2]);
}

#[test]
fn bad_rounds_of_a_variant_are_refused_at_their_place() {
    let variant = "schema = 1\n[[variant]]\nname = \"a\"\nloss.algorithm = \"tr_dpo\"\n";
    for (rounds, place, says) in [
        ("round = 3\n", "[rounds.toml:5:1]", "`variant.round` must be a list of tables"),
        (
            "[[variant.round]]\n[[variant.round]]\n",
            "[rounds.toml:6:1]",
            "this round is held to the base",
        ),
        (
            "[[variant.round]]\nreference = \"previous\"\n",
            "[rounds.toml:6:13]",
            "the first round has no previous policy",
        ),
        ("[[variant.round]]\neval = { every = 3 }\n", "[rounds.toml:6:1]", "no key `eval`"),
        (
            "[[variant.round]]\ntrain = { epohcs = 3 }\n",
            "[rounds.toml:6:11]",
            "did you mean `epochs`?",
        ),
    ] {
        let said = complaint(&format!("{variant}{rounds}"));
        assert!(said.contains(place) && said.contains(says), "{rounds}{said}");
    }
    let said = complaint(
        "schema = 1\n[sweep]\n\"loss.beta\" = [0.1, 0.2]\n[[variant]]\nname = \"a\"\n\
         loss.algorithm = \"dpo\"\n[[variant.round]]\nloss = { beta = 0.3 }\n",
    );
    assert!(said.contains("round 1 sets `loss.beta`, which is swept too"), "{said}");
}
