//! `capprof-e2e`: end-to-end tests of capprof with real runtimes, on this machine or in a guest.
//!
//! ```text
//! capprof-e2e [--list] [--shard I/N] [--threads N] [TEXT] …     tests whose names contain one of these
//!   CAPPROF_BIN       directory of capprof, capprof-hook and capprofctl (default: that of this program)
//!   CAPPROF_CORPUS    the built corpus (default: `corpus` next to this program)
//!   CAPPROF_E2E_RECORDERS   recorders to test, e.g. `ebpf,selinux` (default: auto)
//!   CAPPROF_E2E_GUEST       set: this is a slow guest, which a test may disturb: run a selection of the tests
//!   CAPPROF_E2E_CHECKS      the number of checks for each of 16 threads in the tests with many threads (default: 40000, in a guest 10000)
//!   CAPPROF_E2E_FULL        set: run all tests
//!   CAPPROF_E2E_AROUND      in a guest: the capabilities of the machine around it, as CapEff in /proc/PID/status
//!   CAPPROF_E2E_ROWS        a file for the findings about the corpus, one JSON object per finding
//!   CAPPROF_E2E_SYSTEM      set: use the system's own state and store directories, as an installed capprof does
//! ```
//!
//! It prints TAP in the form that `tests/tap.sh` describes.

mod attach;
mod bad_input;
mod container;
mod corpus;
mod differential;
mod enforce;
mod environment;
mod lifecycle;
mod observe;
mod privileged;
mod profile;
mod runner;
mod selinux;
mod shrink;
mod today;
mod verify;
mod why;

use environment::{Environment, Runtime};
use runner::{Outcome, Passed, Test};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The code of a test, for one runtime.
type Body = fn(&Arc<Environment>, &Runtime) -> anyhow::Result<()>;

/// The time limit of a test on a machine, and in a guest, which is emulated.
const LIMITS: [Duration; 2] = [Duration::from_secs(180), Duration::from_secs(900)];

impl Test {
    fn new(
        name: impl Into<String>,
        skip: Option<String>,
        run: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            skip,
            run: Box::new(run),
            alone: false,
        }
    }

    /// A test that needs the runtime, and this recorder if one is named.
    fn of(
        environment: &Arc<Environment>,
        runtime: &Runtime,
        recorder: Option<&str>,
        name: &str,
        body: Body,
    ) -> Self {
        let skip = runtime
            .unusable
            .clone()
            .or_else(|| recorder.and_then(|recorder| environment.unusable_recorder(recorder)));
        let (environment, own) = (Arc::clone(environment), runtime.clone());
        Self::new(name, skip, move || {
            body(&environment, &own)
                .map(|()| Passed::Good)
                .map_err(|error| format!("{error:#}").into())
        })
    }

    /// All these tests under each runtime, as `GROUP/RUNTIME/NAME`.
    fn each(
        environment: &Arc<Environment>,
        group: &str,
        recorder: Option<&str>,
        bodies: &[(&str, Body)],
    ) -> Vec<Self> {
        let of = |runtime: &Runtime| -> Vec<Self> {
            bodies
                .iter()
                .map(|(name, body)| {
                    let name = format!("{group}/{}/{name}", runtime.name);
                    Self::of(environment, runtime, recorder, &name, *body)
                })
                .collect()
        };
        environment.runtimes.iter().flat_map(of).collect()
    }

    /// Lets no other test run at the same time.
    fn alone(mut self) -> Self {
        self.alone = true;
        self
    }
}

fn main() -> ExitCode {
    match try_main() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&format!("capprof-e2e: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a test runner talks to people")]
fn report(message: &str) {
    eprintln!("{message}");
}

/// Returns true if no test failed.
fn try_main() -> anyhow::Result<bool> {
    let environment = Arc::new(Environment::detect()?);
    let limit =
        LIMITS[usize::from(environment.guest)] + Duration::from_secs(environment.checks / 250);
    let options = runner::Options::from_arguments(std::env::args().skip(1), limit)?;
    let table = Arc::new(corpus::Table::default());
    let mut tests = corpus::tests(&environment, &table);
    tests.extend(lifecycle::tests(&environment));
    tests.extend(differential::tests(&environment));
    tests.extend(enforce::tests(&environment));
    tests.extend(observe::tests(&environment));
    tests.extend(attach::tests(&environment));
    tests.extend(privileged::tests(&environment));
    tests.extend(profile::tests(&environment));
    tests.extend(shrink::tests(&environment));
    tests.extend(bad_input::tests(&environment));
    tests.extend(selinux::tests(&environment));
    tests.extend(today::tests(&environment));
    tests.extend(verify::tests(&environment));
    tests.extend(why::tests(&environment));
    let good = runner::run(&options, tests);
    table.print();
    if let Some(path) = std::env::var_os("CAPPROF_E2E_ROWS") {
        table.write(path.as_ref())?;
    }
    Ok(good)
}
