//! Is there a red circle: general VQA, asked as POPE asks it (Li et al. 2023,
//! arXiv:2305.10355): half the answers are yes, and a third each of the
//! negatives are random, popular and adversarial.
//!
//! The rationale keeps a running count. The slips are POPE's own findings: the sloppy teacher misses what is in the
//! bottom row, and binds the colour of one object to the shape of the next.

use super::item::{Item, reasoned};
use super::rng::Rng;
use super::scene::{Kind, Scene};
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
        let mut count = 0;
        let seen: Vec<String> = (scene.0.iter().enumerate())
            .map(|(at, object)| {
                let is_match = object.kind == kind && teacher.counts(object.cell);
                let is_bound = teacher.slips()
                    && at > 0
                    && scene.0[at - 1].kind.colour == kind.colour
                    && object.kind.shape == kind.shape;
                count += usize::from(is_match || is_bound);
                format!("{} {count}", object.placed())
            })
            .collect();
        let answer = if count > 0 { "yes" } else { "no" };
        reasoned(&(seen.join(", ") + "."), &format!("{thing}: {count}."), answer)
    };
    let objects = scene.names();
    Item { objects, negative, ..Item::new(picture, cells, question, answer.to_owned(), tell) }
}

/// Whether the colour and the shape are both there.
fn scattered(scene: &Scene, kind: Kind) -> bool {
    scene.0.iter().any(|object| object.kind.colour == kind.colour)
        && scene.0.iter().any(|object| object.kind.shape == kind.shape)
}
