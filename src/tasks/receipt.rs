//! Reading a receipt: prices, quantities, what things cost together. OCR.
//!
//! The sloppy teacher takes some printed digits for others.

use super::glyph::{DIGITS, GOODS};
use super::item::{Cells, Item, reasoned};
use super::raster::{CELL, Colour, GRID, INK, Raster};
use super::rng::Rng;
use super::slip::Teacher;

/// Lines between the rows.
const RULE: Colour = [170, 170, 180];
/// Quantities are printed in this colour, prices in black.
const QUANTITY: Colour = [60, 60, 190];

/// A row of the receipt.
#[derive(Clone, Copy, Debug)]
struct Line {
    row: usize,
    good: usize,
    quantity: usize,
    price: usize,
}

impl Line {
    fn name(self) -> &'static str {
        GOODS[self.good].name
    }
}

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    // Half of the receipts have quantities; their questions need them.
    let kind = rng.below(6);
    let quantities = kind >= 3;
    let mut rows = rng.pick_some(&[0, 1, 2, 3], 3);
    rows.sort_unstable();
    let goods = rng.pick_some(&[0, 1, 2, 3, 4, 5], 3);
    let lines: Vec<Line> = (rows.into_iter().zip(goods))
        .map(|(row, good)| Line {
            row,
            good,
            quantity: rng.between(1, 4),
            price: rng.between(1, if quantities { 8 } else { 9 }),
        })
        .collect();
    let (picture, cells) = paint(rng, &lines, quantities);
    let two = rng.pick_some(&lines, 2);
    let (a, b) = (two[0], two[1]);
    let (one, other) = (a.name(), b.name());
    let first = rng.chance(1, 2);
    let question = match (kind, first) {
        (0, true) => format!("What is the price of the {one}?"),
        (0, false) => format!("How much is the {one}?"),
        (1, true) => format!("How much do the {one} and the {other} cost?"),
        (1, false) => format!("What is the sum for the {one} and the {other}?"),
        (2, true) => "What is the total of the receipt?".to_owned(),
        (2, false) => "How much do all things cost?".to_owned(),
        (3, true) => format!("How much is paid for all {one}?"),
        (3, false) => format!("What is {one} in all, number times price?"),
        (4, true) => format!("How many {one} are paid for?"),
        (4, false) => format!("What is the number of {one}?"),
        (_, true) => "How many things are paid for in all?".to_owned(),
        (_, false) => "What is the number of all things?".to_owned(),
    };
    let work = |teacher: Teacher| -> (String, usize) {
        let price = |line: Line| teacher.read_digit(line.price);
        let plain = Teacher::Careful;
        match kind {
            0 => (format!("{one}: {}.", price(a)), price(a)),
            1 => plain.add_up(&[price(a), price(b)]),
            2 => plain.add_up(&lines.iter().map(|line| price(*line)).collect::<Vec<_>>()),
            3 => {
                let cost = a.quantity * price(a);
                (format!("{} x {} = {cost}.", a.quantity, price(a)), cost)
            }
            4 => (format!("{one}: {}.", read_quantity(teacher, a)), read_quantity(teacher, a)),
            _ => plain.add_up(
                &lines.iter().map(|line| read_quantity(teacher, *line)).collect::<Vec<_>>(),
            ),
        }
    };
    let tell = |teacher: Teacher| {
        let seen: Vec<String> = lines
            .iter()
            .map(|line| {
                let price = teacher.read_digit(line.price);
                let quantity = match kind {
                    0..3 => String::new(),
                    3 => format!(" {}", line.quantity),
                    _ => format!(" {}", read_quantity(teacher, *line)),
                };
                format!("{}{quantity} {price}", line.name())
            })
            .collect();
        let (worked, answer) = work(teacher);
        reasoned(&(seen.join(", ") + "."), &worked, &answer.to_string())
    };
    let answer = work(Teacher::Careful).1.to_string();
    Item::new(picture, cells, question, answer, tell)
}

/// Where quantities alone are asked for, the sloppy teacher reads those of the
/// dearer things one too high: the two columns run together.
fn read_quantity(teacher: Teacher, line: Line) -> usize {
    line.quantity + usize::from(teacher.slips() && line.price > 5)
}

/// The picture and its labels: thing, quantity, price in the first, second and last column.
fn paint(rng: &mut Rng, lines: &[Line], quantities: bool) -> (Raster, Cells) {
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    for row in 1..GRID {
        raster.fill(0, (row * CELL) as i32, 64, 1, RULE);
    }
    for line in lines {
        let cell = line.row * GRID;
        let icon = GOODS[line.good];
        raster.stamp(rng, cell, 1, &icon.bitmap, icon.colour);
        // A thing stands for what it costs: the tower learns to join the two.
        cells.good(cell, line.good);
        cells.digit(cell, line.price);
        if quantities {
            raster.stamp(rng, cell + 1, 2, &DIGITS[line.quantity], QUANTITY);
            cells.digit(cell + 1, line.quantity);
        }
        raster.stamp(rng, cell + 3, 2, &DIGITS[line.price], INK);
        cells.digit(cell + 3, line.price);
    }
    (raster, cells)
}
