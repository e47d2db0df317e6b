//! `capprofctl`: profiles for people.
//!
//! Reads what the hooks wrote. `recover` and `doctor` ask `capprof-hook`, which knows the recorders.

mod apply;
mod cli;
mod command;
mod delta_debugging;
mod engine;
mod examples;
mod exit;
mod hook;
mod launch;
mod live;
mod merge;
mod output;
mod process;
mod render;
mod running;
mod trial;

use clap::{CommandFactory, FromArgMatches};
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    match command::complete() {
        Ok(false) => {}
        Ok(true) => return Exit::Success.into(),
        Err(error) => {
            output::error(&error);
            return Exit::Error.into();
        }
    }
    let parsed = examples::add(cli::Arguments::command())
        .try_get_matches()
        .and_then(|matches| cli::Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        // clap returns help and version as errors too; they have the status of success.
        Err(error) => {
            let _ = error.print();
            return match error.use_stderr() {
                true => Exit::Usage.into(),
                false => Exit::Success.into(),
            };
        }
    };
    match command::run(&arguments) {
        Ok(exit) => exit.into(),
        Err(error) if output::is_closed(&error) => Exit::Success.into(),
        Err(error) => {
            output::error(&error);
            Exit::Error.into()
        }
    }
}
