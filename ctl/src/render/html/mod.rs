//! The report as one HTML file: nothing to load, no script, light and dark, for the screen, the phone and paper.
//!
//! maud escapes all text, including that from the container.

mod sections;
mod time_line;

use super::answer::{self, SetChange};
use super::form::{FormInput, form};
use super::printable::printable;
use capprof_profile::pod_security::Admission;
use capprof_profile::profile::Profile;
use capprof_profile::verification::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The report of one profile.
pub(crate) fn html(profile: &Profile) -> String {
    let name = printable(&answer::name(profile));
    let page: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="capprof";
                title { "Capabilities of " (name) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body {
                header {
                    p.product { "capprof: which capabilities does this container need?" }
                    h1 { (name) }
                    (workload(profile))
                }
                main {
                    (summary(profile))
                    (forms(profile))
                    (sections::evidence(profile))
                    (time_line::section(profile))
                    (sections::dropped(profile))
                    (sections::verification(profile))
                    (sections::beyond(profile))
                    (sections::limits(profile))
                    (sections::kernel(profile))
                }
                footer { p { (printable(&answer::recorded(profile))) } }
            }
        }
    };
    page.into_string() + "\n"
}

/// The workload, and its command.
fn workload(profile: &Profile) -> Markup {
    let command = printable(&profile.origin.process.args.join(" "));
    html! {
        dl.workload {
            @if let Some(image) = &profile.origin.workload.image {
                div { dt { "Image" } dd { (printable(image)) } }
            }
            @if !command.is_empty() {
                div { dt { "Command" } dd { code { (command) } } }
            }
            div { dt { "Recorded" } dd { (printable(&profile.origin.started)) } }
        }
    }
}

/// The answer in numbers, and the warnings.
fn summary(profile: &Profile) -> Markup {
    let change = SetChange::of(profile);
    let (class, standing) = match profile.verification.as_ref().map(|one| one.verdict) {
        Some(Verdict::Verified) => ("good", "verified"),
        Some(Verdict::StartedOnly) => ("open", "started only"),
        Some(Verdict::NotVerified) => ("bad", "not verified"),
        None => ("open", "not verified yet"),
    };
    let date = profile
        .verification
        .as_ref()
        .map(|one| one.date.get(..10).unwrap_or(&one.date).to_owned());
    html! {
        section aria-labelledby="answer" {
            h2 #answer { "Answer" }
            p.headline { (printable(&answer::headline(profile))) }
            @for warning in answer::warnings(profile) {
                p.warning { strong { "Warning: " } (printable(&warning)) }
            }
            @for remark in answer::remarks(profile) {
                p { (printable(&remark)) }
            }
            dl.tiles {
                div { dt { "used" } dd { (change.kept.len()) small { " of " (change.had.len()) } } }
                @if !change.beyond.is_empty() {
                    div.bad { dt { "needed beyond that" } dd { (change.beyond.len()) } }
                }
                div { dt { "dropped" } dd { (change.dropped.len()) } }
                div class=(class) {
                    dt { (standing) }
                    dd { (date.as_deref().unwrap_or("–")) }
                }
                div { dt { "Pod Security Standards" } dd.word { (Admission::of(profile).level) } }
                @if profile.complete {
                    div.good { dt { "lost" } dd { "nothing" } }
                } @else {
                    div.bad { dt { "recording" } dd.word { (answer::lost(profile)) } }
                }
            }
            @let standing = Admission::of(profile);
            @if !standing.obstacles.is_empty() {
                p.note {
                    "In the way of the next level of the Pod Security Standards: "
                    (printable(&standing.obstacles.join("; "))) "."
                }
            }
        }
    }
}

/// The form of the engine that was used, and the others folded away.
fn forms(profile: &Profile) -> Markup {
    let workload = FormInput::from(profile);
    let used = workload.engines(false);
    let others: Vec<_> = workload
        .engines(true)
        .into_iter()
        .filter(|engine| !used.contains(engine))
        .collect();
    let one = |engine| match form(engine, workload.clone()) {
        Ok(form) => html! {
            @for caveat in &form.caveats { p.caveat { (printable(caveat)) } }
            pre tabindex="0" { code { (lines(&form.body)) } }
        },
        Err(unable) => html! { p.caveat { (printable(&unable.reason)) } },
    };
    html! {
        section aria-labelledby="form" {
            h2 #form { "To paste" }
            @for engine in used {
                h3 { (engine.title()) }
                (one(engine))
            }
            details {
                summary { "Other engines" }
                @for engine in others {
                    h3 { (engine.title()) }
                    (one(engine))
                }
            }
        }
    }
}

/// Replaces the control characters in lines.
fn lines(text: &str) -> String {
    text.lines()
        .map(|line| printable(line) + "\n")
        .collect::<String>()
}
