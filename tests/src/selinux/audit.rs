//! The kernel's records, and auditd, which writes, rotates, restarts, or is absent.

use super::*;

pub(super) const BODIES: [(&str, Body); 7] = [
    ("the_clock_set_back", the_clock_set_back),
    ("a_flood_of_other_denials", a_flood_of_other_denials),
    ("a_log_rotated_in_the_middle", a_log_rotated_in_the_middle),
    (
        "auditd_restarted_in_the_middle",
        auditd_restarted_in_the_middle,
    ),
    ("auditd_absent", auditd_absent),
    (
        "the_listener_killed_while_auditd_is_absent",
        the_listener_killed_while_auditd_is_absent,
    ),
    (
        "a_rule_of_audit_that_excludes_records",
        a_rule_of_audit_that_excludes_records,
    ),
];

fn the_clock_set_back(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let started = Instant::now();
    let script = "corpus sys_chroot && date -s '2020-01-02 03:04:05' > /dev/null && corpus net_raw";
    let container = recorded(environment, runtime, "domain", script)?;
    std::os::unix::fs::symlink("busybox", container.bundle().join("rootfs/bin/date"))?;
    let result = run_and_expect(
        &container,
        &[
            Capability::NET_RAW,
            Capability::SYS_CHROOT,
            Capability::SYS_TIME,
        ],
    );
    crate::container::succeed(
        Command::new("date")
            .arg("-s")
            .arg(format!("@{}", now + started.elapsed().as_secs())),
    )?;
    result.map(|_| ())
}

fn a_flood_of_other_denials(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = format!(
        "corpus sys_chroot; > /shared/ready; while [ ! -e /shared/go ]; do sleep 0.1; done; corpus net_raw; {}",
        READY.replace("ready", "done")
    );
    let container = recorded(environment, runtime, "domain", &script)?;
    container.start()?;
    wait_for(&container, "ready")?;
    // Another process makes records as fast as this machine can.
    let mut flood = Command::new("sh")
        .args([
            "-c",
            "for n in $(seq 300); do auditctl -m \"flood $n\"; done",
        ])
        .spawn()?;
    let denied = Command::new("runcon")
        .args([
            "-t",
            "container_t",
            "-r",
            "system_r",
            "-u",
            "system_u",
            "-l",
            "s0:c901,c902",
        ])
        .args([
            "sh",
            "-c",
            "for n in $(seq 2000); do : < /root/.profile; done",
        ])
        .output();
    fs::write(container.path("shared").join("go"), "")?;
    wait_for(&container, "done")?;
    flood.wait()?;
    drop(denied);
    end(&container)?;
    let profile = container.profile()?;
    if !profile.complete {
        ensure!(
            profile
                .incomplete_because
                .iter()
                .any(|reason| reason.contains("lost")),
            "incomplete without saying what was lost: {:?}",
            profile.incomplete_because
        );
        return Ok(());
    }
    expect(&profile, &[Capability::NET_RAW, Capability::SYS_CHROOT])
}

