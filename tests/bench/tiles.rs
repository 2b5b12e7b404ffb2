//! Decoding, tiling and normalising pictures on one thread: a line a picture, its name and its
//! least CPU time in milliseconds. `tests/bench/tiles.py` runs this beside Pillow.
//!
//! `cargo bench --profile dev --bench tiles -- DIR MAX_TILES REPEATS`

use prefab::data::image::{Tiling, pixels_of};
use std::path::PathBuf;

/// CPU time of this thread in milliseconds: a loaded machine lengthens the wall time only.
fn cpu_ms() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux, and `time` is ours to write.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "the thread has a clock");
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = arguments.next().expect("a folder of pictures");
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (max_tiles, repeats) = (number(12), number(5));
    tch::set_num_threads(1);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let tiling = Tiling::new(448, max_tiles);
    for file in files {
        let Ok(tiles) = pixels_of(&file, &tiling) else { continue };
        let best = (0..repeats).map(|_| {
            let start = cpu_ms();
            assert_eq!(pixels_of(&file, &tiling).unwrap().size(), tiles.size());
            cpu_ms() - start
        });
        let name = file.file_name().unwrap().to_string_lossy();
        println!("{name} {} {:.3}", tiles.size()[0], best.fold(f64::INFINITY, f64::min));
    }
}
