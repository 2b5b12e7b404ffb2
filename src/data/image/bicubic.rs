//! Bicubic resampling of 8-bit RGB, equal to Pillow's `resize` to the byte.
//!
//! # Formula
//!
//! A target pixel is a weighted sum of source pixels, weights from the kernel with
//! `a = −½` at a scale `s = source / target`; where a picture shrinks (`s > 1`) the
//! kernel is widened by `s`, so that every source pixel counts:
//!
//! ```text
//! centre(i)    = (i + ½) · s
//! weight(i, j) ∝ kernel((j + ½ − centre(i)) / max(s, 1)),  Σⱼ weight(i, j) = 1
//! kernel(x)    = (a+2)|x|³ − (a+3)|x|² + 1             |x| < 1
//!              = a|x|³ − 5a|x|² + 8a|x| − 4a           1 ≤ |x| < 2
//! ```
//!
//! Two passes, each rounded to 8 bits; weights are fixed-point numbers of 22
//! fractional bits. The horizontal pass comes first, unless the height shrinks by more
//! than twice the pixels that the width does (so measured on Pillow 13.0.0, with no
//! exception in 2,746 sizes; before 13 it came first for all but very tall pictures).
//! torch's own bicubic differs: `a = −¾`, one pass of floats.
//!
//! # Source
//!
//! Pillow's documented filters; Keys 1981, "Cubic convolution interpolation for digital
//! image processing".

use super::wide;
use image::RgbImage;
use std::borrow::Cow;

/// Fractional bits of a weight: 8 are the value's, 2 keep the sum from overflowing.
pub(super) const PRECISION: u32 = 32 - 8 - 2;
/// Half a unit, which makes the shift round.
pub(super) const HALF: i32 = 1 << (PRECISION - 1);

/// For each target pixel of one direction, the source pixels that it is a sum of.
pub(super) struct Weights {
    /// How many source pixels there are.
    pub source: usize,
    /// First source pixel of each target pixel.
    pub starts: Vec<usize>,
    /// How many source pixels count.
    pub counts: Vec<usize>,
    /// Places that each target pixel has in `values`: an even number.
    pub stride: usize,
    /// Weights in units of `2^-PRECISION`, zeros behind the last.
    pub values: Vec<i32>,
}

impl Weights {
    /// Weights that take `source` pixels to `target` pixels.
    pub fn new(source: usize, target: usize) -> Self {
        let scale = source as f64 / target as f64;
        let widening = scale.max(1.0);
        let support = 2.0 * widening;
        let stride = (support.ceil() as usize * 2 + 1).next_multiple_of(2);
        let mut weights = Self {
            source,
            starts: Vec::with_capacity(target),
            counts: Vec::with_capacity(target),
            stride,
            values: vec![0; target * stride],
        };
        let mut kernel = Vec::with_capacity(stride);
        for index in 0..target {
            let centre = (index as f64 + 0.5) * scale;
            // Truncated towards zero and then clamped, as Pillow does: the order matters at the edge.
            let start = ((centre - support + 0.5) as i64).max(0);
            let end = ((centre + support + 0.5) as i64).min(source as i64);
            let narrowing = 1.0 / widening;
            kernel.clear();
            kernel.extend((start..end).map(|at| cubic((at as f64 - centre + 0.5) * narrowing)));
            let sum: f64 = kernel.iter().sum();
            let row = &mut weights.values[index * stride..][..kernel.len()];
            for (value, weight) in row.iter_mut().zip(&kernel) {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let scaled = weight * f64::from(1 << PRECISION);
                *value = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
            weights.starts.push(start as usize);
            weights.counts.push(kernel.len());
        }
        weights
    }

    /// The weights of one target pixel.
    pub fn of(&self, index: usize) -> &[i32] {
        &self.values[index * self.stride..][..self.counts[index]]
    }
}

/// The cubic kernel with `a = −½`, in Pillow's order of operations.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A picture at another size. The same size gives the same pixels.
///
/// # Panics
///
/// If a side is zero.
pub fn resize(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    assert!(width > 0 && height > 0, "a picture has pixels");
    let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
    let (to_width, to_height) = (width as usize, height as usize);
    let is_vertical_first =
        from_height as i64 - to_height as i64 > 2 * (from_width as i64 - to_width as i64).max(0);
    let mut bytes = Cow::Borrowed(picture.as_raw().as_slice());
    let mut rows = from_height;
    if is_vertical_first {
        bytes = vertical(&bytes, from_height, to_height, from_width * 3).into();
        rows = to_height;
    }
    if from_width != to_width {
        bytes = horizontal(&bytes, from_width, to_width, rows).into();
    }
    if rows != to_height {
        bytes = vertical(&bytes, from_height, to_height, to_width * 3).into();
    }
    RgbImage::from_raw(width, height, bytes.into_owned()).expect("three bytes a pixel")
}

/// Rows of `from` pixels to rows of `to`.
fn horizontal(source: &[u8], from: usize, to: usize, rows: usize) -> Vec<u8> {
    let weights = Weights::new(from, to);
    let mut target = vec![0; rows * to * 3];
    for (row, out) in target.chunks_exact_mut(to * 3).enumerate() {
        let pixels = &source[row * from * 3..];
        // The wide loop loads eight bytes where it needs six, and the last row has none to spare.
        let can_be_wide = pixels.len() >= from * 3 + 8;
        if !(can_be_wide && wide::horizontal(pixels, out, &weights)) {
            horizontal_row(&pixels[..from * 3], out, &weights);
        }
    }
    target
}

/// One row, three sums a target pixel.
fn horizontal_row(source: &[u8], target: &mut [u8], weights: &Weights) {
    for (index, out) in target.chunks_exact_mut(3).enumerate() {
        let mut sums = [HALF; 3];
        let pixels = source[weights.starts[index] * 3..].chunks_exact(3);
        for (weight, pixel) in weights.of(index).iter().zip(pixels) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*value)));
            }
        }
        out.copy_from_slice(&sums.map(rounded));
    }
}

