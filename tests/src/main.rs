//! placeholder until the harness is written
fn main() {}
