use super::*;
use proptest::prelude::*;

// From a running kernel 6.12 (Debian 13, auditd 4.0).
const DENIED: &[u8] = br#"type=AVC msg=audit(1795441500.475:14): avc:  denied  { chown } for  pid=160 comm="cptool" capability=0  scontext=system_u:system_r:cp_perm_t:s0:c1,c2 tcontext=system_u:system_r:cp_perm_t:s0:c1,c2 tclass=capability permissive=1"#;
const GRANTED: &[u8] = br#"audit(1795441500.475:76): avc:  granted  { sys_admin } for  pid=169 comm="cptool" capability=21  scontext=system_u:system_r:cp_perm_t:s0:c1,c2 tcontext=system_u:system_r:cp_perm_t:s0:c1,c2 tclass=capability"#;

#[test]
fn a_glance_tells_what_taking_a_line_apart_tells() {
    let stamp = "msg=audit(1795441500.475:14): ";
    for (line, glance) in [
        (format!("type=AVC {stamp}avc:  denied"), Glance::Avc),
        (
            format!("type=SYSCALL {stamp}arch=c000003e"),
            Glance::Continuation,
        ),
        (
            format!("type=PROCTITLE {stamp}proctitle=74"),
            Glance::Continuation,
        ),
        (format!("type=PATH {stamp}item=0"), Glance::Continuation),
        (format!("type=CWD {stamp}cwd=\"/\""), Glance::Continuation),
        (format!("type=EOE {stamp}"), Glance::Continuation),
        (format!("type=USER_AVC {stamp}"), Glance::Other),
        (format!("node=host type=AVC {stamp}"), Glance::Other),
        (format!("TYPE=AVC {stamp}"), Glance::Other),
        (
            "type=AVC msg=audit(1795441500.475:): avc:".to_owned(),
            Glance::Other,
        ),
        (
            "type=AVC msg=audit(1795441500.475".to_owned(),
            Glance::Other,
        ),
        (
            "type=AVC msg=audit(1795441500000000.475:14): avc:".to_owned(),
            Glance::Other,
        ),
    ] {
        assert_eq!(Glance::at(line.as_bytes()), glance, "{line}");
        if glance != Glance::Other {
            assert!(AuditRecord::from_line(line.as_bytes()).is_some(), "{line}");
        }
    }
}

#[test]
fn digits_are_counted_to_the_first_other_byte() {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for length in 0..20 {
        for end in &all {
            let mut text = b"01234567890123456789".get(..length).unwrap().to_vec();
            text.push(*end);
            text.extend(b"7\xff7777777");
            let expected = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            assert_eq!(digits(&text), expected, "{text:?}");
        }
    }
    assert_eq!(digits(b"123"), 3);
}

#[test]
fn a_denied_record_of_the_log() {
    let record = AuditRecord::from_line(DENIED).unwrap();
    assert_eq!(record.kind, RecordKind::Avc);
    assert_eq!(
        record.stamp,
        Stamp {
            milliseconds: 1_795_441_500_475,
            serial: 14
        }
    );
    let avc = AvcRecord::from_record(&record).unwrap();
    assert!(!avc.granted);
    assert!(avc.permissive);
    assert_eq!(avc.permissions, [b"chown"]);
    assert_eq!(avc.class, b"capability");
    assert_eq!(avc.capability, Some(0));
    assert_eq!(avc.source.type_, b"cp_perm_t");
    assert_eq!(avc.source.range, b"s0:c1,c2");
    assert_eq!(record.text("comm").unwrap().as_ref(), b"cptool");
    assert_eq!(record.number("pid"), Some(160));
}

#[test]
fn a_granted_message_of_the_multicast_group() {
    let record = AuditRecord::from_message(1400, GRANTED).unwrap();
    let avc = AvcRecord::from_record(&record).unwrap();
    assert!(avc.granted);
    assert!(!avc.permissive);
    assert_eq!(avc.capability, Some(21));
}

