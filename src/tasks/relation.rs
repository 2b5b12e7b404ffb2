//! Where one object is from another: general VQA with words as options.
//!
//! The two share a row or a column, so that one word is right. The sloppy
//! teacher counts rows from the bottom.

use super::item::{Item, reasoned};
use super::raster::{GRID, cell_name};
use super::rng::Rng;
use super::scene::{Kind, Object, Scene};
use super::slip::Teacher;
use crate::data::record::{Question, ours};

/// The options, which are the answers.
pub const SIDES: [&str; 4] = ["left", "right", "above", "below"];

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let side = rng.pick(&SIDES);
    let line = rng.below(GRID);
    let (low, high) = rng.until(|rng| {
        let (low, high) = (rng.below(GRID), rng.below(GRID));
        (low < high).then_some((low, high))
    });
    let cell = |at: usize| match side {
        "left" | "right" => line * GRID + at,
        _ => at * GRID + line,
    };
    let (here, there) = match side {
        "left" | "above" => (cell(low), cell(high)),
        _ => (cell(high), cell(low)),
    };
    let kind = Kind::draw(rng);
    let other = rng.until(|rng| Some(Kind::draw(rng)).filter(|other| *other != kind));
    let extra = rng.between(0, 3);
    let scene = rng.until(|rng| {
        let scene = Scene::draw(rng, extra);
        let free = |object: &Object| {
            object.cell != here
                && object.cell != there
                && object.kind != kind
                && object.kind != other
        };
        scene.0.iter().all(free).then_some(scene)
    });
    let named = [Object { cell: here, kind }, Object { cell: there, kind: other }];
    let scene = Scene::new(scene.0.into_iter().chain(named).collect());
    let (thing, anchor) = (kind.name(), other.name());
    let question = match rng.below(3) {
        0 => format!("Where is the {thing} from the {anchor}?"),
        1 => format!("Is the {thing} left, right, above or below the {anchor}?"),
        _ => format!("On which side of the {anchor} is the {thing}?"),
    };
    let (picture, cells) = scene.paint(rng);
    let tell = |teacher: Teacher| {
        let side = match side {
            "above" if teacher.slips() => "below",
            "below" if teacher.slips() => "above",
            _ => side,
        };
        let (here, there) = (cell_name(here), cell_name(there));
        let seen = format!("{thing} {here}, {anchor} {there}.");
        reasoned(&seen, &format!("{here} is {side} of {there}."), side)
    };
    let objects = scene.names();
    Item { objects, choices: &SIDES, ..Item::new(picture, cells, question, side.to_owned(), tell) }
}

/// A question in four wordings, its options rotated; none for a question of another family. The
/// words are those that the family uses anyway.
pub fn rotated(question: &Question) -> Option<Vec<Question>> {
    let (thing, anchor) = parties(&question.question)?;
    let rotation = |first: usize| {
        let [a, b, c, d] = std::array::from_fn(|place| SIDES[(first + place) % SIDES.len()]);
        let mut rotated = question.clone();
        rotated.id = format!("{}/{}", question.id, first + 1);
        rotated.question = format!("Is the {thing} {a}, {b}, {c} or {d} the {anchor}?");
        rotated.choices = [a, b, c, d].map(str::to_owned).into();
        rotated.meta.insert(ours::ROTATION_OF.to_owned(), question.id.clone());
        rotated.meta.insert("category".to_owned(), "predicate".to_owned());
        rotated
    };
    Some((0..SIDES.len()).map(rotation).collect())
}

/// What is asked about, and from where.
fn parties(question: &str) -> Option<(&str, &str)> {
    let question = question.strip_suffix('?')?;
    if let Some(rest) = question.strip_prefix("Where is the ") {
        return rest.split_once(" from the ");
    }
    if let Some(rest) = question.strip_prefix("Is the ") {
        return rest.split_once(" left, right, above or below the ");
    }
    let (anchor, thing) = question.strip_prefix("On which side of the ")?.split_once(" is the ")?;
    Some((thing, anchor))
}
