//! The atlas for users: the purposes of a capability, the checks at a place, and the manual page.

use super::risk;
use super::styles::Styles;
use capprof_profile::atlas::{self, PlaceClass, Site, Unseen};
use capprof_profile::{Capability, CapabilitySet};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The places to show: those of one kernel, in Debian's build of it or all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// The position of the kernel in [`atlas::kernels`].
    pub(crate) index: usize,
    /// True if places that Debian's amd64 kernel does not have are shown as well.
    pub(crate) all: bool,
}

impl Kernel {
    fn name(self) -> &'static str {
        atlas::kernels()
            .get(self.index)
            .copied()
            .unwrap_or_default()
    }

    /// The number of places that an entry covers.
    fn places(self, site: &Site) -> u32 {
        site.places
            .get(self.index)
            .map_or(0, |(all, built)| if self.all { *all } else { *built })
    }
}

/// One purpose: the act, the effect without the capability, and the class.
type Purpose = (&'static str, &'static str, PlaceClass);

/// The purposes of one capability in one kernel, by subsystem.
pub(crate) fn capability(capability: Capability, kernel: Kernel, styles: &Styles) -> String {
    let mut subsystems: BTreeMap<&str, BTreeMap<Purpose, Vec<&Site>>> = BTreeMap::new();
    let (mut count, mut classes) = (0, BTreeMap::<PlaceClass, u32>::new());
    for site in asking(capability) {
        let places = kernel.places(site);
        if places == 0 {
            continue;
        }
        count += places;
        *classes.entry(site.class).or_default() += places;
        let purpose = (site.plain, site.without, site.class);
        let purposes = subsystems.entry(subsystem(site.file)).or_default();
        purposes.entry(purpose).or_default().push(site);
    }
    let mut text = String::new();
    let built = if kernel.all {
        ""
    } else {
        " as Debian builds it for amd64"
    };
    let heading = styles.heading;
    let words = risk::words(capability);
    let _ = writeln!(
        text,
        "{heading}{capability}{heading:#} lets a process {}\nrisk: {}: {}",
        words.does,
        words.risk.word(),
        words.risk.meaning()
    );
    let _ = writeln!(
        text,
        "Linux {}{built} asks for it at {count} places",
        kernel.name()
    );
    for (class, places) in &classes {
        let _ = writeln!(text, "  {places:>4} {}", class.meaning());
    }
    for (name, purposes) in subsystems {
        let _ = writeln!(text, "\n{heading}{name}{heading:#}");
        for ((plain, without, class), sites) in purposes {
            let functions: Vec<_> = sites.iter().take(3).map(|site| site.function).collect();
            let more = if sites.len() > 3 { ", …" } else { "" };
            let _ = writeln!(text, "  {plain}");
            let _ = writeln!(
                text,
                "      {}: {without} ({}{more})",
                class.meaning(),
                functions.join(", ")
            );
        }
    }
    text
}

/// The entries of one function or file, with all details.
pub(crate) fn sites(sites: &[&Site], kernel: Kernel, styles: &Styles) -> String {
    let mut text = String::new();
    for site in sites {
        let heading = styles.heading;
        let asked = match site.capabilities.is_empty() {
            true => "whatever its caller wants".to_owned(),
            false => names(site.capabilities, " or "),
        };
        let _ = writeln!(
            text,
            "{heading}{}(){heading:#} in {} asks for {asked}",
            site.function, site.file
        );
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "  {name:<10} {value}");
            }
        };
        line("what for", site.plain);
        line(site.class.name(), site.without);
        line("decides", site.decides.unwrap_or_default());
        line("or", &names(site.or, ", "));
        line("and", &names(site.and, ", "));
        line("unless", site.unless.unwrap_or_default());
        line("asked", site.who.unwrap_or_default());
        line("namespace", site.namespace);
        line("audited", if site.audited { "yes" } else { "no" });
        line(
            "recorded",
            match site.unseen_because() {
                Some(Unseen::Compared) => "no: the kernel compares sets and asks nobody",
                Some(Unseen::InLine) => "by eBPF where Linux has the tracepoint cap_capable (6.14)",
                None => "",
            },
        );
        line("seen as", &site.callers.join(", "));
        line("kernels", &versions(site));
        line(
            "reading",
            &match site.proof {
                Some("prove") => "read, and proved by profile/atlas/prove.c".to_owned(),
                Some(program) => format!("read, and proved by tests/corpus {program}"),
                None => "read, not run".to_owned(),
            },
        );
        if kernel.places(site) == 0 {
            line(
                "note",
                &format!("not in Linux {} as Debian builds it", kernel.name()),
            );
        }
    }
    text
}

