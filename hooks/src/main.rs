//! The binary `capprof-hook`; the library has the documentation.

use capprof_hook::{command_line, journal};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let tell = match command_line::is_hook(&arguments) {
        true => journal::hook_error,
        // A shim may start recovery, and the shim's standard error belongs to the container.
        false => journal::error,
    };
    match command_line::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            tell(&capprof_profile::error::line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
