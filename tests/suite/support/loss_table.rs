//! The `[loss]` table with every embedded default.

use prefab::spec::loss::Loss;

/// The defaults with an algorithm, and `extra` keys in their place.
pub fn loss_table(algorithm: &str, extra: &str) -> Loss {
    let defaults = prefab::spec::defaults().loss.expect("the defaults have a loss");
    let mut table = serde_json::to_value(defaults).unwrap();
    table["algorithm"] = algorithm.into();
    for (key, value) in extra.parse::<toml::Table>().unwrap() {
        table[key] = serde_json::to_value(value).unwrap();
    }
    serde_json::from_value(table).unwrap()
}
