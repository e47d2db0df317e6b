//! Tests of the forms.

use super::*;
use capprof_profile::fixtures;
use capprof_profile::fixtures::check;
use capprof_profile::observation::Evidence;
use capprof_profile::observation::PortUse;
use capprof_profile::profile::Profile;
use capprof_profile::recording::ProcessSets;

fn workload(uid: u32, no_new_privileges: bool, needs: &[Capability]) -> Profile {
    let mut recording = fixtures::recording("web-1", "20261123T150102Z-1a2b3c4d");
    recording.process.uid = uid;
    recording.process.no_new_privileges = no_new_privileges;
    recording.grant.granted.ambient = recording.grant.granted.bounding;
    let given = needs.iter().copied().collect();
    recording.grant.original = ProcessSets::of_list(given, 0, &ProcessSets::default());
    let evidence = Evidence {
        observations: needs
            .iter()
            .map(|capability| check(*capability, "syscall", &["ns_capable", "somewhere"]))
            .collect(),
        ..Evidence::default()
    };
    fixtures::profile(&recording, "", evidence)
}

fn all(profile: &Profile) -> Vec<String> {
    Engine::ALL
        .iter()
        .map(|engine| form(*engine, profile).unwrap_or_else(|unable| unable.to_string()))
        .collect()
}

#[test]
fn root() {
    let profile = workload(0, false, &[Capability::SYSLOG, Capability::CHOWN]);
    assert_eq!(
        all(&profile),
        [
            "docker run --cap-drop=all --cap-add=CHOWN --cap-add=SYSLOG docker.io/library/nginx:1.27\n",
            "# not rootless: no container in a user namespace of its own can be granted SYSLOG\n\
             podman run --cap-drop=all --cap-add=CHOWN --cap-add=SYSLOG docker.io/library/nginx:1.27\n",
            "securityContext:\n  capabilities:\n    drop: [\"ALL\"]\n    add: [\"CHOWN\", \"SYSLOG\"]\n",
            "services:\n  web:\n    cap_drop: [\"ALL\"]\n    cap_add: [\"CHOWN\", \"SYSLOG\"]\n",
            "# not rootless: no container in a user namespace of its own can be granted SYSLOG\n\
             [Container]\nDropCapability=all\nAddCapability=CHOWN SYSLOG\n",
            "[Service]\nCapabilityBoundingSet=CAP_CHOWN CAP_SYSLOG\n",
        ]
    );
}

#[test]
fn nothing_needed() {
    assert_eq!(
        all(&workload(1000, false, &[])),
        [
            "docker run --cap-drop=all docker.io/library/nginx:1.27\n",
            "podman run --cap-drop=all docker.io/library/nginx:1.27\n",
            "securityContext:\n  capabilities:\n    drop: [\"ALL\"]\n",
            "services:\n  web:\n    cap_drop: [\"ALL\"]\n",
            "[Container]\nDropCapability=all\n",
            "[Service]\nCapabilityBoundingSet=\n",
        ]
    );
}

#[test]
fn another_user_gets_no_advice_that_the_engine_cannot_carry_out() {
    let profile = workload(1000, false, &[Capability::NET_RAW]);
    let docker = form(Engine::Docker, &profile).unwrap();
    assert_eq!(
        docker,
        "# docker makes these effective for root alone. For user 1000, give them in the image to program: setcap cap_net_raw+ep FILE\n\
         # or have capprof give them, with docker 24 or newer: docker run --runtime=capprof --annotation io.capprof.mode=enforce \
         --annotation io.capprof.profile=20261123T150102Z-1a2b3c4d docker.io/library/nginx:1.27\n\
         docker run --cap-drop=all --cap-add=NET_RAW docker.io/library/nginx:1.27\n"
    );
    assert_eq!(
        form(Engine::Kubernetes, &profile).unwrap(),
        "# kubernetes makes these effective for root alone. For user 1000, give them in the image to program: setcap cap_net_raw+ep FILE\n\
         # or have capprof give them, to all containers of the pod: runtimeClassName: capprof, and the annotations io.capprof.mode: enforce, \
         io.capprof.capabilities: CAP_NET_RAW\n\
         securityContext:\n  capabilities:\n    drop: [\"ALL\"]\n    add: [\"NET_RAW\"]\n"
    );
    // compose's own annotations are nothing that this was ever run with.
    assert!(!form(Engine::Compose, &profile).unwrap().contains("enforce"));
    assert!(
        form(Engine::Podman, &profile)
            .unwrap()
            .starts_with("podman run")
    );
    assert_eq!(
        form(Engine::Systemd, &profile).unwrap(),
        "[Service]\nCapabilityBoundingSet=CAP_NET_RAW\nAmbientCapabilities=CAP_NET_RAW\n"
    );
    // no_new_privs takes file capabilities away as well.
    let profile = workload(1000, true, &[Capability::NET_RAW]);
    let unable = form(Engine::Compose, &profile).unwrap_err().to_string();
    assert!(unable.contains("run it with podman"), "{unable}");
    assert!(!unable.contains('\n'));
    for engine in [Engine::Docker, Engine::Kubernetes] {
        let form = form(engine, &profile).unwrap();
        assert!(!form.contains("setcap"), "{form}");
        assert!(form.contains("io.capprof.mode"), "{form}");
    }
    assert!(form(Engine::Quadlet, &profile).is_ok());
}

