//! Reading a food chain: science, with "the arrow points to the eater" as
//! background knowledge.
//!
//! Four creatures stand in a row, arrowheads between them, all pointing to the
//! right or all to the left. The sloppy teacher reads every chain from the left.

use super::glyph::{ARROWS, CREATURES};
use super::item::{Cells, Item, reasoned};
use super::raster::{Colour, GRID, Raster, corner};
use super::rng::Rng;
use super::slip::Teacher;

/// Paint of the arrows.
const ARROW: Colour = [200, 0, 110];
/// Creatures of a chain: a row of the picture.
const COUNT: usize = GRID;

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    // In the order of eating.
    let chain = rng.pick_some(&[0, 1, 2, 3, 4, 5, 6, 7], COUNT);
    let rightward = rng.chance(1, 2);
    let (picture, cells) = paint(rng, &chain, rightward);
    let kind = rng.below(4);
    // What is eaten has a next link; what eats has one before.
    let place = match kind {
        0 => rng.below(COUNT - 1),
        1 => rng.between(1, COUNT - 1),
        2 => 0,
        _ => COUNT - 1,
    };
    let name = |creature: usize| CREATURES[creature].name;
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
        if teacher.slips() && !rightward {
            order.reverse();
        }
        let names: Vec<&str> = order.iter().map(|creature| name(*creature)).collect();
        let index = names.iter().position(|name| *name == asked).expect("it is in the chain");
        // In a misread chain the asked one may stand at the end: the reading goes round.
        let (worked, answer) = match kind {
            0 => {
                let eater = names[(index + 1) % COUNT];
                (format!("{eater} eats {asked}."), eater)
            }
            1 => {
                let food = names[(index + COUNT - 1) % COUNT];
                (format!("{asked} eats {food}."), food)
            }
            2 => (format!("{} is first.", names[0]), names[0]),
            _ => (format!("{} is last.", names[COUNT - 1]), names[COUNT - 1]),
        };
        reasoned(&(names.join(", ") + "."), &worked, answer)
    };
    let answer = match kind {
        0 => name(chain[place + 1]),
        1 => name(chain[place - 1]),
        _ => asked,
    };
    Item::new(picture, cells, question, answer.to_owned(), tell)
}

/// The picture and its labels: a creature's cell says what eats it and what it eats.
fn paint(rng: &mut Rng, chain: &[usize], rightward: bool) -> (Raster, Cells) {
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    let row = rng.below(GRID) * GRID;
    for (step, &creature) in chain.iter().enumerate() {
        let column = if rightward { step } else { COUNT - 1 - step };
        let (x, y) = corner(row + column);
        let icon = CREATURES[creature];
        raster.bitmap(x, y + rng.between(1, 3) as i32, 1, &icon.bitmap, icon.colour);
        // An arrowhead fills the gap that an icon leaves on its right.
        if column + 1 < COUNT {
            raster.bitmap(x + 12, y + 4, 1, &ARROWS[usize::from(rightward)], ARROW);
        }
        let food = step.checked_sub(1).map(|before| chain[before]);
        cells.creature(row + column, creature, chain.get(step + 1).copied(), food);
    }
    (raster, cells)
}
