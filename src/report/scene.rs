//! A picture as a list of shapes, drawn by plotters to SVG and to PNG alike.
//!
//! Chart kinds place shapes in logical pixels; both pictures come from the same list, so that
//! they cannot differ. plotters' backends count whole pixels: the SVG is drawn on a grid four
//! times finer, the PNG four times larger and then halved, which smooths its edges.

use super::geometry::{halve, slab, strokes};
use crate::error::Context;
use crate::{Error, Result};
use image::ImageEncoder;
use plotters::prelude::{BitMapBackend, DrawingBackend, FontStyle, RGBAColor, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, ShapeStyle, TextStyle, register_font};
use std::sync::Once;

/// Family name in SVG files: the bundled font, one of the same widths, any.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Grid units of a logical pixel.
const FINE: f64 = 4.0;
/// The same in a PNG that would not fit in memory comfortably: it is not halved.
const COARSE: f64 = 2.0;
/// Most pixels of a PNG before it is halved.
const MOST_PIXELS: f64 = 64e6;

/// Red, green, blue and opacity.
pub type Color = (u8, u8, u8, f64);

/// A colour from `0xRRGGBB`.
pub const fn rgb(hex: u32) -> Color {
    ((hex >> 16) as u8, (hex >> 8) as u8, hex as u8, 1.0)
}

/// The same colour, more transparent.
pub const fn faded(color: Color, opacity: f64) -> Color {
    (color.0, color.1, color.2, opacity)
}

/// Paper behind everything; the page swaps it in the dark.
pub const PAPER: Color = rgb(0xFDFDFE);
/// Titles and labels.
pub const INK: Color = rgb(0x1D2329);
/// Second-rank text, whiskers, axes.
pub const SOFT: Color = rgb(0x5A6570);
/// Grid lines.
pub const GRID_LINE: Color = rgb(0xE1E5EA);

/// Okabe and Ito's colours without the yellow, which is too pale for lines: they stay apart
/// under every common colour blindness.
pub const PALETTE: [Color; 7] = [
    rgb(0x0072B2),
    rgb(0xE69F00),
    rgb(0x009E73),
    rgb(0xD55E00),
    rgb(0xCC79A7),
    rgb(0x56B4E9),
    rgb(0x8C6D31),
];

/// Which end of a text its position names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Anchor {
    /// Its left end.
    Start,
    /// Its middle.
    Middle,
    /// Its right end.
    End,
}

#[derive(Clone, Debug)]
enum Shape {
    Rect {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        fill: Color,
    },
    Line {
        points: Vec<(f64, f64)>,
        width: f64,
        color: Color,
    },
    Area {
        points: Vec<(f64, f64)>,
        fill: Color,
    },
    Dot {
        x: f64,
        y: f64,
        radius: f64,
        fill: Color,
    },
    Text {
        x: f64,
        baseline: f64,
        text: String,
        size: f64,
        bold: bool,
        anchor: Anchor,
        color: Color,
    },
}

/// A picture under construction.
#[derive(Clone, Debug)]
pub struct Scene {
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
}

impl Scene {
    /// An empty sheet of that many logical pixels.
    pub fn new(width: f64, height: f64) -> Self {
        let mut scene = Self { width, height, shapes: Vec::new() };
        scene.rect(0.0, 0.0, width, height, PAPER);
        scene
    }

