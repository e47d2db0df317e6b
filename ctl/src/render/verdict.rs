//! The verdict on a minimized set.

use super::printable::printable;
use capprof_profile::verification::{Compared, Verdict, Verification};

/// The verdict on a minimized set and its grounds, each line with a newline.
pub(crate) fn verdict(verification: &Verification) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&printable(&line));
        text.push('\n');
    };
    let word = match verification.verdict {
        Verdict::Verified => "verified",
        Verdict::StartedOnly => "started only",
        Verdict::NotVerified => "NOT VERIFIED",
    };
    let set = match verification.sets.bounding {
        none if none.is_empty() => "no capability".to_owned(),
        set => set.to_string(),
    };
    line(format!("{word} {} with {set}", verification.date));
    if verification.verdict == Verdict::StartedOnly {
        line("  it got no request: give a check (--check)".to_owned());
    }
    for failure in &verification.failures {
        line(format!("  failed: {failure}"));
    }
    if !verification.suggested.is_empty() {
        let names: Vec<String> = verification
            .suggested
            .iter()
            .map(|capability| capability.to_string())
            .collect();
        line(format!("  add: {}", names.join(", ")));
    }
    for comparison in &verification.compared {
        if !comparison.passed {
            continue;
        }
        let what = match comparison.what {
            Compared::Exit => "the program: ",
            Compared::Check => "check: ",
            Compared::Denied => "",
        };
        let before = match &comparison.profiled {
            Some(before) if *before == comparison.verified => ", as when profiled".to_owned(),
            Some(before) => format!(" (when profiled: {before})"),
            None => String::new(),
        };
        line(format!("  {what}{}{before}", comparison.verified));
    }
    for note in &verification.notes {
        line(format!("  note: {note}"));
    }
    if !verification.command.is_empty() {
        line(format!("  run by: {}", verification.command.join(" ")));
    }
    text
}
