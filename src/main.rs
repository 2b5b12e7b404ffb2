//! The `prefab` binary: parse, call, print the error, exit code.

fn main() {
    println!("{}", tch::Tensor::from(1.0));
}
