//! How many shapes of a kind: general VQA. The rationale keeps a running count.

use super::item::{Item, reasoned};
use super::rng::Rng;
use super::scene::{Filter, Scene};
use super::slip::Teacher;

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let filter = if rng.chance(1, 8) { Filter::ALL } else { Filter::draw(rng) };
    let (scene, count) = if filter == Filter::ALL {
        let count = rng.between(3, 7);
        (Scene::draw(rng, count), count)
    } else {
        // Every answer is as frequent as any other that the filter makes likely enough.
        let most = if filter.colour.is_some() && filter.shape.is_some() { 2 } else { 4 };
        let wanted = rng.between(0, most);
        let shapes = rng.between(wanted.max(3), 7);
        let scene = rng.until(|rng| {
            let scene = Scene::draw(rng, shapes);
            (scene.count(filter) == wanted).then_some(scene)
        });
        (scene, wanted)
    };
    let things = filter.plural();
    let question = match rng.below(4) {
        0 => format!("How many {things} are there?"),
        1 => format!("How many {things} can you see?"),
        2 => format!("What is the number of {things}?"),
        _ => format!("Count the {things}."),
    };
    let (picture, cells) = scene.paint(rng);
    let tell = |teacher: Teacher| {
        let mut count = 0;
        let seen: Vec<String> = scene
            .0
            .iter()
            .map(|object| {
                count += usize::from(filter.matches(object.kind) && teacher.counts(object.cell));
                format!("{} {count}", object.placed())
            })
            .collect();
        reasoned(&(seen.join(", ") + "."), &format!("{things}: {count}."), &count.to_string())
    };
    let objects = scene.names();
    Item { objects, ..Item::new(picture, cells, question, count.to_string(), tell) }
}
