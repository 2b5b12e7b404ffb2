//! Pictures: InternVL's recorded tiles, damaged files, and the pictures that need no tiling.

use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, RgbImage};
use prefab::cli::verify::{Verify, run};
use prefab::data::image::{Normalization, Tiling, batch, count_of, decode, pixels_of, size};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

const RECORDED: &str = "tests/fixtures/internvl/images";

/// A copy of the recorded folder, to be tampered with.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(RECORDED).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

fn verify(dir: &Path) -> prefab::Result<()> {
    run(&Verify::Tiles { dir: dir.to_owned() })
}

fn message<T>(result: prefab::Result<T>) -> String {
    result.err().expect("an error").to_string()
}

fn edit(dir: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join(name)).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(dir.join(name), text.replacen(from, to, 1)).unwrap();
}

#[test]
fn recorded_tiles_are_recomputed() {
    verify(Path::new(RECORDED)).unwrap();
}

#[test]
fn what_differs_is_unknown_or_is_missing_fails() {
    let dir = copy();
    // The first hash of a tile.
    edit(dir.path(), "expected.json", "\"uint8_hwc_sha256\": \"", "\"uint8_hwc_sha256\": \"0");
    assert!(message(verify(dir.path())).contains("1 of "));
    let dir = copy();
    edit(dir.path(), "expected.json", "\"grids\"", "\"grits\"");
    assert!(message(verify(dir.path())).contains("grits"));
    let dir = copy();
    edit(dir.path(), "expected.json", "\"imagenet\"", "\"inception\"");
    assert!(message(verify(dir.path())).contains("`inception`"));
    let dir = copy();
    fs::write(dir.path().join("more.json"), "{}").unwrap();
    assert!(message(verify(dir.path())).contains("more.json"));
    let dir = copy();
    fs::remove_file(dir.path().join("img00_448x448_rgb.png")).unwrap();
    assert!(message(verify(dir.path())).contains("img00_448x448_rgb.png"));
    let none = tempfile::tempdir().unwrap();
    assert!(message(verify(none.path())).contains("nothing"));
}

#[test]
fn a_picture_of_the_models_side_keeps_its_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
    picture.save(dir.path().join("a.png")).unwrap();
    let pixels = batch(dir.path(), &["a.png"], 64).unwrap();
    assert_eq!(pixels.size(), [1, 3, 64, 64]);
    let value = pixels.double_value(&[0, 1, 50, 7]);
    assert_eq!(value, f64::from((50.0f32 / 255.0 - 0.456) / 0.224));
    // Any other size becomes one tile.
    picture.save(dir.path().join("b.png")).unwrap();
    assert_eq!(batch(dir.path(), &["a.png", "b.png"], 32).unwrap().size(), [2, 3, 32, 32]);
}

#[test]
fn tiles_are_counted_from_the_header_and_normalised_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wide.jpg");
    let picture = ImageBuffer::from_pixel(300, 100, Rgb([255u8, 255, 255]));
    DynamicImage::ImageRgb8(picture).save(&path).unwrap();
    let tiling = Tiling { normalization: Normalization::Siglip, ..Tiling::new(32, 12) };
    assert_eq!(size(&path).unwrap(), (300, 100));
    let tiles = count_of(&path, &tiling).unwrap();
    let pixels = pixels_of(&path, &tiling).unwrap();
    assert_eq!(pixels.size(), [tiles as i64, 3, 32, 32]);
    // 300 × 100 fills the 12 tiles of 6×2 as well as the 3 of 3×1: 13 tiles, all of them white.
    assert_eq!(tiles, 13);
    assert_eq!((pixels.min().double_value(&[]), pixels.max().double_value(&[])), (1.0, 1.0));
    // The header is enough: the rest of the file may not be there yet.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(count_of(&path, &tiling).unwrap(), 13);
    assert!(message(decode(&path)).contains("wide.jpg cannot be decoded: the file is truncated"));
}

/// A small picture in every format that is read.
fn files() -> Vec<Vec<u8>> {
    let picture = RgbImage::from_fn(19, 11, |x, y| Rgb([x as u8 * 9, y as u8 * 20, 77]));
    let picture = DynamicImage::ImageRgb8(picture);
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ];
    let mut files: Vec<Vec<u8>> = formats
        .iter()
        .map(|format| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, *format).unwrap();
            bytes.into_inner()
        })
        .collect();
    for name in ["img10_63x63_rgba.png", "jpeg_96x64_q85_420.jpg"] {
        files.push(fs::read(Path::new(RECORDED).join(name)).unwrap());
    }
    files
}

fn written(dir: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join("picture");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_truncated_file_of_any_format_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for bytes in files() {
        assert!(decode(&written(&dir, &bytes)).is_ok());
        // The last bytes of some formats are padding or checksums.
        for cut in (0..bytes.len() * 9 / 10).step_by(7) {
            let error = message(decode(&written(&dir, &bytes[..cut])));
            assert!(error.contains("picture cannot be"), "{cut} of {}: {error}", bytes.len());
        }
    }
    assert!(message(decode(&dir.path().join("none.png"))).contains("none.png cannot be opened"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_pictures_never_panic(
        which in 0usize..7,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in 0.2f64..1.0,
        noise in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = files().swap_remove(which);
        // Half of the cases leave the header alone, so that damage reaches the pixels.
        let header = if noise { 0 } else { bytes.len().min(40) };
        for (place, value) in damage {
            let at = header + place.index(bytes.len() - header);
            bytes[at] = value;
        }
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        let path = written(&dir, &bytes);
        if let Ok(picture) = decode(&path) {
            prop_assert!(picture.width() > 0);
        }
        _ = count_of(&path, &Tiling::new(448, 12));
    }
}