/// A container that uses one capability, lets the caller do something, and uses another.
fn interrupted(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    interruption: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Profile> {
    let script = format!(
        "corpus sys_chroot; > /shared/ready; while [ ! -e /shared/go ]; do sleep 0.1; done; corpus net_raw; {}",
        READY.replace("ready", "done")
    );
    let container = recorded(environment, runtime, "domain", &script)?;
    container.start()?;
    wait_for(&container, "ready")?;
    interruption()?;
    fs::write(container.path("shared").join("go"), "")?;
    wait_for(&container, "done")?;
    end(&container)?;
    container.profile()
}

const BOTH: [Capability; 2] = [Capability::NET_RAW, Capability::SYS_CHROOT];

fn a_log_rotated_in_the_middle(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let profile = interrupted(environment, runtime, || {
        let log = Path::new("/var/log/audit/audit.log");
        let inode = |path: &Path| -> anyhow::Result<u64> {
            use std::os::unix::fs::MetadataExt;
            Ok(fs::metadata(path)?.ino())
        };
        let before = inode(log)?;
        crate::container::succeed(Command::new("pkill").args(["-USR1", "-x", "auditd"]))?;
        wait_until("the log is rotated", || {
            Ok(inode(log).is_ok_and(|now| now != before))
        })
    })?;
    expect(&profile, &BOTH)
}

pub(super) fn auditd(action: &str) -> anyhow::Result<()> {
    // The unit refuses a manual stop, but the daemon ends on a signal.
    let mut command = match action {
        "start" => {
            let mut command = Command::new("systemctl");
            command.args(["start", "auditd"]);
            command
        }
        _ => {
            let mut command = Command::new("pkill");
            command.args(["-TERM", "-x", "auditd"]);
            command
        }
    };
    crate::container::succeed(&mut command)?;
    wait_until("auditd", || {
        Ok(runs(&["-x", "auditd"])? == (action == "start"))
    })
}

/// Returns true if pgrep(1) finds a process by these arguments.
fn runs(arguments: &[&str]) -> anyhow::Result<bool> {
    let found = Command::new("pgrep").args(arguments).output()?;
    Ok(found.status.success())
}

/// Accepts the right answer, or an incomplete profile with a reason.
fn right_or_incomplete(profile: &Profile) -> anyhow::Result<()> {
    if profile.complete {
        return expect(profile, &BOTH);
    }
    if profile.incomplete_because.iter().all(String::is_empty) {
        bail!("incomplete without a reason");
    }
    Ok(())
}

fn auditd_restarted_in_the_middle(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let profile = interrupted(environment, runtime, || {
        auditd("stop")?;
        auditd("start")
    })?;
    right_or_incomplete(&profile)
}

fn auditd_absent(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    auditd("stop")?;
    let result = (|| {
        let container = recorded(
            environment,
            runtime,
            "domain",
            "corpus sys_chroot && corpus net_raw",
        )?;
        run_and_expect(&container, &BOTH)?;
        // It ends with the container, but no process waits for its end.
        let ended = Instant::now();
        while runs(&["-f", "capprof-hook listen"])? {
            ensure!(
                ended.elapsed() < Duration::from_secs(10),
                "the listener outlives the recording"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    })();
    auditd("start")?;
    result
}

/// There are no records of the time after the listener's end.
fn the_listener_killed_while_auditd_is_absent(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    auditd("stop")?;
    let profile = interrupted(environment, runtime, || {
        let found = Command::new("pgrep")
            .args(["-f", "capprof-hook listen"])
            .output()?;
        let pid = String::from_utf8(found.stdout)?;
        crate::container::succeed(Command::new("kill").args(["-KILL", pid.trim()]))
    });
    auditd("start")?;
    let profile = profile?;
    let reason = "the audit listener ended before the container did";
    ensure!(
        !profile.complete
            && profile
                .incomplete_because
                .iter()
                .any(|because| because.contains(reason)),
        "complete: {}, {:?}",
        profile.complete,
        profile.incomplete_because
    );
    Ok(())
}

pub(super) fn auditctl(arguments: &[&str]) -> anyhow::Result<()> {
    crate::container::succeed(Command::new("auditctl").args(arguments))
}

/// `msgtype=AVC` is part of common rule sets (`-a always,exclude -F msgtype=AVC`); no counter includes the records that it hides.
pub(super) const EXCLUDE: [&str; 4] = ["-a", "never,exclude", "-F", "msgtype=AVC"];

pub(super) const INCLUDE: [&str; 4] = ["-d", "never,exclude", "-F", "msgtype=AVC"];

fn a_rule_of_audit_that_excludes_records(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // The rule was loaded before: nothing is recorded, and the runtime's own output has the reason.
    let container = recorded(environment, runtime, "domain", "corpus sys_chroot")?;
    auditctl(&EXCLUDE)?;
    let bundle = container.bundle();
    let output = container
        .command(&["run", "--bundle", &bundle.to_string_lossy(), &container.id])
        // The output is a pipe, as with engines.
        .and_then(|mut command| Ok(command.output()?));
    auditctl(&INCLUDE)?;
    let output = output?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && errors.contains("audit rule -a never,exclude -F msgtype=AVC"),
        "{}: {errors}",
        output.status
    );
    container.capprof(&["delete", "--force", &container.id])?;

    // The rule is loaded during the recording, and stays or is removed again: the profile is incomplete.
    let added = interrupted(environment, runtime, || auditctl(&EXCLUDE));
    auditctl(&INCLUDE)?;
    let removed = interrupted(environment, runtime, || {
        auditctl(&EXCLUDE)?;
        auditctl(&INCLUDE)
    });
    for (profile, reason) in [
        (added?, "-a never,exclude -F msgtype=AVC"),
        (removed?, "exclude list was removed"),
    ] {
        ensure!(
            profile
                .incomplete_because
                .iter()
                .any(|because| because.contains(reason)),
            "{reason}: {:?}",
            profile.incomplete_because
        );
    }

    // A rule about another kind of record hides none that matters.
    let other = ["never,exclude", "-F", "msgtype=CWD"];
    auditctl(&[&["-a"], &other[..]].concat())?;
    let profile = run_and_expect(&container, &[Capability::SYS_CHROOT]);
    auditctl(&[&["-d"], &other[..]].concat())?;
    profile?;

    // A limit on records per second: the kernel counts what it drops.
    let script = "corpus sys_chroot; corpus net_raw; corpus chown; corpus kill; corpus mknod";
    let container = recorded(environment, runtime, "domain", script)?;
    auditctl(&["-r", "1"])?;
    let output = container.run();
    auditctl(&["-r", "0"])?;
    output?;
    let profile = container.profile()?;
    ensure!(
        profile
            .incomplete_because
            .iter()
            .any(|because| because.contains("lost")),
        "a rate limit: {:?}",
        profile.incomplete_because
    );
    Ok(())
}
