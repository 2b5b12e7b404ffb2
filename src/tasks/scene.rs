//! Coloured shapes on the grid: what count, subtract, compare, exists, relation
//! and describe look at.

use super::item::Cells;
use super::raster::{CELL, Colour, GRID, Raster, cell_name, corner};
use super::rng::Rng;

/// Colours, with their paint.
pub const COLOURS: [(&str, Colour); 5] = [
    ("red", [215, 45, 45]),
    ("green", [45, 160, 65]),
    ("blue", [50, 85, 215]),
    ("yellow", [240, 200, 30]),
    ("purple", [150, 60, 180]),
];

/// Shapes, singular.
pub const SHAPES: [&str; 3] = ["circle", "square", "triangle"];

/// A colour and a shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kind {
    /// Index into [`COLOURS`].
    pub colour: usize,
    /// Index into [`SHAPES`].
    pub shape: usize,
}

impl Kind {
    /// Every kind, numbered by colour then shape.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COLOURS.len() * SHAPES.len())
            .map(|number| Self { colour: number / SHAPES.len(), shape: number % SHAPES.len() })
    }

    /// Its number among [`Kind::all`].
    pub fn number(self) -> usize {
        self.colour * SHAPES.len() + self.shape
    }

    /// `red circle`.
    pub fn name(self) -> String {
        format!("{} {}", COLOURS[self.colour].0, SHAPES[self.shape])
    }

    /// Whether it is one of the five kinds that are three times as frequent as
    /// the others, so that "popular" means something for existence questions.
    pub fn popular(self) -> bool {
        self.colour % SHAPES.len() == self.shape
    }

    /// A kind by its frequency.
    pub fn draw(rng: &mut Rng) -> Self {
        rng.until(|rng| {
            let number = rng.below(COLOURS.len() * SHAPES.len());
            let kind = Self { colour: number / SHAPES.len(), shape: number % SHAPES.len() };
            (kind.popular() || rng.chance(1, 3)).then_some(kind)
        })
    }
}

/// A shape in a cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Object {
    /// Where, row-major.
    pub cell: usize,
    /// What.
    pub kind: Kind,
}

impl Object {
    /// `b3 red circle`.
    pub fn placed(self) -> String {
        format!("{} {}", cell_name(self.cell), self.kind.name())
    }
}

/// Shapes in different cells, in reading order.
#[derive(Clone, Debug)]
pub struct Scene(pub Vec<Object>);

impl Scene {
    /// `count` shapes anywhere.
    pub fn draw(rng: &mut Rng, count: usize) -> Self {
        let cells =
            rng.pick_some(&std::array::from_fn::<_, { GRID * GRID }, _>(|cell| cell), count);
        Self::new(cells.into_iter().map(|cell| Object { cell, kind: Kind::draw(rng) }).collect())
    }

    /// These shapes, put in reading order.
    pub fn new(mut objects: Vec<Object>) -> Self {
        objects.sort_unstable_by_key(|object| object.cell);
        Self(objects)
    }

    /// How many match.
    pub fn count(&self, filter: Filter) -> usize {
        self.0.iter().filter(|object| filter.matches(object.kind)).count()
    }

    /// Whether a kind is there.
    pub fn has(&self, kind: Kind) -> bool {
        self.0.iter().any(|object| object.kind == kind)
    }

    /// Each kind's name once, in reading order.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for object in &self.0 {
            let name = object.kind.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The picture and its labels.
    pub fn paint(&self, rng: &mut Rng) -> (Raster, Cells) {
        let mut raster = Raster::new(rng);
        let mut cells = Cells::default();
        for object in &self.0 {
            let side = rng.between(10, 13) as i32;
            let room = CELL - side as usize;
            let (x, y) = corner(object.cell);
            let (x, y) = (x + rng.below(room + 1) as i32, y + rng.below(room + 1) as i32);
            let light = rng.between(0, 30) as u8;
            let paint = COLOURS[object.kind.colour].1.map(|part| part.saturating_sub(light));
            match object.kind.shape {
                0 => raster.shape(x, y, side, paint, |u, v| u * u + v * v <= 1.0),
                1 => raster.shape(x, y, side, paint, |_, _| true),
                _ => raster.shape(x, y, side, paint, |u, v| 2.0 * u.abs() <= v + 1.0),
            }
            cells.object(object.cell, object.kind.number());
        }
        (raster, cells)
    }
}

/// What a question is about: all shapes, those of a colour, of a shape, or of both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Filter {
    /// Only this colour.
    pub colour: Option<usize>,
    /// Only this shape.
    pub shape: Option<usize>,
}

impl Filter {
    /// Every shape.
    pub const ALL: Self = Self { colour: None, shape: None };

    /// A random filter on a colour, on a shape, or now and then on both.
    pub fn draw(rng: &mut Rng) -> Self {
        let (colour, shape) = (rng.below(COLOURS.len()), rng.below(SHAPES.len()));
        match rng.below(5) {
            0 | 1 => Self { colour: Some(colour), shape: None },
            2 | 3 => Self { colour: None, shape: Some(shape) },
            _ => Self { colour: Some(colour), shape: Some(shape) },
        }
    }

    /// Whether a kind is meant.
    pub fn matches(self, kind: Kind) -> bool {
        self.colour.is_none_or(|colour| colour == kind.colour)
            && self.shape.is_none_or(|shape| shape == kind.shape)
    }

    /// `red shapes`, `circles`, `red circles`, `shapes`.
    pub fn plural(self) -> String {
        let shape = self.shape.map_or("shape", |shape| SHAPES[shape]);
        match self.colour {
            Some(colour) => format!("{} {shape}s", COLOURS[colour].0),
            None => format!("{shape}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_what_they_match() {
        let red = Filter { colour: Some(0), shape: None };
        let red_circle = Kind { colour: 0, shape: 0 };
        assert!(red.matches(red_circle) && Filter::ALL.matches(red_circle));
        assert_eq!(red.plural(), "red shapes");
        assert_eq!(Filter { colour: Some(2), shape: Some(1) }.plural(), "blue squares");
    }

    #[test]
    fn five_kinds_are_popular_one_of_each_colour() {
        let popular: Vec<_> = Kind::all().filter(|kind| kind.popular()).collect();
        assert_eq!(popular.len(), COLOURS.len());
        assert!(popular.iter().enumerate().all(|(index, kind)| kind.colour == index));
    }
}
