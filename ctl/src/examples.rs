//! Examples for each subcommand: in its help, and in its man page.

use clap::Command;
use std::fmt::Write;

/// The purpose of an example, and its command line.
type Example = (&'static str, &'static str);

/// The examples of each subcommand.
const EXAMPLES: [(&str, &[Example]); 24] = [
    (
        "profile",
        &[
            (
                "A server that works if it serves a page:",
                "capprofctl profile --check 'curl -f localhost' -- docker run -p 80:80 nginx",
            ),
            (
                "A job that ends by itself; only the answer, as options of docker run:",
                "capprofctl profile --format docker-options -- docker run debian tar c etc",
            ),
            (
                "A service of a compose file, used by hand until no new capability appears:",
                "capprofctl profile --until-quiet 5m -- docker compose up web",
            ),
            (
                "A program of this host:",
                "capprofctl profile -- chown www-data: /srv/upload",
            ),
        ],
    ),
    (
        "unit",
        &[
            (
                "What a web server uses until it has served a page:",
                "capprofctl unit nginx --check 'curl -fsS http://localhost/'",
            ),
            (
                "Use it by hand, and print only the drop-in; Ctrl-C ends it:",
                "capprofctl unit nginx --format systemd",
            ),
            (
                "Record a day, try the drop-in, and install it:",
                "capprofctl unit nginx --for 24h --write",
            ),
        ],
    ),
    (
        "report",
        &[
            ("The latest profile:", "capprofctl report"),
            (
                "For a ticket, and as a page to hand over:",
                "capprofctl report --format markdown web",
            ),
            ("", "capprofctl report --format html web"),
            (
                "In a script that must stop at an incomplete answer:",
                "capprofctl report --strict --format kubernetes web",
            ),
        ],
    ),
    (
        "apply",
        &[
            ("What would change:", "capprofctl apply compose.yaml"),
            (
                "Change one service:",
                "capprofctl apply --write --service web compose.yaml",
            ),
            (
                "Other files:",
                "capprofctl apply --container web deployment.yaml",
            ),
            ("", "capprofctl apply /etc/containers/systemd/web.container"),
        ],
    ),
    (
        "list",
        &[
            ("All profiles:", "capprofctl list"),
            (
                "Which images needed CAP_SYS_ADMIN in the last 30 days:",
                "capprofctl list --needs SYS_ADMIN --since 30d",
            ),
            (
                "Profiles that are not verified yet, for a script:",
                "capprofctl list --state not-verified --format json",
            ),
        ],
    ),
    (
        "diff",
        &[(
            "What the new image needs in addition:",
            "capprofctl diff nginx:1.27 nginx:1.28",
        )],
    ),
    (
        "check",
        &[
            (
                "Against a list, for a CI system:",
                "capprofctl check web --against CHOWN,SETGID,SETUID --format junit",
            ),
            (
                "Against the Pod Security Standards:",
                "capprofctl check web --against restricted",
            ),
        ],
    ),
    (
        "rm",
        &[
            ("The newest profile of a name:", "capprofctl rm web"),
            ("All of them:", "capprofctl rm --all web"),
        ],
    ),
    (
        "prune",
        &[
            (
                "Show the change, then make it:",
                "capprofctl prune --older-than 90d --keep 3 --dry-run",
            ),
            ("", "capprofctl prune --older-than 90d --keep 3"),
            ("What the configuration does not keep:", "capprofctl prune"),
        ],
    ),
    (
        "observe",
        &[
            (
                "One container, until it ends or Ctrl-C:",
                "capprofctl observe web",
            ),
            (
                "All running containers, for a day:",
                "capprofctl observe --all --for 24h",
            ),
        ],
    ),
    (
        "audit",
        &[
            ("What is most worth dropping:", "capprofctl audit"),
            (
                "For Prometheus' node_exporter:",
                "capprofctl audit --format prometheus",
            ),
        ],
    ),
    (
        "ps",
        &[("Which recordings are in progress:", "capprofctl ps")],
    ),
    (
        "watch",
        &[(
            "Until nothing new has come for ten minutes:",
            "capprofctl watch --until-quiet 10m web",
        )],
    ),
    (
        "top",
        &[
            ("All recordings:", "capprofctl top"),
            (
                "One container, updated every ten seconds:",
                "capprofctl top --interval 10s web",
            ),
        ],
    ),
    (
        "snapshot",
        &[(
            "Before a machine is switched off:",
            "capprofctl snapshot --all",
        )],
    ),
    (
        "merge",
        &[
            (
                "One answer from the profiles of many hosts:",
                "capprofctl merge host-1/ host-2/ host-3/",
            ),
            (
                "What any run of a name needed, as a securityContext:",
                "capprofctl merge --format kubernetes web",
            ),
        ],
    ),
    (
        "verify",
        &[
            (
                "A server:",
                "capprofctl verify web --check 'curl -f localhost' -- docker run -p 80:80 web",
            ),
            (
                "Try it without the capabilities that it does not have today:",
                "capprofctl verify --today job -- podman run --rm job",
            ),
        ],
    ),
    (
        "shrink",
        &[(
            "A job, four containers at a time:",
            "capprofctl shrink job --jobs 4 -- docker run --rm job",
        )],
    ),
    (
        "recover",
        &[
            (
                "After an engine was killed:",
                "capprofctl recover --stopped",
            ),
            ("Before capprof is removed:", "capprofctl recover --unload"),
        ],
    ),
    (
        "doctor",
        &[("What this host can record:", "capprofctl doctor")],
    ),
    (
        "install",
        &[
            (
                "Show the change, then make it:",
                "capprofctl install --engine docker --dry-run",
            ),
            ("", "capprofctl install --engine docker"),
        ],
    ),
    (
        "uninstall",
        &[(
            "From containerd:",
            "capprofctl uninstall --engine containerd",
        )],
    ),
    (
        "why",
        &[
            (
                "A command:",
                "capprofctl why -- setpriv --reuid 33 cat /etc/shadow",
            ),
            (
                "A running container, for a minute:",
                "capprofctl why --for 60 web",
            ),
            (
                "What an observed container was refused, after it has ended:",
                "capprofctl why web",
            ),
        ],
    ),
    (
        "explain",
        &[
            ("A capability:", "capprofctl explain CAP_NET_ADMIN"),
            (
                "A place in the kernel, as a report names it:",
                "capprofctl explain setattr_prepare",
            ),
        ],
    ),
];