#[test]
fn no_file_gets_what_makes_its_user_root() {
    let advice = |capabilities: &[Capability], programs: &[&str]| {
        let mut profile = workload(1000, false, capabilities);
        for need in &mut profile.findings.needed {
            need.programs = programs.iter().map(|&name| name.to_owned()).collect();
        }
        form(Engine::Docker, &profile).unwrap()
    };
    assert!(advice(&[Capability::NET_RAW], &["mtr-packet"]).contains("setcap"));
    for (capability, programs) in [
        (Capability::SETUID, &["program"][..]),
        (Capability::DAC_OVERRIDE, &["program"]),
        (Capability::NET_RAW, &["sh"]),
        (Capability::NET_RAW, &["python3.11"]),
        (Capability::NET_RAW, &["one", "another"]),
    ] {
        let advice = advice(&[capability], programs);
        assert!(!advice.contains("setcap"), "{advice}");
        assert!(advice.contains("run it with podman"), "{advice}");
    }
}

#[test]
fn a_privileged_container_is_told_to_be_so_no_more() {
    let mut profile = workload(0, false, &[Capability::CHOWN]);
    profile
        .privileges
        .as_mut()
        .unwrap()
        .engine_grants
        .all_devices = true;
    let says = |engine| form(engine, &profile).unwrap();
    assert!(says(Engine::Compose).starts_with("# take out privileged: true"));
    assert!(says(Engine::Docker).contains("# take out --privileged"));
    assert!(!says(Engine::Systemd).contains("take out"));
}

#[test]
fn a_port_bound_under_docker_takes_the_capability_everywhere_else() {
    let mut profile = workload(0, false, &[Capability::CHOWN]);
    profile.findings.unprivileged_ports = vec![PortUse {
        port: 53,
        program: "dnsmasq".to_owned(),
        count: 1,
    }];
    for engine in Engine::ALL {
        let docker = matches!(engine, Engine::Docker | Engine::Compose);
        let form = form(engine, &profile).unwrap();
        assert_eq!(form.contains("NET_BIND_SERVICE"), !docker, "{form}");
    }
}

#[test]
fn ports_below_1024_are_free_in_dockers_own_networks_alone() {
    let mut profile = workload(0, false, &[Capability::NET_BIND_SERVICE]);
    let says = |engine, profile: &Profile| form(engine, profile).unwrap().starts_with("# NET_BIND");
    profile.findings.needed[0].syscalls = vec!["bind".to_owned()];
    for engine in Engine::ALL {
        let docker = matches!(engine, Engine::Docker | Engine::Compose);
        assert_eq!(says(engine, &profile), docker, "{engine}");
    }
    profile.findings.needed[0]
        .syscalls
        .push("setsockopt".to_owned());
    assert!(!says(Engine::Docker, &profile));
}

#[test]
fn what_no_user_namespace_has_is_named_where_containers_are_rootless() {
    let all: Vec<Capability> = Capability::all().collect();
    let profile = workload(0, false, &all);
    assert!(
        form(Engine::Quadlet, &profile).unwrap().starts_with(
            "# not rootless: no container in a user namespace of its own can be granted LINUX_IMMUTABLE, SYS_MODULE, SYS_RAWIO, \
             SYS_PACCT, SYS_TIME, SYS_TTY_CONFIG, MKNOD, LEASE, AUDIT_WRITE, AUDIT_CONTROL, SYSLOG, WAKE_ALARM, BLOCK_SUSPEND, AUDIT_READ\n"
        ),
        "{}",
        form(Engine::Quadlet, &profile).unwrap()
    );
    for engine in [Engine::Docker, Engine::Kubernetes, Engine::Systemd] {
        assert!(!form(engine, &profile).unwrap().contains("rootless"));
    }
}

#[test]
fn names_that_would_break_the_form_are_left_out() {
    let mut profile = workload(0, true, &[Capability::CHOWN]);
    profile.origin.workload.image = Some("a; rm -rf /".to_owned());
    profile.origin.name = Some("x: {".to_owned());
    assert_eq!(
        form(Engine::Docker, &profile).unwrap(),
        "docker run --cap-drop=all --cap-add=CHOWN IMAGE\n"
    );
    assert!(
        form(Engine::Compose, &profile)
            .unwrap()
            .contains("\n  SERVICE:\n")
    );
    assert!(
        form(Engine::Kubernetes, &profile)
            .unwrap()
            .contains("allowPrivilegeEscalation: false")
    );
    profile
        .findings
        .minimized
        .insert(Capability::from_number(45).unwrap());
    assert!(form(Engine::Docker, &profile).is_err());
}
