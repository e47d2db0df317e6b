//! The report as Markdown (CommonMark with GitHub's tables), for a ticket.

use super::answer::{self, SetChange};
use super::evidence::uses;
use super::form::{FormInput, form};
use super::printable::printable;
use super::privileged;
use super::risk::{most_dangerous_first, words};
use super::shortened::first_few;
use super::verdict::verdict;
use capprof_profile::profile::Profile;
use std::fmt::Write;

/// The report of one profile.
pub(crate) fn markdown(profile: &Profile) -> String {
    let mut text = format!("# Capabilities of {}\n\n", escaped(&answer::name(profile)));
    let command = answer::command(profile);
    let image = profile.origin.workload.image.as_deref();
    for (title, value) in [("Image", image), ("Command", Some(command.as_str()))] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(text, "{title}: {}\n", escaped(value));
        }
    }
    let _ = writeln!(text, "**{}**\n", escaped(&answer::headline(profile)));
    for warning in answer::warnings(profile) {
        let _ = writeln!(text, "> **Warning:** {}\n", escaped(&warning));
    }
    for remark in answer::remarks(profile) {
        let _ = writeln!(text, "{}\n", escaped(&remark));
    }
    forms(&mut text, profile);
    evidence(&mut text, profile);
    dropped(&mut text, profile);
    if let Some(verification) = &profile.verification {
        list(
            &mut text,
            "Tried out",
            verdict(verification)
                .lines()
                .map(|line| escaped(line.trim())),
        );
    }
    let beyond = profile
        .privileges
        .as_ref()
        .map_or_else(Vec::new, |privileges| {
            privileged::section(privileges, profile.answer().0)
        });
    list(
        &mut text,
        "Beyond capabilities",
        beyond.iter().map(|line| escaped(line)),
    );
    let _ = writeln!(
        text,
        "Pod Security Standards: {}\n",
        escaped(&answer::pod_security(profile))
    );
    let spots = answer::blind_spots(profile.findings.blind_spots.iter());
    list(
        &mut text,
        "What could not be seen",
        spots
            .iter()
            .map(|(names, reason)| format!("{names}: {}", escaped(reason))),
    );
    list(
        &mut text,
        "Works without, but does less",
        answer::optional(profile).into_iter().map(|entry| {
            format!(
                "{} ({}): {}",
                entry.capability,
                escaped(&first_few(&entry.programs)),
                escaped(&entry.explanation)
            )
        }),
    );
    let _ = writeln!(text, "{}", escaped(&answer::recorded(profile)));
    text
}

fn forms(text: &mut String, profile: &Profile) {
    let workload = FormInput::from(profile);
    for engine in workload.engines(false) {
        let _ = writeln!(text, "## For {}\n", engine.title());
        match form(engine, workload.clone()) {
            Ok(form) => {
                for caveat in &form.caveats {
                    let _ = writeln!(text, "{}\n", escaped(caveat));
                }
                let body: String = form
                    .body
                    .lines()
                    .map(|line| printable(line) + "\n")
                    .collect();
                let fence = fence(&body);
                let _ = writeln!(text, "{fence}{}\n{body}{fence}\n", engine.syntax());
            }
            Err(unable) => {
                let _ = writeln!(text, "{}\n", escaped(&unable.reason));
            }
        }
    }
}

fn evidence(text: &mut String, profile: &Profile) {
    let uses = uses(profile);
    if uses.is_empty() {
        return;
    }
    text.push_str("## Evidence\n\n| capability | risk | what for | when |\n|---|---|---|---|\n");
    for one in &uses {
        let mut what = escaped(&one.full_sentence(|objects| objects.join(", ")));
        for note in &one.notes {
            let _ = write!(what, "; {}", escaped(note));
        }
        let _ = writeln!(
            text,
            "| {} | {} | {what} | {} |",
            escaped(&one.need.capability.to_string()),
            one.risk.word(),
            one.when
        );
    }
    text.push('\n');
}

fn dropped(text: &mut String, profile: &Profile) {
    let dropped = most_dangerous_first(SetChange::of(profile).dropped);
    if dropped.is_empty() {
        return;
    }
    text.push_str("## Dropped\n\n| capability | risk | dropping it prevents |\n|---|---|---|\n");
    for capability in dropped {
        let words = words(capability);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            escaped(&capability.to_string()),
            words.risk.word(),
            words.prevents
        );
    }
    text.push('\n');
}

fn list(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "## {title}\n");
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
}

/// Escapes text, so that nothing in it is Markdown or HTML (CommonMark, "Backslash escapes").
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in printable(text).chars() {
        if letter.is_ascii_punctuation() && !",.;:/()%='\"?-+&$@!".contains(letter) {
            safe.push('\\');
        }
        safe.push(letter);
    }
    // Characters that would begin an image or an entity.
    let safe = safe.replace('&', "\\&").replace("![", "\\![");
    match safe.starts_with(['-', '+']) {
        true => format!("\\{safe}"),
        false => safe,
    }
}

/// A fence that is longer than all runs of backticks in the text.
fn fence(text: &str) -> String {
    let longest = text
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    "`".repeat(longest.saturating_add(1).max(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_container_is_no_markup() {
        assert_eq!(
            escaped("<script>[x](y) `z` a|b # *c* _d_"),
            "\\<script\\>\\[x\\](y) \\`z\\` a\\|b \\# \\*c\\* \\_d\\_"
        );
        assert_eq!(escaped("- a &amp; \n1"), "\\- a \\&amp; ?1");
        assert_eq!(fence("a ```` b"), "`````");
        assert_eq!(fence("a"), "```");
    }
}
