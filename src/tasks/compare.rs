//! Which of two kinds is more frequent, or neither: general VQA with two running counts.

use super::item::{Item, reasoned};
use super::rng::Rng;
use super::scene::{COLOURS, Filter, SHAPES, Scene};
use super::slip::Teacher;
use std::cmp::Ordering;

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let by_colour = rng.chance(1, 2);
    let sides =
        if by_colour { rng.pick_some(&[0, 1, 2, 3, 4], 2) } else { rng.pick_some(&[0, 1, 2], 2) };
    let filters = [sides[0], sides[1]].map(|side| match by_colour {
        true => Filter { colour: Some(side), shape: None },
        false => Filter { colour: None, shape: Some(side) },
    });
    let names = [sides[0], sides[1]].map(|side| match by_colour {
        true => COLOURS[side].0.to_owned(),
        false => format!("{}s", SHAPES[side]),
    });
    let wanted = rng.pick(&[Ordering::Greater, Ordering::Less, Ordering::Equal]);
    let scene = rng.until(|rng| {
        let shapes = rng.between(3, 6);
        let scene = Scene::draw(rng, shapes);
        let [first, second] = filters.map(|filter| scene.count(filter));
        (first + second > 0 && first.cmp(&second) == wanted).then_some(scene)
    });
    let verdict = |first: usize, second: usize| match first.cmp(&second) {
        Ordering::Greater => names[0].clone(),
        Ordering::Less => names[1].clone(),
        Ordering::Equal => "equal".to_owned(),
    };
    let [one, other] = &names;
    let question = match (by_colour, rng.below(2)) {
        (true, 0) => format!("Are there more {one} shapes, more {other} shapes or equal numbers?"),
        (true, _) => format!("Which colour has more shapes, {one} or {other}, or are they equal?"),
        (false, 0) => format!("Are there more {one}, more {other} or equal numbers?"),
        (false, _) => format!("Which are more, {one} or {other}, or are they equal?"),
    };
    let (picture, cells) = scene.paint(rng);
    let tell = |teacher: Teacher| {
        let mut counts = [0, 0];
        let seen: Vec<String> = scene
            .0
            .iter()
            .map(|object| {
                for (count, filter) in counts.iter_mut().zip(filters) {
                    *count +=
                        usize::from(filter.matches(object.kind) && teacher.counts(object.cell));
                }
                format!("{} {} {}", object.placed(), counts[0], counts[1])
            })
            .collect();
        let [first, second] = counts;
        let worked = format!("{one} {first}, {other} {second}.");
        reasoned(&(seen.join(", ") + "."), &worked, &verdict(first, second))
    };
    let answer = verdict(scene.count(filters[0]), scene.count(filters[1]));
    let objects = scene.names();
    Item { objects, ..Item::new(picture, cells, question, answer, tell) }
}

/// The two kinds that a question compares, and `equal`.
pub fn options(question: &str) -> Vec<String> {
    let words: Vec<&str> = question.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let kinds = COLOURS.iter().map(|(name, _)| (*name).to_owned());
    let kinds: Vec<String> = kinds.chain(SHAPES.iter().map(|shape| format!("{shape}s"))).collect();
    let is_kind = |word: &&str| kinds.iter().any(|kind| kind == word) && *word != "shapes";
    let named = words.into_iter().filter(is_kind).map(str::to_owned);
    named.chain(["equal".to_owned()]).collect()
}
