//! Tests of the eBPF recorder on this kernel, with real containers. A test that cannot run here is skipped, and says why.
mod arguments;
mod bounds;
mod container;
mod executions;
mod left_behind;
mod limits;
mod members;
mod membership;
#[path = "../recording/mod.rs"]
mod recording;
mod results;

use anyhow::{bail, ensure};
use capprof_profile::Capability;
use capprof_profile::observation::{
    Audit, CheckAnswer, Evidence, Namespace, Observation, ProgramExit,
};
use container::{Container, Tools, command, is_overcommit};
use libtest_mimic::{Arguments, Trial};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

type Test = fn(&Tools) -> anyhow::Result<()>;

const TESTS: [(&str, Test); 61] = [
    (
        "devices_are_opened_or_asked_about",
        devices_are_opened_or_asked_about,
    ),
    (
        "ping_sockets_are_told_from_others",
        ping_sockets_are_told_from_others,
    ),
    (
        "nothing_is_seen_of_devices_where_control_groups_are_hidden",
        left_behind::nothing_is_seen_of_devices_where_control_groups_are_hidden,
    ),
    (
        "devices_are_seen_where_control_groups_are_mounted_elsewhere",
        left_behind::devices_are_seen_where_control_groups_are_mounted_elsewhere,
    ),
    (
        "nothing_is_recorded_of_the_runtime",
        nothing_is_recorded_of_the_runtime,
    ),
    ("crun_records_the_same", crun_records_the_same),
    (
        "a_check_has_its_program_and_system_call",
        a_check_has_its_program_and_system_call,
    ),
    (
        "children_belong_to_the_container",
        membership::children_belong_to_the_container,
    ),
    (
        "hooks_in_the_container_do_not",
        membership::hooks_in_the_container_do_not,
    ),
    (
        "the_execve_of_the_program_itself_is_told_apart",
        executions::the_execve_of_the_program_itself_is_told_apart,
    ),
    (
        "a_process_added_by_exec_joins",
        membership::a_process_added_by_exec_joins,
    ),
    (
        "a_process_added_by_crun_exec_joins",
        membership::a_process_added_by_crun_exec_joins,
    ),
    (
        "a_process_of_the_host_does_not_join",
        membership::a_process_of_the_host_does_not_join,
    ),
    (
        "a_process_in_a_namespace_of_the_same_number_does_not_join",
        membership::a_process_in_a_namespace_of_the_same_number_does_not_join,
    ),
    (
        "execve_by_a_thread_keeps_the_membership",
        membership::execve_by_a_thread_keeps_the_membership,
    ),
    (
        "nothing_stays_armed_after_the_end",
        left_behind::nothing_stays_armed_after_the_end,
    ),
    (
        "rows_of_a_recording_that_is_half_forgotten_are_swept",
        left_behind::rows_of_a_recording_that_is_half_forgotten_are_swept,
    ),
    (
        "recordings_of_another_state_directory_are_not_swept",
        left_behind::recordings_of_another_state_directory_are_not_swept,
    ),
    (
        "one_failed_call_under_strace_loses_nothing",
        left_behind::one_failed_call_under_strace_loses_nothing,
    ),
    ("counts_are_true", counts_are_true),
    (
        "a_recording_that_reaches_its_limits_leaves_room_for_others",
        limits::a_recording_that_reaches_its_limits_leaves_room_for_others,
    ),
    (
        "each_limit_that_is_reached_is_named",
        limits::each_limit_that_is_reached_is_named,
    ),
    (
        "a_map_without_room_for_another_recording_is_named",
        limits::a_map_without_room_for_another_recording_is_named,
    ),
    (
        "mounters_of_overlays_that_are_not_told_apart_are_named",
        limits::mounters_of_overlays_that_are_not_told_apart_are_named,
    ),
    (
        "call_paths_beyond_those_told_apart_are_named",
        limits::call_paths_beyond_those_told_apart_are_named,
    ),
    (
        "arguments_that_are_gone_when_they_are_read_are_named",
        limits::arguments_that_are_gone_when_they_are_read_are_named,
    ),
    (
        "refused_checks_beyond_those_followed_are_named",
        bounds::refused_checks_beyond_those_followed_are_named,
    ),
    (
        "a_service_without_room_for_its_control_group_is_named",
        bounds::a_service_without_room_for_its_control_group_is_named,
    ),
    (
        "checks_between_two_probes_without_room_are_named",
        bounds::checks_between_two_probes_without_room_are_named,
    ),
    (
        "checks_without_a_stack_trace_are_named",
        bounds::checks_without_a_stack_trace_are_named,
    ),
    (
        "call_paths_of_one_system_call_are_told_apart",
        call_paths_of_one_system_call_are_told_apart,
    ),
    (
        "addresses_that_a_killed_hook_left_are_not_named_as_ours",
        left_behind::addresses_that_a_killed_hook_left_are_not_named_as_ours,
    ),
    (
        "containers_at_one_time_do_not_mix",
        membership::containers_at_one_time_do_not_mix,
    ),
    (
        "user_namespaces_have_classes",
        arguments::user_namespaces_have_classes,
    ),
    (
        "ownership_of_a_namespace_is_told_apart",
        arguments::ownership_of_a_namespace_is_told_apart,
    ),
    (
        "overlayfs_asks_for_its_mounter",
        arguments::overlayfs_asks_for_its_mounter,
    ),
    ("overcommit_is_silent", arguments::overcommit_is_silent),
    (
        "ids_that_are_the_same_have_no_effect",
        arguments::ids_that_are_the_same_have_no_effect,
    ),
    (
        "ids_that_are_mapped_are_compared_as_the_kernel_does",
        arguments::ids_that_are_mapped_are_compared_as_the_kernel_does,
    ),
    (
        "capset_of_permitted_capabilities_has_no_effect",
        arguments::capset_of_permitted_capabilities_has_no_effect,
    ),
    (
        "capset_of_an_inheritable_capability_has",
        arguments::capset_of_an_inheritable_capability_has,
    ),
    (
        "a_refused_capset_is_no_need",
        arguments::a_refused_capset_is_no_need,
    ),
    ("securebits_are_seen", arguments::securebits_are_seen),
    (
        "compat_system_calls_have_their_own_table",
        arguments::compat_system_calls_have_their_own_table,
    ),
    (
        "a_check_has_the_object_of_its_system_call",
        arguments::a_check_has_the_object_of_its_system_call,
    ),
    (
        "a_long_path_is_cut_and_marked",
        arguments::a_long_path_is_cut_and_marked,
    ),
    (
        "an_object_that_cannot_be_read_is_absent",
        arguments::an_object_that_cannot_be_read_is_absent,
    ),
    (
        "reading_a_sysctl_has_no_effect",
        arguments::reading_a_sysctl_has_no_effect,
    ),
    (
        "executions_have_paths_inside_the_container",
        executions::executions_have_paths_inside_the_container,
    ),
    (
        "pins_of_a_former_version_are_unloaded",
        left_behind::pins_of_a_former_version_are_unloaded,
    ),
    (
        "file_capabilities_are_read",
        executions::file_capabilities_are_read,
    ),
    (
        "unreadable_file_capabilities_say_why",
        executions::unreadable_file_capabilities_say_why,
    ),
    (
        "capabilities_gained_by_execve_are_seen",
        executions::capabilities_gained_by_execve_are_seen,
    ),
    (
        "refused_checks_have_the_results_of_their_system_calls",
        results::refused_checks_have_the_results_of_their_system_calls,
    ),
    (
        "crun_refused_checks_have_the_same_results",
        results::crun_refused_checks_have_the_same_results,
    ),
    (
        "refused_checks_of_a_process_added_by_exec_have_results",
        results::refused_checks_of_a_process_added_by_exec_have_results,
    ),
    (
        "system_calls_are_followed_only_while_a_recording_verifies",
        results::system_calls_are_followed_only_while_a_recording_verifies,
    ),
    (
        "the_end_of_the_first_process_is_known",
        the_end_of_the_first_process_is_known,
    ),
    (
        "a_vanished_recording_is_a_loss",
        a_vanished_recording_is_a_loss,
    ),
    (
        "a_program_that_never_ran_is_a_loss",
        a_program_that_never_ran_is_a_loss,
    ),
    (
        "a_process_that_is_gone_is_not_armed",
        a_process_that_is_gone_is_not_armed,
    ),
];

