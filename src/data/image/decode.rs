//! A picture's file to RGB bytes, as Pillow's `Image.open(path).convert('RGB')`.
//!
//! Palettes and grey are expanded and alpha is dropped, not blended; 16-bit grey is
//! clipped at 255 and 16-bit colour keeps its high byte, as Pillow has it; the
//! rotation that EXIF may name is left alone. Unlike Pillow under InternVL's
//! settings, a truncated file and a decompression bomb are errors.

use crate::error::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

/// Longest side that is decoded, in pixels: a JPEG's own limit.
const MAX_SIDE: u32 = 65_535;
/// Most pixels that are decoded: where Pillow refuses by default.
const MAX_PIXELS: u64 = 178_956_970;
/// Most memory that decoding may take, and most bytes that a file may have.
const MAX_BYTES: u64 = 1 << 30;
/// The first bytes of a PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The first bytes of a JPEG: start of image, and the next marker's first byte.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

/// A picture as RGB.
///
/// # Errors
///
/// A missing, damaged, truncated or oversized file, named.
pub fn decode(path: &Path) -> Result<RgbImage> {
    let bytes = read(path)?;
    from_bytes(&bytes).map_err(|error| fault(path, &error))
}

/// Whether a picture can be decoded.
///
/// # Errors
///
/// As [`decode`].
pub fn check(path: &Path) -> Result<()> {
    decode(path).map(|_| ())
}

/// The bytes of a picture's file that does not break off: JPEG and PNG are followed to their
/// ends, which takes a hundredth of the time of decoding them; the others are decoded.
///
/// # Errors
///
/// A missing, truncated or oversized file, or one without a picture's header, named.
pub fn intact(path: &Path) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    if bytes.starts_with(JPEG) || bytes.starts_with(PNG) {
        size(path)?;
        let is_whole =
            if bytes.starts_with(JPEG) { jpeg_is_whole(&bytes) } else { png_is_whole(&bytes) };
        if !is_whole {
            return Err(fault(path, &"the file is truncated: it has no end marker"));
        }
    } else {
        from_bytes(&bytes).map_err(|error| fault(path, &error))?;
    }
    Ok(bytes)
}

/// Width and height in pixels, from the header alone.
///
/// # Errors
///
/// A missing or oversized file, or one whose header cannot be read.
pub fn size(path: &Path) -> Result<(u32, u32)> {
    let mut file = BufReader::new(open(path)?);
    let start = file.fill_buf().map_err(|error| fault(path, &error))?;
    let size = if start.starts_with(JPEG) {
        jpeg_size(&mut file).map_err(|error| fault(path, &error))?
    } else {
        let reader = ImageReader::new(file).with_guessed_format();
        let reader = reader.map_err(|error| fault(path, &error))?;
        reader.into_dimensions().map_err(|error| fault(path, &error))?
    };
    within_limits(size).map_err(|error| fault(path, &error))?;
    Ok(size)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| {
        Error::new(format!("picture {} cannot be opened: {error}", path.display()))
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let length = open(path)?.metadata().map_err(|error| fault(path, &error))?.len();
    if length > MAX_BYTES {
        return Err(fault(path, &format!("its {length} bytes are above the limit of {MAX_BYTES}")));
    }
    std::fs::read(path).map_err(|error| {
        Error::new(format!("picture {} cannot be opened: {error}", path.display()))
    })
}

fn fault(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(format!("picture {} cannot be decoded: {error}", path.display()))
}

/// A picture's bytes as RGB.
///
/// # Errors
///
/// What is wrong with them, without a name: the caller has it.
pub fn from_bytes(bytes: &[u8]) -> std::result::Result<RgbImage, String> {
    let text = |error: image::ImageError| error.to_string();
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(text)?;
    within_limits(decoder.dimensions())?;
    if decoder.total_bytes() > MAX_BYTES {
        return Err(format!("its {} decoded bytes are above the limit", decoder.total_bytes()));
    }
    // The decoder fills up what is missing from a JPEG with grey.
    if bytes.starts_with(JPEG) && !jpeg_is_whole(bytes) {
        return Err("the file is truncated: it has no end marker".to_owned());
    }
    rgb(DynamicImage::from_decoder(decoder).map_err(text)?, is_grey_16(bytes))
}

fn within_limits((width, height): (u32, u32)) -> std::result::Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("it is {width}×{height} pixels"));
    }
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "its {width}×{height} pixels are above the limit of {MAX_PIXELS} in all and \
             {MAX_SIDE} a side (a decompression bomb?)"
        ));
    }
    Ok(())
}

/// Whether this is a PNG of 16-bit grey, which Pillow clips; a transparent colour
/// makes the decoder report it as grey with alpha.
fn is_grey_16(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG) && bytes.get(24..26) == Some(&[16, 0])
}

