//! Measures the time to classify 10,000 observations: half at the places of the atlas in turn, half at a place that no table has.
//!
//! Prints milliseconds of wall time, one line for each of 20 rounds; `tests/bench` reads them.
#![allow(clippy::print_stdout)]

use capprof_profile::classify::{Context, classify};
use capprof_profile::observation::Observation;
use capprof_profile::{Capability, CapabilitySet, atlas, fixtures};
use std::hint::black_box;
use std::time::Instant;

const OBSERVATIONS: usize = 10_000;
const ROUNDS: usize = 20;

fn main() {
    let known = atlas::sites().map(|site| {
        let capability = site.capabilities.iter().next();
        let caller = site.callers.first().copied().unwrap_or("vfs_function");
        observation(capability, &["capable", site.function, caller])
    });
    let known: Vec<Observation> = known.collect();
    let unknown = observation(None, &["capable", "no_such_function", "do_syscall_64"]);
    let context = Context {
        uid: 0,
        user_namespace: false,
        no_new_privileges: false,
        granted: CapabilitySet::EMPTY,
    };
    // Not measured: the first call reads the table, which a process does once.
    black_box(classify(&unknown, &context));
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for index in 0..OBSERVATIONS / 2 {
            black_box(classify(&known[index % known.len()], &context));
            black_box(classify(&unknown, &context));
        }
        println!("{}", start.elapsed().as_secs_f64() * 1000.0);
    }
}

fn observation(capability: Option<Capability>, call_site: &[&str]) -> Observation {
    fixtures::check(
        capability.unwrap_or(Capability::SYS_ADMIN),
        "ioctl",
        call_site,
    )
}