#[expect(clippy::print_stdout, reason = "a test runner talks to people")]
fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some tests count the rows of the maps, so only one test runs at a time.
    arguments.test_threads.get_or_insert(1);
    let tools = Tools::find().map(Arc::new);
    let skip = why_not(&tools);
    if let Some(reason) = &skip {
        println!("skipped: eBPF recorder: {reason}");
    }
    let trials = TESTS
        .iter()
        .map(|(name, test)| {
            let tools = tools.as_ref().ok().cloned();
            let missing = ["crun", "strace"]
                .into_iter()
                .find(|program| name.contains(program) && !has(program));
            if let (Some(program), None) = (missing, &skip) {
                println!("skipped: {name}: {program} is not installed");
            }
            Trial::test(*name, move || match tools {
                Some(tools) => test(&tools).map_err(|error| format!("{error:#}").into()),
                None => Err("no tools".into()),
            })
            .with_ignored_flag(skip.is_some() || missing.is_some())
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The reason why the tests cannot run here.
fn why_not(tools: &anyhow::Result<Arc<Tools>>) -> Option<String> {
    let tools = match tools {
        Ok(tools) => tools,
        Err(error) => return Some(format!("{error:#}")),
    };
    for program in ["runc", "busybox", "setcap"] {
        if !has(program) {
            return Some(format!("{program} is not installed"));
        }
    }
    match tools.record(&["probe"]) {
        Err(error) => Some(format!("{error:#}")),
        Ok(report) if report.contains("\"usable\": true") => None,
        Ok(report) => Some(report),
    }
}

fn has(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).exists())
}

