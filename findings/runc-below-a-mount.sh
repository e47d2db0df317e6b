#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Since version 1.2, runc does not execute itself a second time; it executes the file of its own name in a private overlay of its directory. If a file
# is mounted on runc's path, as in a container that gets another runc (`-v ./runc:/usr/sbin/runc`), the mounted program does the first step. The
# second step, `init`, runs the file below the mount: an empty placeholder cannot be executed, and another version or another program runs as `runc
# init`. runc 1.1 copies itself instead, and crun runs the mounted program.
#
# Seen on 2026-11-27:
#                                      below the mount      a container that prints hello
#     runc 1.1.5                       an empty file        hello
#     runc 1.3.6                       an empty file        unable to start init: fork/exec /proc/self/fd/N: permission denied
#     runc 1.3.6                       a script             is not made, and the script ran with `init`
#     crun 1.28                        an empty file        hello
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
debian_root "$work/bookworm" bookworm runc=1.1.5+ds1-1+deb12u1 busybox-static

seen() { # ROOT RUNTIME BELOW [OPTION...]
	bundle "$work/sid/bin/busybox" '["busybox", "echo", "hello"]' '{"bounding": ["CAP_CHOWN"]}'
	cp "$(realpath "$work/$1/usr/bin/$2")" "$work/shared/program"
	rm -rf "$work/shared/"{place,ran} && mkdir "$work/shared/place"
	install -m 755 "$3" "$work/shared/place/$2"
	[[ -s $3 ]] || chmod 644 "$work/shared/place/$2"
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$work/$1" /bin/busybox sh -c '
		mount --bind /shared/program "/shared/place/$1"
		"/shared/place/$@" --root /run/state run --bundle /shared/bundle finding || true' sh "$2" "${@:4}" 2>&1 | sed 's/.*msg="//; s/"$//; s/fd\/[0-9]*/fd\/N/; s/.*: unable to start init/unable to start init/' | head -n 1
	cat "$work/shared/ran" 2>/dev/null || true
}

: >"$work/empty"
printf '#!/bin/busybox sh\necho "the script ran with $*" >/shared/ran\n' >"$work/script"

refused='unable to start init: fork/exec /proc/self/fd/N: permission denied'
expect 'runc 1.1.5 on an empty file' hello "$(seen bookworm runc "$work/empty")"
expect 'runc 1.3.6 on an empty file' "$refused" "$(seen sid runc "$work/empty")"
expect 'runc 1.3.6 on a script' 'the script ran with init' "$(seen sid runc "$work/script" | tail -n 1)"
expect 'crun 1.28 on an empty file' hello "$(seen sid crun "$work/empty" --cgroup-manager=disabled)"
