//! Tests of the eBPF recorder on this kernel, with real containers. A test that cannot run here is skipped, and says why.

mod container;
#[path = "../recording/mod.rs"]
mod recording;
mod results;

use anyhow::{Context, bail, ensure};
use capprof_profile::observation::{Audit, Evidence, Exit, Namespace, Observation, Verdict};
use capprof_profile::{Capability, CapabilitySet};
use container::{Container, Tools, command, is_overcommit};
use libbpf_rs::{MapCore, MapFlags};
use libtest_mimic::{Arguments, Trial};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

type Test = fn(&Tools) -> anyhow::Result<()>;

const TESTS: [(&str, Test); 46] = [
    (
        "devices_are_opened_or_asked_about",
        devices_are_opened_or_asked_about,
    ),
    (
        "nothing_is_seen_of_devices_where_control_groups_are_hidden",
        nothing_is_seen_of_devices_where_control_groups_are_hidden,
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
        children_belong_to_the_container,
    ),
    (
        "hooks_in_the_container_do_not",
        hooks_in_the_container_do_not,
    ),
    (
        "the_execve_of_the_program_itself_is_told_apart",
        the_execve_of_the_program_itself_is_told_apart,
    ),
    (
        "a_process_added_by_exec_joins",
        a_process_added_by_exec_joins,
    ),
    (
        "a_process_added_by_crun_exec_joins",
        a_process_added_by_crun_exec_joins,
    ),
    (
        "a_process_of_the_host_does_not_join",
        a_process_of_the_host_does_not_join,
    ),
    (
        "a_process_in_a_namespace_of_the_same_number_does_not_join",
        a_process_in_a_namespace_of_the_same_number_does_not_join,
    ),
    (
        "execve_by_a_thread_keeps_the_membership",
        execve_by_a_thread_keeps_the_membership,
    ),
    (
        "nothing_stays_armed_after_the_end",
        nothing_stays_armed_after_the_end,
    ),
    (
        "rows_of_a_recording_that_is_half_forgotten_are_swept",
        rows_of_a_recording_that_is_half_forgotten_are_swept,
    ),
    (
        "recordings_of_another_state_directory_are_not_swept",
        recordings_of_another_state_directory_are_not_swept,
    ),
    (
        "one_failed_call_under_strace_loses_nothing",
        one_failed_call_under_strace_loses_nothing,
    ),
    ("counts_are_true", counts_are_true),
    (
        "call_paths_of_one_system_call_are_told_apart",
        call_paths_of_one_system_call_are_told_apart,
    ),
    (
        "addresses_that_a_killed_hook_left_are_not_named_as_ours",
        addresses_that_a_killed_hook_left_are_not_named_as_ours,
    ),
    (
        "containers_at_one_time_do_not_mix",
        containers_at_one_time_do_not_mix,
    ),
    ("user_namespaces_have_classes", user_namespaces_have_classes),
    (
        "ownership_of_a_namespace_is_told_apart",
        ownership_of_a_namespace_is_told_apart,
    ),
    (
        "overlayfs_asks_for_its_mounter",
        overlayfs_asks_for_its_mounter,
    ),
    ("overcommit_is_silent", overcommit_is_silent),
    (
        "ids_that_are_the_same_have_no_effect",
        ids_that_are_the_same_have_no_effect,
    ),
    (
        "ids_that_are_mapped_are_compared_as_the_kernel_does",
        ids_that_are_mapped_are_compared_as_the_kernel_does,
    ),
    (
        "capset_of_permitted_capabilities_has_no_effect",
        capset_of_permitted_capabilities_has_no_effect,
    ),
    (
        "capset_of_an_inheritable_capability_has",
        capset_of_an_inheritable_capability_has,
    ),
    ("a_refused_capset_is_no_need", a_refused_capset_is_no_need),
    ("securebits_are_seen", securebits_are_seen),
    (
        "compat_system_calls_have_their_own_table",
        compat_system_calls_have_their_own_table,
    ),
    (
        "reading_a_sysctl_has_no_effect",
        reading_a_sysctl_has_no_effect,
    ),
    (
        "executions_have_paths_inside_the_container",
        executions_have_paths_inside_the_container,
    ),
    (
        "pins_of_a_former_version_are_unloaded",
        pins_of_a_former_version_are_unloaded,
    ),
    ("file_capabilities_are_read", file_capabilities_are_read),
    (
        "unreadable_file_capabilities_say_why",
        unreadable_file_capabilities_say_why,
    ),
    (
        "capabilities_gained_by_execve_are_seen",
        capabilities_gained_by_execve_are_seen,
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
    // Some tests count what is in the maps.
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

/// Why the tests cannot run here.
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

/// What was recorded besides the account of memory.
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

/// Whether this kernel hides the checks of capset(2) and of PR_SET_SECUREBITS, and the recorder says so.
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
    ensure!(check.verdict == Verdict::Granted && check.namespace == Namespace::Own);
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

fn children_belong_to_the_container(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(tools, "(/bin/probe chroot) & wait; /bin/true")?.run()?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.program == "probe" && !check.joined);
    Ok(())
}

fn hooks_in_the_container_do_not(tools: &Tools) -> anyhow::Result<()> {
    let mut container = Container::new(tools, &["/bin/probe", "nothing"])?;
    container.config["hooks"]["startContainer"] =
        serde_json::json!([{ "path": "/bin/probe", "args": ["probe", "chroot"] }]);
    let evidence = container.run()?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

fn the_execve_of_the_program_itself_is_told_apart(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/closed/probe", "nothing"])?;
    let closed = container.root().join("closed");
    std::fs::create_dir(&closed)?;
    std::fs::copy(&tools.probe, closed.join("probe"))?;
    command("chown", &["1000".as_ref(), closed.as_ref()])?;
    command("chmod", &["0700".as_ref(), closed.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let checks = of(&evidence, Capability::DAC_READ_SEARCH)?;
    ensure!(checks.iter().all(|check| check.pre_exec), "{checks:#?}");
    ensure!(
        checks[0]
            .syscall
            .as_ref()
            .is_some_and(|call| call.name == "execve")
    );
    Ok(())
}

fn joins(tools: &Tools, runtime: &'static str) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/sleep", "60"])?.runtime(runtime);
    let evidence = container.run_with(|container| {
        container.exec("true")?;
        container.exec("/bin/probe chroot")
    })?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.joined && !check.pre_exec && check.program == "probe");
    // The runtime's way into the container takes a dozen capabilities.
    ensure!(rest(&evidence).len() == 1, "{:#?}", rest(&evidence));
    Ok(())
}

fn a_process_added_by_exec_joins(tools: &Tools) -> anyhow::Result<()> {
    joins(tools, "runc")
}

fn a_process_added_by_crun_exec_joins(tools: &Tools) -> anyhow::Result<()> {
    joins(tools, "crun")
}

fn a_process_of_the_host_does_not_join(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/sleep", "60"])?;
    let probe = tools.probe.clone();
    let evidence = container.run_with(|container| {
        let pid = container.pid()?;
        // In the container's network, but not in its file system.
        command(
            "nsenter",
            &[
                "-t".as_ref(),
                pid.as_ref(),
                "-n".as_ref(),
                probe.as_ref(),
                "chroot".as_ref(),
            ],
        )?;
        command(&probe.display().to_string(), &["chroot".as_ref()])
    })?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

/// Numbers of mount namespaces are used again at once: the host's next one has the number of that which the container has left.
fn a_process_in_a_namespace_of_the_same_number_does_not_join(tools: &Tools) -> anyhow::Result<()> {
    // Whoever makes a namespace first gets the number, and others make some too.
    for _ in 0..30 {
        if let Some(evidence) = number_used_again(tools)? {
            whole(&evidence)?;
            ensure!(
                of(&evidence, Capability::SYS_CHROOT).is_err(),
                "{:#?}",
                rest(&evidence)
            );
            return Ok(());
        }
    }
    bail!("others were faster than this test each time")
}

/// The evidence of a container whose first mount namespace's number the host has used again meanwhile; `None` if it has not.
fn number_used_again(tools: &Tools) -> anyhow::Result<Option<Evidence>> {
    const LEVELS: &str = "8";
    let container = Container::shell(
        tools,
        "ls -l /proc/self/ns/mnt >/left; exec unshare -m /bin/sh -c '/bin/touch /moved; exec /bin/sleep 60'",
    )?;
    let numbers = tempfile::NamedTempFile::new()?;
    let evidence = container.run_with(|container| {
        let moved = container.root().join("moved");
        for _ in 0..1500 {
            if moved.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        ensure!(moved.exists(), "the container did not leave its namespace");
        // Each level keeps its namespace until the ones below have ended.
        let script = "\"$3\" chroot; ls -l /proc/self/ns/mnt >>\"$4\"; \
            [ \"$1\" = 0 ] || unshare -m sh -c \"$2\" sh $(($1 - 1)) \"$2\" \"$3\" \"$4\"";
        command(
            "sh",
            &[
                "-c".as_ref(),
                script.as_ref(),
                "sh".as_ref(),
                LEVELS.as_ref(),
                script.as_ref(),
                tools.probe.as_ref(),
                numbers.path().as_ref(),
            ],
        )
    })?;
    let number = |line: &str| {
        line.rsplit_once("mnt:")
            .map_or(String::new(), |(_, number)| number.trim().to_owned())
    };
    let left = number(&std::fs::read_to_string(container.root().join("left"))?);
    let used = std::fs::read_to_string(numbers.path())?;
    Ok(used
        .lines()
        .any(|line| number(line) == left)
        .then_some(evidence))
}

fn execve_by_a_thread_keeps_the_membership(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/probe", "thread-exec"])?;
    let script = container.root().join("bin/second");
    std::fs::remove_file(&script)?;
    std::fs::write(&script, "#!/bin/sh\nexec /bin/probe chroot\n")?;
    command("chmod", &["0755".as_ref(), script.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    one(&evidence, Capability::SYS_CHROOT)?;
    Ok(())
}

fn nothing_stays_armed_after_the_end(tools: &Tools) -> anyhow::Result<()> {
    let before = tools.record(&["processes"])?;
    let container = Container::shell(tools, "/bin/true; /bin/sleep 0; /bin/true & wait")?;
    container.start_and_wait()?;
    ensure!(
        tools.record(&["processes"])? == before,
        "tasks or joins stay"
    );
    let id = container.directory().load()?.id;
    ensure!(tools.record(&["slots"])?.contains(&id));
    drop(container);
    ensure!(!tools.record(&["slots"])?.contains(&id));
    ensure!(tools.record(&["processes"])? == before);
    Ok(())
}

/// A map of the program set.
fn map(name: &str) -> anyhow::Result<libbpf_rs::MapHandle> {
    let path = capprof_hook::ebpf::directory().join(name);
    Ok(libbpf_rs::MapHandle::from_pinned_path(path)?)
}

/// A hook was killed, or a call failed, after the row in the map of containers had been deleted.
fn rows_of_a_recording_that_is_half_forgotten_are_swept(tools: &Tools) -> anyhow::Result<()> {
    // Of a recording that was armed right after boot.
    const SLOT: u64 = 1;
    let container = Container::new(tools, &["/bin/sleep", "60"])?;
    container.run_with(|container| {
        let rows = |name: &str| -> anyhow::Result<usize> { Ok(map(name)?.keys().count()) };
        let names = [
            "checks",
            "programs",
            "capsets",
            "devices",
            "sysctls",
            "ports",
            "attributes",
        ];
        let before = names.map(|name| rows(name).unwrap_or(0));
        for name in names {
            let map = map(name)?;
            let mut key = vec![0; map.key_size().try_into()?];
            key[..8].copy_from_slice(&SLOT.to_ne_bytes());
            let value = vec![0; map.value_size().try_into()?];
            map.update(&key, &value, MapFlags::ANY)?;
        }
        let namespace = u32::MAX.to_ne_bytes();
        map("joins")?.update(&namespace, &SLOT.to_ne_bytes(), MapFlags::ANY)?;
        let said = tools.record(&["sweep", "/nowhere"])?;
        ensure!(said.contains("removed eBPF map rows"), "{said}");
        for (name, before) in names.iter().zip(before) {
            // This container may have got more meanwhile.
            ensure!(rows(name)? >= before, "{name}: rows of others are gone");
            let is_left = map(name)?.keys().any(|key| key[..8] == SLOT.to_ne_bytes());
            ensure!(!is_left, "{name}: a row is left");
        }
        ensure!(map("joins")?.lookup(&namespace, MapFlags::ANY)?.is_none());
        let slots = tools.record(&["slots"])?;
        ensure!(slots.contains(container.id()), "{slots}");
        Ok(())
    })?;
    Ok(())
}

/// Each call of bpf(2) with which the evidence is read fails once.
fn one_failed_call_under_strace_loses_nothing(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/probe", "chroot"])?;
    let expected = container.run()?;
    let directory = container.directory().path().display().to_string();
    let collect = |filter: &[&str]| {
        Command::new("strace")
            .args(["-f", "-qq"])
            .args(filter)
            .arg(&tools.recorder)
            .args(["collect", &directory])
            .output()
    };
    let traced = collect(&["-e", "trace=bpf"])?;
    let calls = String::from_utf8_lossy(&traced.stderr)
        .matches("bpf(")
        .count();
    ensure!(calls > 20, "{calls} calls");
    for call in 1..=calls {
        let inject = format!("inject=bpf:error=ENOMEM:when={call}");
        let output = collect(&["-o", "/dev/null", "-e", "trace=bpf", "-e", &inject])?;
        let evidence: Evidence = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("call {call}: {output:?}"))?;
        ensure!(
            evidence == expected,
            "call {call} of {calls}: {:?}",
            evidence.losses
        );
    }
    Ok(())
}

/// Their directory alone tells if they are gone.
fn recordings_of_another_state_directory_are_not_swept(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/true"])?;
    container.run()?;
    let containers = map("containers")?;
    let enter = |slot: u64, owner: &str| -> anyhow::Result<()> {
        let mut row = vec![0; containers.value_size().try_into()?];
        let start = row.len() - 64;
        row[start..start + owner.len()].copy_from_slice(owner.as_bytes());
        Ok(containers.update(&slot.to_ne_bytes(), &row, MapFlags::ANY)?)
    };
    // FNV-1a (64 bit).
    let hash = "/run/one"
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    enter(1, &format!("first@{hash:016x}"))?;
    enter(2, "second@0123456789abcdef")?;
    let said = tools.record(&["sweep", "/run/one"])?;
    let slots = tools.record(&["slots"])?;
    for slot in [1_u64, 2] {
        let _ = containers.delete(&slot.to_ne_bytes());
    }
    ensure!(said.contains("first") && !said.contains("second"), "{said}");
    ensure!(
        !slots.contains("first") && slots.contains("second"),
        "{slots}"
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

/// What a shell script says in which `$0` is the recorder, and whose pins no other process sees.
fn with_pins_of_its_own(tools: &Tools, script: &str) -> anyhow::Result<String> {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "mount --make-rprivate / && mount -t bpf bpf /sys/fs/bpf && {script}"
        ))
        .arg(&tools.recorder)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Capabilities are recorded all the same, and it is said what is not.
fn nothing_is_seen_of_devices_where_control_groups_are_hidden(tools: &Tools) -> anyhow::Result<()> {
    let said = with_pins_of_its_own(
        tools,
        "umount -R -l /sys/fs/cgroup && \"$0\" probe && \"$0\" load tp_btf && \"$0\" unseen",
    )?;
    for what in [
        "devices opened: control groups version 2 are not mounted",
        "writes to /proc/sys: control groups version 2 are not mounted",
    ] {
        // In what could be recorded, and in what is.
        ensure!(said.matches(what).count() == 2, "{said}");
    }
    Ok(())
}

/// What an upgrade left: pins of another layout, which only the version that made them could use.
fn pins_of_a_former_version_are_unloaded(tools: &Tools) -> anyhow::Result<()> {
    let said = with_pins_of_its_own(
        tools,
        "cd /sys/fs/bpf && \"$0\" load tp_btf && mv capprof/v* capprof/v0 && \"$0\" load tp_btf && ls capprof && \"$0\" unload && ! ls capprof",
    )?;
    let lines: Vec<&str> = said.lines().rev().collect();
    ensure!(
        matches!(lines.as_slice(), ["true", version, "v0", ..] if version.starts_with('v')),
        "{said}"
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

/// A hook writes the addresses that it has named to the front of the map, and takes them back afterwards.
fn addresses_that_a_killed_hook_left_are_not_named_as_ours(tools: &Tools) -> anyhow::Result<()> {
    let container = || Container::new(tools, &["/bin/probe", "chroot"])?.run();
    let before = one(&container()?, Capability::SYS_CHROOT)?
        .call_site
        .clone();
    ensure!(before.iter().any(|name| name == "ns_capable"), "{before:?}");
    let map =
        libbpf_rs::MapHandle::from_pinned_path(capprof_hook::ebpf::directory().join("symbols"))?;
    let read = |row: u32| -> anyhow::Result<Vec<u8>> {
        map.lookup(&row.to_ne_bytes(), MapFlags::ANY)?
            .context("a row of the map of symbols")
    };
    let none = 0_u64.to_ne_bytes();
    for row in 0..map.max_entries() {
        ensure!(read(row)? == none, "row {row} was not taken back");
        // Of no function: the kernel writes it as a number.
        map.update(&row.to_ne_bytes(), &4711_u64.to_ne_bytes(), MapFlags::ANY)?;
    }
    let evidence = container()?;
    whole(&evidence)?;
    let after = &one(&evidence, Capability::SYS_CHROOT)?.call_site;
    ensure!(*after == before, "{after:?} instead of {before:?}");
    // Where the kernel refuses iterators, names come from /proc/kallsyms, and nobody reads the map.
    if capprof_hook::ebpf::directory()
        .join("link-name_symbols")
        .exists()
    {
        ensure!(read(0)? == none);
    }
    for row in 0..map.max_entries() {
        map.update(&row.to_ne_bytes(), &none, MapFlags::ANY)?;
    }
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
    // The tracepoint sees them; fexit does not, since the check is in line.
    ensure!(memory == 0 || memory >= 300, "{memory}");
    Ok(())
}

fn containers_at_one_time_do_not_mix(tools: &Tools) -> anyhow::Result<()> {
    let sleeping = Container::new(tools, &["/bin/sleep", "60"])?;
    let evidence = sleeping.run_with(|_| {
        let other = Container::new(tools, &["/bin/probe", "chroot"])?.run()?;
        whole(&other)?;
        one(&other, Capability::SYS_CHROOT)?;
        Ok(())
    })?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

fn user_namespaces_have_classes(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::shell(
        tools,
        "/bin/probe chroot; mknod /tmp/n c 1 3; unshare -U -r /bin/probe chroot",
    )?
    .user_namespace()?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let classes: Vec<Namespace> = of(&evidence, Capability::SYS_CHROOT)?
        .iter()
        .map(|check| check.namespace)
        .collect();
    ensure!(
        classes.contains(&Namespace::Own)
            && classes.contains(&Namespace::Nested)
            && classes.len() == 2,
        "{classes:?}"
    );
    let mknod = one(&evidence, Capability::MKNOD)?;
    ensure!(mknod.namespace == Namespace::Initial && mknod.verdict == Verdict::Denied);
    Ok(())
}

fn ownership_of_a_namespace_is_told_apart(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(tools, "unshare -U -m /bin/true")?.run()?;
    whole(&evidence)?;
    let checks = of(&evidence, Capability::SYS_ADMIN)?;
    ensure!(
        checks
            .iter()
            .any(|check| check.by_owner && check.namespace == Namespace::Nested),
        "{checks:#?}"
    );
    let evidence = Container::shell(tools, "unshare -m /bin/true")?.run()?;
    let checks = of(&evidence, Capability::SYS_ADMIN)?;
    ensure!(checks.iter().all(|check| !check.by_owner), "{checks:#?}");
    Ok(())
}

fn overlayfs_asks_for_its_mounter(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(
        tools,
        "ls -la / >/dev/null; cat /bin/busybox >/dev/null; touch /bin/busybox",
    )?
    .overlay()?
    .run()?;
    whole(&evidence)?;
    let checks = rest(&evidence);
    ensure!(!checks.is_empty());
    ensure!(checks.iter().all(|check| check.overridden), "{checks:#?}");
    Ok(())
}

fn overcommit_is_silent(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(tools, "/bin/true & wait")?.run()?;
    whole(&evidence)?;
    let memory: Vec<&Observation> = evidence
        .observations
        .iter()
        .filter(|seen| is_overcommit(seen))
        .collect();
    ensure!(
        memory
            .iter()
            .all(|seen| seen.audit == Audit::Silent && seen.capability == Capability::SYS_ADMIN),
        "{memory:#?}"
    );
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

fn ids_that_are_the_same_have_no_effect(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/probe", "setuid-same", "setresgid-same"])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let checks = rest(&evidence);
    // Kernels since 6.3 do not even ask in the second case.
    ensure!(
        checks.iter().all(|check| check.without_effect),
        "{checks:#?}"
    );
    ensure!(one(&evidence, Capability::SETUID)?.without_effect);
    let evidence = Container::new(tools, &["/bin/probe", "setgid-other", "setuid-other"])?.run()?;
    ensure!(!one(&evidence, Capability::SETUID)?.without_effect);
    ensure!(!one(&evidence, Capability::SETGID)?.without_effect);
    Ok(())
}

fn ids_that_are_mapped_are_compared_as_the_kernel_does(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "setuid-same"])?
        .user_namespace()?
        .run()?;
    whole(&evidence)?;
    ensure!(one(&evidence, Capability::SETUID)?.without_effect);
    let evidence = Container::new(tools, &["/bin/probe", "setuid-other"])?
        .user_namespace()?
        .run()?;
    ensure!(!one(&evidence, Capability::SETUID)?.without_effect);
    Ok(())
}

fn capset_of_permitted_capabilities_has_no_effect(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-list"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    ensure!(
        rest(&evidence).iter().all(|check| check.without_effect),
        "{:#?}",
        rest(&evidence)
    );
    let [capset] = evidence.capsets.as_slice() else {
        bail!("capsets: {:?}", evidence.capsets);
    };
    let list = CapabilitySet::from_iter([Capability::NET_ADMIN, Capability::NET_BIND_SERVICE]);
    ensure!(capset.permitted == list && capset.effective == list && capset.inheritable.is_empty());
    ensure!(capset.held.len() > 30 && capset.program == "probe");
    Ok(())
}

fn capset_of_an_inheritable_capability_has(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-inheritable"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    let needed: Vec<&Observation> = of(&evidence, Capability::SETPCAP)?
        .into_iter()
        .filter(|check| !check.without_effect)
        .collect();
    ensure!(needed.len() == 1 && needed[0].count == 1, "{needed:#?}");
    ensure!(evidence.capsets.len() == 2, "{:?}", evidence.capsets);
    Ok(())
}

fn a_refused_capset_is_no_need(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-refused"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    ensure!(evidence.capsets.len() == 1, "{:?}", evidence.capsets);
    ensure!(!evidence.capsets[0].permitted.contains(Capability::KILL));
    Ok(())
}

fn securebits_are_seen(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "securebits"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    let check = one(&evidence, Capability::SETPCAP)?;
    ensure!(!check.without_effect && check.verdict == Verdict::Granted);
    ensure!(
        check
            .syscall
            .as_ref()
            .is_some_and(|call| call.name == "prctl")
    );
    Ok(())
}

fn compat_system_calls_have_their_own_table(tools: &Tools) -> anyhow::Result<()> {
    let evidence = match Container::new(tools, &["/bin/probe", "compat-chroot"])?.run() {
        // No 32-bit system calls on this machine: nothing that could be misread.
        Err(error)
            if cfg!(not(target_arch = "x86_64")) && error.to_string().contains("status: 2") =>
        {
            return Ok(());
        }
        result => result?,
    };
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    let call = check.syscall.as_ref().context("no system call")?;
    ensure!(call.name == "chroot" && call.number == 61, "{call:?}");
    Ok(())
}

fn reading_a_sysctl_has_no_effect(tools: &Tools) -> anyhow::Result<()> {
    let read = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msg_next_id";
    let evidence = Container::shell(tools, read)?.user_namespace()?.run()?;
    whole(&evidence)?;
    let checks = of(&evidence, Capability::NET_ADMIN)?;
    ensure!(
        checks.iter().all(|check| check.without_effect),
        "{checks:#?}"
    );
    let write = "cat /proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/ip_forward";
    let evidence = Container::shell(tools, write)?.user_namespace()?.run()?;
    let checks = of(&evidence, Capability::NET_ADMIN)?;
    ensure!(
        checks.iter().any(|check| !check.without_effect),
        "{checks:#?}"
    );
    Ok(())
}

fn executions_have_paths_inside_the_container(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::shell(
        tools,
        "chroot /jail /probe nothing; /bin/probe nothing; /bin/probe nothing",
    )?;
    std::fs::create_dir(container.root().join("jail"))?;
    std::fs::copy(&tools.probe, container.root().join("jail/probe"))?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let count = |path: &str| {
        evidence
            .executions
            .iter()
            .find(|execution| execution.path == Path::new(path))
            .map(|execution| (execution.count, execution.uid))
    };
    ensure!(
        count("/jail/probe") == Some((1, 0)),
        "{:?}",
        evidence.executions
    );
    ensure!(
        count("/bin/probe") == Some((2, 0)),
        "{:?}",
        evidence.executions
    );
    let as_user = Container::new(tools, &["/bin/probe", "nothing"])?
        .user(1000)?
        .run()?;
    ensure!(as_user.executions[0].uid == 1000);
    Ok(())
}

fn file_capabilities_are_read(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::shell(tools, "/bin/second nothing")?;
    let file = container.root().join("bin/second");
    command(
        "setcap",
        &["cap_net_raw,cap_bpf+ep".as_ref(), file.as_ref()],
    )?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let execution = evidence
        .executions
        .iter()
        .find(|execution| execution.path == Path::new("/bin/second"))
        .context("no execution of /bin/second")?;
    let capabilities = execution
        .file_capabilities
        .context("no file capabilities")?;
    ensure!(capabilities.effective);
    ensure!(
        capabilities.permitted == CapabilitySet::from_iter([Capability::NET_RAW, Capability::BPF])
    );
    Ok(())
}

fn unreadable_file_capabilities_say_why(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(
        tools,
        "cp /bin/probe /root/gone && /root/gone nothing && rm /root/gone; mkdir /tmp/m && mount -t tmpfs none /tmp/m && \
         cp /bin/probe /tmp/m/probe && /tmp/m/probe nothing; /bin/probe memfd",
    )?
    .run()?;
    whole(&evidence)?;
    for (path, reason) in [
        ("/root/gone", "gone"),
        ("/tmp/m/probe", "mount"),
        ("anonymous", "no file system"),
    ] {
        let execution = evidence
            .executions
            .iter()
            .find(|execution| execution.path.to_string_lossy().starts_with(path))
            .with_context(|| format!("no {path} in {:?}", evidence.executions))?;
        ensure!(
            execution
                .unreadable
                .as_ref()
                .is_some_and(|why| why.contains(reason)),
            "{execution:?}"
        );
    }
    Ok(())
}

fn capabilities_gained_by_execve_are_seen(tools: &Tools) -> anyhow::Result<()> {
    let mut container = Container::shell(tools, "/bin/second nothing")?;
    // A user without any, as engines start one.
    container.config["process"]["user"] = serde_json::json!({ "uid": 1000, "gid": 1000 });
    let file = container.root().join("bin/second");
    command("setcap", &["cap_net_raw+ep".as_ref(), file.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    for execution in &evidence.executions {
        let expected = match execution.path == Path::new("/bin/second") {
            true => CapabilitySet::from_iter([Capability::NET_RAW]),
            false => CapabilitySet::default(),
        };
        ensure!(execution.gained == expected, "{execution:?}");
    }
    Ok(())
}

fn the_end_of_the_first_process_is_known(tools: &Tools) -> anyhow::Result<()> {
    for (command, expected) in [
        (["/bin/sh", "-c", "exit 0"], Some(0)),
        (["/bin/sh", "-c", "(exit 9) & wait; exit 3"], Some(3)),
        (["/bin/probe", "nothing", "exit-in-thread"], Some(7)),
        // The first thread's status before Linux 6.2, the last one's since (kernel/exit.c, synchronize_group_exit()).
        (["/bin/probe", "nothing", "last-thread-ends"], None),
    ] {
        let (status, evidence) = Container::new(tools, &command)?.run_to_any_end()?;
        let Some(Exit::Code(code)) = evidence.exit else {
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
        command(
            "kill",
            &["-TERM".as_ref(), "--".as_ref(), container.pid()?.as_ref()],
        )?;
        // Process 1 of a namespace is spared by signals that it does not handle, but for this one.
        command(
            "kill",
            &["-KILL".as_ref(), "--".as_ref(), container.pid()?.as_ref()],
        )
    })?;
    ensure!(
        evidence.exit == Some(Exit::Signal(9)),
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
