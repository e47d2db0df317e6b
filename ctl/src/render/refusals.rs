//! Refusals for users: the system call, the part of the kernel that refused it, and the remedy.

use super::printable::printable;
use super::styles::{Styles, styled};
use capprof_profile::why::report::{Refusal, RefusalReport};
use std::fmt::Write;

/// A few lines for each refusal, likeliest culprit first.
pub(crate) fn refusals(report: &RefusalReport, styles: &Styles) -> String {
    let mut text = String::new();
    if report.refusals.is_empty() {
        text.push_str("nothing was refused\n");
    }
    for refusal in &report.refusals {
        write_refusal(&mut text, refusal, report.exit_status, styles);
    }
    for line in &report.missing {
        let _ = writeln!(
            text,
            "{}",
            styled(&format!("not seen: {line}"), styles.warning)
        );
    }
    text
}

fn write_refusal(text: &mut String, refusal: &Refusal, status: Option<i32>, styles: &Styles) {
    let mut remarks = Vec::new();
    if refusal.count > 1 {
        remarks.push(format!("{} times", refusal.count));
    }
    if refusal.fatal && status.is_none_or(|status| status != 0) {
        remarks.push("the last before the process failed".to_owned());
    }
    if refusal.probe {
        remarks.push("programs try this and go on without".to_owned());
    }
    let remarks = match remarks.is_empty() {
        true => String::new(),
        false => format!(" ({})", remarks.join(", ")),
    };
    let error = match refusal.error.as_str() {
        "" => "killed",
        error => error,
    };
    let head = format!("{}: {}: {error}", refusal.program, refusal.text);
    let _ = writeln!(
        text,
        "{}{}",
        styled(&head, styles.heading),
        styled(&remarks, styles.faint)
    );
    let causes = &refusal.explanation.causes;
    let several = if causes.len() > 1 { "either " } else { "" };
    for (index, cause) in causes.iter().enumerate() {
        let start = if index > 0 { "or " } else { several };
        let _ = writeln!(text, "  {start}{}", printable(&cause.to_string()));
        if let Some(remedy) = cause.remedy() {
            let _ = writeln!(
                text,
                "    to allow it: {}",
                styled(&remedy, styles.capability)
            );
        }
    }
    for note in &refusal.explanation.notes {
        let _ = writeln!(text, "    {}", printable(note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::why::{Cause, Explanation};
    use capprof_profile::{Capability, CapabilitySet};

    fn report() -> RefusalReport {
        RefusalReport {
            refusals: vec![Refusal {
                program: "/bin/cat".to_owned(),
                pid: 7,
                call: "openat".to_owned(),
                text: "openat(\"/etc/shadow\", O_RDONLY)".to_owned(),
                error: "EACCES".to_owned(),
                count: 2,
                fatal: true,
                probe: false,
                order: 0,
                explanation: Explanation::sure(Cause::FileMode {
                    path: "/etc/shadow".to_owned(),
                    mode: 0o640,
                    uid: 0,
                    gid: 42,
                    acl: false,
                    wanted: "read".to_owned(),
                    capabilities: [Capability::DAC_READ_SEARCH]
                        .into_iter()
                        .collect::<CapabilitySet>(),
                }),
                remedies: Vec::new(),
            }],
            exit_status: Some(1),
            missing: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_says_who_and_what_would_do() {
        assert_eq!(
            refusals(&report(), &Styles::default()),
            "\
/bin/cat: openat(\"/etc/shadow\", O_RDONLY): EACCES (2 times, the last before the process failed)
  file mode 0640, owner 0:42, of /etc/shadow does not let it read
    to allow it: CAP_DAC_READ_SEARCH or uid 0 or group 42
"
        );
    }

    #[test]
    fn without_refusals_it_says_so() {
        assert_eq!(
            refusals(&RefusalReport::default(), &Styles::default()),
            "nothing was refused\n"
        );
    }
}
