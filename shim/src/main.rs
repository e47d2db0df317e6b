//! placeholder until the crate is written
fn main() {}
