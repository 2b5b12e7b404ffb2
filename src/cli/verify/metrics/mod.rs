//! `prefab verify metrics FILE.json`: what published scorers gave, recomputed.
//!
//! Each recorded case is computed twice. The peer's variant, under its name, must give what was
//! recorded, slips and exceptions included. Prefab's own definition may depart, where a named [`Rule`]
//! holds for the case, or for each of its parts that differs; a departure that no rule explains fails, as
//! a peer's variant that gives something else does.
//!
//! **To add a group:** a [`Group`] in the file of its kind, which the list below reads.

mod case;
mod chair;
mod judge;
mod labeller;
mod math;
mod mathvision;
mod mmhal;
mod numeric;
mod option;
mod relation;
mod vqa;
mod yes_no;

use super::record::other_schema;
use crate::cli::{aligned, say};
use crate::error::{Context, Kind};
use crate::{Error, Result};
use case::{Case, agree};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A kind of case.
pub struct Group {
    /// The recorded metric.
    metric: &'static str,
    /// The recorded variant; none where every name that the peer reads is one.
    variant: Option<&'static str>,
    /// The peer's variant of it, in the recorded form.
    peer: fn(&Case<'_>) -> Result<Value>,
    /// Prefab's own definition; none where Prefab uses the peer's as it is, or has no use for it.
    ours: Option<Ours>,
}

/// Prefab's own definition.
pub struct Ours {
    /// It, in the recorded form.
    value: fn(&Case<'_>) -> Result<Value>,
    /// What of the recorded value it is compared with.
    part: fn(&Case<'_>, &Value) -> Result<Value>,
    /// Where it may depart, in the order in which they are counted.
    rules: &'static [Rule],
    /// What a case is made of, where that is judged part by part.
    parts: Option<Parts>,
}

/// How a case falls into parts: the modes of a labeller, the rows of a batch. Each part that is judged
/// differently needs a rule of its own, and so does what then is left.
pub struct Parts {
    /// Ours, were every part judged as the peer judges it, in the recorded form.
    rest: fn(&Case<'_>) -> Result<Value>,
    /// The parts that are judged differently.
    differing: fn(&Case<'_>) -> Result<Vec<Part>>,
}

/// A part of a case.
pub struct Part {
    /// Its fields.
    fields: Value,
    /// Where ours may depart in it.
    rules: &'static [Rule],
}

impl Ours {
    /// The rules that explain a departure; none where something of it is unexplained.
    fn explained(&self, case: &Case<'_>, expected: &Value) -> Result<Option<Vec<&'static Rule>>> {
        let Some(parts) = &self.parts else {
            return Ok(first(self.rules, case)?.map(|rule| vec![rule]));
        };
        let mut found = Vec::new();
        if !agree(&(parts.rest)(case)?, expected) {
            found.push(first(self.rules, case)?);
        }
        for part in (parts.differing)(case)? {
            let part_of = Case { place: case.place.clone(), fields: &part.fields, ..*case };
            found.push(first(part.rules, &part_of)?);
        }
        let all: Option<Vec<_>> = found.into_iter().collect();
        Ok(all.filter(|rules| !rules.is_empty()))
    }
}

/// The first rule that holds.
fn first(rules: &'static [Rule], case: &Case<'_>) -> Result<Option<&'static Rule>> {
    for rule in rules {
        if (rule.holds)(case)? {
            return Ok(Some(rule));
        }
    }
    Ok(None)
}

/// A way in which Prefab departs from a peer.
pub struct Rule {
    /// Its name.
    name: &'static str,
    /// What Prefab does, in one sentence.
    about: &'static str,
    /// Whether it can matter for a case.
    holds: fn(&Case<'_>) -> Result<bool>,
}

/// The whole recorded value.
fn whole(_: &Case<'_>, recorded: &Value) -> Result<Value> {
    Ok(recorded.clone())
}

/// Every group that is known.
fn groups() -> impl Iterator<Item = &'static Group> {
    [
        vqa::GROUPS,
        numeric::GROUPS,
        yes_no::GROUPS,
        option::GROUPS,
        relation::GROUPS,
        math::GROUPS,
        mathvision::GROUPS,
        labeller::GROUPS,
        judge::GROUPS,
        mmhal::GROUPS,
        chair::GROUPS,
    ]
    .into_iter()
    .flatten()
}

fn find(metric: &str, variant: &str) -> Option<&'static Group> {
    groups().find(|group| {
        let fits = |known: Option<&str>| {
            known.map_or_else(|| labeller::reads(variant), |known| known == variant)
        };
        group.metric == metric && fits(group.variant)
    })
}

/// Cases of one group by how they came out.
#[derive(Default)]
struct Row {
    cases: usize,
    agree: usize,
    departs: usize,
    unexplained: usize,
    has_own: bool,
}

/// The tally of a file.
#[derive(Default)]
struct Tally {
    rows: Vec<(String, Row)>,
    rules: BTreeMap<&'static str, (usize, &'static str)>,
    unknown: Vec<String>,
    /// The first few unexplained cases.
    examples: Vec<String>,
}

/// Unexplained cases that are shown.
const EXAMPLES: usize = 20;

/// Recomputes everything in a file.
///
/// # Errors
///
/// If the file is not a record of metrics, if a case is unexplained, a name unknown or nothing checked.
pub fn run(path: &Path) -> Result<()> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading `{name}`"))?;
    let file: Value = serde_json::from_str(&text).with_context(|| format!("parsing `{name}`"))?;
    let groups = file.get("groups").and_then(Value::as_array).ok_or_else(|| {
        Error::new(format!("`{name}` has no list `groups`"))
            .hint("its schema is that of tests/assets/metrics.json")
    })?;
    let mut tally = Tally::default();
    tally.unknown.extend(other_schema(&file));
    for group in groups {
        tally.verify(group).with_context(|| format!("`{name}`"))?;
    }
    tally.close(&name)
}

impl Tally {
    fn verify(&mut self, recorded: &Value) -> Result<()> {
        let word = |field: &str| {
            let text = recorded.get(field).and_then(Value::as_str);
            text.ok_or_else(|| Error::new(format!("a group has no `{field}`")))
        };
        let (metric, variant) = (word("metric")?, word("variant")?);
        let title = format!("{metric} {variant}");
        let Some(group) = find(metric, variant) else {
            self.unknown.push(title);
            return Ok(());
        };
        let cases = recorded.get("cases").and_then(Value::as_array);
        let cases = cases.ok_or_else(|| Error::new(format!("{title}: it has no list `cases`")))?;
        let mut row = Row { has_own: group.ours.is_some(), ..Row::default() };
        for (index, fields) in cases.iter().enumerate() {
            let place = format!("{title}, case {}", index + 1);
            let case = Case { place, variant, fields, group: recorded };
            self.judge(group, &case, &mut row)?;
        }
        self.rows.push((title, row));
        Ok(())
    }

