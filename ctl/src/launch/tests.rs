//! Tests of the command lines that `prepare` makes.

use super::command_line::{Launch, docker_has_annotations};
use super::{By, Prepared, RunMode};
use capprof_profile::{Capability, CapabilitySet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn shown(words: &[OsString]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn run_mode() -> RunMode {
    RunMode {
        mode: "enforce",
        profile: Some("20260101T000000Z-00000001".to_owned()),
        capabilities: Some([Capability::CHOWN, Capability::KILL].into_iter().collect()),
    }
}

fn prepare(line: &str) -> anyhow::Result<Prepared> {
    let run_mode = run_mode();
    let by = By::Capprof {
        run_mode: &run_mode,
        binary: Path::new("/usr/bin/capprof"),
        name: "capprof",
    };
    Launch::parse(&words(line))?.prepare(by, Path::new("/tmp/id"))
}

const ANNOTATIONS: &str = "--annotation io.capprof.mode=enforce --annotation io.capprof.profile=20260101T000000Z-00000001 \
                           --annotation io.capprof.capabilities=CAP_CHOWN,CAP_KILL";

/// The profile of a privileged container that used the device of FUSE and bound port 53.
fn of_fuse() -> capprof_profile::profile::Profile {
    use capprof_profile::observation::{DeviceKind, PortUse};
    use capprof_profile::privileges::{Device, DeviceNumber, EngineGrants, Privileges};
    let mut profile = capprof_profile::recorded_profile::profile(
        &capprof_profile::fixtures::recording("web-1", "20260101T000000Z-00000001"),
        capprof_profile::fixtures::reports(),
        Vec::new(),
        String::new(),
        capprof_profile::fixtures::host(),
    );
    profile.privileges = Some(Privileges {
        engine_grants: EngineGrants {
            all_devices: true,
            ..EngineGrants::default()
        },
        devices: vec![Device {
            number: DeviceNumber {
                kind: DeviceKind::Char,
                major: 10,
                minor: 229,
            },
            node: Some("fuse".to_owned()),
            access: "rw".to_owned(),
            access_only: String::new(),
            programs: ["bindfs".to_owned()].into(),
        }],
        sysctls: Vec::new(),
        syscalls: Vec::new(),
        ping_sockets: Vec::new(),
        not_observed: std::collections::BTreeSet::new(),
    });
    profile.findings.unprivileged_ports = vec![PortUse {
        port: 53,
        program: "dnsmasq".to_owned(),
        count: 1,
    }];
    profile
}

#[test]
fn the_whole_form_takes_the_place_of_privileged() {
    let run_mode = run_mode();
    let profile = of_fuse();
    let prepared = |line: &str| {
        let launch = Launch::parse(&words(line)).unwrap();
        let set = launch.set_of(&profile, CapabilitySet::EMPTY);
        let by = By::Capprof {
            run_mode: &run_mode,
            binary: Path::new("/usr/bin/capprof"),
            name: "capprof",
        };
        launch
            .with_form(&profile, set)
            .with_options(set)
            .prepare(by, Path::new("/tmp/id"))
            .map(|prepared| shown(&prepared.words).replace(ANNOTATIONS, "ANNOTATIONS"))
            .unwrap()
    };
    let device = "--device=/dev/fuse:/dev/fuse:rw";
    assert_eq!(
        prepared("docker run --privileged alpine"),
        format!(
            "docker run --runtime=capprof ANNOTATIONS --cidfile /tmp/id --cap-drop all {device} alpine"
        )
    );
    assert_eq!(
        prepared(&format!("docker run {device} alpine")),
        format!(
            "docker run --runtime=capprof ANNOTATIONS --cidfile /tmp/id --cap-drop all {device} alpine"
        )
    );
    assert_eq!(
        prepared("podman run alpine"),
        format!(
            "podman --runtime /usr/bin/capprof run ANNOTATIONS --cidfile /tmp/id --cap-drop all --cap-add NET_BIND_SERVICE {device} alpine"
        )
    );
}

#[test]
fn two_containers_are_not_in_each_others_way() {
    let refused = |line: &str| {
        let launch = Launch::parse(&words(line)).unwrap();
        launch
            .refuse_to_run_twice()
            .map_err(|error| error.to_string())
            .err()
    };
    for line in [
        "docker run --name web nginx",
        "docker run -p 8080:80 nginx",
        "podman run --publish=8080:80 nginx",
        "docker run --network host nginx",
    ] {
        assert!(
            refused(line).is_some_and(|error| error.contains("at the same time")),
            "{line}"
        );
    }
    for line in [
        "docker run nginx",
        "docker run -p 80 --network bridge nginx",
        "podman run -v data:/data nginx --name web",
    ] {
        assert_eq!(refused(line), None, "{line}");
    }
    assert!(refused("ctr run nginx web").is_some());
}

#[test]
fn each_engine_is_told_in_its_own_way() {
    for (line, expected) in [
        (
            "docker run -d --name web nginx -g daemon",
            "docker run --runtime=capprof ANNOTATIONS --cidfile /tmp/id -d --name web nginx -g daemon",
        ),
        (
            "/usr/bin/docker --context far -H tcp://h container run nginx",
            "/usr/bin/docker --context far -H tcp://h container run --runtime=capprof ANNOTATIONS --cidfile /tmp/id nginx",
        ),
        (
            "podman --root /r run -it nginx",
            "podman --runtime /usr/bin/capprof --root /r run ANNOTATIONS --cidfile /tmp/id -it nginx",
        ),
        (
            "nerdctl -n k8s.io run nginx",
            "nerdctl -n k8s.io run --runtime /usr/bin/capprof ANNOTATIONS --cidfile /tmp/id nginx",
        ),
        (
            "ctr -n x run --rm --env A=B docker.io/library/nginx:1 web nginx -d",
            "ctr -n x run --runc-binary /usr/bin/capprof ANNOTATIONS --rm --env A=B docker.io/library/nginx:1 web nginx -d",
        ),
    ] {
        let prepared = prepare(line).unwrap();
        assert_eq!(
            shown(&prepared.words),
            expected.replace("ANNOTATIONS", ANNOTATIONS),
            "{line}"
        );
        assert!(prepared.environment.is_empty() && prepared.messages.is_empty());
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().display().to_string();
    fs::write(directory.path().join("config.json"), "{}").unwrap();
    for (engine, called) in [("runc", "capprof-runc"), ("crun", "capprof-crun")] {
        let line = format!("{engine} --root /r run --bundle {bundle} web");
        let prepared = prepare(&line).unwrap();
        assert_eq!(
            shown(&prepared.words),
            format!("/usr/bin/capprof --root /r run --bundle {bundle} web")
        );
        assert_eq!(prepared.called, Some(called));
        assert_eq!(
            prepared.environment,
            [
                ("CAPPROF_MODE", "enforce".to_owned()),
                ("CAPPROF_PROFILE", "20260101T000000Z-00000001".to_owned()),
                ("CAPPROF_CAPABILITIES", "CAP_CHOWN,CAP_KILL".to_owned()),
            ]
        );
        assert_eq!(prepared.container.id().as_deref(), Some("web"));
    }
    let annotated = r#"{"annotations": {"io.capprof.mode": "off"}}"#;
    fs::write(directory.path().join("config.json"), annotated).unwrap();
    let error = prepare(&format!("runc run --bundle {bundle} web")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("remove the annotation io.capprof.mode"),
        "{error}"
    );
}

#[test]
fn privileged_is_replaced_by_the_profile_and_what_else_it_gave_is_named() {
    let prepared = prepare("docker run -it --privileged --rm nginx --privileged").unwrap();
    assert!(
        shown(&prepared.words).ends_with("--cidfile /tmp/id -it --rm nginx --privileged"),
        "{prepared:?}"
    );
    assert_eq!(prepared.messages.len(), 1);
    for part in [
        "devices",
        "seccomp",
        "AppArmor",
        "SELinux",
        "/proc and /sys",
    ] {
        assert!(prepared.messages[0].contains(part), "{prepared:?}");
    }
    let prepared = prepare("podman run --privileged=true nginx").unwrap();
    assert!(shown(&prepared.words).ends_with("/tmp/id nginx"));
    assert!(prepared.messages[0].contains("unmask=ALL"), "{prepared:?}");
    let prepared = prepare("docker run --privileged=false nginx").unwrap();
    assert!(shown(&prepared.words).ends_with("--privileged=false nginx"));
    let prepared = prepare("ctr run --privileged --net-host img id").unwrap();
    assert!(shown(&prepared.words).ends_with("--net-host img id"));
}

#[test]
fn while_recording_the_command_line_keeps_all_that_it_says() {
    let of = |line: &str| {
        let by = By::Recording {
            binary: Path::new("/usr/bin/capprof"),
            name: "capprof",
            output: Path::new("/tmp/out"),
        };
        let launch = Launch::parse(&words(line)).unwrap();
        launch.prepare(by, Path::new("/tmp/id")).unwrap()
    };
    for (line, expected) in [
        (
            "docker run -d --privileged --cap-add KILL nginx -g x",
            "docker run --runtime=capprof --annotation io.capprof.mode=profile --cidfile /tmp/id -d --privileged --cap-add KILL \
             nginx -g x",
        ),
        (
            "podman run --annotation io.capprof.name=web --rm nginx",
            "podman --runtime /usr/bin/capprof run --annotation io.capprof.mode=profile --annotation io.capprof.output=/tmp/out \
             --cidfile /tmp/id --annotation io.capprof.name=web --rm nginx",
        ),
        (
            "ctr run --rm --privileged img web",
            "ctr run --runc-binary /usr/bin/capprof --annotation io.capprof.mode=profile --rm --privileged img web",
        ),
    ] {
        let prepared = of(line);
        assert_eq!(shown(&prepared.words), expected, "{line}");
        assert!(prepared.messages.is_empty(), "{prepared:?}");
    }
}

#[test]
fn a_program_is_asked_to_end_before_it_is_made_to() {
    for (line, expected) in [
        ("docker run x", "docker stop --time 10 ID"),
        (
            "ctr -n a run x ID",
            "ctr -n a tasks kill --signal SIGTERM ID",
        ),
    ] {
        let container = prepare(line).unwrap().container;
        let command = format!("{:?}", container.stop("ID", 10)).replace('"', "");
        assert_eq!(command, expected);
    }
}

#[test]
fn an_engines_own_options_give_a_set() {
    let set: CapabilitySet = [Capability::NET_RAW].into_iter().collect();
    let of = |line: &str| {
        let launch = Launch::parse(&words(line)).unwrap();
        launch.prepare(By::Engine(set), Path::new("/tmp/id"))
    };
    let docker = of("docker run --cap-add SYS_ADMIN --cap-drop=KILL -d nginx").unwrap();
    assert_eq!(
        shown(&docker.words),
        "docker run --cap-drop all --cap-add NET_RAW --cidfile /tmp/id -d nginx"
    );
    assert_eq!(docker.messages.len(), 2);
    let ctr = shown(&of("ctr run img id").unwrap().words);
    assert!(
        ctr.contains("--cap-drop CAP_CHOWN ") && ctr.ends_with("--cap-add CAP_NET_RAW img id"),
        "{ctr}"
    );
    assert!(!ctr.contains("--cap-drop CAP_NET_RAW"), "{ctr}");
}

#[test]
fn what_cannot_be_followed_is_refused_and_says_what_to_do() {
    for (line, expected) in [
        ("", "no command after --"),
        ("doas docker run x", "doas: expected docker, podman"),
        ("docker ps", "docker ps: expected docker run"),
        ("docker", "expected docker run"),
        (
            "docker --new x run y",
            "docker --new: an option that capprofctl does not know",
        ),
        (
            "docker run --runtime runc x",
            "docker --runtime: leave it out",
        ),
        (
            "podman --runtime crun run x",
            "podman --runtime: leave it out",
        ),
        (
            "docker run --cidfile=/f x",
            "docker --cidfile: leave it out",
        ),
        (
            "docker run --annotation io.capprof.mode=off x",
            "docker --annotation io.capprof.mode=off: leave it out",
        ),
        (
            "docker run --restart always x",
            "docker --restart always: leave it out",
        ),
        (
            "docker run --new y --privileged x",
            "cannot tell whether --privileged is for docker or for the program",
        ),
        (
            "podman --remote run x",
            "podman --remote: capprof must be the runtime",
        ),
        ("ctr run img", "expected ctr run IMAGE ID"),
        (
            "ctr run --new img id",
            "ctr run --new: an option that capprofctl does not know",
        ),
        ("ctr run -d img id", "leave it out"),
        ("runc list", "expected runc run"),
        ("runc run", "expected runc run [OPTION…] ID"),
        ("runc run -d id", "leave it out"),
        ("crun run -d id", "leave it out"),
        ("runc run --new id", "unknown option --new"),
    ] {
        let error = format!("{:#}", Launch::parse(&words(line)).unwrap_err());
        assert!(error.contains(expected), "{line}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    // An unknown option does not matter if nothing after it could contradict the new options.
    assert!(prepare("docker run --new y --rm nginx").is_ok());
    assert!(prepare("docker run --annotation other=x --restart=no nginx").is_ok());
}

#[test]
fn a_container_is_removed_by_its_engine() {
    let of = |line: &str| -> Vec<String> {
        let container = prepare(line).unwrap().container;
        container
            .remove("ID")
            .iter()
            .map(|command| format!("{command:?}").replace('"', ""))
            .collect()
    };
    assert_eq!(
        of("docker -H h container run nginx"),
        ["docker -H h rm --force --volumes ID"]
    );
    assert_eq!(
        of("podman run nginx"),
        ["podman --runtime /usr/bin/capprof rm --force --volumes --time 0 ID"]
    );
    assert_eq!(
        of("ctr -n x run img ID"),
        [
            "ctr -n x tasks kill --signal SIGKILL ID",
            "ctr -n x tasks delete --force ID",
            "ctr -n x containers delete ID"
        ]
    );
    assert!(prepare("docker run -itd nginx").unwrap().container.detached);
    assert!(!prepare("docker run nginx -d").unwrap().container.detached);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("id");
    let launch = Launch::parse(&words("docker run nginx")).unwrap();
    let container = launch
        .prepare(By::Engine(CapabilitySet::EMPTY), &file)
        .unwrap()
        .container;
    assert_eq!(container.id(), None);
    fs::write(&file, "abc\n").unwrap();
    assert_eq!(container.id().as_deref(), Some("abc"));
}

#[test]
fn docker_before_24_has_labels() {
    assert!(docker_has_annotations("27.3.1 24.0.7\n"));
    assert!(docker_has_annotations("28.0.0-rc.1 "));
    assert!(!docker_has_annotations("20.10.24+dfsg1 20.10.24+dfsg1"));
    assert!(!docker_has_annotations("27.0.1 23.0.6"));
}
