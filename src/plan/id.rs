//! Readable ids: `mpo-beta0.1-s0`.

/// The id of a point, before it is made unique.
pub fn id(name: &str, swept: &[(String, toml::Value)], seed: Option<u64>) -> String {
    let mut id = match slug(name) {
        empty if empty.is_empty() => "variant".to_owned(), // a name of nothing but pictures or marks
        slug => slug,
    };
    for (key, value) in swept {
        id.push('-');
        id.push_str(&short_key(key, swept));
        id.push_str(&slug(&short_value(value)));
    }
    if let Some(seed) = seed {
        id.push_str(&format!("-s{seed}"));
    }
    id
}

/// The id, with a number after it where it is taken.
pub fn unique(id: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&id) {
        return id;
    }
    (2..).map(|number| format!("{id}-{number}")).find(|id| !taken(id)).expect("some number is free")
}

/// The key's last word, or its last two where that is ambiguous.
fn short_key(key: &str, swept: &[(String, toml::Value)]) -> String {
    let words = |key: &str, count: usize| -> String {
        let all: Vec<&str> = key.split('.').collect();
        let from = all.len().saturating_sub(count);
        all[from..].join(".").replace("learning_rate", "lr")
    };
    let alone = swept.iter().filter(|(other, _)| words(other, 1) == words(key, 1)).count() == 1;
    if alone { words(key, 1) } else { words(key, 2) }
}

fn short_value(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(number) => {
            let plain = format!("{number}");
            let exponent = format!("{number:e}");
            if exponent.len() < plain.len() { exponent } else { plain }
        }
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) => list.iter().map(short_value).collect::<Vec<_>>().join("+"),
        toml::Value::Table(table) => {
            let entry =
                |(key, value): (&String, &toml::Value)| format!("{key}{}", short_value(value));
            table.iter().map(entry).collect::<Vec<_>>().join("+")
        }
        other => other.to_string(),
    }
}

/// Lower case, with what could trouble a file name or a shell replaced by `-`.
fn slug(text: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "+._-".contains(c) { c } else { '-' };
    let slug: String = text.trim().to_lowercase().chars().map(keep).collect();
    slug.trim_matches(|c| "._-".contains(c)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(pairs: &[(&str, toml::Value)]) -> Vec<(String, toml::Value)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn ids_are_short_and_readable() {
        let values = swept(&[("loss.beta", 0.1.into()), ("train.learning_rate", 3e-4.into())]);
        assert_eq!(id("DPO+", &values, Some(0)), "dpo+-beta0.1-lr3e-4-s0");
    }

    #[test]
    fn keys_of_one_last_word_keep_two() {
        let values = swept(&[("base.seed", 1.into()), ("corpus.seed", 2.into())]);
        assert_eq!(id("base", &values, None), "base-base.seed1-corpus.seed2");
    }

    #[test]
    fn names_cannot_leave_a_folder() {
        assert_eq!(id("../a b", &[], None), "a-b");
        assert_eq!(id("🙂", &[], Some(0)), "variant-s0");
    }
}
