//! Decides when the recording of a service ends.

use super::service::Service;
use crate::live::{self, News, Stream};
use crate::{output, trial};
use capprof_profile::verification::Check;
use capprof_store::recording::Directory;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time between two looks for a change.
const TICK: Duration = Duration::from_millis(50);

/// The conditions that end a recording, besides the service's own end and Ctrl-C.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until<'a> {
    /// Nothing else.
    Interrupted,
    /// This shell command succeeds, or this time is over.
    Check(&'a str, Duration),
    /// This time is over.
    Over(Duration),
    /// Nothing new has come for this time.
    Quiet(Duration),
}

/// The result of watching a service.
#[derive(Debug)]
pub(super) struct Watched {
    /// The result of the check.
    pub(super) check: Option<Check>,
    /// The fault of the service.
    pub(super) failure: Option<String>,
    /// True if the user wanted to stop.
    pub(super) was_interrupted: bool,
}

/// Watches a running service until the condition is met, or the service has ended.
///
/// # Errors
/// The check cannot be started, systemd cannot be asked, or the recording cannot be read.
pub(super) fn watch(
    service: &Service,
    until: Until<'_>,
    (state, directory): (&Path, &Directory),
    interrupted: &AtomicBool,
) -> anyhow::Result<Watched> {
    let started = Instant::now();
    let mut watch = Watch {
        until,
        interrupted,
        check: match until {
            Until::Check(command, _) => Some(Check {
                command: command.to_owned(),
                passed: false,
                tries: 0,
                last: "the service did not run long enough for it".to_owned(),
                baseline: false,
            }),
            _ => None,
        },
        next_check: started,
        stream: match until {
            Until::Quiet(_) => {
                let directories = std::slice::from_ref(directory);
                Some(Stream::start(state, directories, trial::LOOK)?)
            }
            _ => None,
        },
        news: News::new(),
    };
    let mut next_look = started + trial::LOOK;
    while !interrupted.load(Ordering::Relaxed) && !watch.is_enough(started)? {
        if next_look <= Instant::now() {
            if !service.again()?.is_active() {
                break;
            }
            next_look = Instant::now() + trial::LOOK;
        }
        std::thread::sleep(TICK);
    }
    Ok(Watched {
        check: watch.check,
        failure: service.again()?.failure(),
        was_interrupted: interrupted.load(Ordering::Relaxed),
    })
}

struct Watch<'a> {
    until: Until<'a>,
    interrupted: &'a AtomicBool,
    check: Option<Check>,
    next_check: Instant,
    stream: Option<Stream>,
    news: News,
}

impl Watch<'_> {
    /// Returns true if the condition is met. Prints news if the condition is that none comes.
    fn is_enough(&mut self, started: Instant) -> anyhow::Result<bool> {
        match self.until {
            Until::Interrupted => Ok(false),
            Until::Over(time) => Ok(started.elapsed() >= time),
            Until::Check(command, time) => self.is_checked(command, started + time),
            Until::Quiet(time) => {
                if let Some(stream) = &self.stream {
                    while let Ok(progress) = stream.next(Duration::ZERO) {
                        for row in self.news.of(&progress?) {
                            output::message(&format!("new: {}", live::told(row)));
                        }
                    }
                }
                Ok(self.news.quiet_for(time))
            }
        }
    }

    /// Returns true if the check has succeeded, or its time is over.
    fn is_checked(&mut self, command: &str, deadline: Instant) -> anyhow::Result<bool> {
        if self.next_check > Instant::now() {
            return Ok(deadline <= Instant::now());
        }
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]);
        // Standard output is for the answer.
        shell.stdout(std::io::stderr());
        let status = trial::status_of_check(shell, deadline, &[self.interrupted])?;
        let Some(check) = &mut self.check else {
            return Ok(true);
        };
        trial::tried(check, status);
        self.next_check = Instant::now() + trial::PAUSE;
        Ok(check.passed || deadline <= Instant::now())
    }
}
