//! The binary. See the library for what it does.

use capprof_hook::{command_line, journal};
use std::process::ExitCode;

fn main() -> ExitCode {
    match command_line::run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::error(&capprof_profile::error::line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