/// Pillow's `convert('RGB')` of what was decoded.
fn rgb(picture: DynamicImage, is_grey_16: bool) -> std::result::Result<RgbImage, String> {
    let (width, height) = (picture.width(), picture.height());
    let clipped = |value: u16| value.min(255) as u8;
    let high = |value: u16| (value >> 8) as u8;
    let grey = |values: &mut dyn Iterator<Item = u8>| values.flat_map(|value| [value; 3]).collect();
    let bytes: Vec<u8> = match picture {
        DynamicImage::ImageRgb8(picture) => return Ok(picture),
        DynamicImage::ImageLuma8(picture) => grey(&mut picture.as_raw().iter().copied()),
        DynamicImage::ImageLumaA8(picture) => {
            grey(&mut picture.as_raw().chunks_exact(2).map(|pixel| pixel[0]))
        }
        DynamicImage::ImageRgba8(picture) => {
            let mut bytes = Vec::with_capacity(picture.as_raw().len() / 4 * 3);
            for pixel in picture.as_raw().chunks_exact(4) {
                bytes.extend_from_slice(&pixel[..3]);
            }
            bytes
        }
        DynamicImage::ImageLuma16(picture) => {
            grey(&mut picture.as_raw().iter().map(|value| clipped(*value)))
        }
        DynamicImage::ImageLumaA16(picture) => {
            let eight = |value| if is_grey_16 { clipped(value) } else { high(value) };
            grey(&mut picture.as_raw().chunks_exact(2).map(|pixel| eight(pixel[0])))
        }
        DynamicImage::ImageRgb16(picture) => {
            picture.as_raw().iter().map(|value| high(*value)).collect()
        }
        DynamicImage::ImageRgba16(picture) => {
            let colours = picture.as_raw().chunks_exact(4);
            colours.flat_map(|pixel| [high(pixel[0]), high(pixel[1]), high(pixel[2])]).collect()
        }
        other => return Err(format!("its colours ({:?}) are not supported", other.color())),
    };
    Ok(RgbImage::from_raw(width, height, bytes).expect("three bytes a pixel"))
}

/// Width and height of a JPEG, from its frame header.
fn jpeg_size(file: &mut (impl BufRead + Seek)) -> std::io::Result<(u32, u32)> {
    let mut two = [0; 2];
    file.read_exact(&mut two)?;
    loop {
        while byte(file)? != 0xff {}
        let mut marker = 0xff;
        while marker == 0xff {
            marker = byte(file)?;
        }
        if stands_alone(marker) {
            continue;
        }
        file.read_exact(&mut two)?;
        let length = i64::from(u16::from_be_bytes(two)) - 2;
        // Start of frame; the three others of this range are tables.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let mut frame = [0; 5];
            file.read_exact(&mut frame)?;
            let at = |from: usize| u32::from(u16::from_be_bytes([frame[from], frame[from + 1]]));
            return Ok((at(3), at(1)));
        }
        file.seek_relative(length.max(0))?;
    }
}

fn byte(file: &mut impl BufRead) -> std::io::Result<u8> {
    let mut one = [0];
    file.read_exact(&mut one)?;
    Ok(one[0])
}

/// Markers without a length: stuffing, restarts, start and end of image.
fn stands_alone(marker: u8) -> bool {
    matches!(marker, 0x00 | 0x01 | 0xd0..=0xd9)
}

/// Whether a JPEG goes on to its end marker.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut rest = &bytes[2..];
    // Between markers lie lengths or compressed data, in which every 0xff byte is stuffed.
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        let Some(&marker) = rest.get(at + 1) else { return false };
        if marker == 0xd9 {
            return true;
        }
        let mut skip = at + if marker == 0xff { 1 } else { 2 };
        if marker != 0xff && !stands_alone(marker) {
            let Some(length) = rest.get(skip..skip + 2) else { return false };
            skip += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
        }
        let Some(next) = rest.get(skip..) else { return false };
        rest = next;
    }
    false
}

/// Whether a PNG goes on to its end chunk.
fn png_is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(PNG.len()..).unwrap_or_default();
    // A chunk has a length, a name, so many bytes and a checksum.
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(next) = length.checked_add(4).and_then(|end| body.get(end..)) else {
            return false;
        };
        if &head[4..] == b"IEND" {
            return true;
        }
        rest = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

    fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn first(bytes: &[u8]) -> [u8; 3] {
        from_bytes(bytes).unwrap().get_pixel(0, 0).0
    }

    #[test]
    fn deep_pictures_become_what_pillow_makes_of_them() {
        // Pillow 13.0.0: I;16 is clipped, the others keep their high byte.
        let grey = |value| png(ImageBuffer::from_pixel(1, 1, Luma([value])));
        assert_eq!([first(&grey(127u16)), first(&grey(300u16))], [[127; 3], [255; 3]]);
        assert_eq!(first(&png(ImageBuffer::from_pixel(1, 1, LumaA([300u16, 65_535])))), [1; 3]);
        let colour = ImageBuffer::from_pixel(1, 1, Rgb([300u16, 65_535, 128]));
        assert_eq!(first(&png(colour)), [1, 255, 0]);
        let alpha = ImageBuffer::from_pixel(1, 1, Rgba([300u16, 65_535, 128, 9]));
        assert_eq!(first(&png(alpha)), [1, 255, 0]);
    }

    #[test]
    fn alpha_is_dropped_and_not_blended() {
        assert_eq!(first(&png(ImageBuffer::from_pixel(1, 1, Rgba([9u8, 8, 7, 0])))), [9, 8, 7]);
        assert_eq!(first(&png(ImageBuffer::from_pixel(1, 1, LumaA([9u8, 0])))), [9; 3]);
    }

    #[test]
    fn a_jpeg_has_its_size_in_the_header_and_misses_its_end() {
        let picture = DynamicImage::ImageRgb8(ImageBuffer::from_pixel(37, 21, Rgb([1, 2, 3])));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert_eq!(jpeg_size(&mut Cursor::new(&bytes)).unwrap(), (37, 21));
        assert!(from_bytes(&bytes).is_ok());
        for cut in 2..bytes.len() {
            assert!(from_bytes(&bytes[..cut]).is_err(), "{cut} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn a_file_that_breaks_off_is_not_intact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        let picture = DynamicImage::ImageRgb8(ImageBuffer::from_pixel(37, 21, Rgb([1, 2, 3])));
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp] {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(intact(&path).unwrap(), bytes);
            for cut in [0, 3, 20, bytes.len() / 2, bytes.len() - 1] {
                std::fs::write(&path, &bytes[..cut]).unwrap();
                assert!(intact(&path).is_err(), "{cut} bytes of {format:?}");
            }
        }
    }
}
