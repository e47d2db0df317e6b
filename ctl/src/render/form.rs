//! The minimized set in the words of an engine, ready to paste.
//!
//! Only what the engine can carry out is written. What a process that does not run as root gets of the capabilities that it is
//! given differs:
//!
//! - podman puts what `--cap-add` names into the ambient set of a user other than root (pkg/specgen/generate/security_linux.go).
//! - docker does not (moby/moby#8460), nor do containerd and CRI-O for Kubernetes (kubernetes/kubernetes#56374): there it reaches the
//!   bounding set, from which programs with file capabilities and set-user-ID programs take it, unless no_new_privs is on.
//! - systemd has `AmbientCapabilities=`.
//!
//! Mode `enforce` gives them too where the engine can carry annotations: docker from 24 on, and pods.

use super::engine::Engine;
use super::printable::printable;
use super::privileged::Replacement;
use crate::merge::Merged;
use capprof_profile::privileges::Privileges;
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use std::collections::BTreeMap;

/// An engine that cannot give this workload what it needs, and what to do instead, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{engine} cannot give this workload its capabilities: {reason}")]
pub(crate) struct Unable {
    /// Which.
    pub(crate) engine: Engine,
    /// Why, and what to do instead.
    pub(crate) reason: String,
}

/// What a form is made of.
#[derive(Clone, Debug)]
pub(crate) struct Workload<'a> {
    name: Option<&'a str>,
    image: Option<&'a str>,
    uid: u32,
    no_new_privileges: bool,
    minimized: CapabilitySet,
    ambient: CapabilitySet,
    programs: Vec<(Capability, &'a String)>,
    privileges: Option<&'a Privileges>,
    /// What mode `enforce` finds the sets by; `None`: by nothing but a list.
    recording: Option<&'a str>,
    /// Whether CAP_NET_BIND_SERVICE was used for nothing but binding a port below 1024.
    only_binds: bool,
    /// Whether a port below 1024 was bound without being asked for it, as docker sets up the network.
    binds_unasked: bool,
}

impl Workload<'_> {
    /// The set for an engine: docker lets every process of a container bind ports below 1024, and the others do not.
    fn set_for(&self, engine: Engine) -> CapabilitySet {
        let mut set = self.minimized;
        if self.binds_unasked && !matches!(engine, Engine::Docker | Engine::Compose) {
            set.insert(Capability::NET_BIND_SERVICE);
        }
        set
    }
}

/// Whether a need for CAP_NET_BIND_SERVICE goes where net.ipv4.ip_unprivileged_port_start is 0.
fn only_binds<'s>(mut syscalls: impl Iterator<Item = &'s String>) -> bool {
    syscalls.next().is_some_and(|first| first == "bind") && syscalls.next().is_none()
}

impl<'a> From<&'a Profile> for Workload<'a> {
    fn from(profile: &'a Profile) -> Self {
        Self {
            name: profile
                .origin
                .name
                .as_deref()
                .or(profile.origin.workload.container.as_deref()),
            image: profile.origin.workload.image.as_deref(),
            uid: profile.origin.process.uid,
            no_new_privileges: profile.origin.process.no_new_privileges,
            minimized: profile.answer().0,
            ambient: profile.answer().1.ambient,
            privileges: profile.privileges.as_ref(),
            programs: profile
                .findings
                .needed
                .iter()
                .flat_map(|need| {
                    need.programs
                        .iter()
                        .map(|program| (need.capability, program))
                })
                .collect(),
            recording: Some(&profile.origin.recording_id),
            only_binds: profile.findings.needed.iter().any(|need| {
                need.capability == Capability::NET_BIND_SERVICE
                    && only_binds(need.syscalls.iter())
                    // What else needs it (a file capability, a list) stands in the notes.
                    && need.notes.is_empty()
            }),
            binds_unasked: !profile.findings.unprivileged_ports.is_empty(),
        }
    }
}

impl<'a> From<&'a Merged> for Workload<'a> {
    /// Of several workloads, what holds for the most restricted: a user other than root, no_new_privs.
    fn from(merged: &'a Merged) -> Self {
        let image = match merged.workloads.as_slice() {
            [one] => one.image.as_deref(),
            _ => None,
        };
        let processes = || merged.workloads.iter().map(|workload| &workload.process);
        Self {
            name: match merged.names.len() {
                1 => merged.names.first().map(String::as_str),
                _ => None,
            },
            image,
            uid: processes().map(|process| process.uid).max().unwrap_or(0),
            no_new_privileges: processes().any(|process| process.no_new_privileges),
            minimized: merged.minimized,
            ambient: merged.minimized_sets.ambient,
            privileges: merged.privileges.as_ref(),
            programs: merged
                .needed
                .iter()
                .flat_map(|need| {
                    need.programs
                        .iter()
                        .map(|program| (need.capability, program))
                })
                .collect(),
            recording: None,
            binds_unasked: false,
            only_binds: merged.needed.iter().any(|need| {
                need.capability == Capability::NET_BIND_SERVICE && only_binds(need.syscalls.iter())
            }),
        }
    }
}

