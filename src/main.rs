//! The `prefab` binary: parse, call, print the error, exit code.

fn main() -> std::process::ExitCode {
    prefab::cli::run()
}
