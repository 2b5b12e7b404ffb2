//! The `prefab` binary: parse, call, print the error, exit code.

fn main() -> std::process::ExitCode {
    // Before the first tensor.
    prefab::run::machine::tune_allocator();
    prefab::cli::run()
}