/// The form for one engine: lines to paste, each with a newline; caveats are comments before them.
///
/// # Errors
/// The engine cannot carry it out.
pub(crate) fn form<'a>(
    engine: Engine,
    workload: impl Into<Workload<'a>>,
) -> Result<String, Unable> {
    let mut workload = workload.into();
    workload.minimized = workload.set_for(engine);
    let workload = &workload;
    let set = workload.minimized;
    if let Some(unnamed) = set.iter().find(|capability| !has_name(*capability)) {
        return Err(Unable {
            engine,
            reason: format!(
                "capability {unnamed} is newer than this version of capprof, which does not know its name"
            ),
        });
    }
    let beyond = workload
        .privileges
        .map(|privileges| Replacement::of(engine, privileges, set))
        .unwrap_or_default();
    let caveats: String = caveats(engine, workload)?
        .iter()
        .chain(&beyond.caveats)
        .map(|text| format!("# {text}\n"))
        .collect();
    let body = match engine {
        Engine::Docker | Engine::Podman => command(engine, workload, &beyond),
        Engine::Kubernetes => kubernetes(workload),
        Engine::Compose => compose(workload) + &lines("    ", &beyond.compose()),
        Engine::Quadlet => quadlet(set) + &lines("", &beyond.quadlet()),
        Engine::Systemd => systemd(workload) + &lines("", &beyond.systemd()),
    };
    Ok(caveats + &body)
}

fn has_name(capability: Capability) -> bool {
    Capability::all().any(|named| named == capability)
}

/// What has to be done or known beside the form, a line each; an error where nothing helps.
fn caveats(engine: Engine, workload: &Workload<'_>) -> Result<Vec<String>, Unable> {
    let mut caveats = Vec::new();
    caveats.extend(for_other_users(engine, workload)?);
    let binds = workload.only_binds && workload.minimized.contains(Capability::NET_BIND_SERVICE);
    if binds && matches!(engine, Engine::Docker | Engine::Compose) {
        caveats.push(
            "NET_BIND_SERVICE is needed with the host's network alone: in a container's own, docker lets everybody bind ports below 1024"
                .to_owned(),
        );
    }
    if workload
        .privileges
        .is_some_and(|privileges| privileges.engine_grants.is_privileged())
        && let Some(option) = privileged_option(engine)
    {
        caveats.push(format!("take out {option}: beside it these have no effect"));
    }
    let beyond: CapabilitySet = workload
        .minimized
        .iter()
        .filter(|c| INITIAL.contains(c))
        .collect();
    if !beyond.is_empty() && matches!(engine, Engine::Podman | Engine::Quadlet) {
        caveats.push(format!(
            "not rootless: no container in a user namespace of its own can be granted {}",
            short_names(beyond).join(", ")
        ));
    }
    Ok(caveats)
}

/// How an engine is told to give everything, which makes all that is taken away void.
fn privileged_option(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Docker | Engine::Podman => Some("--privileged"),
        Engine::Compose | Engine::Kubernetes => Some("privileged: true"),
        Engine::Quadlet => Some("PodmanArgs=--privileged"),
        Engine::Systemd => None,
    }
}

/// What the kernel asks of the initial user namespace, whatever for (`capable()`, in all of Linux 5.8 to 6.18 but a time namespace's own
/// offsets). tests/corpus proves it of programs; capabilities of which only some uses are such are not here.
const INITIAL: [Capability; 14] = [
    Capability::AUDIT_CONTROL,
    Capability::AUDIT_READ,
    Capability::AUDIT_WRITE,
    Capability::BLOCK_SUSPEND,
    Capability::LEASE,
    Capability::LINUX_IMMUTABLE,
    Capability::MKNOD,
    Capability::SYSLOG,
    Capability::SYS_MODULE,
    Capability::SYS_PACCT,
    Capability::SYS_RAWIO,
    Capability::SYS_TIME,
    Capability::SYS_TTY_CONFIG,
    Capability::WAKE_ALARM,
];

