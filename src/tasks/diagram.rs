//! Reading a food chain: science, with "the arrow points to the eater" as
//! background knowledge.
//!
//! Creatures sit at the corners of a square; arrows run from one to the next.
//! The sloppy teacher takes every chain to run clockwise.

use super::glyph::{ARROWS, CREATURES};
use super::item::{Cells, Item, reasoned};
use super::raster::{Colour, GRID, Raster};
use super::rng::Rng;
use super::slip::Teacher;

/// Paint of the arrows.
const ARROW: Colour = [90, 90, 100];

/// A creature in a cell.
#[derive(Clone, Copy, Debug)]
struct Link {
    cell: usize,
    creature: usize,
}

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let count = rng.between(3, 4);
    let creatures = rng.pick_some(&[0, 1, 2, 3, 4, 5, 6, 7], count);
    let origin = rng.below(2) * GRID + rng.below(2);
    let (start, clockwise) = (rng.below(4), rng.chance(1, 2));
    // Corners and the cells between them, clockwise from the top left.
    let ring = [0, 1, 2, GRID + 2, 2 * GRID + 2, 2 * GRID + 1, 2 * GRID, GRID];
    let at = |step: usize| {
        let along = if clockwise { 2 * start + step } else { 2 * start + 8 - step };
        origin + ring[along % 8]
    };
    let chain: Vec<Link> = (creatures.into_iter().enumerate())
        .map(|(step, creature)| Link { cell: at(2 * step), creature })
        .collect();
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    for link in &chain {
        let icon = CREATURES[link.creature];
        raster.stamp(rng, link.cell, 1, &icon.bitmap, icon.colour);
        cells.creature(link.cell, link.creature);
    }
    for (step, pair) in chain.windows(2).enumerate() {
        let direction = match pair[1].cell as i32 - pair[0].cell as i32 {
            2 => 0,
            -2 => 2,
            down if down > 0 => 1,
            _ => 3,
        };
        let cell = at(2 * step + 1);
        raster.stamp(rng, cell, 1, &ARROWS[direction], ARROW);
        cells.arrow(cell, direction);
    }
    let kind = rng.below(4);
    // What is eaten has a next link; what eats has one before.
    let place = match kind {
        0 => rng.below(count - 1),
        1 => rng.between(1, count - 1),
        2 => 0,
        _ => count - 1,
    };
    let name = |link: Link| CREATURES[link.creature].name;
    let asked = name(chain[place]);
    let question = match (kind, rng.below(2)) {
        (0, 0) => format!("What eats the {asked}?"),
        (0, _) => format!("Which one feeds on the {asked}?"),
        (1, 0) => format!("What does the {asked} eat?"),
        (1, _) => format!("What is the food of the {asked}?"),
        (2, 0) => "Where does the food chain start?".to_owned(),
        (2, _) => "What is first in the food chain?".to_owned(),
        (_, 0) => "Where does the food chain end?".to_owned(),
        _ => "What is last in the food chain?".to_owned(),
    };
    let tell = |teacher: Teacher| {
        let mut order = chain.clone();
        if teacher.slips() && !clockwise {
            order.reverse();
        }
        let names: Vec<&str> = order.iter().map(|link| name(*link)).collect();
        let index = names.iter().position(|name| *name == asked).expect("it is in the chain");
        // In a misread chain the asked one may stand at the end: the reading goes round.
        let (worked, answer) = match kind {
            0 => {
                let eater = names[(index + 1) % count];
                (format!("{eater} eats {asked}."), eater)
            }
            1 => {
                let food = names[(index + count - 1) % count];
                (format!("{asked} eats {food}."), food)
            }
            2 => (format!("{} is first.", names[0]), names[0]),
            _ => (format!("{} is last.", names[count - 1]), names[count - 1]),
        };
        reasoned(&(names.join(", ") + "."), &worked, answer)
    };
    let answer = match kind {
        0 => name(chain[place + 1]),
        1 => name(chain[place - 1]),
        _ => asked,
    };
    Item::new(raster, cells, question, answer.to_owned(), tell)
}