/// The observations, without those of memory accounting.
fn rest(evidence: &Evidence) -> Vec<&Observation> {
    evidence
        .observations
        .iter()
        .filter(|observation| !is_overcommit(observation))
        .collect()
}

/// The observations of one capability, at least one.
fn of(evidence: &Evidence, capability: Capability) -> anyhow::Result<Vec<&Observation>> {
    let found: Vec<&Observation> = rest(evidence)
        .into_iter()
        .filter(|observation| observation.capability == capability)
        .collect();
    ensure!(
        !found.is_empty(),
        "no {capability} in {:#?}",
        rest(evidence)
    );
    Ok(found)
}

fn one(evidence: &Evidence, capability: Capability) -> anyhow::Result<&Observation> {
    match of(evidence, capability)?.as_slice() {
        [only] => Ok(only),
        several => bail!("more than one {capability}: {several:#?}"),
    }
}

fn whole(evidence: &Evidence) -> anyhow::Result<()> {
    ensure!(evidence.losses.is_empty(), "losses: {:?}", evidence.losses);
    Ok(())
}

/// Returns true if this kernel hides the checks of capset(2) and of PR_SET_SECUREBITS, and the recorder says so.
fn hides_capset(evidence: &Evidence) -> bool {
    evidence
        .blind_spots
        .iter()
        .any(|spot| spot.capability == Some(Capability::SETPCAP))
}

fn nothing_is_recorded_of_the_runtime(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "nothing"])?.run()?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    let [execution] = evidence.executions.as_slice() else {
        bail!("executions: {:?}", evidence.executions);
    };
    ensure!(execution.path == Path::new("/bin/probe") && execution.count == 1);
    Ok(())
}

fn crun_records_the_same(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "nothing"])?
        .runtime("crun")
        .run()?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    let evidence = Container::new(tools, &["/bin/probe", "chroot"])?
        .runtime("crun")
        .run()?;
    whole(&evidence)?;
    one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(rest(&evidence).len() == 1, "{:#?}", rest(&evidence));
    Ok(())
}

fn a_check_has_its_program_and_system_call(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "chroot"])?.run()?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.verdict == CheckAnswer::Granted && check.namespace == Namespace::Own);
    ensure!(check.program == "probe", "{}", check.program);
    ensure!(check.executable.as_deref() == Some(Path::new("/bin/probe")));
    ensure!(
        check
            .syscall
            .as_ref()
            .is_some_and(|call| call.name == "chroot")
    );
    ensure!(check.audit == Audit::Audited, "{:?}", check.audit);
    ensure!(
        check.call_site.iter().any(|name| name == "ns_capable"),
        "{:?}",
        check.call_site
    );
    ensure!(
        !check.call_site.iter().any(|name| {
            name.starts_with("bpf_") || name == "cap_capable" || name == "do_syscall_64"
        }),
        "{:?}",
        check.call_site
    );
    ensure!(check.count == 1 && check.pid > 1);
    ensure!(
        !(check.overridden
            || check.by_owner
            || check.pre_exec
            || check.joined
            || check.without_effect)
    );
    Ok(())
}

fn devices_are_opened_or_asked_about(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "access-null", "open-null"])?.run()?;
    let mut devices: Vec<_> = evidence
        .devices
        .iter()
        .filter(|one| one.program == "probe")
        .map(|one| (one.major, one.minor, one.access.as_str(), one.access_only))
        .collect();
    devices.sort_unstable();
    ensure!(
        devices == [(1, 3, "rw", false), (1, 3, "w", true), (1, 5, "r", true)],
        "{devices:?}"
    );
    ensure!(evidence.looks_beyond && evidence.unseen.is_empty());
    Ok(())
}

