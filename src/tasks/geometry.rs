//! Lengths of a labelled rectangle or triangle: mathematics, with the formula
//! as background knowledge.
//!
//! The sloppy teacher takes some printed digits for others.

use super::glyph::DIGITS;
use super::item::{Cells, Item, reasoned};
use super::raster::{INK, Raster};
use super::rng::Rng;
use super::slip::Teacher;

/// Paint of the outlines.
const OUTLINE: [u8; 3] = [40, 90, 160];

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    match rng.below(4) {
        0 => triangle(rng),
        kind => rectangle(rng, kind),
    }
}

/// How far around a triangle with three labelled sides.
fn triangle(rng: &mut Rng) -> Item {
    let sides = rng.until(|rng| {
        let [a, b, c] = [0; 3].map(|_| rng.between(1, 9));
        // Two sides reach further than the third, or there is no such triangle.
        (a + b > c && b + c > a && c + a > b).then_some([a, b, c])
    });
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    let lean = rng.between(0, 8) as i32 - 4;
    let (top, left, right) = ((31 + lean, 6), (14, 45), (48, 45));
    for (from, to) in [(top, left), (left, right), (right, top)] {
        raster.line(from, to, OUTLINE);
    }
    // Left, bottom, right.
    for (cell, side) in [4, 13, 7].into_iter().zip(sides) {
        raster.stamp(rng, cell, 2, &DIGITS[side], INK);
        cells.digit(cell, side);
    }
    let question = match rng.below(2) {
        0 => "What is the perimeter of the triangle?",
        _ => "How long is the way around the triangle?",
    };
    let tell = |teacher: Teacher| {
        let [a, b, c] = sides.map(|side| teacher.read_digit(side));
        let (steps, sum) = Teacher::Careful.add_up(&[a, b, c]);
        reasoned(&format!("sides {a}, {b}, {c}."), &steps, &sum.to_string())
    };
    let answer = sides.iter().sum::<usize>().to_string();
    Item::new(raster, cells, question.to_owned(), answer, tell)
}

/// Perimeter (1), area (2) or difference of the sides (3) of a rectangle drawn to scale.
fn rectangle(rng: &mut Rng, kind: usize) -> Item {
    let (wide, high) = rng.until(|rng| {
        let (wide, high) = (rng.between(1, 8), rng.between(1, 8));
        (kind != 3 || wide != high).then_some((wide, high))
    });
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    let (x, y) = (17 + rng.below(3) as i32, 17 + rng.below(3) as i32);
    let (right, bottom) = (x + 5 * wide as i32, y + 5 * high as i32);
    for (from, to) in [
        ((x, y), (right, y)),
        ((x, bottom), (right, bottom)),
        ((x, y), (x, bottom)),
        ((right, y), (right, bottom)),
    ] {
        raster.line(from, to, OUTLINE);
    }
    for (cell, side) in [(1, wide), (4, high)] {
        raster.stamp(rng, cell, 2, &DIGITS[side], INK);
        cells.digit(cell, side);
    }
    let question = match (kind, rng.below(2)) {
        (1, 0) => "What is the perimeter of the rectangle?",
        (1, _) => "How long is the way around the rectangle?",
        (2, 0) => "What is the area of the rectangle?",
        (2, _) => "What is width times height of the rectangle?",
        (_, 0) => "What is the difference of width and height?",
        _ => "How much longer is the long side of the rectangle?",
    };
    let work = |teacher: Teacher| -> (String, String, usize) {
        let (w, h) = (teacher.read_digit(wide), teacher.read_digit(high));
        let seen = format!("width {w}, height {h}.");
        match kind {
            1 => {
                let (half, whole) = (w + h, 2 * (w + h));
                (seen, format!("{w} + {h} = {half}, {half} + {half} = {whole}."), whole)
            }
            2 => (seen, format!("{w} x {h} = {}.", w * h), w * h),
            _ => {
                let (long, short) = (w.max(h), w.min(h));
                (seen, format!("{long} - {short} = {}.", long - short), long - short)
            }
        }
    };
    let tell = |teacher: Teacher| {
        let (seen, worked, answer) = work(teacher);
        reasoned(&seen, &worked, &answer.to_string())
    };
    let answer = work(Teacher::Careful).2.to_string();
    Item::new(raster, cells, question.to_owned(), answer, tell)
}
