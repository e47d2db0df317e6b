use super::*;
use proptest::prelude::*;

const RANGE: &str = "s0:c1,c2-s0:c1,c2,c500,c501";

fn target() -> RecordedProcesses {
    RecordedProcesses {
        type_: "capprof_t".to_owned(),
        range: RANGE.to_owned(),
        fence: "capprof fence 20261123T150102Z-1a2b3c4d ".to_owned(),
        user_namespace: false,
        armed: 1_795_441_500_000,
    }
}

fn avc(
    serial: u64,
    verdict: &str,
    name: &str,
    number: u8,
    type_: &str,
    range: &str,
    class: &str,
) -> String {
    let permissive = if verdict == "denied" {
        " permissive=1"
    } else {
        ""
    };
    format!(
        "type=AVC msg=audit(1795441500.475:{serial}): avc:  {verdict}  {{ {name} }} for  pid=160 comm=\"tool\" capability={number}  \
         scontext=system_u:system_r:{type_}:{range} tcontext=system_u:system_r:{type_}:{range} tclass={class}{permissive}"
    )
}

fn collect(lines: &[String]) -> RecordSummary {
    let mut collector = EventCollector::new(target());
    for line in lines {
        collector.line(line.as_bytes());
    }
    collector.seen()
}

#[test]
fn changes_of_audits_rules_and_counters_are_seen() {
    let change = |body: &str| {
        collect(&[format!(
            "type=CONFIG_CHANGE msg=audit(1795441500.475:7): {body}"
        )])
    };
    let removed =
        "auid=0 ses=1 subj=unconfined_u:unconfined_r:auditctl_t:s0 op=remove_rule key=(null)";
    assert!(change(&format!("{removed} list=5 res=1")).exclusion_removed);
    assert!(!change(&format!("{removed} list=4 res=1")).exclusion_removed);
    assert!(!change(&format!("{removed} list=5 res=0")).exclusion_removed);
    assert_eq!(
        change("op=set lost=0 old=12 auid=0 ses=1 res=1").lost_before_reset,
        Some(12)
    );
    assert_eq!(
        change("op=set audit_rate_limit=5 old=0 auid=0 ses=1 res=1").lost_before_reset,
        None
    );
}

#[test]
fn only_the_own_type_and_range_count() {
    let seen = collect(&[
        avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability"),
        avc(2, "denied", "fowner", 3, "container_t", RANGE, "capability"),
        avc(
            3,
            "denied",
            "kill",
            5,
            "capprof_t",
            "s0:c1,c2",
            "capability",
        ),
        avc(
            4,
            "denied",
            "setuid",
            7,
            "capprof_t",
            "s0:c1,c2-s0:c1,c2,c500,c5010",
            "capability",
        ),
        avc(5, "denied", "read", 1, "capprof_t", RANGE, "file"),
    ]);
    let capabilities: Vec<_> = seen.observations.iter().map(|o| o.capability).collect();
    assert_eq!(capabilities, [Capability::CHOWN]);
    assert_eq!(seen.malformed, 0);
}

#[test]
fn all_four_classes_and_both_verdicts() {
    let seen = collect(&[
        avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability"),
        avc(
            2,
            "granted",
            "syslog",
            34,
            "capprof_t",
            RANGE,
            "capability2",
        ),
        avc(
            3,
            "denied",
            "sys_chroot",
            18,
            "capprof_t",
            RANGE,
            "cap_userns",
        ),
        avc(4, "granted", "bpf", 39, "capprof_t", RANGE, "cap2_userns"),
    ]);
    let found: Vec<_> = seen
        .observations
        .iter()
        .map(|o| (o.capability, o.namespace, o.verdict))
        .collect();
    assert_eq!(
        found,
        [
            (Capability::CHOWN, Namespace::Own, CheckAnswer::Granted),
            (
                Capability::SYS_CHROOT,
                Namespace::NestedUnclear,
                CheckAnswer::Granted
            ),
            (Capability::SYSLOG, Namespace::Own, CheckAnswer::Granted),
            (
                Capability::BPF,
                Namespace::NestedUnclear,
                CheckAnswer::Granted
            ),
        ]
    );
}

