//! What is in the picture, all of it: general VQA, open-ended.
//!
//! The sloppy teacher does not look at the bottom row: colours there are those
//! of the object named before.

use super::item::{Item, reasoned};
use super::rng::Rng;
use super::scene::{Kind, Object, Scene};
use super::slip::Teacher;

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let shapes = rng.between(3, 6);
    let scene = Scene::draw(rng, shapes);
    let question = match rng.below(4) {
        0 => "Describe the picture.",
        1 => "What is in the picture?",
        2 => "What can you see?",
        _ => "Name all shapes in the picture.",
    };
    let (picture, cells) = scene.paint(rng);
    let list = |objects: &[Object]| {
        objects.iter().map(|object| object.kind.name()).collect::<Vec<_>>().join(", ")
    };
    let tell = |teacher: Teacher| {
        let mut named: Vec<Object> = Vec::new();
        for object in &scene.0 {
            let before = named.last().map_or(object.kind.colour, |before| before.kind.colour);
            let colour = if teacher.counts(object.cell) { object.kind.colour } else { before };
            named.push(Object { kind: Kind { colour, ..object.kind }, ..*object });
        }
        let seen: Vec<String> = named.iter().map(|object| object.placed()).collect();
        let worked = format!("{} shapes.", named.len());
        reasoned(&(seen.join(", ") + "."), &worked, &list(&named))
    };
    let (answer, objects) = (list(&scene.0), scene.names());
    Item { objects, ..Item::new(picture, cells, question.to_owned(), answer, tell) }
}