    /// A filled rectangle.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Color) {
        self.shapes.push(Shape::Rect { x, y, width, height, fill });
    }

    /// A polyline.
    pub fn line(&mut self, points: &[(f64, f64)], width: f64, color: Color) {
        self.shapes.push(Shape::Line { points: points.to_vec(), width, color });
    }

    /// A polyline in strokes: `dash` gives the lengths drawn and left out in turn.
    pub fn dashed(&mut self, points: &[(f64, f64)], width: f64, color: Color, dash: &[f64]) {
        if dash.is_empty() {
            return self.line(points, width, color);
        }
        for stroke in strokes(points, dash) {
            self.line(&stroke, width, color);
        }
    }

    /// A filled polygon.
    pub fn area(&mut self, points: &[(f64, f64)], fill: Color) {
        self.shapes.push(Shape::Area { points: points.to_vec(), fill });
    }

    /// A filled circle.
    pub fn dot(&mut self, x: f64, y: f64, radius: f64, fill: Color) {
        self.shapes.push(Shape::Dot { x, y, radius, fill });
    }

    /// A hollow diamond.
    pub fn diamond(&mut self, x: f64, y: f64, radius: f64, color: Color) {
        let corners = [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)];
        self.area(&corners, PAPER);
        self.line(&[corners[0], corners[1], corners[2], corners[3], corners[0]], 1.2, color);
    }

    /// A text whose letters stand on `baseline`.
    pub fn text(
        &mut self,
        (x, baseline): (f64, f64),
        text: &str,
        size: f64,
        anchor: Anchor,
        color: Color,
    ) {
        let text = text.to_owned();
        self.shapes.push(Shape::Text { x, baseline, text, size, bold: false, anchor, color });
    }

    /// The same, in bold.
    pub fn bold(&mut self, at: (f64, f64), text: &str, size: f64, anchor: Anchor, color: Color) {
        self.text(at, text, size, anchor, color);
        if let Some(Shape::Text { bold, .. }) = self.shapes.last_mut() {
            *bold = true;
        }
    }

    /// Whether it has letters that a PNG shows as boxes; whoever opens the SVG has more fonts.
    pub fn has_boxes(&self) -> bool {
        self.shapes.iter().any(
            |shape| matches!(shape, Shape::Text { text, .. } if text.contains(is_without_glyph)),
        )
    }

    /// The picture as an SVG document.
    ///
    /// # Errors
    ///
    /// If plotters cannot draw it.
    pub fn svg(&self) -> Result<String> {
        let (width, height) = self.size(FINE);
        let mut text = String::new();
        {
            let mut backend = SVGBackend::with_string(&mut text, (width, height));
            self.draw(&mut backend, FINE, false)?;
        }
        // The grid stays in the view box; the size on the page is the logical one.
        let fine = format!("<svg width=\"{width}\" height=\"{height}\"");
        let coarse = format!("<svg width=\"{}\" height=\"{}\"", self.width, self.height);
        Ok(text.replacen(&fine, &coarse, 1))
    }

    /// The picture as a PNG file of two pixels a logical pixel.
    ///
    /// # Errors
    ///
    /// If plotters cannot draw it.
    pub fn png(&self) -> Result<Vec<u8>> {
        let many = self.width * self.height * FINE * FINE > MOST_PIXELS;
        let grid = if many { COARSE } else { FINE };
        let (mut width, mut height) = self.size(grid);
        let mut pixels = vec![255; width as usize * height as usize * 3];
        {
            let mut backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
            self.draw(&mut backend, grid, true)?;
        }
        if !many {
            pixels = halve(&pixels, width as usize, height as usize);
            (width, height) = (width / 2, height / 2);
        }
        let mut file = Vec::new();
        image::codecs::png::PngEncoder::new(&mut file)
            .write_image(&pixels, width, height, image::ExtendedColorType::Rgb8)
            .context("writing a chart as PNG")?;
        Ok(file)
    }

    fn size(&self, grid: f64) -> (u32, u32) {
        ((self.width * grid) as u32 / 2 * 2, (self.height * grid) as u32 / 2 * 2)
    }

    fn draw<B: DrawingBackend>(&self, backend: &mut B, grid: f64, bitmap: bool) -> Result<()> {
        load_fonts();
        for shape in &self.shapes {
            shape.draw(backend, grid, bitmap)?;
        }
        drawn(backend.present())
    }
}

