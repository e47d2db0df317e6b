//! Rewrites whole configurations: `tests/rewrite/NAME.in.json` → `NAME.out.json`.
//!
//! `SNAPSHOTS=overwrite cargo test -p capprof --test rewrite` writes new expected files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use capprof::rewrite::{self, Hooks, Plan, ProcessGrant, Sets};
use capprof_profile::recording::ProcessSets;
use capprof_profile::settings::{GrantNonRoot, RelaxSeccomp};
use capprof_profile::{Capability, CapabilitySet};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const HOOK: &str = "/usr/libexec/capprof/capprof-hook";
const DIRECTORY: &str = "/run/capprof/recordings/0123456789abcdef.20261123T150102Z-1a2b3c4d";

fn plan() -> Plan<'static> {
    Plan {
        grant: ProcessGrant {
            sets: Sets::Everything {
                held: held(),
                non_root: GrantNonRoot::Ambient,
            },
            relax_apparmor: true,
            label: None,
        },
        relax_seccomp: RelaxSeccomp::default(),
        hooks: Hooks::Record,
        hook: HOOK,
        directory: DIRECTORY,
        timeout: 10,
    }
}

fn held() -> CapabilitySet {
    [
        Capability::CHOWN,
        Capability::NET_ADMIN,
        Capability::CHECKPOINT_RESTORE,
    ]
    .into_iter()
    .collect()
}

#[test]
fn crun_takes_names_in_lower_case() {
    let process = json!({"capabilities": {"bounding": ["cap_kill", "CAP_CHOWN", "mknod"]}});
    let read = |any_case| {
        rewrite::sets_as_read(process.as_object().unwrap(), any_case)
            .unwrap()
            .bounding
            .to_string()
    };
    assert_eq!(read(false), "CAP_CHOWN");
    assert_eq!(read(true), "CAP_CHOWN, CAP_KILL");
}

/// The plan for a configuration with an enforced limit.
fn enforcing(sets: ProcessSets) -> Plan<'static> {
    Plan {
        grant: ProcessGrant {
            sets: Sets::Exactly(sets),
            relax_apparmor: false,
            label: None,
        },
        relax_seccomp: RelaxSeccomp::Keep,
        hooks: Hooks::Remove,
        ..plan()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rewrite")
}

fn input(name: &str) -> Value {
    let text = fs::read(folder().join(format!("{name}.in.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn rewritten(mut value: Value, plan: &Plan<'_>) -> Value {
    rewrite::rewrite(&mut value, plan).unwrap();
    value
}

fn snapshot(name: &str, input_name: &str, plan: &Plan<'_>) {
    let output = rewritten(input(input_name), plan);
    let text = format!("{}\n", serde_json::to_string_pretty(&output).unwrap());
    snapbox::assert_data_eq!(
        text,
        snapbox::Data::read_from(
            &folder().join(format!("{name}.out.json")),
            Some(snapbox::data::DataFormat::Text)
        )
        .raw()
    );
}

#[test]
fn whole_configurations() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".in.json").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        snapshot(&name, &name, &plan());
    }
}

#[test]
fn other_settings() {
    let plan = Plan {
        grant: ProcessGrant {
            sets: Sets::Everything {
                held: held(),
                non_root: GrantNonRoot::Bounding,
            },
            relax_apparmor: false,
            label: Some("system_u:system_r:capprof_t:s0:c182,c739-s0:c182,c500,c501,c739"),
        },
        relax_seccomp: RelaxSeccomp::Log,
        ..plan()
    };
    snapshot("podman-other-settings", "podman", &plan);
    snapshot("docker-other-settings", "docker", &plan);
    let keep = Plan {
        relax_seccomp: RelaxSeccomp::Keep,
        ..plan
    };
    let original = input("docker");
    let output = rewritten(original.clone(), &keep);
    assert_eq!(output["linux"], original["linux"]);
}

