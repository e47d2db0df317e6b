use super::*;
use proptest::prelude::*;

fn target() -> RecordedProcesses {
    RecordedProcesses {
        type_: "capprof_t".to_owned(),
        range: "s0:c1,c2".to_owned(),
        fence: "fence ".to_owned(),
        user_namespace: false,
        armed: 0,
    }
}

/// A rule in the kernel's layout.
fn payload(list: u32, fields: &[(u32, u32, u32, &str)]) -> Vec<u8> {
    let mut words = vec![list, 0, u32::try_from(fields.len()).unwrap()];
    words.extend([0; FIELDS]);
    for part in 0..3 {
        for index in 0..FIELDS {
            words.push(fields.get(index).map_or(0, |field| match part {
                0 => field.0,
                1 if !field.3.is_empty() => u32::try_from(field.3.len()).unwrap(),
                1 => field.2,
                _ => field.1,
            }));
        }
    }
    let text: String = fields.iter().map(|field| field.3).collect();
    words.push(u32::try_from(text.len()).unwrap());
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn effect(list: u32, fields: &[(u32, u32, u32, &str)]) -> Effect {
    AuditRule::parse(&payload(list, fields))
        .unwrap()
        .effect(&target())
}

#[test]
fn a_rule_hides_what_all_of_its_fields_match() {
    assert_eq!(effect(5, &[(12, EQUAL, 1400, "")]), Effect::All);
    assert_eq!(effect(5 | PREPEND, &[(12, EQUAL, 1400, "")]), Effect::All);
    // `>= 1300` excludes all records of the kernel.
    assert_eq!(effect(5, &[(12, 0x6000_0000, 1300, "")]), Effect::All);
    assert_eq!(effect(5, &[(12, NOT_EQUAL, 1300, "")]), Effect::All);
    // The usual rules for the audit daemon exclude this type.
    assert_eq!(effect(5, &[(12, EQUAL, 1307, "")]), Effect::None);
    assert_eq!(effect(5, &[]), Effect::None);
    // Another list.
    assert_eq!(effect(1, &[]), Effect::None);
    assert_eq!(effect(4, &[(12, EQUAL, 1400, "")]), Effect::None);
}

#[test]
fn a_rule_about_the_domain_hides_that_domain() {
    let avc = (12, EQUAL, 1400, "");
    assert_eq!(effect(5, &[avc, (15, EQUAL, 0, "capprof_t")]), Effect::All);
    assert_eq!(effect(5, &[avc, (15, EQUAL, 0, "sshd_t")]), Effect::None);
    assert_eq!(effect(5, &[(15, NOT_EQUAL, 0, "sshd_t")]), Effect::All);
    assert_eq!(effect(5, &[(15, NOT_EQUAL, 0, "capprof_t")]), Effect::None);
}

#[test]
fn a_rule_about_a_process_may_hide_some() {
    let avc = (12, EQUAL, 1400, "");
    assert_eq!(effect(5, &[avc, (1, EQUAL, 1000, "")]), Effect::Some);
    assert_eq!(effect(5, &[(112, EQUAL, 0, "/bin/a"), avc]), Effect::Some);
    assert_eq!(
        effect(5, &[(112, EQUAL, 0, "/bin/a"), (15, EQUAL, 0, "sshd_t")]),
        Effect::None
    );
}

#[test]
fn a_rule_is_shown_as_auditctl_shows_it() {
    let shown = |fields: &[(u32, u32, u32, &str)]| {
        AuditRule::parse(&payload(5, fields)).unwrap().to_string()
    };
    assert_eq!(
        shown(&[
            (12, EQUAL, 1400, ""),
            (15, NOT_EQUAL, 0, "a_t"),
            (112, EQUAL, 0, "/b")
        ]),
        "-a never,exclude -F msgtype=AVC -F subj_type!=a_t -F exe=/b"
    );
    assert_eq!(
        shown(&[(12, 0x6000_0000, 1300, ""), (1, EQUAL, 7, "")]),
        "-a never,exclude -F msgtype>=1300 -F uid=7"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        if let Some(rule) = AuditRule::parse(&bytes) {
            let _ = (rule.effect(&target()), rule.to_string());
        }
    }

    #[test]
    fn a_rule_that_is_cut_short_is_none(length in 0..1050_usize) {
        let whole = payload(5, &[(15, EQUAL, 0, "capprof_t")]);
        prop_assume!(length < whole.len());
        prop_assert_eq!(AuditRule::parse(&whole[..length]), None);
    }
}
