//! The sections below the answer.

use super::super::answer::{self, SetChange};
use super::super::evidence::{Use, uses};
use super::super::printable::printable;
use super::super::privileged;
use super::super::risk::{Risk, most_dangerous_first, words};
use super::super::shortened::first_few;
use super::super::verdict::verdict;
use capprof_profile::profile::{CheckSummary, Profile};
use maud::{Markup, html};

/// The members of the answer, each with its purpose.
pub(super) fn evidence(profile: &Profile) -> Markup {
    let uses = uses(profile);
    html! {
        section aria-labelledby="evidence" {
            h2 #evidence { "Evidence" }
            @if uses.is_empty() {
                p { "No use of a capability was seen." }
            } @else {
                table {
                    caption { "What each capability is for, and when it was used" }
                    thead { tr {
                        th scope="col" { "Capability" }
                        th scope="col" { "Risk" }
                        th scope="col" { "What for" }
                        th scope="col" { "When" }
                    } }
                    tbody { @for one in &uses { (row(one)) } }
                }
                (legend(uses.iter().map(|one| one.risk)))
            }
        }
    }
}

fn row(one: &Use<'_>) -> Markup {
    html! {
        tr {
            th scope="row" { (one.need.capability) }
            td { (risk(one.risk)) }
            td {
                p { (printable(&one.sentence)) }
                @if !one.objects.is_empty() { p { (printable(&one.objects.join(", "))) } }
                @if let Some(first) = &one.first { p { (printable(first)) } }
                @for note in &one.notes { p.note { (printable(note)) } }
            }
            td { (one.when) }
        }
    }
}

fn risk(risk: Risk) -> Markup {
    html! { span class=(format!("risk {}", risk.word())) { (risk.word()) } }
}

/// The meanings of the risk words in a table.
fn legend(risks: impl Iterator<Item = Risk>) -> Markup {
    let risks: std::collections::BTreeSet<Risk> = risks.collect();
    html! {
        dl.legend { @for one in risks {
            div { dt { (risk(one)) } dd { (one.meaning()) } }
        } }
    }
}

/// The dropped capabilities, and the acts that this prevents.
pub(super) fn dropped(profile: &Profile) -> Markup {
    let dropped = most_dangerous_first(SetChange::of(profile).dropped);
    html! {
        section aria-labelledby="dropped" {
            h2 #dropped { "Dropped" }
            @if dropped.is_empty() {
                p { "Nothing that the container has today can be dropped." }
            } @else {
                table {
                    caption { "What the container has today and does not use, and what dropping it prevents" }
                    thead { tr {
                        th scope="col" { "Capability" }
                        th scope="col" { "Risk" }
                        th scope="col" { "Dropping it prevents" }
                    } }
                    tbody { @for capability in &dropped {
                        tr {
                            th scope="row" { (capability) }
                            td { (risk(words(*capability).risk)) }
                            td { (words(*capability).prevents) }
                        }
                    } }
                }
                (legend(dropped.iter().map(|capability| words(*capability).risk)))
            }
        }
    }
}

/// The trial of the answer.
pub(super) fn verification(profile: &Profile) -> Markup {
    html! {
        section aria-labelledby="tried" {
            h2 #tried { "Tried out" }
            @match &profile.verification {
                Some(verification) => {
                    @let text = verdict(verification);
                    @let mut lines = text.lines();
                    p.headline { (lines.next().unwrap_or_default()) }
                    ul { @for line in lines { li { (line.trim()) } } }
                }
                None => p {
                    "This set has not been tried yet. " code { "capprofctl verify" }
                    " runs the workload with nothing but this set."
                }
            }
        }
    }
}

/// The other privileges of `--privileged` that it used.
pub(super) fn beyond(profile: &Profile) -> Markup {
    let lines = profile
        .privileges
        .as_ref()
        .map_or_else(Vec::new, |privileges| {
            privileged::section(privileges, profile.answer().0)
        });
    html! {
        @if !lines.is_empty() {
            section aria-labelledby="beyond" {
                h2 #beyond { "Beyond capabilities" }
                p { "What else of " code { "--privileged" } " was used:" }
                ul { @for line in lines { li { (printable(&line)) } } }
            }
        }
    }
}

/// The blind spots and the refusals.
pub(super) fn limits(profile: &Profile) -> Markup {
    let spots = answer::blind_spots(profile.findings.blind_spots.iter());
    let optional = answer::optional(profile);
    html! {
        section aria-labelledby="limits" {
            h2 #limits { "Limits of this recording" }
            p { "One run shows what one run used." }
            @if spots.is_empty() && optional.is_empty() && profile.findings.notes.is_empty() {
                p { "No blind spot is known." }
            }
            ul {
                @for (names, reason) in &spots {
                    li { "Not seen, " strong { (names) } ": " (printable(reason)) }
                }
                @for entry in &optional {
                    li { "Works without, but does less: " strong { (entry.capability) } " (" (printable(&first_few(&entry.programs))) "): " (printable(&entry.explanation)) }
                }
                @for note in &profile.findings.notes { li { (printable(note)) } }
                @for relaxation in &profile.conditions.relaxed {
                    li { "Relaxed while recording: " code { (relaxation.pointer) } ", " (printable(&relaxation.change)) }
                }
            }
        }
    }
}

/// Kernel functions and checks, folded away.
pub(super) fn kernel(profile: &Profile) -> Markup {
    let checks = |title: &str, checks: &[CheckSummary]| {
        html! {
            @if !checks.is_empty() {
                h3 { (title) }
                ul { @for entry in checks {
                    li { strong { (entry.capability) } " " (entry.count) "× (" (printable(&first_few(&entry.programs))) "): " (printable(&entry.explanation)) }
                } }
            }
        }
    };
    html! {
        section aria-labelledby="kernel" {
            h2 #kernel { "The kernel's side" }
            details {
                summary { "Kernel functions, refused checks, and checks that do not count" }
                @for one in uses(profile) {
                    h3 { (one.need.capability) }
                    ul { @for line in &one.details { li { (printable(line)) } } }
                }
                (checks("Asked and not needed", &profile.findings.dismissed))
                (checks("Refused", &profile.findings.denied))
            }
        }
    }
}