#[test]
fn in_a_user_namespace_of_its_own_the_other_classes_are_the_containers() {
    let mut collector = EventCollector::new(RecordedProcesses {
        user_namespace: true,
        ..target()
    });
    collector.line(avc(1, "denied", "chown", 0, "capprof_t", RANGE, "cap_userns").as_bytes());
    collector.line(avc(2, "denied", "kill", 5, "capprof_t", RANGE, "capability").as_bytes());
    let found: Vec<_> = collector
        .seen()
        .observations
        .iter()
        .map(|o| o.namespace)
        .collect();
    assert_eq!(found, [Namespace::Own, Namespace::Initial]);
}

#[test]
fn a_refusal_in_enforcing_mode_is_denied_and_counted() {
    let line = avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability")
        .replace("permissive=1", "permissive=0");
    let seen = collect(&[line]);
    assert_eq!(seen.observations[0].verdict, CheckAnswer::Denied);
    assert_eq!(seen.refused, 1);
}

#[test]
fn records_of_one_event_are_put_together_though_others_come_between() {
    let seen = collect(&[
        avc(7, "granted", "sys_admin", 21, "capprof_t", RANGE, "capability"),
        avc(7, "granted", "sys_admin", 21, "capprof_t", RANGE, "capability"),
        avc(8, "denied", "chown", 0, "other_t", "s0", "capability"),
        "type=SYSCALL msg=audit(1795441500.475:8): arch=c000003e syscall=92 success=yes exit=0 comm=\"other\" exe=\"/other\"".to_owned(),
        "type=SYSCALL msg=audit(1795441500.475:7): arch=c000003e syscall=165 success=yes exit=0 a0=1 items=1 ppid=1 pid=160 auid=0 comm=\"tool\" exe=\"/bin/tool\" subj=x key=(null)\u{1d}ARCH=x86_64 SYSCALL=mount".to_owned(),
        "type=CWD msg=audit(1795441500.475:7): cwd=\"/srv\"".to_owned(),
        "type=PATH msg=audit(1795441500.475:7): item=0 name=\"mnt\" inode=5 nametype=NORMAL".to_owned(),
        "type=PROCTITLE msg=audit(1795441500.475:7): proctitle=746F6F6C".to_owned(),
    ]);
    assert_eq!(seen.observations.len(), 1);
    let observation = &seen.observations[0];
    assert_eq!(observation.count, 2);
    assert_eq!(observation.program, "tool");
    assert_eq!(observation.pid, 160);
    assert_eq!(observation.executable, Some(PathBuf::from("/bin/tool")));
    assert_eq!(observation.syscall.as_ref().unwrap().name, "mount");
    assert_eq!(observation.path, Some(PathBuf::from("/srv/mnt")));
    assert_eq!(observation.first_ms, 475);
}

#[test]
fn a_system_call_is_named_by_the_table_of_its_architecture() {
    for (architecture, number) in [
        ("c000003e", 165),
        ("40000003", 21),
        ("c00000b7", 40),
        ("40000028", 21),
    ] {
        let seen = collect(&[
            avc(
                7,
                "granted",
                "sys_admin",
                21,
                "capprof_t",
                RANGE,
                "capability",
            ),
            format!(
                "type=SYSCALL msg=audit(1795441500.475:7): arch={architecture} syscall={number} success=yes exit=0 comm=\"tool\" exe=\"/bin/tool\""
            ),
        ]);
        let call = seen.observations[0].syscall.as_ref().unwrap();
        assert_eq!(call.name, "mount", "{architecture}");
    }
}

#[test]
fn a_clock_that_was_set_back_changes_nothing_but_the_time_shown() {
    let line = avc(
        1,
        "denied",
        "sys_time",
        25,
        "capprof_t",
        RANGE,
        "capability",
    )
    .replace("1795441500", "1763905500");
    let seen = collect(&[line]);
    assert_eq!(seen.observations[0].capability, Capability::SYS_TIME);
    assert_eq!(seen.observations[0].first_ms, 0);
}

