//! With the feature `cuda`: where the binary finds CUDA's runtime, in the layout of `.libtorch`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        for up in ["../../.libtorch", "../../../.libtorch", "../lib/libtorch"] {
            println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/{up}/nvidia/cu13/lib");
        }
    }
}
