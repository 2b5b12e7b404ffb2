//! The three multimodal chains of thought, as an embedded base is taught them: made of the
//! rationales that the families write, so that their slips stay.
//!
//! | domain | form | what is other than in the plain rationale |
//! |---|---|---|
//! | science | background | the rule that the answer rests on comes first |
//! | chart, OCR, document | visual | what the picture shows comes first |
//! | general VQA | grounded | the shapes that count, and no others, each with its box |
//!
//! Mathematics has none, and open descriptions keep theirs. Unlike the paper's, these forms end
//! in a final answer, so that it can be judged.
//!
//! # Source
//!
//! Wang et al. 2024, arXiv:2411.10442v2, figure 7, k to m; `<box>` is InternVL's: corners in
//! thousandths of the picture's sides.

use super::raster::GRID;
use super::scene::{COLOURS, SHAPES};
use super::{Domain, sources};
use crate::data::record::Question;
use crate::spec::candidates::Prompt;
use regex::Regex;
use std::sync::LazyLock;

/// One entry of a scene's list: `a2 red circle 3`, or `red circle a2`; counters are running.
static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    let colours = COLOURS.map(|(name, _)| name).join("|");
    let kind = format!("((?:{colours}) (?:{}))", SHAPES.join("|"));
    let cell = "([a-z])([0-9])";
    Regex::new(&format!("^(?:{cell} {kind}((?: [0-9]+)+)|{kind} {cell})$")).expect("a pattern")
});

/// The form of a question's domain, and its rationale in that form, made of the plain one; none
/// where there is no form.
pub fn rationale(question: &Question, plain: &str) -> Option<(Prompt, String)> {
    let form = sources::form_of(question)?;
    let (list, rest) = plain.split_once('\n')?;
    let text = match form {
        Prompt::Background => {
            format!("In a food chain each animal eats the one before it.\n{plain}")
        }
        Prompt::Visual => {
            let count = list.split(", ").count();
            format!("The picture shows {count} {}.\n{plain}", shown(question))
        }
        Prompt::Grounded => format!("{}\n{rest}", grounded(list)?),
        _ => return None,
    };
    Some((form, text))
}

/// What a picture of a chart, a receipt or a form shows.
fn shown(question: &Question) -> &'static str {
    match sources::domain(question) {
        Some(Domain::Chart) => "bars",
        Some(Domain::Document) => "fields",
        _ => "lines",
    }
}

/// The list of a scene with boxes in place of cells: of counted shapes alone where it counts.
fn grounded(list: &str) -> Option<String> {
    let mut boxes = Vec::new();
    let mut before = 0;
    for entry in list.trim_end_matches('.').split(", ") {
        let found = ENTRY.captures(entry)?;
        let group = |index: usize| found.get(index).map(|group| group.as_str());
        let (column, row, kind) = match group(3) {
            Some(kind) => {
                let counters = group(4)?.split_whitespace();
                let sum: usize = counters.filter_map(|number| number.parse::<usize>().ok()).sum();
                let counts = sum > before;
                before = sum;
                if !counts {
                    continue;
                }
                (group(1)?, group(2)?, kind)
            }
            None => (group(6)?, group(7)?, group(5)?),
        };
        let x = usize::from(column.as_bytes()[0] - b'a');
        let y = row.parse::<usize>().ok()?.checked_sub(1)?;
        let thousandths = |cell: usize| cell * 1000 / GRID;
        boxes.push(format!(
            "<ref>{kind}</ref><box>[[{}, {}, {}, {}]]</box>",
            thousandths(x),
            thousandths(y),
            thousandths(x + 1),
            thousandths(y + 1),
        ));
    }
    let list = if boxes.is_empty() { "no box".to_owned() } else { boxes.join(", ") };
    Some(list + ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Generated;

    fn formed(task: &str, plain: &str) -> Option<(Prompt, String)> {
        let generated = Some(Generated::default());
        rationale(&Question { task: task.into(), generated, ..Question::default() }, plain)
    }

    #[track_caller]
    fn assert_formed(task: &str, plain: &str, form: Prompt, text: &str) {
        assert_eq!(formed(task, plain), Some((form, text.to_owned())));
    }

    #[test]
    fn counted_shapes_are_grounded_and_no_others() {
        assert_formed(
            "count",
            "a2 yellow square 0, b3 purple square 1, c3 red circle 1, a4 purple square 2.\n\
             purple shapes: 2.\nFinal answer: 2",
            Prompt::Grounded,
            "<ref>purple square</ref><box>[[250, 500, 500, 750]]</box>, \
             <ref>purple square</ref><box>[[0, 750, 250, 1000]]</box>.\n\
             purple shapes: 2.\nFinal answer: 2",
        );
        // A slip stays one: the sloppy teacher did not count the last.
        assert_formed(
            "exists",
            "a1 red circle 0, d4 blue square 0.\nblue square: 0.\nFinal answer: no",
            Prompt::Grounded,
            "no box.\nblue square: 0.\nFinal answer: no",
        );
        assert_formed(
            "compare",
            "d1 red circle 1 0, a2 blue square 1 1.\ncircles 1, squares 1.\nFinal answer: equal",
            Prompt::Grounded,
            "<ref>red circle</ref><box>[[750, 0, 1000, 250]]</box>, \
             <ref>blue square</ref><box>[[0, 250, 250, 500]]</box>.\n\
             circles 1, squares 1.\nFinal answer: equal",
        );
    }

    #[test]
    fn both_shapes_of_a_relation_are_grounded() {
        assert_formed(
            "relation",
            "green square c2, yellow circle d2.\nc2 is left of d2.\nFinal answer: left",
            Prompt::Grounded,
            "<ref>green square</ref><box>[[500, 250, 750, 500]]</box>, \
             <ref>yellow circle</ref><box>[[750, 250, 1000, 500]]</box>.\n\
             c2 is left of d2.\nFinal answer: left",
        );
    }

    #[test]
    fn charts_are_described_and_chains_explained_first() {
        assert_formed(
            "chart",
            "yellow 4, purple 3.\n4 + 3 = 7.\nFinal answer: 7",
            Prompt::Visual,
            "The picture shows 2 bars.\nyellow 4, purple 3.\n4 + 3 = 7.\nFinal answer: 7",
        );
        let (form, text) =
            formed("diagram", "frog, bug.\nbug is last.\nFinal answer: bug").unwrap();
        assert_eq!(form, Prompt::Background);
        assert!(text.starts_with("In a food chain") && text.ends_with("Final answer: bug"));
    }

    #[test]
    fn mathematics_and_descriptions_have_none() {
        assert_eq!(formed("geometry", "width 7.\n7.\nFinal answer: 7"), None);
        let described = "b1 red circle, d2 green square.\n2 shapes.\nFinal answer: red circle";
        assert_eq!(formed("describe", described), None);
    }
}