#[test]
fn the_fence_is_known_by_its_text_and_gives_its_nonce() {
    let fence = "type=USER_AVC msg=audit(1795441500.475:9): pid=1 uid=0 auid=0 ses=1 subj=a:b:c:s0 msg='capprof fence 20261123T150102Z-1a2b3c4d beef  exe=\"/x\" hostname=? addr=? terminal=?'";
    assert_eq!(collect(&[fence.to_owned()]).fence.as_deref(), Some("beef"));
    assert_eq!(
        collect(&[fence.replace("1a2b3c4d", "00000000")]).fence,
        None
    );
    assert_eq!(collect(&[fence.replace("USER_AVC", "USER")]).fence, None);
}

#[test]
fn what_changes_the_meaning_of_the_records_is_noted() {
    let seen = collect(&[
        "type=MAC_STATUS msg=audit(1.0:1): enforcing=1 old_enforcing=0 auid=0 ses=1 enabled=1 old-enabled=1 lsm=selinux res=1".to_owned(),
        "type=MAC_CONFIG_CHANGE msg=audit(1.0:2): bool=virt_sandbox_use_all_caps val=1 old_val=0 auid=0 ses=1".to_owned(),
        "type=DAEMON_END msg=audit(1.1:3): op=terminate auid=0 pid=1 res=success".to_owned(),
        "type=MAC_POLICY_LOAD msg=audit(1.0:4): auid=0 ses=1 lsm=selinux res=1".to_owned(),
    ]);
    assert!(seen.enforced && seen.daemon_restarted && seen.policy_loaded);
    assert!(
        seen.switched
            .contains(&("virt_sandbox_use_all_caps".to_owned(), true))
    );
}

#[test]
fn a_switch_that_is_not_remembered_is_a_loss() {
    let switch = |number: usize| {
        format!(
            "type=MAC_CONFIG_CHANGE msg=audit(1795441500.475:{number}): bool=b{number} val=0 old_val=1 auid=0 ses=1"
        )
    };
    let mut lines: Vec<String> = (0..SWITCHES).map(switch).collect();
    lines.push(switch(0));
    let seen = collect(&lines);
    assert_eq!((seen.switched.len(), seen.losses.len()), (SWITCHES, 0));
    lines.extend([switch(SWITCHES), switch(SWITCHES + 1)]);
    let seen = collect(&lines);
    assert_eq!(seen.switched.len(), SWITCHES);
    assert_eq!(seen.losses.len(), 1, "{:?}", seen.losses);
}

#[test]
fn damaged_lines_are_counted_and_doubtful_ones_told_apart() {
    let whole = avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability");
    let seen = collect(&[
        "not an audit record".to_owned(),
        whole[..whole.len() - 30].to_owned(),
        String::new(),
    ]);
    assert_eq!((seen.malformed, seen.doubtful), (2, 1));
    assert!(seen.observations.is_empty());
}

#[test]
fn a_million_paths_take_bounded_memory() {
    let mut collector = EventCollector::new(target());
    for serial in 0..20_000_u64 {
        collector.line(
            avc(
                serial,
                "granted",
                "sys_admin",
                21,
                "capprof_t",
                RANGE,
                "capability",
            )
            .as_bytes(),
        );
        collector.line(format!("type=PATH msg=audit(1795441500.475:{serial}): item=0 name=\"/f{serial}\" nametype=NORMAL").as_bytes());
        collector.line(
            format!("type=PROCTITLE msg=audit(1795441500.475:{serial}): proctitle=\"x\"")
                .as_bytes(),
        );
    }
    let seen = collector.seen();
    assert_eq!(seen.observations.len(), KINDS_WITH_PATH + 1);
    assert_eq!(
        seen.observations.iter().map(|o| o.count).sum::<u64>(),
        20_000
    );
    assert_eq!(collector.granted(Capability::SYS_ADMIN), (20_000, 20_000));
}

proptest! {
    #[test]
    fn arbitrary_lines_never_panic(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut collector = EventCollector::new(target());
        for line in &lines {
            collector.line(line);
            collector.message(1400, line);
        }
        let _ = collector.seen();
    }
}
