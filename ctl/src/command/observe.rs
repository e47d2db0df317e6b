//! `capprofctl observe`

use crate::cli::ObserveOptions;
use crate::exit::Exit;
use crate::running::{self, Running};
use crate::{hook, output, process as signals, render};
use anyhow::bail;
use capprof_profile::error::line;
use capprof_profile::recording::Process;
use capprof_profile::settings::Settings;
use capprof_store::process;
use capprof_store::profiles::Store;
use capprof_store::recording::Directory;
use std::ffi::OsStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The time between two looks if the user wants to stop, and if a container has ended.
const TICK: Duration = Duration::from_millis(200);

/// A container that is observed.
struct Observed {
    name: String,
    init: Process,
    directory: Directory,
}

/// Attaches to running containers, waits for their end, the end of the time or Ctrl-C, detaches, and shows the result.
///
/// # Errors
/// There is no such container, or none could be attached to.
pub(crate) fn run(settings: &Settings, options: &ObserveOptions) -> anyhow::Result<Exit> {
    if !nix::unistd::geteuid().is_root() {
        bail!("observe: this needs root, for eBPF: run it with sudo");
    }
    let containers = match options.all {
        true => running::all(&options.root),
        false => {
            let find = |wanted: &String| running::find(wanted, &options.root);
            let mut found = options
                .containers
                .iter()
                .map(find)
                .collect::<anyhow::Result<Vec<Running>>>()?;
            found.sort_by_key(|container| container.init.pid);
            found.dedup_by_key(|container| container.init.pid);
            found
        }
    };
    if containers.is_empty() {
        bail!("observe: no container runs here");
    }
    let interrupted = signals::interrupted()?;
    let mut observed = Vec::new();
    let mut failed = false;
    for container in &containers {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        match attach(container, settings) {
            Ok(one) => observed.push(one),
            Err(error) => {
                failed = true;
                output::message(&format!("{}: {}", container.name(), line(error.as_ref())));
            }
        }
    }
    let number = observed.len();
    if number > 0 {
        output::message(&format!(
            "observing {number} container{}; Ctrl-C ends it",
            if number == 1 { "" } else { "s" }
        ));
    }
    let until = options
        .time
        .and_then(|time| Instant::now().checked_add(time));
    let mut ended = |observed: Observed| {
        if let Err(error) = detach(&observed, settings) {
            failed = true;
            output::message(&format!("{}: {}", observed.name, line(error.as_ref())));
        }
    };
    while !observed.is_empty() {
        let is_over = interrupted.load(Ordering::Relaxed)
            || until.is_some_and(|until| until <= Instant::now());
        let (over, rest): (Vec<_>, Vec<_>) = observed
            .into_iter()
            .partition(|one| is_over || !process::exists(one.init));
        over.into_iter().for_each(&mut ended);
        observed = rest;
        if !observed.is_empty() {
            std::thread::sleep(TICK);
        }
    }
    Ok(match failed {
        true => Exit::Error,
        false => Exit::Success,
    })
}

fn attach(container: &Running, settings: &Settings) -> anyhow::Result<Observed> {
    let directory = running::begin(container, settings)?;
    let result = hook::quiet(&[OsStr::new("attach"), directory.path().as_os_str()]);
    if result.is_err() {
        let _ = directory.remove();
    }
    result.map(|_| Observed {
        name: container.name(),
        init: container.init,
        directory,
    })
}

/// Ends a recording and shows its result.
fn detach(observed: &Observed, settings: &Settings) -> anyhow::Result<()> {
    let id = observed.directory.id().unwrap_or_default();
    hook::quiet(&[OsStr::new("detach"), observed.directory.path().as_os_str()])?;
    let profile = Store::at(&settings.store).find(&id)?.profile;
    output::print(&(render::text(&profile, render::Detail::default(), &output::styles()) + "\n"))
}
