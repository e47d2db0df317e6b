//! Rules for the source of capprof: how long files and functions may be, how many parameters a function may have, which module may use
//! which, and which names a type may have. `make lint` runs them; `order.toml` has the order of modules, `exceptions.toml` what does not keep to the rules yet.

mod functions;
mod modules;
mod source;
mod types;

pub use functions::{Function, functions};
pub use modules::{Crate, Use};
pub use source::{File, code_lines, files, is_test};
pub use types::shared_types;