#[test]
fn where_a_limit_is_enforced_nothing_but_the_sets_changes() {
    let few: CapabilitySet = [Capability::KILL, Capability::SYSLOG].into_iter().collect();
    let one: CapabilitySet = [Capability::KILL].into_iter().collect();
    let sets = ProcessSets {
        bounding: few,
        effective: few,
        permitted: few,
        inheritable: one,
        ambient: one,
    };
    for name in ["docker", "podman", "containerd-cri", "oddities"] {
        snapshot(&format!("{name}-enforced"), name, &enforcing(sets));
        snapshot(
            &format!("{name}-enforced-nothing"),
            name,
            &enforcing(ProcessSets::default()),
        );
        let mut value = input(name);
        let outcome = rewrite::rewrite(&mut value, &enforcing(sets)).unwrap();
        assert_eq!(outcome.granted, sets);
        assert_eq!(outcome.relaxed, []);
        assert_eq!(value["hooks"]["prestart"], input(name)["hooks"]["prestart"]);
    }
}

#[test]
fn a_process_gets_no_more_than_the_ceiling() {
    let ceiling: CapabilitySet = [Capability::CHOWN, Capability::SYS_TIME]
        .into_iter()
        .collect();
    let grant = ProcessGrant {
        sets: Sets::AtMost(ceiling),
        relax_apparmor: false,
        label: None,
    };
    let mut process = json!({
        "user": {"uid": 7}, "apparmorProfile": "x",
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL"], "effective": ["CAP_SYS_TIME", "chown"]},
    });
    rewrite::grant(process.as_object_mut().unwrap(), &grant).unwrap();
    assert_eq!(
        process,
        json!({
            "user": {"uid": 7}, "apparmorProfile": "x",
            "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": [], "effective": ["CAP_SYS_TIME"]},
        })
    );
}

#[test]
fn what_was_relaxed_is_said() {
    let relaxed = |name: &str| -> Vec<(String, String)> {
        let mut value = input(name);
        rewrite::rewrite(&mut value, &plan())
            .unwrap()
            .relaxed
            .into_iter()
            .map(|relaxation| (relaxation.pointer, relaxation.change))
            .collect()
    };
    let pair = |pointer: &str, change: &str| (pointer.to_owned(), change.to_owned());
    assert_eq!(relaxed("runc-spec"), []);
    assert_eq!(relaxed("oddities"), []);
    assert_eq!(
        relaxed("docker"),
        [
            pair(
                "/process/apparmorProfile",
                "profile docker-default taken off"
            ),
            pair(
                "/linux/seccomp",
                "default action SCMP_ACT_ERRNO now SCMP_ACT_ALLOW"
            ),
        ]
    );
    assert_eq!(
        relaxed("podman"),
        [pair("/linux/seccomp", "3 rules now SCMP_ACT_ALLOW")]
    );
    assert_eq!(
        relaxed("containerd-cri")[1],
        pair(
            "/linux/seccomp",
            "default action SCMP_ACT_KILL_PROCESS and 3 rules now SCMP_ACT_ALLOW"
        )
    );
}

#[test]
fn what_the_filter_refuses_and_a_capability_would_open_is_known() {
    let refused = |name: &str| {
        rewrite::rewrite(&mut input(name), &plan())
            .unwrap()
            .filter_refuses
    };
    let docker = refused("docker");
    for call in ["mbind", "set_mempolicy", "unshare", "clone", "mount"] {
        assert!(docker.contains(call), "{call}: {docker:?}");
    }
    // They always pass, or no capability opens them.
    for call in ["read", "keyctl"] {
        assert!(!docker.contains(call), "{call}: {docker:?}");
    }
    assert!(refused("runc-spec").is_empty());
    // A filter that is kept still refuses them.
    let plan = Plan {
        relax_seccomp: RelaxSeccomp::Keep,
        ..plan()
    };
    let kept = rewrite::rewrite(&mut input("docker"), &plan).unwrap();
    assert_eq!(kept.filter_refuses, docker);
    assert!(
        kept.relaxed
            .iter()
            .all(|relaxed| relaxed.pointer != "/linux/seccomp")
    );
}

