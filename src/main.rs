//! The `prefab` binary: parse, call, print the error, exit code.

fn main() -> std::process::ExitCode {
    // Before the first tensor.
    prefab::run::machine::tune_allocator();
    // A panic is a bug, whose text and place the panic hook has told: exit code 1.
    std::panic::catch_unwind(prefab::cli::run).unwrap_or(std::process::ExitCode::FAILURE)
}
