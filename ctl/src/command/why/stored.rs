//! The refusals that a finished recording has stored: the missing capabilities, and the results of the system calls.

use crate::render;
use anyhow::bail;
use capprof_profile::observation::Results;
use capprof_profile::profile::{Need, Profile};
use capprof_profile::recording::Mode;
use capprof_profile::verify::UNGRANTED;
use capprof_profile::why::report::{Refusal, RefusalReport};
use capprof_profile::why::{Cause, Explanation};
use capprof_store::profiles::Store;

/// The remark on the kinds of refusal that no recording keeps.
const NOT_KEPT: &str = "of a finished recording, refusals without a missing capability (file modes, mounts, seccomp filters, device rules): \
                        `capprofctl why CONTAINER` sees them while it runs, `capprofctl why -- COMMAND` of a command";

/// Returns the refusals of a recording. For a recording that was granted everything, returns those of the run that verified it.
///
/// # Errors
/// Everything was granted, so nothing was refused, and no run verified it; or the results of system calls were not recorded.
pub(super) fn report(store: &Store, profile: &Profile) -> anyhow::Result<RefusalReport> {
    let id = &profile.origin.recording_id;
    let run = store.run_of(id)?;
    let seen = match (profile.conditions.mode, run) {
        (Mode::Profile, Some(run)) if profile.denied_needs.is_empty() => run,
        (Mode::Profile, None) if profile.denied_needs.is_empty() => bail!(
            "{id} had every capability, so none was refused: `capprofctl verify {id} -- COMMAND` shows what fails without them, and \
             `capprofctl why CONTAINER` watches a container that runs"
        ),
        (Mode::Enforce, _) => bail!(
            "{id}: refusals were not recorded: `capprofctl why CONTAINER` watches a container that runs"
        ),
        _ => profile.clone(),
    };
    let mut refusals: Vec<Refusal> = seen
        .denied_needs
        .iter()
        .map(|need| refusal(&seen, need))
        .collect();
    refusals.sort_by_key(|refusal| refusal.order);
    Ok(RefusalReport {
        refusals,
        exit_status: None,
        missing: vec![NOT_KEPT.to_owned()],
    })
}

fn refusal(run: &Profile, need: &Need) -> Refusal {
    let denied = run.findings.denied.iter().filter(|entry| {
        entry.capability == need.capability && UNGRANTED.contains(&entry.rule.as_str())
    });
    let denied: Vec<_> = denied.collect();
    let mut outcome = Results::default();
    for entry in &denied {
        outcome.add(&entry.outcome.unwrap_or_default());
    }
    let errors: Vec<&str> = [
        ("EPERM", outcome.eperm),
        ("EACCES", outcome.eacces),
        ("another error", outcome.other_error),
    ]
    .into_iter()
    .filter_map(|(name, count)| (count > 0).then_some(name))
    .collect();
    let purpose = render::purpose(need);
    let to = purpose.map_or_else(String::new, |(plain, _)| plain);
    let site = need.sites.first().map_or("", String::as_str);
    let function = site.split(" < ").next().unwrap_or_default().to_owned();
    let of_the_initial = |rule: &str| rule == "initial-namespace";
    let cause = match !denied.is_empty() && denied.iter().all(|entry| of_the_initial(&entry.rule)) {
        true => Cause::UserNamespace {
            capability: need.capability,
            held: run.conditions.granted.permitted.contains(need.capability),
            to,
            function,
        },
        false => Cause::Capability {
            capability: need.capability,
            to,
            alternatives: need.alternatives.iter().copied().collect(),
            unless: None,
            function,
        },
    };
    Refusal {
        program: render::first_few(&need.programs),
        pid: 0,
        call: need.syscalls.first().cloned().unwrap_or_default(),
        text: render::first_few(&need.syscalls),
        error: match errors.as_slice() {
            [] => "refused".to_owned(),
            errors => errors.join(", "),
        },
        count: outcome.failed().max(1),
        fatal: false,
        probe: false,
        order: need.first_ms,
        remedies: cause.remedy().into_iter().collect(),
        explanation: Explanation::sure(cause),
    }
}