/// The manual page capprof-atlas(7).
pub(crate) fn manual() -> String {
    let newest = Kernel {
        index: atlas::kernels().len().saturating_sub(1),
        all: false,
    };
    let mut text = String::from(
        ".\\\" SPDX-License-Identifier: Apache-2.0\n.Dd $Mdocdate$\n.Dt CAPPROF-ATLAS 7\n.Os\n.Sh NAME\n.Nm capprof-atlas\n.Nd where Linux asks for capabilities\n.Sh DESCRIPTION\n",
    );
    let _ = writeln!(
        text,
        "This page lists for each capability what Linux {} asks for it, as Debian builds that kernel for amd64.\n.Ql capprofctl explain\nshows the same for other kernels, with the places in the source.",
        newest.name()
    );
    for capability in Capability::all() {
        let mut purposes: Vec<Purpose> = asking(capability)
            .filter(|site| newest.places(site) > 0)
            .map(|site| (site.plain, site.without, site.class))
            .collect();
        purposes.sort_unstable();
        purposes.dedup();
        if purposes.is_empty() {
            continue;
        }
        let _ = writeln!(text, ".Ss {capability}\n.Bl -tag -width Ds");
        for (plain, without, class) in purposes {
            let _ = writeln!(text, ".It {}", roff(plain));
            let _ = writeln!(text, "{}: {}.", upper_first(class.meaning()), roff(without));
        }
        text.push_str(".El\n");
    }
    text.push_str(".Sh SEE ALSO\n.Xr capprofctl 1 ,\n.Xr capabilities 7 ,\n.Xr capprof 8\n");
    text
}

/// The entries that ask for a capability for a purpose of their own.
fn asking(capability: Capability) -> impl Iterator<Item = &'static Site> {
    atlas::sites().filter(move |site| {
        site.class != PlaceClass::Helper && site.capabilities.contains(capability)
    })
}

/// The part of the kernel that a file belongs to, by its directory.
fn subsystem(file: &str) -> &str {
    let mut ends = file.match_indices('/').map(|(end, _)| end);
    let deep = [
        "drivers/",
        "fs/",
        "net/",
        "security/",
        "kernel/",
        "arch/",
        "sound/",
        "include/",
    ];
    let end = match deep.iter().any(|top| file.starts_with(top)) {
        true => ends.nth(1).or_else(|| file.find('/')),
        false => ends.next(),
    };
    end.and_then(|end| file.get(..end)).unwrap_or(file)
}

fn names(capabilities: CapabilitySet, between: &str) -> String {
    let names: Vec<_> = capabilities
        .iter()
        .map(|capability| capability.to_string())
        .collect();
    names.join(between)
}

/// The kernels that have an entry's places, with the number of places in Debian's build.
fn versions(site: &Site) -> String {
    let shown = atlas::kernels().iter().zip(&site.places);
    let shown: Vec<_> = shown
        .filter(|(_, (all, _))| *all > 0)
        .map(|(kernel, (all, built))| {
            format!(
                "{kernel} ({all} {}, {built} built)",
                if *all == 1 { "place" } else { "places" }
            )
        })
        .collect();
    shown.join(", ")
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Escapes text for mdoc(7), so that nothing in it is a macro or an escape sequence.
fn roff(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    // A word would be taken for a macro if it begins a line with a dot, or if it has a macro's name.
    text.split(' ')
        .map(|word| {
            match word.len() == 2
                && word.chars().all(char::is_alphabetic)
                && word.starts_with(char::is_uppercase)
            {
                true => format!("\\&{word}"),
                false => word.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Kernel = Kernel {
        index: 1,
        all: false,
    };

    #[test]
    fn a_capability_is_explained_by_subsystem() {
        let text = capability(Capability::SYS_TIME, NEW, &Styles::default());
        assert!(
            text.starts_with("CAP_SYS_TIME lets a process set the "),
            "{text}"
        );
        assert!(
            text.contains("\nrisk: high: a program that misuses it "),
            "{text}"
        );
        let places = "\nLinux 6.12 as Debian builds it for amd64 asks for it at ";
        assert!(text.contains(places), "{text}");
        assert!(
            text.contains("\nkernel/time\n  adjust the clock\n      refused without: adjtimex(2)"),
            "{text}"
        );
        assert!(text.contains("set the clock"), "{text}");
    }

    #[test]
    fn a_site_is_explained_with_all_that_is_known() {
        let found: Vec<_> = atlas::of_function("ioprio_check_cap").collect();
        let text = sites(&found, NEW, &Styles::default());
        assert!(
            text.contains("ioprio_check_cap() in block/ioprio.c asks for CAP_SYS_ADMIN\n"),
            "{text}"
        );
        assert!(text.contains("  or         CAP_SYS_NICE\n"), "{text}");
        assert!(
            text.contains("proved by tests/corpus sys_admin-ioprio"),
            "{text}"
        );
    }

    #[test]
    fn the_manual_has_every_capability_that_is_asked_for() {
        let text = manual();
        assert!(text.contains(".Ss CAP_NET_ADMIN\n"), "{text}");
        assert!(!text.contains("..\n"), "{text}");
    }

    #[test]
    fn subsystems_are_directories() {
        assert_eq!(subsystem("drivers/net/tun.c"), "drivers/net");
        assert_eq!(subsystem("fs/attr.c"), "fs");
        assert_eq!(subsystem("mm/mlock.c"), "mm");
    }
}
