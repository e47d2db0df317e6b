//! Rules for the source of capprof: the sizes of files and functions, the number of parameters, the order of modules, and the names of types.
//! `make lint` runs them; `order.toml` has the order of modules, `exceptions.toml` the exceptions to the rules.

mod functions;
mod modules;
mod source;
mod types;

pub use functions::{Function, functions};
pub use modules::{Crate, Use};
pub use source::{File, code_lines, files, is_test};
pub use types::shared_types;
