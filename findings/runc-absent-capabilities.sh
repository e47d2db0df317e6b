#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A config.json without `process.capabilities`, or with null there, gives a container of runc 1.3.6 every capability that runc holds.
# Under runc 1.1.15 and crun 1.28 the same file gives none. The runtime-spec (config.md, "Linux Process") calls the member optional and
# does not say what its absence means. An empty object gives none in all three.
#
# Seen on 2026-11-27 (effective set: none, or as that of the caller):
#     runc 1.1.15  absent: none     null: none     {}: none
#     runc 1.3.6   absent: caller's null: caller's {}: none
#     crun 1.28    absent: none     null: none     {}: none
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie runc=1.1.15+ds1-2+b4 busybox-static
debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static

effective() { # ROOT RUNTIME [OPTION...]
	inside "$1" "${@:2}" --root /run/state run --bundle /shared/bundle finding | sed -n 's/^CapEff:\t*//p'
}
named() { # SET
	case $1 in
	0000000000000000) echo none ;;
	"$(sed -n 's/^CapEff:\t*//p' /proc/self/status)") echo "the caller's" ;;
	*) echo "$1" ;;
	esac
}
seen() { # ROOT RUNTIME [OPTION...]
	local form
	for form in absent null '{}'; do
		bundle "$work/sid/bin/busybox" '["grep", "CapEff", "/proc/self/status"]' "$form"
		echo "$form: $(named "$(effective "$@")")"
	done
}

expect 'runc 1.1.15' $'absent: none\nnull: none\n{}: none' "$(seen "$work/trixie" runc)"
expect 'runc 1.3.6' $'absent: the caller\'s\nnull: the caller\'s\n{}: none' "$(seen "$work/sid" runc)"
expect 'crun 1.28' $'absent: none\nnull: none\n{}: none' "$(seen "$work/sid" crun --cgroup-manager=disabled)"