fn of(name: &str) -> &'static [Example] {
    EXAMPLES
        .iter()
        .find(|(subcommand, _)| *subcommand == name)
        .map_or(&[], |(_, examples)| examples)
}

/// Adds the examples to the help of each subcommand.
pub(crate) fn add(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (name, examples)| {
        let mut text = "Examples:\n".to_owned();
        for (what, line) in *examples {
            if !what.is_empty() {
                let _ = writeln!(text, "  {what}");
            }
            let _ = writeln!(text, "    {line}");
        }
        command.mut_subcommand(name, |subcommand| {
            subcommand.after_long_help(text.trim_end().to_owned())
        })
    })
}

/// The section of a man page (man(7)).
pub(crate) fn section(name: &str) -> String {
    let escaped = |text: &str| {
        text.replace('\\', "\\e")
            .replace('-', "\\-")
            .replace('\'', "\\(aq")
    };
    let mut text = String::new();
    for (what, line) in of(name) {
        if !what.is_empty() {
            let _ = writeln!(text, ".PP\n{}", escaped(what));
        }
        let _ = writeln!(text, ".PP\n.RS 4\n.nf\n{}\n.fi\n.RE", escaped(line));
    }
    match text.is_empty() {
        true => text,
        // The section begins a paragraph itself.
        false => format!(".SH EXAMPLES\n{}", text.trim_start_matches(".PP\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use clap::{CommandFactory, Parser};

    /// Splits a line into words as a shell does, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (number, part) in line.split('\'').enumerate() {
            match number % 2 {
                0 => {
                    let mut pieces = part.split(' ');
                    let first = pieces.next().unwrap_or_default();
                    words.last_mut().unwrap().push_str(first);
                    words.extend(pieces.map(str::to_owned));
                }
                _ => words.last_mut().unwrap().push_str(part),
            }
        }
        words
    }

    #[test]
    fn each_subcommand_has_examples_that_it_understands() {
        for subcommand in Arguments::command().get_subcommands() {
            let name = subcommand.get_name();
            assert!(
                subcommand.is_hide_set() || !of(name).is_empty(),
                "{name} has no examples"
            );
            for (_, line) in of(name) {
                let words = words(line);
                assert_eq!(words[1], name);
                // The help indents the line by four and would break a longer one, so that it could not be pasted.
                assert!(line.len() <= 76, "{line}");
                if let Err(error) = Arguments::try_parse_from(&words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_line_of_a_man_page_is_copied_as_it_is() {
        let page = section("why");
        assert!(page.starts_with(".SH EXAMPLES\nA command:\n.PP\n.RS 4\n.nf\n"));
        assert!(page.contains("\ncapprofctl why \\-\\- setpriv \\-\\-reuid 33 cat /etc/shadow\n"));
        assert_eq!(section("no-such"), "");
    }
}
