//! Tests of the forms.

use super::*;
use capprof_profile::fixtures;
use capprof_profile::fixtures::check;
use capprof_profile::observation::Evidence;
use capprof_profile::observation::PortUse;
use capprof_profile::privileges::{EngineGrants, Privileges, ResourceLimit};
use capprof_profile::profile::Profile;
use capprof_profile::recording::ProcessSets;
use snapbox::assert_data_eq;
use std::collections::BTreeMap;

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
    FormKind::ALL
        .iter()
        .map(|engine| match form(*engine, profile) {
            Ok(form) => form.text(),
            Err(unable) => unable.to_string(),
        })
        .collect()
}

#[test]
fn root() {
    let profile = workload(0, false, &[Capability::SYSLOG, Capability::CHOWN]);
    let forms = all(&profile);
    let (containers, _) = forms.split_at(8);
    assert_data_eq!(
        containers.join("\n"),
        snapbox::str![[r#"
docker run --cap-drop=all --cap-add=CHOWN --cap-add=SYSLOG docker.io/library/nginx:1.27

--cap-drop=all --cap-add=CHOWN --cap-add=SYSLOG

# not rootless: no container in a user namespace of its own can be granted SYSLOG
podman run --cap-drop=all --cap-add=CHOWN --cap-add=SYSLOG docker.io/library/nginx:1.27

securityContext:
  capabilities:
    drop: ["ALL"]
    add: ["CHOWN", "SYSLOG"]

# a patch for kustomization.yaml: patches: [{path: FILE, target: {kind: Deployment, name: DEPLOYMENT}}]
apiVersion: apps/v1
kind: Deployment
metadata:
  name: DEPLOYMENT
spec:
  template:
    spec:
      containers:
        - name: web
          securityContext:
            capabilities:
              drop: ["ALL"]
              add: ["CHOWN", "SYSLOG"]

# for charts that `helm create` began; others name it containerSecurityContext, or put it below a component's name
securityContext:
  capabilities:
    drop: ["ALL"]
    add: ["CHOWN", "SYSLOG"]

apiVersion: security.openshift.io/v1
kind: SecurityContextConstraints
metadata:
  name: capprof-web
allowPrivilegedContainer: false
allowPrivilegeEscalation: true
requiredDropCapabilities: ["ALL"]
defaultAddCapabilities: []
allowedCapabilities: ["CHOWN", "SYSLOG"]
allowHostDirVolumePlugin: false
allowHostIPC: false
allowHostNetwork: false
allowHostPID: false
allowHostPorts: false
readOnlyRootFilesystem: false
runAsUser:
  type: RunAsAny
seLinuxContext:
  type: MustRunAs
fsGroup:
  type: RunAsAny
supplementalGroups:
  type: RunAsAny
seccompProfiles: ["runtime/default"]
priority: null
volumes: ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"]

services:
  web:
    cap_drop: ["ALL"]
    cap_add: ["CHOWN", "SYSLOG"]

"#]]
    );
}

#[test]
fn root_elsewhere() {
    let profile = workload(0, false, &[Capability::SYSLOG, Capability::CHOWN]);
    let forms = all(&profile);
    let (_, others) = forms.split_at(8);
    assert_data_eq!(
        others.join("\n"),
        snapbox::str![[r##"
# not rootless: no container in a user namespace of its own can be granted SYSLOG
[Container]
DropCapability=all
AddCapability=CHOWN SYSLOG

[Service]
CapabilityBoundingSet=CAP_CHOWN CAP_SYSLOG

{
  "name": "web",
  "image": "docker.io/library/nginx:1.27",
  "privileged": false,
  "linuxParameters": {
    "capabilities": {
      "drop": [
        "ALL"
      ],
      "add": [
        "CHOWN",
        "SYSLOG"
      ]
    }
  }
}

# the client must allow syslog (plugin "docker", allow_caps)
config {
  image    = "docker.io/library/nginx:1.27"
  cap_drop = ["all"]
  cap_add  = ["chown", "syslog"]
}

# not rootless: no container in a user namespace of its own can be granted SYSLOG
virtualisation.oci-containers.containers."web" = {
  image = "docker.io/library/nginx:1.27";
  extraOptions = [
    "--cap-drop=all"
    "--cap-add=CHOWN"
    "--cap-add=SYSLOG"
  ];
};

ctr run --cap-drop=CAP_DAC_OVERRIDE --cap-drop=CAP_FOWNER --cap-drop=CAP_FSETID --cap-drop=CAP_KILL --cap-drop=CAP_SETGID --cap-drop=CAP_SETUID --cap-drop=CAP_SETPCAP --cap-drop=CAP_NET_BIND_SERVICE --cap-drop=CAP_NET_RAW --cap-drop=CAP_SYS_CHROOT --cap-drop=CAP_MKNOD --cap-drop=CAP_AUDIT_WRITE --cap-drop=CAP_SETFCAP --cap-add=CAP_SYSLOG docker.io/library/nginx:1.27 ID

# not rootless: no container in a user namespace of its own can be granted SYSLOG
# for every container of podman that reads it: /etc/containers/containers.conf.d/NAME.conf, or CONTAINERS_CONF_OVERRIDE
[containers]
default_capabilities = ["CHOWN", "SYSLOG"]

"##]]
    );
}

#[test]
fn nothing_needed() {
    let profile = workload(1000, false, &[]);
    let some = [
        FormKind::Docker,
        FormKind::DockerOptions,
        FormKind::Kubernetes,
        FormKind::Compose,
        FormKind::Quadlet,
        FormKind::Systemd,
        FormKind::Ctr,
        FormKind::ContainersConf,
    ];
    let forms = some.map(|engine| form(engine, &profile).unwrap().text());
    assert_data_eq!(
        forms.join("\n"),
        snapbox::str![[r#"
docker run --cap-drop=all docker.io/library/nginx:1.27

--cap-drop=all

securityContext:
  capabilities:
    drop: ["ALL"]

services:
  web:
    cap_drop: ["ALL"]

[Container]
DropCapability=all

[Service]
CapabilityBoundingSet=

ctr run --cap-drop=CAP_CHOWN --cap-drop=CAP_DAC_OVERRIDE --cap-drop=CAP_FOWNER --cap-drop=CAP_FSETID --cap-drop=CAP_KILL --cap-drop=CAP_SETGID --cap-drop=CAP_SETUID --cap-drop=CAP_SETPCAP --cap-drop=CAP_NET_BIND_SERVICE --cap-drop=CAP_NET_RAW --cap-drop=CAP_SYS_CHROOT --cap-drop=CAP_MKNOD --cap-drop=CAP_AUDIT_WRITE --cap-drop=CAP_SETFCAP docker.io/library/nginx:1.27 ID

# for every container of podman that reads it: /etc/containers/containers.conf.d/NAME.conf, or CONTAINERS_CONF_OVERRIDE
[containers]
default_capabilities = []

"#]]
    );
}

#[test]
fn another_user_gets_no_advice_that_the_engine_cannot_carry_out() {
    let profile = workload(1000, false, &[Capability::NET_RAW]);
    let docker = form(FormKind::Docker, &profile).unwrap().text();
    assert_eq!(
        docker,
        "# docker makes these effective for root alone. For user 1000, give them in the image to program: setcap cap_net_raw+ep FILE\n\
         # or have capprof give them, with docker 24 or newer: docker run --runtime=capprof --annotation io.capprof.mode=enforce \
         --annotation io.capprof.profile=20261123T150102Z-1a2b3c4d docker.io/library/nginx:1.27\n\
         docker run --cap-drop=all --cap-add=NET_RAW docker.io/library/nginx:1.27\n"
    );
    assert_eq!(
        form(FormKind::Kubernetes, &profile).unwrap().text(),
        "# kubernetes makes these effective for root alone. For user 1000, give them in the image to program: setcap cap_net_raw+ep FILE\n\
         # or have capprof give them, to all containers of the pod: runtimeClassName: capprof, and the annotations io.capprof.mode: enforce, \
         io.capprof.capabilities: CAP_NET_RAW\n\
         securityContext:\n  capabilities:\n    drop: [\"ALL\"]\n    add: [\"NET_RAW\"]\n"
    );
    // docker's advice must not refer to annotations of compose, with which this container never ran.
    assert!(
        !form(FormKind::Compose, &profile)
            .unwrap()
            .text()
            .contains("enforce")
    );
    assert!(
        form(FormKind::Podman, &profile)
            .unwrap()
            .text()
            .starts_with("podman run")
    );
    assert_eq!(
        form(FormKind::Systemd, &profile).unwrap().text(),
        "[Service]\nCapabilityBoundingSet=CAP_NET_RAW\nAmbientCapabilities=CAP_NET_RAW\n"
    );
    // no_new_privs also disables file capabilities.
    let profile = workload(1000, true, &[Capability::NET_RAW]);
    let unable = form(FormKind::Compose, &profile).unwrap_err().to_string();
    assert!(unable.contains("run it with podman"), "{unable}");
    assert!(!unable.contains('\n'));
    for engine in [FormKind::Docker, FormKind::Kubernetes] {
        let form = form(engine, &profile).unwrap().text();
        assert!(!form.contains("setcap"), "{form}");
        assert!(form.contains("io.capprof.mode"), "{form}");
    }
    assert!(form(FormKind::Quadlet, &profile).is_ok());
}

#[test]
fn no_file_gets_what_makes_its_user_root() {
    let advice = |capabilities: &[Capability], programs: &[&str]| {
        let mut profile = workload(1000, false, capabilities);
        for need in &mut profile.findings.needed {
            need.programs = programs.iter().map(|&name| name.to_owned()).collect();
        }
        form(FormKind::Docker, &profile).unwrap().text()
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
    let says = |engine| form(engine, &profile).unwrap().text();
    assert!(says(FormKind::Compose).starts_with("# take out privileged: true"));
    assert!(says(FormKind::Docker).contains("# take out --privileged"));
    assert!(!says(FormKind::Systemd).contains("take out"));
}

#[test]
fn a_port_bound_under_docker_takes_the_capability_everywhere_else() {
    let mut profile = workload(0, false, &[Capability::CHOWN]);
    profile.findings.unprivileged_ports = vec![PortUse {
        port: 53,
        program: "dnsmasq".to_owned(),
        count: 1,
    }];
    // ctr's options name the dropped capabilities.
    for engine in FormKind::ALL
        .into_iter()
        .filter(|engine| *engine != FormKind::Ctr)
    {
        let docker = engine.is_dockers();
        let form = form(engine, &profile).unwrap().text();
        let form = form.to_uppercase();
        assert_eq!(form.contains("NET_BIND_SERVICE"), !docker, "{form}");
    }
}

#[test]
fn ports_below_1024_are_free_in_dockers_own_networks_alone() {
    let mut profile = workload(0, false, &[Capability::NET_BIND_SERVICE]);
    let says = |engine, profile: &Profile| {
        form(engine, profile)
            .unwrap()
            .text()
            .starts_with("# NET_BIND")
    };
    profile.findings.needed[0].syscalls = vec!["bind".to_owned()];
    for engine in FormKind::ALL {
        let docker = engine.is_dockers() && engine != FormKind::DockerOptions;
        assert_eq!(says(engine, &profile), docker, "{engine}");
    }
    profile.findings.needed[0]
        .syscalls
        .push("setsockopt".to_owned());
    assert!(!says(FormKind::Docker, &profile));
}

#[test]
fn a_limit_that_the_container_had_is_named_unless_it_has_the_capability() {
    let mut profile = workload(0, false, &[]);
    let granted = EngineGrants {
        limits: BTreeMap::from([("memlock".to_owned(), ResourceLimit::NONE)]),
        ..EngineGrants::default()
    };
    profile.privileges = Some(Privileges::of(&granted, &[]));
    let said = |profile: &Profile, engine| form(engine, profile).unwrap().caveats.join("\n");
    let podman = said(&profile, FormKind::Podman);
    assert!(
        podman.contains("does not check IPC_LOCK: --ulimit=memlock=-1:-1"),
        "{podman}"
    );
    let pod = said(&profile, FormKind::Kubernetes);
    assert!(
        pod.contains("a program that used it needs IPC_LOCK"),
        "{pod}"
    );
    // A file gets the limit itself, so there is no caveat about it.
    let parts = Parts::of(FormKind::Quadlet, &profile).unwrap();
    assert_eq!(parts.limits, [("memlock".to_owned(), "-1:-1".to_owned())]);
    assert!(parts.caveats.is_empty(), "{:?}", parts.caveats);
    let mut granted = workload(0, false, &[Capability::IPC_LOCK]);
    granted.privileges = profile.privileges;
    assert!(!said(&granted, FormKind::Podman).contains("does not check"));
}

#[test]
fn limits_that_do_as_well_are_named_in_the_engines_words() {
    let used = |capability, syscall: &str, site: &[&str], program: &str| {
        let mut profile = workload(0, false, &[capability]);
        let need = &mut profile.findings.needed[0];
        need.syscalls = vec![syscall.to_owned()];
        need.sites = vec![site.join(" < ")];
        need.programs = vec![program.to_owned()];
        profile
    };
    let said = |profile: &Profile, engine| {
        let caveats = form(engine, profile).unwrap().caveats;
        caveats
            .into_iter()
            .find(|line| line.starts_with("instead of"))
    };
    let locks = used(
        Capability::IPC_LOCK,
        "mlockall",
        &["capable", "can_do_mlock"],
        "vault",
    );
    for (engine, words) in [
        (FormKind::Docker, "--ulimit=memlock=-1:-1"),
        (FormKind::Compose, "ulimits: {memlock: -1}"),
        (FormKind::Quadlet, "Ulimit=memlock=-1:-1"),
        (FormKind::Systemd, "LimitMEMLOCK=infinity"),
    ] {
        let line = format!("instead of IPC_LOCK, locked memory within a limit: {words}");
        assert_eq!(said(&locks, engine), Some(line));
    }
    assert_eq!(said(&locks, FormKind::Kubernetes), None);
    // docker does not give it, and the program may do without.
    let mut not_given = locks.clone();
    not_given.findings.needed[0].part = capprof_profile::part::Part::Asked;
    assert!(said(&not_given, FormKind::Docker).is_some());
    // perf's buffers have another limit; a list or a file capability needs the capability itself.
    let perf = used(
        Capability::IPC_LOCK,
        "mmap",
        &["capable", "perf_mmap"],
        "perf",
    );
    assert_eq!(said(&perf, FormKind::Docker), None);
    let mut listed = locks;
    listed.findings.needed[0].notes =
        vec!["also a file capability of an executed program".to_owned()];
    assert_eq!(said(&listed, FormKind::Docker), None);

    let plays = used(
        Capability::SYS_NICE,
        "sched_setscheduler",
        &["capable"],
        "jackd",
    );
    assert!(
        said(&plays, FormKind::Podman)
            .unwrap()
            .ends_with("--ulimit=rtprio=99:99")
    );
    let moves = used(Capability::SYS_NICE, "move_pages", &["capable"], "jackd");
    assert_eq!(said(&moves, FormKind::Podman), None);

    let raw = ["ns_capable", "inet_create", "__sock_create"];
    let pings = used(Capability::NET_RAW, "socket", &raw, "ping");
    assert_eq!(
        said(&pings, FormKind::Podman).unwrap(),
        "instead of NET_RAW, with ping's own sockets: --sysctl=net.ipv4.ping_group_range='0 2147483647'"
    );
    assert_eq!(
        said(
            &used(Capability::NET_RAW, "socket", &raw, "keepalived"),
            FormKind::Podman
        ),
        None
    );
}

#[test]
fn what_no_user_namespace_has_is_named_where_containers_are_rootless() {
    let all: Vec<Capability> = Capability::all().collect();
    let profile = workload(0, false, &all);
    assert!(
        form(FormKind::Quadlet, &profile).unwrap().text().starts_with(
            "# not rootless: no container in a user namespace of its own can be granted LINUX_IMMUTABLE, SYS_MODULE, SYS_RAWIO, \
             SYS_PACCT, SYS_TIME, SYS_TTY_CONFIG, MKNOD, LEASE, AUDIT_WRITE, AUDIT_CONTROL, SYSLOG, WAKE_ALARM, BLOCK_SUSPEND, AUDIT_READ\n"
        ),
        "{}",
        form(FormKind::Quadlet, &profile).unwrap().text()
    );
    for engine in [FormKind::Docker, FormKind::Kubernetes, FormKind::Systemd] {
        assert!(!form(engine, &profile).unwrap().text().contains("rootless"));
    }
}

#[test]
fn names_that_would_break_the_form_are_left_out() {
    let mut profile = workload(0, true, &[Capability::CHOWN]);
    profile.origin.workload.image = Some("a; rm -rf /".to_owned());
    profile.origin.name = Some("x: {".to_owned());
    assert_eq!(
        form(FormKind::Docker, &profile).unwrap().text(),
        "docker run --cap-drop=all --cap-add=CHOWN IMAGE\n"
    );
    assert!(
        form(FormKind::Compose, &profile)
            .unwrap()
            .text()
            .contains("\n  SERVICE:\n")
    );
    assert!(
        form(FormKind::Kubernetes, &profile)
            .unwrap()
            .text()
            .contains("allowPrivilegeEscalation: false")
    );
    profile
        .findings
        .minimized
        .insert(Capability::from_number(45).unwrap());
    assert!(form(FormKind::Docker, &profile).is_err());
}
