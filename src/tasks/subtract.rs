//! Remove some shapes, how many are left: mathematics, after CLEVR-Math.

use super::item::{Item, reasoned};
use super::rng::Rng;
use super::scene::{Filter, Scene};
use super::slip::Teacher;

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    // A colour or a shape is taken away; both at once would remove almost nothing.
    let removed = rng.until(|rng| {
        let filter = Filter::draw(rng);
        (filter.colour.is_none() || filter.shape.is_none()).then_some(filter)
    });
    let left = rng.between(1, 5);
    let scene = rng.until(|rng| {
        let shapes = rng.between(left + 1, 7);
        let scene = Scene::draw(rng, shapes);
        (shapes - scene.count(removed) == left).then_some(scene)
    });
    let things = removed.plural();
    let question = match rng.below(3) {
        0 => format!("Remove all {things}. How many shapes are left?"),
        1 => format!("If all {things} are removed, how many shapes are left?"),
        _ => format!("Take away the {things}. What is the number of shapes left?"),
    };
    let (picture, cells) = scene.paint(rng);
    let tell = |teacher: Teacher| {
        let mut left = 0;
        let seen: Vec<String> = scene
            .0
            .iter()
            .map(|object| {
                left += usize::from(!removed.matches(object.kind) && teacher.counts(object.cell));
                format!("{} {left}", object.placed())
            })
            .collect();
        let worked = format!("without {things}: {left}.");
        reasoned(&(seen.join(", ") + "."), &worked, &left.to_string())
    };
    let objects = scene.names();
    Item { objects, ..Item::new(picture, cells, question, left.to_string(), tell) }
}