impl Shape {
    fn draw<B: DrawingBackend>(&self, backend: &mut B, grid: f64, bitmap: bool) -> Result<()> {
        let whole = |length: f64| (length * grid).round();
        let on_grid = |(x, y): (f64, f64)| (whole(x) as i32, whole(y) as i32);
        let style = |color: Color, width: f64| ShapeStyle {
            color: RGBAColor(color.0, color.1, color.2, color.3),
            filled: true,
            stroke_width: whole(width) as u32,
        };
        match self {
            Shape::Rect { x, y, width, height, fill } => {
                let corner = on_grid((x + width, y + height));
                drawn(backend.draw_rect(on_grid((*x, *y)), corner, &style(*fill, 0.0), true))
            }
            Shape::Area { points, fill } => {
                drawn(backend.fill_polygon(points.iter().map(|&p| on_grid(p)), &style(*fill, 0.0)))
            }
            Shape::Dot { x, y, radius, fill } => {
                let radius = whole(*radius) as u32;
                drawn(backend.draw_circle(on_grid((*x, *y)), radius, &style(*fill, 0.0), true))
            }
            Shape::Line { points, width, color } if bitmap => {
                // plotters' own thick lines grow spikes at sharp corners of noisy curves.
                let fill = style(*color, 0.0);
                for pair in points.windows(2) {
                    drawn(
                        backend.fill_polygon(slab(pair[0], pair[1], *width).map(on_grid), &fill),
                    )?;
                }
                for &joint in points.iter().take(points.len().saturating_sub(1)).skip(1) {
                    let radius = whole(width / 2.0) as u32;
                    drawn(backend.draw_circle(on_grid(joint), radius, &fill, true))?;
                }
                Ok(())
            }
            Shape::Line { points, width, color } => {
                drawn(backend.draw_path(points.iter().map(|&p| on_grid(p)), &style(*color, *width)))
            }
            Shape::Text { x, baseline, text, size, bold, anchor, color } => {
                // A backend's size is not the em: the SVG one divides by 1.24, the glyphs are
                // scaled to ascent + descent. Both then hang from a line above the baseline.
                let em = size * grid;
                let (scaled, above) =
                    if bitmap { (em * LINE, em * LINE / 2.0) } else { (em * 1.24, em * 0.76) };
                let font = font(scaled, *bold);
                let h = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let ink = RGBAColor(color.0, color.1, color.2, color.3);
                let style = TextStyle::from(font).color(&ink).pos(Pos::new(h, VPos::Top));
                let (x, y) = on_grid((*x, *baseline));
                drawn(backend.draw_text(text, &style, (x, y - above.round() as i32)))
            }
        }
    }
}

/// plotters' error as ours.
fn drawn<E: std::fmt::Display>(result: Result<(), E>) -> Result<()> {
    result.map_err(|error| Error::new(format!("drawing a chart: {error}")))
}

/// DejaVu Sans' ascent + descent over its em.
const LINE: f64 = 1.164;

fn font(size: f64, bold: bool) -> FontDesc<'static> {
    let weight = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), size, weight)
}

fn load_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let normal = include_bytes!("fonts/DejaVuSans.ttf");
        let bold = include_bytes!("fonts/DejaVuSans-Bold.ttf");
        let both = register_font(FAMILY, FontStyle::Normal, normal)
            .and_then(|()| register_font(FAMILY, FontStyle::Bold, bold));
        assert!(both.is_ok(), "the bundled fonts are readable");
    });
}

/// Whether a letter is of a script that the bundled font has not: those of India and East Asia.
pub fn is_without_glyph(letter: char) -> bool {
    matches!(
        letter,
        '\u{900}'..='\u{E7F}'
            | '\u{1100}'..='\u{11FF}'
            | '\u{2E80}'..='\u{A4CF}'
            | '\u{AC00}'..='\u{D7FF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{FF00}'..='\u{FFEF}'
            | '\u{20000}'..
    )
}

/// Width of a text in logical pixels.
pub fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    load_fonts();
    // Measured large, because plotters rounds to whole pixels.
    let ((left, _), (right, _)) =
        font(100.0 * LINE, bold).layout_box(text).expect("the bundled font is registered");
    f64::from(right - left) / 100.0 * size
}

/// The text, cut with an ellipsis where it is wider than `width`.
pub fn fitted(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size, false) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while !kept.is_empty() {
        kept.pop();
        let shorter: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if text_width(&shorter, size, false) <= width {
            return shorter;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_labels_end_in_an_ellipsis_inside_their_width() {
        let cut = fitted("a very long variant name indeed", 11.0, 80.0);
        assert!(cut.ends_with('…') && text_width(&cut, 11.0, false) <= 80.0, "{cut}");
        assert_eq!(fitted("MPO", 11.0, 80.0), "MPO");
    }

    #[test]
    fn letters_that_the_font_lacks_are_known() {
        for (text, boxes) in
            [("MPO, β 0.1 → Größe, Δ, точность", false), ("混合偏好", true), ("선호", true)]
        {
            let mut scene = Scene::new(100.0, 20.0);
            scene.text((0.0, 10.0), text, 11.0, Anchor::Start, INK);
            assert_eq!(scene.has_boxes(), boxes, "{text}");
        }
    }
}
