//! The subcommands.

mod apply;
mod audit;
mod check;
mod diff;
mod doctor;
mod explain;
mod install;
mod list;
mod merge;
mod observe;
mod profile;
mod prune;
mod ps;
mod recover;
mod report;
mod rm;
mod shrink;
mod top;
mod unit;
mod verify;
mod watch;
mod why;

use crate::cli::{Arguments, Command};
use crate::examples;
use crate::exit::Exit;
use crate::output;
use anyhow::Context;
use capprof_profile::settings::Settings;
use capprof_store::profiles::Store;
use capprof_store::{recording, settings};
use clap::CommandFactory;
use std::path::{Path, PathBuf};

/// The environment variable by which a shell asks for completions.
const COMPLETE: &str = "CAPPROFCTL_COMPLETE";

/// Runs a subcommand.
///
/// # Errors
/// The error that stopped it.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Command::Report { .. } | Command::List(_) = &arguments.command {
        // This comes first, because the missing recording may be the one that the user asks for.
        tell_pending(&settings::essentials(&settings::path()).state);
    }
    match &arguments.command {
        Command::Profile(options) => profile::run(
            &store(arguments)?,
            &state_directory(options.state.as_deref())?,
            options,
        ),
        Command::Unit(options) => unit::run(&settings_and_store(arguments)?, options),
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
        Command::List(options) => list::run(&store(arguments)?, options),
        Command::Diff { from, to, format } => diff::run(&store(arguments)?, from, to, *format),
        Command::Check(options) => check::run(&store(arguments)?, options),
        Command::Rm { profiles, all } => rm::run(&store(arguments)?, profiles, *all),
        Command::Prune(options) => prune::run(&settings_and_store(arguments)?, options),
        Command::Merge(options) => merge::run(&store(arguments)?, options),
        Command::Verify(options) => verify::run(
            &store(arguments)?,
            &state_directory(options.state.as_deref())?,
            &options.into(),
        ),
        Command::Shrink {
            profile,
            options,
            command,
        } => shrink::run(&store(arguments)?, profile, options, command, output::print),
        Command::Recover {
            stopped,
            unload,
            state,
        } => recover::run(state.as_deref(), *stopped, *unload),
        Command::Doctor { format, state } => doctor::run(state.as_deref(), *format),
        Command::Install(options) => install::install(options),
        Command::Uninstall(options) => install::uninstall(options),
        Command::Why(options) => why::run(options, || store(arguments)),
        Command::Explain {
            subject,
            kernel,
            all,
        } => explain::run(subject, kernel.as_deref(), *all),
        Command::Observe(options) => observe::run(&settings_and_store(arguments)?, options),
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

/// Names on standard error the recordings that are not in the store although their container is gone. Prints nothing for a user who may not read
/// the state directory.
fn tell_pending(state: &Path) {
    for (directory, pending) in recording::pending(state).unwrap_or_default() {
        output::message(&format!(
            "recording {} is not stored: {} (remove the cause, then run capprofctl recover)",
            directory.id().unwrap_or_default(),
            pending.problem
        ));
    }
}

/// The state directory, which has the recordings in progress.
fn state_directory(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    Ok(match given {
        Some(path) => path.to_owned(),
        None => settings::load(&settings::path())?.state,
    })
}

fn store(arguments: &Arguments) -> anyhow::Result<Store> {
    Ok(Store::at(match &arguments.store {
        Some(path) => path.clone(),
        None => settings::load(&settings::path())?.store,
    }))
}

/// The state directory, which has the recordings in progress.
fn state() -> anyhow::Result<PathBuf> {
    Ok(settings::load(&settings::path())?.state)
}

/// The configuration's settings, with the store that the command line names.
fn settings_and_store(arguments: &Arguments) -> anyhow::Result<Settings> {
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
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let pages = std::iter::once(&command).chain(
        command
            .get_subcommands()
            .filter(|subcommand| !subcommand.is_hide_set()),
    );
    let context = || format!("write man pages into {}", directory.display());
    for page in pages {
        let page_name = clap_mangen::Man::new(page.clone()).get_filename();
        std::fs::write(directory.join(page_name), manual(page)?).with_context(context)?;
    }
    std::fs::write(
        directory.join("capprof-atlas.7"),
        crate::render::atlas_manual(),
    )
    .with_context(context)?;
    Ok(Exit::Success)
}

/// The man page of a command: with its examples, before the version.
fn manual(command: &clap::Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .context("write a man page")?;
    let page =
        String::from_utf8_lossy(&page).replace(".SH EXTRA\nExit status:", ".SH EXIT STATUS\n.nf");
    let section = examples::section(command.get_name());
    Ok(match page.rfind(".SH VERSION") {
        Some(position) if !section.is_empty() => {
            let (before, behind) = page.split_at(position);
            format!("{before}{section}{behind}")
        }
        _ => page + &section,
    })
}

/// zsh calls the script's file as the function `_capprofctl` at the first completion in a session (zshcompsys(1), "Autoloaded files"). The script
/// itself only registers the completer, so it must also call it then.
const ZSH_FIRST: &str =
    "[[ $funcstack[1] != _capprofctl ]] || _clap_dynamic_completer_capprofctl \"$@\"\n";

/// Prints the script with which a shell asks this program for completions, so that it completes the names of profiles too.
fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let name = shell.to_string();
    let shells = clap_complete::env::Shells::builtins();
    shells
        .completer(&name)
        .with_context(|| format!("complete in {name}: no script for it"))?
        .write_registration(
            COMPLETE,
            "capprofctl",
            "capprofctl",
            "capprofctl",
            &mut script,
        )
        .context("write the completion script")?;
    if shell == clap_complete::Shell::Zsh {
        script.extend_from_slice(ZSH_FIRST.as_bytes());
    }
    output::print_raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

/// Answers a shell that asks for completions. Returns true if a shell asked.
///
/// # Errors
/// The shell is not known, or does not read the answer.
pub(crate) fn complete() -> anyhow::Result<bool> {
    let directory = std::env::current_dir().ok();
    clap_complete::CompleteEnv::with_factory(Arguments::command)
        .var(COMPLETE)
        .try_complete(std::env::args_os(), directory.as_deref())
        .map_err(|error| anyhow::anyhow!("complete: {error}"))
}
