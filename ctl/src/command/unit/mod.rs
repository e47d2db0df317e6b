//! `capprofctl unit`: profiles a systemd service and makes a drop-in of the answer.

mod change;
mod recording;
mod service;
mod watch;

use crate::cli::{DetailOptions, Format, UnitOptions};
use crate::exit::Exit;
use crate::render::{FormKind, Parts};
use crate::{hook, output, process};
use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use capprof_profile::recording::ProcessSets;
use capprof_profile::settings::Settings;
use capprof_profile::verification::{Outside, RunEnd, Verdict};
use capprof_profile::verify;
use capprof_store::control_group::{self, VERSION_2};
use capprof_store::file::{self, Attributes};
use capprof_store::profiles::Store;
use capprof_store::recording::JOINED;
use capprof_store::{drop_in, systemctl};
use change::ServiceChange;
use service::Service;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use watch::{Until, Watched};

/// The time that a service without a check must run with the drop-in, at most as long as its recording.
const LONG_ENOUGH: Duration = Duration::from_secs(30);

/// Records a service, prints a drop-in with the capabilities that it used, and installs it if the user asks for that and the service works with it.
///
/// # Errors
/// There is no such service, it cannot be recorded, or it does not start even with its own settings. It has these again then.
pub(crate) fn run(settings: &Settings, options: &UnitOptions) -> anyhow::Result<Exit> {
    if !nix::unistd::geteuid().is_root() {
        bail!("unit: this needs root, for eBPF and systemd: run it with sudo");
    }
    if !control_group::is_mounted(VERSION_2) {
        bail!(
            "unit: this needs control groups of version 2, which are not mounted here (mount -t cgroup2)"
        );
    }
    let until = match (&options.check, options.duration, options.until_quiet) {
        (Some(check), _, _) => Until::Check(check, options.timeout),
        (_, Some(time), _) => Until::Over(time),
        (_, _, Some(time)) => Until::Quiet(time),
        (None, None, None) if options.write => bail!(
            "unit: --write tries the drop-in and needs a --check; --for or --until-quiet is enough if the service only has to start"
        ),
        (None, None, None) => Until::Interrupted,
    };
    let service = Service::find(&options.unit)?;
    let course = Course {
        settings,
        store: Store::at(&settings.store),
        was_active: service.is_active(),
        service,
        interrupted: &*process::interrupted()?,
    };
    let (profile, watched) = course.record(until)?;
    let id = &profile.origin.recording_id;
    if let Some(failure) = &watched.failure {
        bail!(
            "profiled as {id}, but with its own settings {failure}: see journalctl -u {}",
            course.service.name
        );
    }
    let (set, ambient) = course.answer(&profile)?;
    let text = format!(
        "# Made by capprofctl unit from recording {id}.\n[Service]\n{}",
        change::assignments(set, ambient)
    );
    let exit = match options.write {
        true => course.install(&profile, &watched, until, &text)?,
        false if watched.check.as_ref().is_some_and(|check| !check.passed) => Exit::NotVerified,
        false if watched.was_interrupted && !matches!(until, Until::Interrupted) => {
            Exit::Interrupted
        }
        false => Exit::Success,
    };
    if let Some(check) = watched.check.filter(|check| !check.passed) {
        output::message(&format!(
            "the check does not succeed with the service's own settings: {}",
            check.last
        ));
    }
    print(&course, id, options.format, &text)?;
    Ok(exit)
}

/// The report and the drop-in, or one form.
fn print(course: &Course<'_>, id: &str, format: Format, text: &str) -> anyhow::Result<()> {
    if format == Format::Form(FormKind::Systemd) {
        return output::print_raw(text);
    }
    let detail = DetailOptions {
        verbose: false,
        all_forms: false,
    };
    super::report::run(
        &course.store,
        &course.settings.state,
        id,
        (format, false),
        &detail,
    )?;
    match format {
        Format::Text => output::print_raw(&format!(
            "\n{}:\n{text}",
            installed(&course.service).display()
        )),
        _ => Ok(()),
    }
}

/// The directory of the drop-in.
fn installed(service: &Service) -> PathBuf {
    Path::new("/etc/systemd/system")
        .join(format!("{}.d", service.name))
        .join("capprof.conf")
}

/// The steps from a service to its drop-in.
struct Course<'a> {
    settings: &'a Settings,
    store: Store,
    service: Service,
    /// True if the service ran before.
    was_active: bool,
    interrupted: &'a AtomicBool,
}

