use super::{Case, DOCKER, mount, noise, perf, read_file, set, write_file};
use crate::Capability;
use crate::fixtures::check;
use crate::observation::{Argument, Observation, RecorderName};
use crate::part::Part;
use crate::profile::{Need, Reason};
use crate::settings::Preference;

#[test]
fn rsyslogd_needs_what_it_used_and_nothing_else() {
    let syslog = Observation {
        program: "rsyslogd".into(),
        count: 3,
        last_ms: 90,
        ..check(
            Capability::SYSLOG,
            "syslog",
            &[
                "security_capable",
                "capable",
                "check_syslog_permissions",
                "do_syslog",
            ],
        )
    };
    let result = Case::seen(vec![noise(), syslog]).minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::SYSLOG]));
    assert_eq!(
        result.findings.needed,
        [Need {
            capability: Capability::SYSLOG,
            part: Part::Held,
            reason: Reason::Used,
            alternatives: vec![],
            programs: vec!["rsyslogd".into()],
            syscalls: vec!["syslog".into()],
            sites: vec!["capable < check_syslog_permissions < do_syslog".into()],
            objects: vec![],
            count: 3,
            first_ms: 5,
            last_ms: 90,
            recorders: vec![RecorderName::Ebpf],
            recordings: 0,
            unclear: None,
            notes: vec![],
        }]
    );
    assert_eq!(result.findings.dismissed.len(), 1);
    assert_eq!(result.findings.dismissed[0].rule, "overcommit");
    assert!(result.findings.blind_spots.is_empty() && result.incomplete_because.is_empty());
}

#[test]
fn an_alternative_that_is_needed_anyway_absorbs() {
    let result = Case::seen(vec![read_file(), write_file()]).minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::DAC_OVERRIDE]));
    assert_eq!(
        result.findings.needed[0].notes,
        ["CAP_DAC_READ_SEARCH was asked for too, where CAP_DAC_OVERRIDE does as well"]
    );
    // open_by_handle_at(2) takes no other.
    let handle = check(
        Capability::DAC_READ_SEARCH,
        "open_by_handle_at",
        &["capable", "may_decode_fh", "do_handle_open"],
    );
    let result = Case::seen(vec![handle, write_file()]).minimize();
    assert_eq!(
        result.findings.minimized,
        set(&[Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH])
    );
    let result = Case::seen(vec![perf(), mount()]).minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::SYS_ADMIN]));
}

#[test]
fn the_capability_that_was_asked_for_is_preferred() {
    let result = Case::seen(vec![read_file()]).minimize();
    assert_eq!(
        result.findings.minimized,
        set(&[Capability::DAC_READ_SEARCH])
    );
    assert_eq!(
        result.findings.needed[0].alternatives,
        [Capability::DAC_OVERRIDE]
    );
    let result = Case::seen(vec![perf()]).minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::PERFMON]));
}

#[test]
fn the_engines_own_is_preferred_by_default() {
    let mut case = Case::seen(vec![read_file()]);
    case.original.bounding = set(&DOCKER);
    let result = case.minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::DAC_OVERRIDE]));
    assert_eq!(
        result.findings.needed[0].alternatives,
        [Capability::DAC_READ_SEARCH]
    );
    assert_eq!(result.findings.needed[0].programs, ["program"]);
    assert!(result.findings.needed[0].notes[0].contains("asked for CAP_DAC_READ_SEARCH first"));
    case.preference = Preference::Weaker;
    assert_eq!(
        case.minimize().findings.minimized,
        set(&[Capability::DAC_READ_SEARCH])
    );
    // A privileged container was given both.
    case.preference = Preference::Default;
    case.original.bounding = Capability::all().collect();
    assert_eq!(
        case.minimize().findings.minimized,
        set(&[Capability::DAC_READ_SEARCH])
    );
    // CAP_SYS_ADMIN is no bargain even where it was given.
    let mut case = Case::seen(vec![perf()]);
    case.original.bounding = set(&[Capability::SYS_ADMIN]);
    assert_eq!(
        case.minimize().findings.minimized,
        set(&[Capability::PERFMON])
    );
}

#[test]
fn the_weaker_is_taken_where_the_kernel_asks_for_the_stronger_first() {
    let real_time = check(
        Capability::SYS_ADMIN,
        "ioprio_set",
        &["capable", "ioprio_check_cap"],
    );
    let result = Case::seen(vec![real_time]).minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::SYS_NICE]));
    assert_eq!(
        result.findings.needed[0].alternatives,
        [Capability::SYS_ADMIN]
    );
}

#[test]
fn header_options_take_one_capability_alone() {
    let set_option = |level, name| {
        let option = Observation {
            argument: Some(Argument::SocketOption { level, name }),
            ..check(
                Capability::NET_RAW,
                "setsockopt",
                &["ns_capable", "do_ipv6_setsockopt"],
            )
        };
        let link = check(Capability::NET_ADMIN, "ioctl", &["devinet_ioctl"]);
        Case::seen(vec![option, link]).minimize().findings.minimized
    };
    let both = set(&[Capability::NET_ADMIN, Capability::NET_RAW]);
    assert_eq!(set_option(41, 54), both); // IPV6_HOPOPTS
    assert_eq!(set_option(41, 75), set(&[Capability::NET_ADMIN])); // IPV6_TRANSPARENT
}
