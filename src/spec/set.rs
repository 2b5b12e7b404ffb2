//! `--set table.key=value`.

use super::lists::{ROOT, suggest};
use super::mistake::{Mistake, Mistakes};
use super::schema;
use super::source::{Place, Source};

/// `key=value` as TOML; a bare word is a text.
pub(super) fn parse(option: &str, index: usize) -> Result<(Source, toml::Table), Mistake> {
    let Some((key, value)) = option.split_once('=').filter(|(key, _)| !key.trim().is_empty())
    else {
        return Err(Mistake {
            message: format!("`--set {option}` sets nothing"),
            hint: "write `--set table.key=value`, such as `--set loss.beta=0.3`".to_owned(),
            source: index,
            span: 0..option.len(),
        });
    };
    let quoted = || format!("{} = {}", key.trim(), toml::Value::String(value.trim().to_owned()));
    Source::parse("--set", option, index).or_else(|mistake| {
        match Source::parse("--set", &quoted(), index) {
            Ok((mut source, table)) if bare(value) => {
                source.text = quoted();
                Ok((source, table))
            }
            _ => Err(mistake),
        }
    })
}

/// A word that needs no quotes on a command line.
fn bare(value: &str) -> bool {
    let value = value.trim();
    !value.is_empty() && !value.contains(['[', ']', '{', '}', '"', '\''])
}

pub(super) fn check(
    index: usize,
    table: &toml::Table,
    sources: &[Source],
    mistakes: &mut Mistakes,
) {
    for key in table.keys() {
        let refused =
            ["schema", "variant", "round", "chart", "description"].contains(&key.as_str());
        if refused || !ROOT.contains(&key.as_str()) {
            let full = schema::keys().iter().find(|known| known.rsplit('.').next() == Some(key));
            let hint = match full {
                Some(full) => format!("did you mean `--set {full}=…`?"),
                None if refused => format!("change `{key}` in the spec itself"),
                None => suggest(key, "what can be set", ROOT),
            };
            mistakes.push(Mistake {
                message: format!("`--set` cannot set `{key}`"),
                hint,
                source: index,
                span: sources[index].span(std::slice::from_ref(key), Place::Key),
            });
        }
    }
}