impl Course<'_> {
    /// Records the service with its own settings.
    fn record(&self, until: Until<'_>) -> anyhow::Result<(Profile, Watched)> {
        let (watched, id, _change) = self.run(until, None)?;
        let profile = self.store.find(&id)?.profile;
        Ok((profile, watched))
    }

    /// Starts the service, recorded from its first command on, and watches it. If it already ran, the old processes are recorded too, so that
    /// their end is seen. Returns the recording's id, and the value that undoes the change of the service.
    fn run(
        &self,
        until: Until<'_>,
        verified: Option<(&str, ProcessSets, &str)>,
    ) -> anyhow::Result<(Watched, String, ServiceChange)> {
        let service = self.service.again()?;
        let sets = verified.map(|(id, sets, _)| (id, sets));
        let directory = recording::begin(&service, sets, self.settings)?;
        let path = directory.path().as_os_str();
        if let Err(error) = hook::quiet(&[OsStr::new("attach"), path]) {
            let _ = directory.remove();
            return Err(error);
        }
        let watched = ServiceChange::of(
            &service,
            self.was_active,
            directory.path(),
            verified.map(|(_, _, text)| text),
        )
        .and_then(|change| {
            output::message(&match self.was_active {
                true => format!("restarting {}", service.name),
                false => format!("starting {}, which does not run", service.name),
            });
            let started = systemctl::restart(&service.name);
            if started.is_ok() && !file::exists(&directory.path().join(JOINED))? {
                bail!(
                    "{}: its start could not be recorded (RootDirectory=, or see the system log)",
                    service.name
                );
            }
            let watched = match (&started, verified) {
                (Err(_), None) => None,
                // A service that does not start with the set has failed the trial.
                (Err(error), Some(_)) => Some(Watched {
                    check: None,
                    failure: Some(error.to_string()),
                    was_interrupted: false,
                }),
                (Ok(()), _) => Some(watch::watch(
                    &service,
                    until,
                    (&self.settings.state, &directory),
                    self.interrupted,
                )?),
            };
            if !self.was_active {
                // Capabilities that a service needs while it stops count too.
                systemctl::stop(&service.name)?;
            }
            match watched {
                Some(watched) => Ok((watched, change)),
                None => Err(started.err().context("start the service")?.into()),
            }
        });
        let id = directory.id().unwrap_or_default();
        let detached = hook::quiet(&[OsStr::new("detach"), path]);
        let (watched, change) = watched?;
        detached?;
        Ok((watched, id, change))
    }

    /// The bounding set, and the ambient set.
    fn answer(&self, profile: &Profile) -> anyhow::Result<(CapabilitySet, CapabilitySet)> {
        let parts = Parts::of(FormKind::Systemd, profile)?;
        let own = self.service.sets().ambient;
        Ok(match profile.origin.process.uid {
            // A capability outside the bounding set cannot be ambient: systemd would not start the service.
            0 => (parts.set, own.intersection(parts.set)),
            _ => (parts.set, parts.ambient),
        })
    }

    /// Starts the service with the drop-in, and installs it if the service works.
    fn install(
        &self,
        profile: &Profile,
        watched: &Watched,
        until: Until<'_>,
        text: &str,
    ) -> anyhow::Result<Exit> {
        let id = &profile.origin.recording_id;
        if watched.was_interrupted {
            return Ok(Exit::Interrupted);
        }
        if watched.check.as_ref().is_some_and(|check| !check.passed) {
            return Ok(Exit::NotVerified);
        }
        if !profile.complete {
            output::message(&format!(
                "not installed, because the profile is incomplete: {}",
                profile.incomplete_because.join("; ")
            ));
            return Ok(Exit::NotVerified);
        }
        let until = match until {
            Until::Over(time) => Until::Over(time.min(LONG_ENOUGH)),
            Until::Quiet(time) => Until::Over(time.min(LONG_ENOUGH)),
            other => other,
        };
        let (set, ambient) = self.answer(profile)?;
        let effective = match profile.origin.process.uid {
            0 => set,
            _ => ambient,
        };
        let sets = ProcessSets {
            bounding: set,
            effective,
            permitted: effective,
            inheritable: ambient,
            ambient,
        };
        output::message(&format!("trying the drop-in: {set}"));
        let assignments = change::assignments(set, ambient);
        let (tried, run, change) = self.run(until, Some((id, sets, &assignments)))?;
        if tried.was_interrupted {
            return Ok(Exit::Interrupted);
        }
        if !self.passed(profile, &run, &tried)? {
            return Ok(Exit::NotVerified);
        }
        self.write(text, change)
    }

    /// Compares a run with the drop-in to the recording, and stores the verdict in the profile.
    fn passed(&self, profile: &Profile, run: &str, tried: &Watched) -> anyhow::Result<bool> {
        let id = &profile.origin.recording_id;
        let name = &self.service.name;
        let run = self
            .store
            .run_of(id)?
            .filter(|stored| stored.origin.recording_id == run)
            .with_context(|| format!("{name} left no record of its run with the drop-in"))?;
        let outside = Outside {
            command: ["systemctl", "restart", name].map(str::to_owned).to_vec(),
            end: RunEnd::Stopped,
            check: tried.check.clone(),
            strict: false,
            anyway: false,
            today: false,
        };
        let mut verification = verify::judge(profile, &run, &outside);
        if let Some(failure) = &tried.failure {
            verification.verdict = Verdict::NotVerified;
            verification.failures.insert(0, failure.clone());
        }
        self.store.set_verification(id, Some(&verification))?;
        let passed = verification.verdict != Verdict::NotVerified;
        if !passed {
            let hint = match verification.suggested.is_empty() {
                true => String::new(),
                false => format!(
                    "; use what needed {} while it is recorded, too",
                    verification.suggested
                ),
            };
            output::message(&format!(
                "not installed: {}{hint} ({name} has its former settings again)",
                verification.failures.join("; ")
            ));
        }
        Ok(passed)
    }

    /// Installs the drop-in that was tried. The service keeps running with it.
    fn write(&self, text: &str, change: ServiceChange) -> anyhow::Result<Exit> {
        let path = installed(&self.service);
        let tried = self.service.again()?.sets();
        let former = match file::exists(&path)? {
            true => Some(file::read(&path)?),
            false => None,
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("create {}", directory.display()))?;
        }
        file::write(&path, text.as_bytes(), Attributes::Mode(0o644))?;
        change.keep();
        let now = self.service.again()?;
        if now.sets() == tried {
            output::message(&format!("wrote {}", path.display()));
            return Ok(Exit::Success);
        }
        match former {
            Some(former) => file::write(&path, &former, Attributes::Mode(0o644))?,
            None => drop_in::remove(&path)?,
        }
        systemctl::reload()?;
        if self.was_active {
            systemctl::restart(&self.service.name)?;
        }
        bail!(
            "{} does not take effect, and is not installed: another drop-in overrides it ({})",
            path.display(),
            now.drop_ins()
        )
    }
}
