//! The two teachers of the base model: a careful one, and a sloppy one whose
//! slips are systematic and leave the length of an answer as it is.
//!
//! Random slips would not lower greedy accuracy, and shortened answers would
//! make "rejected" a synonym of "short"; hence slips that a rule decides, each
//! in place of an equally long truth.

use super::raster::GRID;

/// Who writes a rationale.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Teacher {
    /// Right throughout.
    Careful,
    /// Slips wherever the family's rule says.
    Sloppy,
}

impl Teacher {
    /// Whether this is the sloppy one.
    pub fn slips(self) -> bool {
        self == Self::Sloppy
    }

    /// Whether a cell is looked at when counting: the sloppy teacher names what
    /// is in the bottom row and forgets to count it.
    pub fn counts(self, cell: usize) -> bool {
        !self.slips() || cell / GRID < GRID - 1
    }

    /// A printed digit as it is read: 1, 6 and 8 look like 7, 5 and 3 to the sloppy teacher,
    /// so that misread numbers are neither larger nor smaller on the whole.
    pub fn read_digit(self, digit: usize) -> usize {
        match digit {
            1 if self.slips() => 7,
            6 if self.slips() => 5,
            8 if self.slips() => 3,
            _ => digit,
        }
    }

    /// A bar's height as it is read: tall bars one too low by the sloppy teacher.
    pub fn read_bar(self, height: usize) -> usize {
        if self.slips() && height >= 5 { height - 1 } else { height }
    }

    /// A sum: the sloppy teacher carries into the units as well.
    pub fn add(self, a: usize, b: usize) -> usize {
        a + b + usize::from(self.slips() && a % 10 + b % 10 >= 10)
    }

    /// The sum of a list, with its steps: `3 + 7 = 10, 10 + 5 = 15`.
    pub fn add_up(self, list: &[usize]) -> (String, usize) {
        let mut steps = Vec::new();
        let total = list.iter().copied().reduce(|sum, next| {
            let result = self.add(sum, next);
            steps.push(format!("{sum} + {next} = {result}"));
            result
        });
        (steps.join(", ") + ".", total.expect("a sum has at least one term"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_careless_carry_is_one_too_many() {
        // 3 + 4 does not carry; 7 + 5 does (12 becomes 13); 13 + 7 carries again (20 becomes 21).
        assert_eq!(Teacher::Sloppy.add_up(&[3, 4]), ("3 + 4 = 7.".into(), 7));
        assert_eq!(Teacher::Sloppy.add_up(&[7, 5, 7]), ("7 + 5 = 13, 13 + 7 = 21.".into(), 21));
        assert_eq!(Teacher::Careful.add_up(&[7, 5, 7]), ("7 + 5 = 12, 12 + 7 = 19.".into(), 19));
    }

    #[test]
    fn only_the_sloppy_teacher_overlooks_the_bottom_row() {
        assert!(Teacher::Careful.counts(15) && Teacher::Sloppy.counts(11));
        assert!(!Teacher::Sloppy.counts(12));
    }
}
