//! Compiles the C++ kernels against libtorch's headers: one `cc::Build`, and so
//! one archive, a file, so that editing one recompiles that one only.
//!
//! Two kinds of file. `csrc/*.cpp` include ATen and hold the autograd functions.
//! `csrc/rows/*.cpp` include nothing of libtorch and hold the loops; only they are
//! compiled with `-ffast-math` (never linked with it: `crtfastmath.o` would set
//! flush-to-zero for the whole process), and only they see `-O3`.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let libtorch =
        PathBuf::from(std::env::var("LIBTORCH").expect("LIBTORCH is set by .cargo/config.toml"));
    // The archives come first: the linker resolves their symbols from what follows.
    for file in sources("csrc/rows") {
        let mut build = base();
        build.opt_level(3).flag("-ffast-math").flag("-fopenmp-simd").flag("-Wno-psabi");
        build.file(&file).compile(&archive("rows", &file));
    }
    for file in sources("csrc") {
        let mut build = base();
        build.opt_level(2).flag("-fopenmp");
        build.include(libtorch.join("include"));
        build.include(libtorch.join("include/torch/csrc/api/include"));
        build.file(&file).compile(&archive("shim", &file));
    }
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rustc-link-search=native={}", libtorch.join("lib").display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // The wheel's own OpenMP runtime: a second one would double the threads.
    println!("cargo:rustc-link-lib=dylib:+verbatim=libgomp.so.1");
}

fn base() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").pic(true).warnings(false).debug(false);
    build.flag("-fvisibility=hidden").include("csrc");
    build
}

/// The `.cpp` files right inside `folder`, in a fixed order.
fn sources(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the crate carries its sources");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "cpp"))
        .collect();
    files.sort();
    files
}

fn archive(kind: &str, file: &Path) -> String {
    let stem = file.file_stem().expect("a source has a name").to_string_lossy();
    format!("prefab_{kind}_{stem}")
}