/// How a user other than root gets what it is to have.
fn for_other_users(engine: Engine, workload: &Workload<'_>) -> Result<Vec<String>, Unable> {
    let uid = workload.uid;
    let carried = workload.ambient;
    let ambient = matches!(engine, Engine::Podman | Engine::Quadlet | Engine::Systemd);
    if uid == 0 || carried.is_empty() || ambient {
        return Ok(Vec::new());
    }
    let name = if engine == Engine::Compose {
        "docker".to_owned()
    } else {
        engine.to_string()
    };
    let enforce = enforce(engine, workload);
    if workload.no_new_privileges {
        // Ambient capabilities are no new privileges.
        if let Some(enforce) = enforce {
            return Ok(vec![format!(
                "{name} gives user {uid} no ambient capabilities, and no_new_privs keeps it from file capabilities: {enforce}"
            )]);
        }
        return Err(Unable {
            engine,
            reason: format!(
                "{name} gives user {uid} no ambient capabilities, and no_new_privs keeps it from file capabilities; run it with podman, or \
                 start it as root and let it drop to {uid} itself"
            ),
        });
    }
    let mut caveats = Vec::new();
    let mut rest = carried;
    for (program, capabilities) in setcap_candidates(workload) {
        caveats.push(format!(
            "{name} makes these effective for root alone. For user {uid}, give them in the image to {}: setcap {}+ep FILE",
            printable(program),
            capabilities
                .iter()
                .map(|capability| capability.to_string().to_lowercase())
                .collect::<Vec<_>>()
                .join(",")
        ));
        rest = rest.difference(capabilities);
    }
    if !rest.is_empty() {
        caveats.push(format!(
            "{name} makes {} effective for root alone, and no file should give that to user {uid}: run it with podman, or start it as root \
             and let it drop to {uid} itself",
            short_names(rest).join(", ")
        ));
    }
    caveats.extend(enforce.map(|enforce| format!("or {enforce}")));
    Ok(caveats)
}

/// Programs to which a file capability can be given, each with its own: whoever may execute the file has them afterwards. So none to what
/// executes what it is told, none that makes its holder root or opens every file, and none that several programs use.
fn setcap_candidates<'a>(workload: &Workload<'a>) -> Vec<(&'a String, CapabilitySet)> {
    let carried = workload.ambient;
    let mut by_program: BTreeMap<&String, CapabilitySet> = BTreeMap::new();
    for capability in carried.iter() {
        let mut users = workload
            .programs
            .iter()
            .filter(|(used, _)| *used == capability)
            .map(|(_, program)| *program);
        if let (Some(program), None) = (users.next(), users.next()) {
            by_program.entry(program).or_default().insert(capability);
        }
    }
    by_program.retain(|program, capabilities| {
        !executes_others(program)
            && !capabilities
                .iter()
                .any(|capability| NEVER_ON_A_FILE.contains(&capability))
    });
    by_program.into_iter().collect()
}

/// With these on a file its user becomes root, or reads and writes what is root's.
const NEVER_ON_A_FILE: [Capability; 14] = [
    Capability::CHOWN,
    Capability::DAC_OVERRIDE,
    Capability::DAC_READ_SEARCH,
    Capability::FOWNER,
    Capability::FSETID,
    Capability::SETFCAP,
    Capability::SETGID,
    Capability::SETPCAP,
    Capability::SETUID,
    Capability::SYS_ADMIN,
    Capability::SYS_MODULE,
    Capability::SYS_PTRACE,
    Capability::SYS_RAWIO,
    Capability::MKNOD,
];

/// Whether a program executes or loads what its user tells it to: shells, interpreters, and programs that change the user.
fn executes_others(program: &str) -> bool {
    const NAMES: [&str; 26] = [
        "ash", "awk", "bash", "busybox", "csh", "dash", "doas", "env", "find", "fish", "gosu",
        "java", "ksh", "lua", "mksh", "node", "perl", "php", "ruby", "sh", "su", "sudo", "su-exec",
        "tcsh", "xargs", "zsh",
    ];
    let plain = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    NAMES.contains(&plain) || plain.starts_with("python")
}

