//! `capprof-e2e`: end-to-end tests of capprof with real runtimes, on this machine or in a guest.
//!
//! ```text
//! capprof-e2e [--list] [FILTER] …     arguments of libtest
//!   CAPPROF_BIN       directory of capprof, capprof-hook and capprofctl (default: that of this program)
//!   CAPPROF_CORPUS    the built corpus (default: `corpus` beside this program)
//!   CAPPROF_E2E_RECORDERS   recorders to test, e.g. `ebpf,selinux` (default: auto)
//!   CAPPROF_E2E_GUEST       set: this is a guest, which a test may disturb, and which is slow: run a selection of what fits it
//!   CAPPROF_E2E_FULL        set: run all of it
//!   CAPPROF_E2E_AROUND      in a guest: the capabilities of the machine around it, as CapEff in /proc/PID/status
//!   CAPPROF_E2E_ROWS        a file for what was found of the corpus, one JSON object per finding
//!   CAPPROF_E2E_SYSTEM      set: use the system's own state and store directories, as an installed capprof does
//! ```
//!
//! A test that cannot run here is printed as `skipped: NAME: REASON` and counted as skipped (libtest says "ignored").

mod bad_input;
mod container;
mod corpus;
mod enforce;
mod environment;
mod lifecycle;
mod privileged;
mod selinux;
mod shrink;
mod verify;

use environment::{Environment, Runtime};
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};

/// Held for writing by a test that switches or watches the host's SELinux state, for reading by all others.
static HOST: RwLock<()> = RwLock::new(());

/// What a test gives back.
type Outcome = Result<(), Failed>;

/// What a test does with a runtime.
type Body = fn(&Arc<Environment>, &Runtime) -> anyhow::Result<()>;

/// A test before it is known whether it can run here.
struct Test {
    name: String,
    /// Why it cannot run here.
    skip: Option<String>,
    run: Box<dyn FnOnce() -> Outcome + Send>,
    /// Whether no other may run at the same time.
    alone: bool,
}

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

    /// One that needs the runtime, and this recorder if one is named.
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
            body(&environment, &own).map_err(|error| format!("{error:#}").into())
        })
    }

    /// All of them under each runtime, as `GROUP/RUNTIME/NAME`.
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

#[expect(clippy::print_stdout, reason = "a test runner talks to people")]
fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let environment = match Environment::detect() {
        Ok(environment) => Arc::new(environment),
        Err(error) => {
            println!("capprof-e2e: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let table = Arc::new(corpus::Table::default());
    let mut tests = corpus::tests(&environment, &table);
    tests.extend(lifecycle::tests(&environment));
    tests.extend(enforce::tests(&environment));
    tests.extend(privileged::tests(&environment));
    tests.extend(shrink::tests(&environment));
    tests.extend(bad_input::tests(&environment));
    tests.extend(selinux::tests(&environment));
    tests.extend(verify::tests(&environment));
    let trials = tests
        .into_iter()
        .map(|test| {
            if let Some(reason) = &test.skip
                && !arguments.list
                && arguments
                    .filter
                    .as_ref()
                    .is_none_or(|filter| test.name.contains(filter.as_str()))
            {
                println!("skipped: {}: {reason}", test.name);
            }
            let run = move || -> Outcome {
                if test.alone {
                    let _guard = HOST.write().unwrap_or_else(PoisonError::into_inner);
                    (test.run)()
                } else {
                    let _guard = HOST.read().unwrap_or_else(PoisonError::into_inner);
                    (test.run)()
                }
            };
            Trial::test(test.name, run).with_ignored_flag(test.skip.is_some())
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    table.print();
    if let Some(path) = std::env::var_os("CAPPROF_E2E_ROWS")
        && let Err(error) = table.write(path.as_ref())
    {
        println!("capprof-e2e: {error:#}");
        return ExitCode::FAILURE;
    }
    // libtest knows no test that finds out while it runs that it cannot: it counts those as passed.
    println!(
        "{} passed, {} failed, {} skipped",
        conclusion.num_passed - table.skipped(),
        conclusion.num_failed,
        conclusion.num_ignored + table.skipped()
    );
    conclusion.exit_code()
}
