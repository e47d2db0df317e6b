//! Refusals of SELinux and AppArmor: their audit records, and the answers of AppArmor's functions.

use super::layout::{self, Event, TEXT};
use crate::ebpf::symbols::Symbols;
use crate::selinux::record::{AuditRecord, AvcRecord, SecurityContext};
use capprof_profile::Capability;
use capprof_profile::why::facts::{self, ApparmorDenial, CheckedNamespace, Errno, RefusedCheck};
use std::collections::HashMap;

/// Records whose system call has not ended yet, by the thread that is in it.
#[derive(Default)]
pub(super) struct Waiting(HashMap<u32, Vec<layout::Record>>);

impl Waiting {
    /// Keeps a record until its system call has ended.
    pub(super) fn add(&mut self, record: &layout::Record) {
        let records = self.0.entry(record.tid).or_default();
        // The other records belong to calls that have ended.
        records.retain(|earlier| earlier.recorded_ns == record.recorded_ns);
        records.push(*record);
    }

    /// Takes the records of the event's call.
    pub(super) fn of(&mut self, event: &Event) -> Vec<layout::Record> {
        let mut records = self.0.remove(&event.tid).unwrap_or_default();
        records.retain(|record| event.records > 0 && record.recorded_ns == event.recorded_ns);
        records
    }

    /// Forgets a process that has ended.
    pub(super) fn ended(&mut self, tgid: u32) {
        self.0
            .retain(|_, records| records.iter().any(|record| record.tgid != tgid));
    }
}

/// The return addresses of a record, innermost first.
pub(super) fn stack(record: &layout::Record) -> &[u64] {
    let frames = usize::try_from(record.frames).unwrap_or(0) / 8;
    record.stack.get(..frames).unwrap_or(&record.stack)
}

/// The address by which [`Symbols`] names the function of AppArmor that refused: names are looked up for return addresses, one byte before.
pub(super) fn hook(event: &Event) -> Option<u64> {
    (event.hook != 0).then_some(event.hook + 1)
}

/// Parses a record of either module; `None` if it grants, is cut short, or concerns a domain that is not enforced.
pub(super) fn read(
    record: &layout::Record,
    symbols: Option<&Symbols>,
) -> (Option<facts::AvcRefusal>, Option<ApparmorDenial>) {
    let length = usize::try_from(record.length).unwrap_or(usize::MAX);
    let Some(parsed) = record
        .text
        .get(..length.min(TEXT))
        .and_then(|text| AuditRecord::from_message(AVC, text))
    else {
        return (None, None);
    };
    let call_site = || {
        let names = symbols.map(|symbols| symbols.call_site(stack(record)));
        from_question(names.unwrap_or_default())
    };
    (selinux(&parsed, call_site), apparmor(&parsed, call_site))
}

/// `AUDIT_AVC` (include/uapi/linux/audit.h).
const AVC: u16 = 1400;

/// The functions from the one that asks the security modules for a capability, outwards.
fn from_question(names: Vec<String>) -> Vec<String> {
    let start = names.iter().position(|name| name == "security_capable");
    names.into_iter().skip(start.unwrap_or(0)).collect()
}

fn selinux(
    record: &AuditRecord<'_>,
    call_site: impl FnOnce() -> Vec<String>,
) -> Option<facts::AvcRefusal> {
    let avc = AvcRecord::from_record(record)?;
    if avc.granted || avc.permissive {
        return None;
    }
    let target = SecurityContext::parse(record.field("tcontext")?)?;
    let permissions: Vec<_> = avc.permissions.iter().map(|name| lossy(name)).collect();
    let is_initial = avc.class.starts_with(b"capability");
    let check = avc
        .capability
        .and_then(Capability::from_number)
        .map(|capability| RefusedCheck {
            capability,
            target: match is_initial {
                true => CheckedNamespace::Own,
                false => CheckedNamespace::OwnNested,
            },
            foreign: false,
            call_site: call_site(),
        });
    Some(facts::AvcRefusal {
        rule: format!(
            "{} may not {} {}:{}",
            lossy(avc.source.type_),
            permissions.join(", "),
            lossy(target.type_),
            lossy(avc.class)
        ),
        serial: record.stamp.serial,
        check,
    })
}

/// Parses `apparmor="DENIED" operation="open" class="file" profile="p" name="/f" … denied_mask="r"` (security/apparmor/audit.c, `audit_pre()`).
fn apparmor(
    record: &AuditRecord<'_>,
    call_site: impl FnOnce() -> Vec<String>,
) -> Option<ApparmorDenial> {
    let text = |key| record.text(key).map(|value| lossy(&value));
    // AppArmor kills the process if the profile says so.
    if !matches!(&*text("apparmor")?, "DENIED" | "KILLED") {
        return None;
    }
    let operation = text("operation")?;
    let object = ["name", "capname", "peer", "family"]
        .iter()
        .find_map(|key| text(key));
    let mut denied = operation;
    if let Some(object) = object {
        denied = format!("{denied} {object}");
    }
    let details: Vec<String> = ["denied_mask", "signal"]
        .iter()
        .filter_map(|key| text(key))
        .collect();
    if !details.is_empty() {
        denied = format!("{denied} ({})", details.join(" "));
    }
    let check = record
        .number("capability")
        .and_then(|number| Capability::from_number(u8::try_from(number).ok()?))
        .map(|capability| RefusedCheck {
            capability,
            target: CheckedNamespace::Own,
            foreign: false,
            call_site: call_site(),
        });
    Some(ApparmorDenial {
        profile: text("profile")?,
        denied,
        serial: Some(record.stamp.serial),
        check,
    })
}