#[test]
fn sets_are_recorded_as_they_were_and_as_they_are() {
    let outcome = |name: &str| rewrite::rewrite(&mut input(name), &plan()).unwrap();
    let held = held();
    let docker = outcome("docker");
    assert_eq!(docker.original.bounding.len(), 14);
    assert_eq!(docker.original.ambient, CapabilitySet::EMPTY);
    assert_eq!(docker.granted.bounding, held);
    assert_eq!(docker.granted.effective, held);
    assert_eq!(docker.granted.permitted, held);
    assert_eq!(docker.granted.inheritable, CapabilitySet::EMPTY);
    let podman = outcome("podman");
    assert_eq!(
        podman.original.ambient,
        [Capability::NET_BIND_SERVICE].into_iter().collect()
    );
    assert_eq!(podman.granted.ambient, held);
    assert_eq!(podman.granted.inheritable, held);
    // A name that no runtime understands is not a capability.
    assert_eq!(
        outcome("oddities").original.permitted,
        [Capability::CHOWN].into_iter().collect()
    );
}

#[test]
fn what_is_no_configuration_is_refused_by_name() {
    for (text, expected) in [
        ("[]", "the configuration is not an object"),
        ("{}", "/process is not an object"),
        (r#"{"process": 1}"#, "/process is not an object"),
        (
            r#"{"process": {"capabilities": []}}"#,
            "/process/capabilities is not an object",
        ),
        (
            r#"{"process": {"capabilities": {"bounding": "CAP_CHOWN"}}}"#,
            "/process/capabilities/bounding is not an array of names",
        ),
        (
            r#"{"process": {"capabilities": {"ambient": [1]}}}"#,
            "/process/capabilities/ambient is not an array of names",
        ),
        (
            r#"{"process": {"user": {"uid": -1}}}"#,
            "/process/user/uid is not a 32-bit number",
        ),
        (
            r#"{"process": {"user": {"uid": 4294967296}}}"#,
            "/process/user/uid is not a 32-bit number",
        ),
        (r#"{"process": {}, "hooks": []}"#, "/hooks is not an object"),
        (
            r#"{"process": {}, "hooks": {"prestart": {}}}"#,
            "/hooks/prestart is not an array",
        ),
        (
            r#"{"process": {}, "hooks": {"poststop": 1}}"#,
            "/hooks/poststop is not an array",
        ),
        (r#"{"process": {}, "linux": 1}"#, "/linux is not an object"),
    ] {
        let mut value: Value = serde_json::from_str(text).unwrap();
        let error = rewrite::rewrite(&mut value, &plan()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

/// Arbitrary JSON, with numbers that fit no machine type.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,30})?(e[1-9][0-9]{0,2})?"
            .prop_map(|number| serde_json::from_str(&number).unwrap()),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            members(inner).prop_map(Value::Object),
        ]
    })
}

fn members(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    // Two letters: no name that the runtime-spec has.
    proptest::collection::vec(("[a-z]{2}", inner), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

fn names() -> impl Strategy<Value = Value> {
    let name =
        proptest::sample::select(vec!["CAP_CHOWN", "CAP_SYSLOG", "CAP_FUTURE", "chown", "7"]);
    prop_oneof![
        Just(Value::Null),
        proptest::collection::vec(name, 0..4).prop_map(|names| json!(names)),
    ]
}

fn maybe(inner: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![Just(None), Just(Some(Value::Null)), inner.prop_map(Some)]
}

fn object(fields: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> BoxedStrategy<Value> {
    let mut strategy: BoxedStrategy<Vec<(String, Value)>> = members(any_json())
        .prop_map(|members| members.into_iter().collect())
        .boxed();
    for (name, value) in fields {
        strategy = (strategy, value, any::<prop::sample::Index>())
            .prop_map(move |(mut members, value, place)| {
                if let Some(value) = value {
                    members.insert(place.index(members.len() + 1), (name.to_owned(), value));
                }
                members
            })
            .boxed();
    }
    strategy
        .prop_map(|members| Value::Object(members.into_iter().collect()))
        .boxed()
}

/// An arbitrary configuration in which the members that capprof reads have the right types.
fn configuration() -> impl Strategy<Value = Value> {
    let capabilities = object(vec![
        ("bounding", maybe(names()).boxed()),
        ("ambient", maybe(names()).boxed()),
        ("permitted", maybe(names()).boxed()),
    ]);
    let process = object(vec![
        ("capabilities", maybe(capabilities).boxed()),
        ("apparmorProfile", maybe(any_json()).boxed()),
        ("selinuxLabel", maybe(any_json()).boxed()),
        (
            "user",
            maybe(prop_oneof![
                Just(json!({"uid": 0})),
                Just(json!({"uid": 7, "gid": 7}))
            ])
            .boxed(),
        ),
    ]);
    let action = || {
        proptest::sample::select(vec![
            "SCMP_ACT_ERRNO",
            "SCMP_ACT_ALLOW",
            "SCMP_ACT_KILL",
            "SCMP_ACT_NOTIFY",
            "x",
        ])
        .prop_map(|action| Some(json!(action)))
        .boxed()
    };
    let errno = || {
        proptest::sample::select(vec![
            None,
            Some(json!(1)),
            Some(json!(38)),
            Some(Value::Null),
        ])
        .boxed()
    };
    let rule = object(vec![("action", action()), ("errnoRet", errno())]);
    let seccomp = object(vec![
        ("defaultAction", action()),
        ("defaultErrnoRet", errno()),
        (
            "syscalls",
            maybe(proptest::collection::vec(rule, 0..3).prop_map(Value::Array)).boxed(),
        ),
    ]);
    let linux = object(vec![("seccomp", maybe(seccomp).boxed())]);
    let list = || maybe(proptest::collection::vec(any_json(), 0..3).prop_map(Value::Array)).boxed();
    let hooks = object(vec![
        ("prestart", list()),
        ("poststop", list()),
        ("createRuntime", list()),
    ]);
    let annotations = object(vec![("io.capprof.mode", maybe(any_json()).boxed())]);
    object(vec![
        ("process", process.prop_map(Some).boxed()),
        ("linux", maybe(linux).boxed()),
        ("hooks", maybe(hooks).boxed()),
        ("annotations", maybe(annotations).boxed()),
    ])
}

/// The text of a configuration without the members that capprof may change: the order of keys and the digits of numbers count.
fn outside(mut value: Value) -> String {
    for (holder, keys) in [
        (
            "/process",
            &["capabilities", "selinuxLabel", "apparmorProfile"][..],
        ),
        ("/linux", &["seccomp"]),
        ("", &["hooks"]),
    ] {
        if let Some(holder) = value.pointer_mut(holder).and_then(Value::as_object_mut) {
            for key in keys {
                holder.shift_remove(*key);
            }
        }
    }
    value.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everything_outside_the_edited_places_is_equal(original in configuration(), label: bool) {
        let mut plan = plan();
        plan.grant.label = label.then_some("a:b:c:s0");
        let output = rewritten(original.clone(), &plan);
        prop_assert_eq!(outside(output.clone()), outside(original.clone()));
        // Inside of them: other hooks in their order.
        let list = |value: &Value, stage: &str| value["hooks"][stage].as_array().cloned().unwrap_or_default();
        let (prestart, poststop) = (list(&output, "prestart"), list(&output, "poststop"));
        prop_assert_eq!(&prestart[..prestart.len() - 1], &list(&original, "prestart")[..]);
        prop_assert_eq!(&poststop[1..], &list(&original, "poststop")[..]);
        prop_assert_eq!(&output["hooks"]["createRuntime"], &original["hooks"]["createRuntime"]);
        // The same holds for the text of the result.
        let text = output.to_string();
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn an_enforced_limit_is_exact(original in configuration(), bits in proptest::array::uniform5(0..1u64 << 41)) {
        let [bounding, effective, permitted, inheritable, ambient] = bits.map(CapabilitySet::from_bits);
        let sets = ProcessSets { bounding, effective, permitted, inheritable, ambient };
        let output = rewritten(original.clone(), &enforcing(sets));
        prop_assert_eq!(outside(output.clone()), outside(original.clone()));
        for pointer in ["/process/selinuxLabel", "/process/apparmorProfile", "/linux", "/hooks/prestart"] {
            prop_assert_eq!(output.pointer(pointer), original.pointer(pointer));
        }
        prop_assert_eq!(rewrite::sets_of(output["process"].as_object().unwrap()).unwrap(), sets);
    }

    #[test]
    fn no_json_makes_it_panic(value in any_json()) {
        let mut value = value;
        let _ = rewrite::rewrite(&mut value, &plan());
    }
}
