//! Keys: BLAKE3 over canonical JSON of everything that decides an artifact's bytes.

use super::{Machine, Stage};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `STAGE-<32 hex>` of a stage's name and version, settings and inputs.
pub fn key(
    stage: Stage,
    settings: &Map<String, Value>,
    inputs: &BTreeMap<String, String>,
) -> String {
    let whole = json!({
        "stage": stage.name(),
        "version": stage.version(),
        "settings": settings,
        "inputs": inputs,
    });
    let hash = blake3::hash(canonical(&whole).as_bytes()).to_hex();
    format!("{}-{}", stage.name(), &hash[..32])
}

/// JSON with sorted keys, no spaces and no nulls: an absent key and a key that is not set
/// mean the same, so that a new optional key leaves old artifacts valid.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(name, _)| name.as_str());
            let text: Vec<String> = entries
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)))
                .collect();
            format!("{{{}}}", text.join(","))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

/// What can change the bits of a tensor, as it enters a stage's settings.
pub fn machine(machine: &Machine, threads: usize) -> Value {
    json!({
        "device": machine.device,
        "libtorch": machine.libtorch,
        "kernels": machine.kernels,
        "threads": threads,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_ignores_order_and_absence() {
        let one = json!({ "b": [1.5, null], "a": { "y": null, "x": 3e-4 } });
        let two = json!({ "a": { "x": 0.0003 }, "b": [1.5, null] });
        assert_eq!(canonical(&one), r#"{"a":{"x":0.0003},"b":[1.5,null]}"#);
        assert_eq!(canonical(&one), canonical(&two));
    }
}
