//! What drawing needs beside plotters: strokes, dashes, and a picture halved.

/// The corners of a straight stroke.
pub fn slab(from: (f64, f64), to: (f64, f64), width: f64) -> [(f64, f64); 4] {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1e-9);
    let (nx, ny) = (-dy / length * width / 2.0, dx / length * width / 2.0);
    [
        (from.0 + nx, from.1 + ny),
        (to.0 + nx, to.1 + ny),
        (to.0 - nx, to.1 - ny),
        (from.0 - nx, from.1 - ny),
    ]
}

/// Cuts a polyline into the strokes of a dash pattern.
pub fn strokes(points: &[(f64, f64)], dash: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let mut all = Vec::new();
    let (mut part, mut left) = (0, dash[0]);
    let mut stroke: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length < left {
                left -= length;
                stroke.push(to);
                break;
            }
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            stroke.push(from);
            if part % 2 == 0 {
                all.push(std::mem::take(&mut stroke));
            }
            stroke = vec![from];
            part += 1;
            left = dash[part % dash.len()];
        }
    }
    if part % 2 == 0 && stroke.len() > 1 {
        all.push(stroke);
    }
    // A dash that ends on a corner leaves a point without length.
    all.iter_mut().for_each(Vec::dedup);
    all.retain(|stroke| stroke.len() > 1);
    all
}

/// Half the size, each pixel the mean of four.
pub fn halve(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut half = Vec::with_capacity(pixels.len() / 4);
    for y in 0..height / 2 {
        for x in 0..width / 2 {
            for channel in 0..3 {
                let at =
                    |dx, dy| u32::from(pixels[((2 * y + dy) * width + 2 * x + dx) * 3 + channel]);
                half.push(((at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4) as u8);
            }
        }
    }
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_keep_their_lengths_around_corners() {
        let corner = [(0.0, 0.0), (3.0, 0.0), (3.0, 3.0)];
        let cut = strokes(&corner, &[2.0, 1.0]);
        assert_eq!(cut, [vec![(0.0, 0.0), (2.0, 0.0)], vec![(3.0, 0.0), (3.0, 2.0)]]);
    }

    #[test]
    fn halving_takes_means() {
        assert_eq!(halve(&[0, 0, 0, 4, 4, 4, 4, 4, 4, 8, 8, 8], 2, 2), [4, 4, 4]);
    }
}