#[test]
fn the_enriched_form_with_a_node_is_the_same_record() {
    let mut line = b"node=host.example ".to_vec();
    line.extend_from_slice(DENIED);
    line.extend_from_slice(b"\x1dARCH=x86_64 tclass=file scontext=a:b:c:s0");
    assert_eq!(
        AvcRecord::from_record(&AuditRecord::from_line(&line).unwrap()),
        AvcRecord::from_record(&AuditRecord::from_line(DENIED).unwrap())
    );
}

#[test]
fn hexadecimal_and_absent_values() {
    let record = AuditRecord::from_message(
        1300,
        br#"audit(1.0:1): comm=612062 exe="/usr/bin/a b" tty=(none) key=(null) name=? odd=abc pid=7"#,
    )
    .unwrap();
    assert_eq!(record.text("comm").unwrap().as_ref(), b"a b");
    assert_eq!(record.text("exe").unwrap().as_ref(), b"/usr/bin/a b");
    assert_eq!(record.text("key"), None);
    assert_eq!(record.text("name"), None);
    assert_eq!(record.text("odd").unwrap().as_ref(), b"abc");
    assert_eq!(record.number("pid"), Some(7));
}

#[test]
fn a_comm_cannot_forge_a_field() {
    // A program may give itself any name; the kernel writes names with quotes or blanks in hexadecimal.
    let record = AuditRecord::from_message(
        1400,
        br#"audit(1.0:1): avc:  denied  { chown } for  pid=1 comm="x tclass=file" capability=0  scontext=u:r:t:s0 tcontext=u:r:t:s0 tclass=capability permissive=1"#,
    )
    .unwrap();
    assert_eq!(
        AvcRecord::from_record(&record).unwrap().class,
        b"capability"
    );
}

#[test]
fn a_record_without_a_valid_context_is_not_attributed() {
    let record = AuditRecord::from_message(
        1400,
        b"audit(1.0:1): avc:  denied  { chown } for  pid=1 ssid=12 tsid=12 tclass=capability permissive=1",
    )
    .unwrap();
    assert_eq!(AvcRecord::from_record(&record), None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Some(record) = AuditRecord::from_line(&bytes) {
            let _ = (record.fields().count(), AvcRecord::from_record(&record), record.text("comm"));
        }
        let _ = AuditRecord::from_message(1400, &bytes);
    }

    #[test]
    fn mangled_records_never_panic(
        cut in 0..DENIED.len(),
        at in 0..DENIED.len(),
        put in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut line = DENIED.to_vec();
        line.splice(at..at, put);
        line.truncate(cut);
        match Glance::at(&line) {
            Glance::Avc => prop_assert_eq!(AuditRecord::from_line(&line).map(|record| record.kind), Some(RecordKind::Avc)),
            Glance::Continuation => prop_assert!(AuditRecord::from_line(&line).is_some()),
            Glance::Other => {}
        }
        if let Some(record) = AuditRecord::from_line(&line) {
            let _ = (record.fields().count(), AvcRecord::from_record(&record), record.text("comm"), record.number("pid"));
        }
    }

    #[test]
    fn a_name_is_read_back_as_the_kernel_writes_it(name in proptest::collection::vec(1u8.., 1..16)) {
        let control = name.iter().any(|byte| *byte == b'"' || *byte < 0x21 || *byte > 0x7e);
        let written = if control {
            name.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes()
        } else {
            [b"\"", name.as_slice(), b"\""].concat()
        };
        let text = [b"audit(1.0:1): pid=1 comm=".as_slice(), &written, b" capability=3"].concat();
        let record = AuditRecord::from_message(1400, &text).unwrap();
        let comm = record.text("comm").unwrap();
        prop_assert_eq!(comm.as_ref(), name.as_slice());
        prop_assert_eq!(record.number("capability"), Some(3));
    }
}
