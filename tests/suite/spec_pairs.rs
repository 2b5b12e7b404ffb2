//! Rules of `[pairs]` that no single key can break alone.

use prefab::spec;

#[test]
fn settings_of_pairs_that_are_not_made_are_refused() {
    let whole = "schema = 1\nloss.algorithm = \"mpo\"\n";
    for (more, says) in [
        ("pairs.weights.dropout_ntp = 1.0", "`pairs.weights.dropout_ntp` is set"),
        ("pairs.weights.imported = 1.0", "`pairs.weights.imported` is set"),
        (
            "pairs.weights.format = 1.0\npairs.correctness.format_negatives = false",
            "`pairs.weights.format` is set",
        ),
        ("pairs.correctness.max_per_question = 0", "must be 1 or above, got 0"),
    ] {
        let text = format!("{whole}{more}\n");
        let error = spec::parse("pairs", "pairs.toml", &text, &[]).unwrap_err().to_string();
        // A long line may be broken anywhere.
        let said = error.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(says), "{said}");
    }
    for more in [
        "pairs.weights = { correctness = 3.0, format = 0.1 }",
        "pairs = { sources = [\"dropout_ntp\"], correctness.max_per_question = 0 }",
    ] {
        let text = format!("{whole}{more}\n");
        spec::parse("pairs", "pairs.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
}
