//! `capprofctl install` and `capprofctl uninstall`

use crate::cli::EngineOptions;
use crate::engine::{Engine, FileChange, containers};
use crate::exit::Exit;
use crate::output;
use anyhow::bail;
use std::path::PathBuf;

/// Registers the runtime with an engine, and asks the engine if it finds the runtime.
///
/// # Errors
/// The engine's configuration cannot be read, understood or written.
pub(crate) fn install(options: &EngineOptions) -> anyhow::Result<Exit> {
    let (engine, root, dry_run) = (options.engine, options.root.as_path(), options.dry_run);
    let runtime = runtime()?;
    let done = carry_out(engine, engine.install(root, &runtime)?, dry_run)?;
    if !dry_run && let Some(answer) = engine.asked(root)? {
        output::print(&format!("{answer}\n"))?;
    }
    Ok(done)
}

/// Removes the runtime from an engine's configuration.
///
/// # Errors
/// As [`install`]; or containers of this runtime exist, which are named.
pub(crate) fn uninstall(options: &EngineOptions) -> anyhow::Result<Exit> {
    let (engine, root, dry_run) = (options.engine, options.root.as_path(), options.dry_run);
    let users = containers::of(engine, root)?;
    if !users.is_empty() {
        bail!(
            "remove these containers first, because their engine needs capprof for that: {}",
            users.join(", ")
        );
    }
    carry_out(engine, engine.uninstall(root)?, dry_run)
}

fn carry_out(engine: Engine, change: Option<FileChange>, dry_run: bool) -> anyhow::Result<Exit> {
    let Some(change) = change else {
        output::print("nothing to do: the engine's configuration already says so\n")?;
        return Ok(Exit::Success);
    };
    let path = change.path.display();
    if dry_run {
        output::print(&match &change.after {
            Some(text) => format!("would write {path}:\n{text}"),
            None => format!("would remove {path}\n"),
        })?;
        return Ok(Exit::Success);
    }
    let backup = change.apply()?;
    let done = match change.after {
        Some(_) => "wrote",
        None => "removed",
    };
    let mut text = format!("{done} {path}\n");
    if let Some(backup) = backup {
        text.push_str(&format!("the former file is {}\n", backup.display()));
    }
    if let Some(reload) = engine.reload(change.after.as_deref()) {
        text.push_str(&format!("now run: {reload}\n"));
    }
    output::print(&text)?;
    Ok(Exit::Success)
}

/// The runtime in the directory of this program.
pub(super) fn runtime() -> anyhow::Result<PathBuf> {
    let own = crate::hook::own_program()?;
    let runtime = own.with_file_name("capprof");
    if !runtime.is_file() {
        bail!(
            "find capprof: not at {}: install it first",
            runtime.display()
        );
    }
    Ok(runtime)
}
