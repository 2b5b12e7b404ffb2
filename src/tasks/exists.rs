//! Is there a red circle: general VQA, asked as POPE asks it (Li et al. 2023,
//! arXiv:2305.10355): half the answers are yes, and a third each of the
//! negatives are random, popular and adversarial.
//!
//! The slips are POPE's own findings: the sloppy teacher misses what is in the
//! bottom row, and binds the colour of one object to the shape of the next.

use super::item::{Item, reasoned};
use super::raster::cell_name;
use super::rng::Rng;
use super::scene::{Kind, Object, Scene};
use super::slip::Teacher;

/// How negatives are drawn.
pub const NEGATIVES: [&str; 3] = ["random", "popular", "adversarial"];

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let negative = rng.chance(1, 2).then(|| rng.pick(&NEGATIVES));
    let (scene, kind) = rng.until(|rng| {
        let shapes = rng.between(3, 7);
        let scene = Scene::draw(rng, shapes);
        let fits = |kind: &Kind| match negative {
            None => scene.has(*kind),
            Some("popular") => !scene.has(*kind) && kind.popular(),
            Some("adversarial") => !scene.has(*kind) && scattered(&scene, *kind),
            Some(_) => !scene.has(*kind),
        };
        let kinds: Vec<Kind> = Kind::all().filter(fits).collect();
        (!kinds.is_empty()).then(|| {
            let kind = rng.pick(&kinds);
            (scene, kind)
        })
    });
    let thing = kind.name();
    let question = match rng.below(4) {
        0 => format!("Is there a {thing} in the picture?"),
        1 => format!("Is there a {thing}?"),
        2 => format!("Can you see a {thing}?"),
        _ => format!("Does the picture show a {thing}?"),
    };
    let answer = if negative.is_none() { "yes" } else { "no" };
    let (picture, cells) = scene.paint(rng);
    let tell = |teacher: Teacher| {
        let is_seen = |object: &&Object| object.kind == kind && teacher.counts(object.cell);
        let place = scene.0.iter().find(is_seen).or_else(|| {
            let bound = scene.0.windows(2).find(|pair| {
                pair[0].kind.colour == kind.colour && pair[1].kind.shape == kind.shape
            });
            bound.filter(|_| teacher.slips()).map(|pair| &pair[0])
        });
        let seen: Vec<String> = scene.0.iter().map(|object| object.placed()).collect();
        let worked = place.map_or("none".to_owned(), |object| cell_name(object.cell));
        let answer = if place.is_some() { "yes" } else { "no" };
        reasoned(&(seen.join(", ") + "."), &format!("{thing}: {worked}."), answer)
    };
    let objects = scene.names();
    Item { objects, negative, ..Item::new(picture, cells, question, answer.to_owned(), tell) }
}

/// Whether the colour and the shape are both there.
fn scattered(scene: &Scene, kind: Kind) -> bool {
    scene.0.iter().any(|object| object.kind.colour == kind.colour)
        && scene.0.iter().any(|object| object.kind.shape == kind.shape)
}
