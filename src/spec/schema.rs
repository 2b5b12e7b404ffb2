//! The JSON schema of a spec, for editors, and the list of keys it implies.

use super::benchmarks;
use super::chart::Chart;
use super::lists::{TABLES, TASKS};
use super::root::{ReferenceOf, Store};
use super::{base, candidates, corpus, eval, loss, model, pairs, train};
use schemars::JsonSchema;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A whole spec, as an editor sees it. Tables are partial: `defaults.toml` fills them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of use")]
struct Spec {
    /// Version of the spec's language: 1.
    schema: u32,
    /// A sentence for the report.
    description: Option<String>,
    /// Seeds of the policy stage: one job each.
    seeds: Vec<u64>,
    /// What the policy starts from and which parts of it train.
    model: model::Model,
    /// The questions and their pictures.
    corpus: corpus::Corpus,
    /// How the embedded base model is taught.
    base: base::Base,
    /// How answers are sampled.
    candidates: candidates::Candidates,
    /// How preference pairs are built.
    pairs: pairs::Pairs,
    /// What the policy minimizes; absent in a spec that ends at the base.
    loss: loss::Loss,
    /// How the policy is trained.
    train: train::Train,
    /// What is measured.
    eval: eval::Eval,
    /// Lists of values by dotted key, `"loss.beta" = [0.1, 0.3]`: all combinations are run.
    sweep: Sweep,
    /// Named variations; each is combined with every point of the sweep.
    variant: Vec<Variant>,
    /// Repeats candidates, pairs, reference and policy.
    round: Vec<Round>,
    /// Charts by name.
    chart: BTreeMap<String, Chart>,
    /// What is kept between runs.
    store: Store,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of use")]
struct Sweep {
    /// Groups of keys whose lists go side by side.
    zip: Vec<BTreeMap<String, Vec<Value>>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of use")]
struct Variant {
    /// Name in job ids, tables and charts.
    name: String,
    /// Lists of values for this variant alone.
    sweep: Sweep,
    /// Rounds of this variant alone, in place of those at the top.
    round: Vec<Round>,
    model: model::Model,
    corpus: corpus::Corpus,
    base: base::Base,
    candidates: candidates::Candidates,
    pairs: pairs::Pairs,
    loss: loss::Loss,
    train: train::Train,
    eval: eval::Eval,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of use")]
struct Round {
    candidates: candidates::Candidates,
    pairs: pairs::Pairs,
    loss: loss::Loss,
    train: train::Train,
    /// What the round's policy is held to.
    reference: ReferenceOf,
}

/// The schema as a JSON document, ending in a newline.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&value()).expect("a schema is plain JSON");
    text.push('\n');
    text
}

fn value() -> Value {
    let mut schema = schemars::schema_for!(Spec).to_value();
    partial(&mut schema);
    schema["title"] = json!("Prefab spec");
    schema["required"] = json!(["schema"]);
    schema["properties"]["schema"]["const"] = json!(1);
    schema["$defs"]["Variant"]["required"] = json!(["name"]);
    // Sweep keys are dotted names of settings; each has a list.
    let values = json!({ "type": "array", "minItems": 1 });
    for key in keys_of(&schema) {
        schema["$defs"]["Sweep"]["properties"][&key] = values.clone();
    }
    schema["$defs"]["Sweep"]["additionalProperties"] = json!(false);
    schema["$defs"]["Corpus"]["properties"]["tasks"]["items"] = json!({ "enum": TASKS });
    schema["$defs"]["Eval"]["properties"]["benchmarks"]["items"] =
        json!({ "enum": benchmarks::names() });
    schema
}

/// Every key is optional in a spec: the defaults have it.
fn partial(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let inner = ["Series", "Heat", "Files"];
            map.remove("required");
            for (name, value) in map.iter_mut() {
                if !inner.contains(&name.as_str()) {
                    partial(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(partial),
        _ => {}
    }
}

/// Dotted names of all settings, in documentation order: `loss.beta`.
pub fn keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| keys_of(&schemars::schema_for!(Spec).to_value()))
}

fn keys_of(schema: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    for table in TABLES {
        collect(schema, &schema["properties"][table], table, &mut keys);
    }
    keys
}

fn collect(schema: &Value, node: &Value, path: &str, keys: &mut Vec<String>) {
    let node = resolve(schema, node);
    match node.get("properties").and_then(Value::as_object) {
        Some(properties) if !path.is_empty() => {
            for (name, property) in properties {
                collect(schema, property, &format!("{path}.{name}"), keys);
            }
        }
        _ => keys.push(path.to_owned()),
    }
}

/// Follows `$ref`, also through the `anyOf: [T, null]` of an optional table.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let target = |node: &'a Value| -> Option<&'a Value> {
        let name = node.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        schema.get("$defs")?.get(name)
    };
    let optional = || {
        let choices = node.get("anyOf")?.as_array()?;
        (choices.len() == 2).then(|| choices.iter().find_map(target)).flatten()
    };
    target(node).or_else(optional).unwrap_or(node)
}

#[cfg(test)]
mod tests {
    use super::keys;

    #[test]
    fn keys_reach_nested_and_optional_tables() {
        for key in
            ["loss.beta", "loss.cdpo.label_smoothing", "model.dims.width", "corpus.files.root"]
        {
            assert!(keys().iter().any(|k| k == key), "`{key}` is not among {:?}", keys());
        }
    }
}
