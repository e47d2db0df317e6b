//! Tests of the reports.

use super::*;
use capprof_profile::fixtures;
use capprof_profile::object::Object;
use capprof_profile::profile::Profile;
use capprof_profile::recorded_profile::profile;
use capprof_store::profiles::Summary;
use snapbox::assert_data_eq;

fn full() -> Profile {
    profile(
        &fixtures::recording("web-1", "20261123T150102Z-1a2b3c4d"),
        fixtures::reports(),
        fixtures::full_evidence(),
        "2026-11-23T15:02:00Z".to_owned(),
        fixtures::host(),
    )
}

#[test]
fn the_report_of_a_profile_with_everything() {
    assert_data_eq!(
        text(&full(), Detail::default(), &Styles::default()),
        snapbox::str![[r#"
INCOMPLETE: eBPF: 2 checks lost: map full. Capabilities may be missing below:
  record again.
the container failed (exit status 3): later activity was not seen
web: nginx -g daemon off; (docker.io/library/nginx:1.27)
uses 1 of 2 · asks for DAC_READ_SEARCH, SETUID, NET_BIND_SERVICE, which it is
  not given · drops CHOWN · not verified yet · INCOMPLETE

docker
  # asks for DAC_READ_SEARCH, SETUID, NET_BIND_SERVICE too, which it does not
  # have today: if it works today, it works without; else add them
  docker run --cap-drop=all --cap-add=NET_RAW docker.io/library/nginx:1.27

why
  CAP_DAC_READ_SEARCH   critical  lets program read or pass through another
                                  user's directory, or read another user's file
                                  at start, once
                                  not given today
                                  seen by eBPF alone; SELinux did not:
                                  unexplained
                                  CAP_DAC_OVERRIDE would do instead
  CAP_SETUID            medium    nginx asks to keep it (capset), and fails if
                                  it cannot
                                  at start, once
                                  not given today
                                  may not be needed; only a run without it can
                                  tell: many programs ask only for what they
                                  hold, or ignore a refusal
  CAP_NET_BIND_SERVICE  low       lets nginx, program bind to a port below 1024
                                  at start, 2 times
                                  not given today
  CAP_NET_RAW           high      ping cannot be executed without it (file
                                  capability)
                                  at start, once
                                  may not be needed; only a run without it can
                                  tell: a helper with file capabilities that
                                  cannot be started is sometimes done without
                                  file capability of /usr/bin/ping, which cannot
                                  be executed without

what could not be seen
  any: kernel functions could not be named
  CAP_DAC_OVERRIDE: program made hard links to files that it may not both read
    and write by their mode: fails without, or without CAP_FOWNER, for files of
    other users; which files these were was not seen

asked for and refused while recording
  CAP_SYS_TIME (program: adjtimex, 1x): asked of the initial user namespace, and
    the container is in another: no capability set can grant it

recorded 2026-11-23T15:01:02Z by eBPF (tp_btf/cap_capable), run by runc on Linux
  6.12.117+deb13-amd64; 20261123T150102Z-1a2b3c4d
--verbose: the kernel's side, and 1 kind of check that does not count;
  --all-forms: for other engines

"#]]
    );
}

#[test]
fn an_incomplete_profile_says_so_first() {
    let mut profile = full();
    let report = text(&profile, Detail::default(), &Styles::default());
    assert!(report.starts_with("INCOMPLETE: eBPF: 2 checks lost: map full."));
    profile.complete = true;
    assert!(!text(&profile, Detail::default(), &Styles::default()).contains("INCOMPLETE"));
}

#[test]
fn each_report_says_what_a_capability_was_used_on() {
    let mut profile = full();
    let object = |path: &str| Object {
        program: "nginx".to_owned(),
        syscall: "openat".to_owned(),
        path: Some(path.into()),
        ..Object::default()
    };
    profile.findings.needed[0].objects = vec![object("/first"), object("/second")];
    let said = text(&profile, Detail::default(), &Styles::default());
    assert!(
        said.contains("opened /first") && !said.contains("/second"),
        "{said}"
    );
    assert!(
        said.lines().all(|line| line.chars().count() <= 80),
        "{said}"
    );
    let detail = Detail {
        verbose: true,
        ..Detail::default()
    };
    let said = text(&profile, detail, &Styles::default());
    assert!(said.contains("nginx opened /second (openat)"), "{said}");
    assert!(markdown(&profile).contains("opened /first"));
    assert!(html(&profile).contains("opened /first"));
    // With several programs, the clause names the one that it is about.
    profile.findings.needed[0].programs = vec!["nginx".to_owned(), "sh".to_owned()];
    let said = text(&profile, Detail::default(), &Styles::default());
    assert!(said.contains("nginx opened /first"), "{said}");
}

#[test]
fn nothing_from_the_container_reaches_the_terminal_as_an_escape_sequence() {
    let mut profile = full();
    profile.findings.needed[0].programs = vec!["\u{1b}[2Jevil\n".to_owned()];
    profile.findings.needed[0].objects = vec![Object {
        path: Some("/\u{1b}[2Jevil\n\u{9b}".into()),
        ..Object::default()
    }];
    profile.origin.process.args = vec!["\u{1b}]0;title\u{7}".to_owned()];
    profile.findings.notes = vec!["\u{1b}[31m".to_owned()];
    profile.findings.blind_spots[0].reason = "\u{1b}c".to_owned();
    assert!(!text(&profile, Detail::default(), &Styles::default()).contains('\u{1b}'));
    // A file that is given by name may have anything where a time should be.
    profile.origin.started = "\u{1b}]0;title\u{7f}\u{9b}".to_owned();
    profile.origin.finished.clone_from(&profile.origin.started);
    for report in [
        text(&profile, Detail::default(), &Styles::default()),
        markdown(&profile),
        html(&profile),
    ] {
        let odd = report.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None, "{report}");
    }
    // Colours are escape sequences of our own.
    assert!(text(&profile, Detail::default(), &Styles::coloured()).contains("\u{1b}[1m"));
}

#[test]
fn the_report_of_a_merged_profile() {
    let mut merge = crate::merge::Merge::default();
    let mut other = full();
    other.origin.recording_id = "20261201T000000Z-00000002".to_owned();
    other.complete = true;
    other.findings.needed.truncate(1);
    for profile in [&full(), &other] {
        merge.add(&serde_json::to_vec(profile).unwrap()).unwrap();
    }
    let report = merged(&merge.finish(false).unwrap(), false, &Styles::default());
    let (table, _) = report.split_once("\ndocker\n").unwrap();
    assert_data_eq!(
        table,
        snapbox::str![[r#"
INCOMPLETE: 1 of 2 runs lost something: 20261123T150102Z-1a2b3c4d
web (docker.io/library/nginx:1.27)
2 runs from 2026-11-23T15:01:02Z to 2026-11-23T15:01:02Z; the last new
  capability appeared at 2026-11-23T15:01:02Z, 0 complete runs since

needs 4 capabilities

why
  CAP_DAC_READ_SEARCH   critical  lets program read any file, whatever its mode
                                  in 2 of 2 runs, first 2026-11-23T15:01:02Z
                                  CAP_DAC_OVERRIDE would do instead
  CAP_SETUID            medium    nginx: set by capset(2)
                                  in 1 of 2 runs, first 2026-11-23T15:01:02Z
  CAP_NET_BIND_SERVICE  low       lets nginx, program bind to a port below 1024
                                  in 1 of 2 runs, first 2026-11-23T15:01:02Z
  CAP_NET_RAW           high      ping: file capability
                                  in 1 of 2 runs, first 2026-11-23T15:01:02Z

what could not be seen
  any: kernel functions could not be named
  CAP_DAC_OVERRIDE: program made hard links to files that it may not both read
    and write by their mode: fails without, or without CAP_FOWNER, for files of
    other users; which files these were was not seen

"#]]
    );
}

#[test]
fn the_list() {
    let summary = Summary {
        schema: capprof_profile::profile::SCHEMA.to_owned(),
        recording_id: "20261123T150102Z-1a2b3c4d".to_owned(),
        container_id: "0123456789abcdef".repeat(4),
        name: None,
        workload: capprof_profile::recording::Workload {
            image: Some("docker.io/library/nginx:1.27".to_owned()),
            pod: Some("web-0".to_owned()),
            container: Some("nginx".to_owned()),
            ..Default::default()
        },
        finished: "2026-11-23T15:02:00Z".to_owned(),
        complete: false,
        exit: None,
        minimized: [capprof_profile::Capability::CHOWN].into_iter().collect(),
        answer: [capprof_profile::Capability::CHOWN].into_iter().collect(),
        verification: None,
    };
    let styles = Styles::default();
    let mut table = List::default();
    assert_eq!(table.heading(&styles), "");
    table.measure(&summary);
    let mut text = table.heading(&styles);
    table.write_row(&mut text, &summary, &styles);
    assert_data_eq!(
        text,
        snapbox::str![[r#"
RECORDING                  CONTAINER     NAME         IMAGE                         STATE       NEEDS
20261123T150102Z-1a2b3c4d  0123456789ab  web-0/nginx  docker.io/library/nginx:1.27  INCOMPLETE  CHOWN

"#]]
    );
}