    fn judge(&mut self, group: &Group, case: &Case<'_>, row: &mut Row) -> Result<()> {
        let expected = case.value("expected")?;
        row.cases += 1;
        let peer = (group.peer)(case)?;
        if !agree(&peer, expected) {
            self.unexplained(row, case, "the peer's variant gives", &peer);
            return Ok(());
        }
        let Some(own) = &group.ours else {
            row.agree += 1;
            return Ok(());
        };
        let ours = (own.value)(case)?;
        let recorded = (own.part)(case, expected)?;
        let both_refuse = ours.get("error").is_some() && expected.get("error").is_some();
        if both_refuse || agree(&ours, &recorded) {
            row.agree += 1;
            return Ok(());
        }
        let Some(mut rules) = own.explained(case, &recorded)? else {
            self.unexplained(row, case, "no rule explains", &ours);
            return Ok(());
        };
        row.departs += 1;
        // A rule counts a case once, however many of its parts it explains.
        rules.sort_by_key(|rule| rule.name);
        rules.dedup_by_key(|rule| rule.name);
        for rule in rules {
            self.rules.entry(rule.name).or_insert((0, rule.about)).0 += 1;
        }
        Ok(())
    }

    fn unexplained(&mut self, row: &mut Row, case: &Case<'_>, what: &str, value: &Value) {
        row.unexplained += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{}: {what} {value} for {}\n", case.place, case.fields));
        }
    }

    fn close(self, file: &str) -> Result<()> {
        let mut lines = vec![
            ["metric", "cases", "agree", "departs", "unexplained"].map(str::to_owned).to_vec(),
        ];
        let mut total = Row::default();
        for (title, row) in &self.rows {
            let mark = if row.has_own { "" } else { " (as the peer)" };
            let counts = [row.cases, row.agree, row.departs, row.unexplained];
            let cells = std::iter::once(format!("{title}{mark}"))
                .chain(counts.map(|count| count.to_string()));
            lines.push(cells.collect());
            total.cases += row.cases;
            total.agree += row.agree;
            total.departs += row.departs;
            total.unexplained += row.unexplained;
        }
        let counts = [total.cases, total.agree, total.departs, total.unexplained];
        lines.push(
            std::iter::once("all".to_owned())
                .chain(counts.map(|count| count.to_string()))
                .collect(),
        );
        say(&aligned(&lines));
        if !self.rules.is_empty() {
            let mut lines = vec![["\nrule", "cases", "Prefab's own"].map(str::to_owned).to_vec()];
            for (name, (count, about)) in &self.rules {
                lines.push(vec![(*name).to_owned(), count.to_string(), (*about).to_owned()]);
            }
            say(&aligned(&lines));
        }
        say(&self.examples.concat());
        let failure = |message: String, hint: &str| {
            Err(Error::new(message).kind(Kind::Verification).hint(hint.to_owned()))
        };
        if total.unexplained > 0 {
            return failure(
                format!(
                    "{} of {} cases in `{file}` are unexplained",
                    total.unexplained, total.cases
                ),
                "the first of them stand above",
            );
        }
        if !self.unknown.is_empty() {
            return failure(
                format!(
                    "`{file}` records what nothing here recomputes: {}",
                    self.unknown.join(", ")
                ),
                "metrics and variants are those of tests/assets/metrics.json",
            );
        }
        if total.cases == 0 {
            return failure(
                format!("nothing in `{file}` was checked"),
                "is it a file of recorded metrics?",
            );
        }
        say(&format!("{} cases explained\n", total.cases));
        Ok(())
    }
}