/// Columns of `from` pixels to columns of `to`, in rows of `bytes`.
fn vertical(source: &[u8], from: usize, to: usize, bytes: usize) -> Vec<u8> {
    let weights = Weights::new(from, to);
    let mut target = vec![0; to * bytes];
    let mut sums = vec![0; bytes];
    for (index, out) in target.chunks_exact_mut(bytes).enumerate() {
        let rows = &source[weights.starts[index] * bytes..];
        let done = wide::vertical(rows, out, weights.of(index));
        vertical_row(rows, out, weights.of(index), done, &mut sums);
    }
    target
}

/// The bytes of one target row from `done` on.
fn vertical_row(rows: &[u8], target: &mut [u8], weights: &[i32], done: usize, sums: &mut [i32]) {
    let bytes = target.len();
    let sums = &mut sums[done..];
    sums.fill(HALF);
    for (weight, row) in weights.iter().zip(rows.chunks_exact(bytes)) {
        for (sum, value) in sums.iter_mut().zip(&row[done..]) {
            *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*value)));
        }
    }
    for (out, sum) in target[done..].iter_mut().zip(sums) {
        *out = rounded(*sum);
    }
}

/// A sum of weighted values as a value.
fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halving_a_flat_row_keeps_it_and_weights_sum_to_one() {
        for (source, target) in [(8, 4), (4, 8), (7, 5), (1, 9), (1000, 3)] {
            let weights = Weights::new(source, target);
            for index in 0..target {
                let sum: i32 = weights.of(index).iter().sum();
                // Each weight is rounded by itself.
                assert!((sum - (1 << PRECISION)).abs() <= weights.counts[index] as i32);
            }
        }
    }

    /// A grey picture, row by row.
    fn grey<const W: usize, const H: usize>(rows: [[u8; W]; H]) -> RgbImage {
        RgbImage::from_fn(W as u32, H as u32, |x, y| image::Rgb([rows[y as usize][x as usize]; 3]))
    }

    #[test]
    fn the_order_of_the_passes_is_pillows() {
        // Recorded from Pillow 13.0.0. Down first: 4 − 2 > 0; across first it were 58, 30, 7 | 50, 115, 179.
        let tall = grey([[128, 0], [0, 0], [0, 128], [128, 255]]);
        assert_eq!(resize(&tall, 3, 2), grey([[57, 30, 3], [46, 115, 184]]));
        // Across first: 4 − 3 ≤ 2 (4 − 3); down first it were 74, 28, 141 | 207, 98, 0 | 223, 153, 161.
        let square =
            grey([[0, 0, 0, 255], [255, 255, 0, 0], [128, 128, 0, 0], [255, 255, 128, 255]]);
        assert_eq!(resize(&square, 3, 3), grey([[70, 35, 145], [200, 96, 0], [218, 153, 163]]));
    }

    #[test]
    fn doubling_gives_the_weights_worked_out_by_hand() {
        // Target 2 of 4 → 8: centre 1.25, taps 0…2 (offsets −0.75, 0.25, 1.25), tap 3 at 2.25 is out.
        // kernel: 0.75 → 1.5·0.421875 − 2.5·0.5625 + 1 = 0.2265625; 0.25 → 0.8671875;
        // 1.25 → −0.5·1.953125 + 2.5·1.5625 − 4·1.25 + 2 = −0.0703125; −1.75 is before the row.
        let weights = Weights::new(4, 8);
        assert_eq!((weights.starts[2], weights.counts[2]), (0, 3));
        let sum = 0.226_562_5 + 0.867_187_5 - 0.070_312_5;
        let scale = f64::from(1 << PRECISION) / sum;
        let expected = [0.226_562_5, 0.867_187_5, -0.070_312_5].map(|k| (k * scale).round() as i32);
        assert_eq!(weights.of(2), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_wide_loops_equal_the_plain_ones(
            from in 1usize..70, to in 1usize..70, other in 1usize..40, seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let source: Vec<u8> = (0..from * other * 3).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            }).collect();
            let weights = Weights::new(from, to);

            let wide = horizontal(&source, from, to, other);
            let mut plain = vec![0; other * to * 3];
            for (row, out) in source.chunks_exact(from * 3).zip(plain.chunks_exact_mut(to * 3)) {
                horizontal_row(row, out, &weights);
            }
            prop_assert_eq!(wide, plain);

            let bytes = other * 3;
            let wide = vertical(&source, from, to, bytes);
            let mut plain = vec![0; to * bytes];
            for (index, out) in plain.chunks_exact_mut(bytes).enumerate() {
                let rows = &source[weights.starts[index] * bytes..];
                vertical_row(rows, out, weights.of(index), 0, &mut vec![0; bytes]);
            }
            prop_assert_eq!(wide, plain);
        }
    }
}
