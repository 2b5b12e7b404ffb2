//! Compiles the C++ and CUDA kernels against libtorch's headers: one `cc::Build`, and so
//! one archive, a file, so that editing one recompiles that one only.
//!
//! Three kinds of file. `csrc/*.cpp` include ATen and hold the autograd functions.
//! `csrc/rows/*.cpp` include nothing of libtorch and hold the loops; only they are
//! compiled with `-ffast-math` (never linked with it: `crtfastmath.o` would set
//! flush-to-zero for the whole process), and only they see `-O3`. `cuda/*.cu` hold a
//! card's loops: compiled by nvcc with the feature `cuda`, and always by the C++ compiler
//! into the namespace `emulated`, for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let libtorch =
        PathBuf::from(std::env::var("LIBTORCH").expect("LIBTORCH is set by .cargo/config.toml"));
    let with_cuda = std::env::var_os("CARGO_FEATURE_CUDA").is_some();
    // The archives come first: the linker resolves their symbols from what follows.
    for file in sources("csrc/rows", "cpp") {
        let mut build = base();
        build.opt_level(3).flag("-ffast-math").flag("-fopenmp-simd").flag("-Wno-psabi");
        build.file(&file).compile(&archive("rows", &file));
    }
    for file in sources("csrc", "cpp") {
        let mut build = base();
        build.opt_level(2).flag("-fopenmp");
        build.include(libtorch.join("include"));
        build.include(libtorch.join("include/torch/csrc/api/include"));
        if with_cuda {
            build.define("PREFAB_CUDA", None);
        }
        build.file(&file).compile(&archive("shim", &file));
    }
    for file in sources("cuda", "cu") {
        let mut build = base();
        build.opt_level(2).define("PREFAB_SPACE", "emulated").flag("-xc++");
        build.file(&file).compile(&archive("emulated", &file));
    }
    if with_cuda {
        compile_for_cards(&libtorch);
    }
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-changed=cuda");
    println!("cargo:rustc-link-search=native={}", libtorch.join("lib").display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // The wheel's own OpenMP runtime: a second one would double the threads.
    println!("cargo:rustc-link-lib=dylib:+verbatim=libgomp.so.1");
}

/// Ampere's and Hopper's code, and an intermediate one that a driver compiles for later cards.
const CARDS: [&str; 3] =
    ["arch=compute_80,code=sm_80", "arch=compute_90,code=sm_90", "arch=compute_90,code=compute_90"];

/// `cuda/*.cu` by nvcc, and CUDA's runtime from beside libtorch, which it needs anyway.
fn compile_for_cards(libtorch: &Path) {
    println!("cargo:rerun-if-env-changed=NVCC");
    let own = Path::new("../.cuda/nvidia/cu13/bin/nvcc");
    let nvcc = std::env::var_os("NVCC").map_or_else(|| own.to_owned(), PathBuf::from);
    let folder = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut objects = cc::Build::new();
    for file in sources("cuda", "cu") {
        let object = folder.join(file.with_extension("o").file_name().expect("a file's name"));
        let mut command = Command::new(&nvcc);
        command.args(["-O3", "-std=c++17", "-Icsrc", "-DPREFAB_SPACE=card", "-c"]);
        command.args(["-Xcompiler", "-fPIC,-fvisibility=hidden"]);
        command.args(CARDS.iter().flat_map(|card| ["-gencode", card]));
        match command.arg(&file).arg("-o").arg(&object).status() {
            Ok(status) if status.success() => {}
            Ok(_) => panic!("{} did not compile", file.display()),
            Err(error) => panic!("{}: {error}; `kernels/nvcc.sh` fetches it", nvcc.display()),
        }
        objects.object(object);
    }
    objects.cpp(true).compile("prefab_card");
    println!("cargo:rustc-link-search=native={}", libtorch.join("../nvidia/cu13/lib").display());
    println!("cargo:rustc-link-lib=dylib:+verbatim=libcudart.so.13");
}

fn base() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").pic(true).warnings(false).debug(false);
    build.flag("-fvisibility=hidden").include("csrc");
    build
}

/// The files right inside `folder` that end in `extension`, in a fixed order.
fn sources(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the crate carries its sources");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == extension))
        .collect();
    files.sort();
    files
}

fn archive(kind: &str, file: &Path) -> String {
    let stem = file.file_stem().expect("a source has a name").to_string_lossy();
    format!("prefab_{kind}_{stem}")
}