/// Returns the refusal of one of AppArmor's functions without a record, if the call failed with the same error.
pub(super) fn unrecorded(
    event: &Event,
    error: Errno,
    profile: Option<&str>,
    symbols: Option<&Symbols>,
) -> Option<ApparmorDenial> {
    let names = symbols?.call_site(&[hook(event)?]);
    let function = names.first()?.strip_prefix("apparmor_")?;
    if event.hook_answer != -i64::from(error.0) {
        return None;
    }
    let profile = profile.unwrap_or_default();
    Some(ApparmorDenial {
        profile: profile.trim_end_matches(" (enforce)").to_owned(),
        denied: operation(function).to_owned(),
        serial: None,
        check: None,
    })
}

/// AppArmor's name (security/apparmor/include/audit.h) for the operation that a function decides about.
fn operation(function: &str) -> &str {
    match function {
        "bprm_creds_for_exec" => "exec",
        "file_open" => "open",
        "path_truncate" | "file_truncate" => "truncate",
        "ptrace_access_check" | "ptrace_traceme" => "ptrace",
        "sb_mount" | "move_mount" => "mount",
        "sb_umount" => "umount",
        "sb_pivotroot" => "pivotroot",
        "task_kill" => "signal",
        "task_setrlimit" => "setrlimit",
        _ => ["path_", "file_", "socket_"]
            .iter()
            .find_map(|prefix| function.strip_prefix(prefix))
            .unwrap_or(function),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn record(text: &str) -> Box<layout::Record> {
        let mut record = Box::new(layout::Record::new_zeroed());
        record.length = u32::try_from(text.len()).unwrap();
        for (to, from) in record.text.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        record
    }

    /// A record as Linux 6.12 writes it.
    const SYSCTL: &str = "audit(1795441500.475:14): avc:  denied  { write } for  pid=160 comm=\"sh\" name=\"ctrl-alt-del\" dev=\"proc\" ino=1 \
        scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=system_u:object_r:sysctl_kernel_t:s0 tclass=file permissive=0";

    #[test]
    fn a_record_of_selinux_names_rule_and_serial() {
        let (avc, apparmor) = read(&record(SYSCTL), None);
        let avc = avc.unwrap();
        assert_eq!(avc.rule, "container_t may not write sysctl_kernel_t:file");
        assert_eq!(avc.serial, 14);
        assert_eq!(avc.check, None);
        assert_eq!(apparmor, None);
    }

    #[test]
    fn what_is_granted_permissive_or_cut_is_no_cause() {
        for text in [
            SYSCTL.replace("denied ", "granted"),
            SYSCTL.replace("permissive=0", "permissive=1"),
            SYSCTL.replace(" tclass=file permissive=0", ""),
            "audit(1.1:".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&record(&text), None), (None, None), "{text}");
        }
    }

    #[test]
    fn a_record_of_a_capability_names_it() {
        let text = "audit(1.2:3): avc:  denied  { sys_admin } for  pid=1 comm=\"hostname\" capability=21  \
            scontext=u:r:container_t:s0 tcontext=u:r:container_t:s0 tclass=capability permissive=0";
        let check = read(&record(text), None).0.unwrap().check.unwrap();
        assert_eq!(check.capability, Capability::SYS_ADMIN);
        assert_eq!(check.target, CheckedNamespace::Own);
    }

    #[test]
    fn records_of_apparmor_name_profile_and_operation() {
        for (text, denied) in [
            (
                "apparmor=\"DENIED\" operation=\"mount\" class=\"mount\" info=\"failed mntpnt match\" error=-13 profile=\"p\" name=\"/m/\" pid=9 \
                 comm=\"mount\" fstype=\"tmpfs\" srcname=\"t\"",
                "mount /m/",
            ),
            (
                "apparmor=\"DENIED\" operation=\"open\" class=\"file\" profile=\"p\" name=2F612062 pid=9 comm=\"cat\" requested_mask=\"r\" \
                 denied_mask=\"r\" fsuid=0 ouid=0",
                "open /a b (r)",
            ),
            (
                "apparmor=\"DENIED\" operation=\"signal\" class=\"signal\" profile=\"p\" pid=9 comm=\"kill\" requested_mask=\"send\" \
                 denied_mask=\"send\" signal=term peer=\"unconfined\"",
                "signal unconfined (send term)",
            ),
        ] {
            let text = format!("audit(1.2:3): {text}");
            let denial = read(&record(&text), None).1.unwrap();
            assert_eq!(denial.denied, denied);
            assert_eq!((&*denial.profile, denial.serial), ("p", Some(3)));
            let complaining = text.replace("DENIED", "ALLOWED");
            assert_eq!(read(&record(&complaining), None).1, None);
        }
    }

    fn record_of(tid: u32, recorded_ns: u64) -> Box<layout::Record> {
        let mut record = record(SYSCTL);
        (record.tid, record.tgid, record.recorded_ns) = (tid, tid, recorded_ns);
        record
    }

    #[test]
    fn records_belong_to_one_thread_and_one_call() {
        let mut event = Event::new_zeroed();
        (event.tid, event.records, event.recorded_ns) = (7, 1, 20);
        let mut waiting = Waiting::default();
        for (tid, recorded_ns) in [(7, 10), (7, 20), (8, 20)] {
            waiting.add(&record_of(tid, recorded_ns));
        }
        assert_eq!(waiting.of(&event).len(), 1);
        assert!(waiting.of(&event).is_empty());
        // An event of an earlier call, and one without records.
        for (records, recorded_ns) in [(1, 10), (0, 20)] {
            (event.records, event.recorded_ns) = (records, recorded_ns);
            waiting.add(&record_of(7, 20));
            assert!(waiting.of(&event).is_empty());
        }
        waiting.ended(8);
        (event.tid, event.records) = (8, 1);
        assert!(waiting.of(&event).is_empty());
    }
}