/// How capprof gives the sets by `io.capprof.mode=enforce`, where the engine carries annotations and gives ambient capabilities to nobody.
fn enforce(engine: Engine, workload: &Workload<'_>) -> Option<String> {
    match engine {
        Engine::Docker => {
            let what = match workload.recording {
                Some(recording) => format!("io.capprof.profile={recording}"),
                None => format!(
                    "io.capprof.capabilities={}",
                    full_names(workload.minimized, ",")
                ),
            };
            Some(format!(
                "have capprof give them, with docker 24 or newer: docker run --runtime=capprof --annotation io.capprof.mode=enforce \
                 --annotation {what} {}",
                image(workload)
            ))
        }
        // Another node has another store.
        Engine::Kubernetes => Some(format!(
            "have capprof give them, to all containers of the pod: runtimeClassName: capprof, and the annotations io.capprof.mode: enforce, \
             io.capprof.capabilities: {}",
            full_names(workload.minimized, ",")
        )),
        Engine::Podman | Engine::Compose | Engine::Quadlet | Engine::Systemd => None,
    }
}

fn full_names(set: CapabilitySet, separator: &str) -> String {
    set.iter()
        .map(|capability| capability.to_string())
        .collect::<Vec<_>>()
        .join(separator)
}

fn short_names(set: CapabilitySet) -> Vec<String> {
    set.iter().map(Capability::short_name).collect()
}

fn lines(indent: &str, lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

fn command(engine: Engine, workload: &Workload<'_>, beyond: &Replacement) -> String {
    let mut line = format!("{engine} run --cap-drop=all");
    for name in short_names(workload.minimized) {
        line.push_str(" --cap-add=");
        line.push_str(&name);
    }
    for option in beyond.options() {
        line.push(' ');
        line.push_str(&option);
    }
    format!("{line} {}\n", image(workload))
}

/// The image's name, if it can stand in a command line as it is.
fn image<'a>(workload: &Workload<'a>) -> &'a str {
    workload
        .image
        .filter(|image| is_plain(image) && !image.starts_with('-'))
        .unwrap_or("IMAGE")
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._-/:@".contains(character))
}

fn kubernetes(workload: &Workload<'_>) -> String {
    let mut text = String::from("securityContext:\n");
    if workload.no_new_privileges {
        text.push_str("  allowPrivilegeEscalation: false\n");
    }
    text.push_str("  capabilities:\n    drop: [\"ALL\"]\n");
    if !workload.minimized.is_empty() {
        text.push_str(&format!("    add: [{}]\n", quoted(workload.minimized)));
    }
    text
}

fn compose(workload: &Workload<'_>) -> String {
    let service = workload
        .name
        .filter(|name| is_plain(name) && !name.contains(['/', ':', '@']))
        .unwrap_or("SERVICE");
    let mut text = format!("services:\n  {service}:\n    cap_drop: [\"ALL\"]\n");
    if !workload.minimized.is_empty() {
        text.push_str(&format!("    cap_add: [{}]\n", quoted(workload.minimized)));
    }
    text
}

fn quoted(set: CapabilitySet) -> String {
    short_names(set)
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn quadlet(set: CapabilitySet) -> String {
    let mut text = String::from("[Container]\nDropCapability=all\n");
    if !set.is_empty() {
        text.push_str(&format!("AddCapability={}\n", short_names(set).join(" ")));
    }
    text
}

fn systemd(workload: &Workload<'_>) -> String {
    let full = |set| full_names(set, " ");
    // An empty assignment means the empty set.
    let mut text = format!(
        "[Service]\nCapabilityBoundingSet={}\n",
        full(workload.minimized)
    );
    let carried = workload.ambient;
    if workload.uid != 0 && !carried.is_empty() {
        text.push_str(&format!("AmbientCapabilities={}\n", full(carried)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::assemble::profile;
    use capprof_profile::fixtures;
    use capprof_profile::fixtures::check;
    use capprof_profile::observation::PortUse;
    use capprof_profile::observation::{Evidence, Recorder};

    fn workload(uid: u32, no_new_privileges: bool, needs: &[Capability]) -> Profile {
        let mut recording = fixtures::recording("web-1", "20261123T150102Z-1a2b3c4d");
        recording.process.uid = uid;
        recording.process.no_new_privileges = no_new_privileges;
        recording.grant.granted.ambient = recording.grant.granted.bounding;
        let evidence = Evidence {
            observations: needs
                .iter()
                .map(|capability| check(*capability, "syscall", &["ns_capable", "somewhere"]))
                .collect(),
            ..Evidence::default()
        };
        profile(
            &recording,
            fixtures::reports(),
            vec![(Recorder::Ebpf, evidence)],
            String::new(),
            fixtures::host(),
        )
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
        let says =
            |engine, profile: &Profile| form(engine, profile).unwrap().starts_with("# NET_BIND");
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
}
