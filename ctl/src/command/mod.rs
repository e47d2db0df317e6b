//! What the subcommands do.

mod apply;
mod audit;
mod doctor;
mod explain;
mod install;
mod list;
mod merge;
mod observe;
mod ps;
mod recover;
mod report;
mod shrink;
mod top;
mod verify;
mod watch;
mod why;

use crate::cli::{Arguments, Command};
use crate::exit::Exit;
use crate::output;
use anyhow::Context;
use capprof_profile::settings::Settings;
use capprof_store::profiles::Store;
use capprof_store::{recording, settings};
use clap::CommandFactory;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs a subcommand.
///
/// # Errors
/// Whatever kept it from being done.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Command::Report { .. } | Command::List { .. } = &arguments.command {
        // First, since what is asked for may be what is missing.
        tell_pending(&settings::essentials(&settings::path()).state);
    }
    match &arguments.command {
        Command::Report {
            profile,
            format,
            detail,
            strict,
        } => report::run(
            &store(arguments)?,
            &settings::essentials(&settings::path()).state,
            profile,
            (*format, *strict),
            detail,
        ),
        Command::Apply(options) => apply::run(&store(arguments)?, options),
        Command::List { name, format } => list::run(&store(arguments)?, name.as_deref(), *format),
        Command::Merge {
            profiles,
            mixed,
            format,
            all_forms,
            strict,
        } => merge::run(profiles, *mixed, *format, *all_forms, *strict),
        Command::Verify {
            profile,
            check,
            timeout,
            baseline,
            today,
            anyway,
            strict,
            state,
            command,
        } => verify::run(
            &store(arguments)?,
            &match state {
                Some(path) => path.clone(),
                None => settings::load(&settings::path())?.state,
            },
            &verify::Options {
                profile,
                check: check.as_deref(),
                timeout: Duration::from_secs(*timeout),
                baseline: *baseline,
                today: *today,
                anyway: *anyway,
                strict: *strict,
                command,
            },
        ),
        Command::Shrink {
            profile,
            options,
            command,
        } => shrink::run(&store(arguments)?, profile, options, command),
        Command::Recover {
            stopped,
            unload,
            state,
        } => recover::run(state.as_deref(), *stopped, *unload),
        Command::Doctor { format, state } => doctor::run(state.as_deref(), *format),
        Command::Install {
            engine,
            dry_run,
            root,
        } => install::install(*engine, root, *dry_run),
        Command::Uninstall {
            engine,
            dry_run,
            root,
        } => install::uninstall(*engine, root, *dry_run),
        Command::Why {
            container,
            seconds,
            format,
            output,
            command,
        } => why::run(&why::Options {
            container: container.as_deref(),
            command,
            seconds: *seconds,
            format: *format,
            output: output.as_deref(),
        }),
        Command::Explain {
            subject,
            kernel,
            all,
        } => explain::run(subject, kernel.as_deref(), *all),
        Command::Observe {
            containers,
            all,
            time,
            root,
        } => observe::run(
            &observe_settings(arguments)?,
            &observe::Options {
                containers,
                all: *all,
                time: *time,
                roots: root,
            },
        ),
        Command::Audit {
            containers,
            root,
            format,
            ..
        } => audit::run(&state()?, root, containers, *format),
        Command::Ps { format } => ps::run(&state()?, *format),
        Command::Snapshot { recordings, .. } => ps::snapshot(&state()?, recordings),
        Command::Top {
            container,
            interval,
        } => top::run(&state()?, container.as_deref(), *interval),
        Command::Watch {
            container,
            until_quiet,
        } => watch::run(&state()?, container, *until_quiet),
        Command::Man { directory } => man(directory),
        Command::Completions { shell } => completions(*shell),
    }
}

/// Says on standard error which recordings are not in the store although their container is gone. A user who may not look at the state directory
/// is told nothing.
fn tell_pending(state: &Path) {
    for (directory, pending) in recording::pending(state).unwrap_or_default() {
        output::message(&format!(
            "recording {} is not stored: {} (remove the cause, then run capprofctl recover)",
            directory.id().unwrap_or_default(),
            pending.problem
        ));
    }
}

fn store(arguments: &Arguments) -> anyhow::Result<Store> {
    Ok(Store::at(match &arguments.store {
        Some(path) => path.clone(),
        None => settings::load(&settings::path())?.store,
    }))
}

/// Where recordings in progress are kept.
fn state() -> anyhow::Result<PathBuf> {
    Ok(settings::load(&settings::path())?.state)
}

/// The configuration's settings, with the store that the command line names.
fn observe_settings(arguments: &Arguments) -> anyhow::Result<Settings> {
    let settings = settings::load(&settings::path())?;
    Ok(match &arguments.store {
        Some(store) => Settings {
            store: store.clone(),
            ..settings
        },
        None => settings,
    })
}

fn man(directory: &Path) -> anyhow::Result<Exit> {
    clap_mangen::generate_to(Arguments::command(), directory)
        .and_then(|()| {
            std::fs::write(
                directory.join("capprof-atlas.7"),
                crate::render::atlas_manual(),
            )
        })
        .with_context(|| format!("write man pages into {}", directory.display()))?;
    Ok(Exit::Success)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "capprofctl", &mut script);
    output::print_raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
