//! The binary. See the library for what it does.

use capprof_hook::{command_line, journal};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let tell = match command_line::is_hook(&arguments) {
        true => journal::hook_error,
        // Recovery is started by a shim, whose standard error is the container's.
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