fn ping_sockets_are_told_from_others(tools: &Tools) -> anyhow::Result<()> {
    let pings = || Container::new(tools, &["/bin/probe", "ping-socket"]);
    let of_container = |evidence: &Evidence| matches!(evidence.ping_sockets.as_slice(), [one] if one.program == "probe" && one.group == Some(0) && one.count == 1);
    let evidence = pings()?.run()?;
    ensure!(
        of_container(&evidence) && evidence.ports.as_deref() == Some(&[]),
        "{:?}, {:?}",
        evidence.ping_sockets,
        evidence.ports
    );
    let evidence = pings()?.user_namespace()?.run()?;
    ensure!(of_container(&evidence), "{:?}", evidence.ping_sockets);
    let evidence = Container::new(tools, &["/bin/probe", "open-null"])?.run()?;
    ensure!(
        evidence.ping_sockets.is_empty(),
        "{:?}",
        evidence.ping_sockets
    );
    Ok(())
}

fn counts_are_true(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "chroot-1000"])?.run()?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.count == 1000, "{}", check.count);
    ensure!(check.first_ms <= check.last_ms);
    Ok(())
}

fn call_paths_of_one_system_call_are_told_apart(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "forks-then-namespace"])?.run()?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_ADMIN)?;
    ensure!(check.count == 1, "{check:?}");
    ensure!(
        check
            .call_site
            .iter()
            .any(|name| name.contains("namespaces")),
        "{:?}",
        check.call_site
    );
    let memory: u64 = evidence
        .observations
        .iter()
        .filter(|seen| is_overcommit(seen) && seen.syscall == check.syscall)
        .map(|seen| seen.count)
        .sum();
    // The tracepoint sees them; fexit does not, because the check is inlined.
    ensure!(memory == 0 || memory >= 300, "{memory}");
    Ok(())
}

fn the_end_of_the_first_process_is_known(tools: &Tools) -> anyhow::Result<()> {
    for (command, expected) in [
        (["/bin/sh", "-c", "exit 0"], Some(0)),
        (["/bin/sh", "-c", "(exit 9) & wait; exit 3"], Some(3)),
        (["/bin/probe", "nothing", "exit-in-thread"], Some(7)),
        // The status is the first thread's before Linux 6.2, and the last thread's since then (kernel/exit.c, synchronize_group_exit()).
        (["/bin/probe", "nothing", "last-thread-ends"], None),
    ] {
        let (status, evidence) = Container::new(tools, &command)?.run_to_any_end()?;
        let Some(ProgramExit::Code(code)) = evidence.exit else {
            bail!("{command:?}: {:?}", evidence.exit);
        };
        let code = i32::from(code);
        ensure!(
            expected.is_none_or(|expected| expected == code),
            "{command:?}: {code}"
        );
        ensure!(
            status == Some(code),
            "{command:?}: {code}, runc says {status:?}"
        );
    }
    let container = Container::new(tools, &["/bin/sleep", "60"])?;
    let evidence = container.run_with(|container| {
        // `runc run --detach` does not wait for the execve(2).
        let comm = format!("/proc/{}/comm", container.pid()?);
        while fs::read_to_string(&comm)?.trim_end() != "sleep" {
            thread::sleep(Duration::from_millis(1));
        }
        command(
            "kill",
            &["-TERM".as_ref(), "--".as_ref(), container.pid()?.as_ref()],
        )?;
        // Process 1 of a namespace ignores signals that it does not handle, except for this one.
        command(
            "kill",
            &["-KILL".as_ref(), "--".as_ref(), container.pid()?.as_ref()],
        )
    })?;
    ensure!(
        evidence.exit == Some(ProgramExit::Signal(9)),
        "{:?}",
        evidence.exit
    );
    Ok(())
}

fn a_vanished_recording_is_a_loss(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/sleep", "60"])?;
    let evidence = container.run_with(|container| {
        let directory = container.directory().path().display().to_string();
        tools.record(&["release", &directory])?;
        Ok(())
    })?;
    ensure!(!evidence.losses.is_empty());
    Ok(())
}

fn a_program_that_never_ran_is_a_loss(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/missing"])?;
    ensure!(container.start_and_wait().is_err());
    if container.directory().path().join("armed.json").exists() {
        let evidence = container.collect()?;
        ensure!(
            evidence
                .losses
                .iter()
                .any(|line| line.contains("never executed")),
            "{:?}",
            evidence.losses
        );
    }
    Ok(())
}

fn a_process_that_is_gone_is_not_armed(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/true"])?;
    container.run()?;
    let before = tools.record(&["slots"])?;
    let mut child = Command::new("true").spawn()?;
    let pid = child.id();
    child.wait()?;
    let directory = container.directory().path().display().to_string();
    let result = tools.record(&["arm-gone", &directory, &pid.to_string()]);
    ensure!(result.is_err(), "a process that is gone was armed");
    ensure!(tools.record(&["slots"])? == before);
    Ok(())
}
