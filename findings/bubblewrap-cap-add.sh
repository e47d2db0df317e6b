#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# When root calls `bwrap --cap-add CAP_NET_RAW`, the option does not add one capability: a program of root has all of them anyway. Instead it raises
# all of them into the ambient set, and a program that changes its user keeps every one. `--cap-add ALL`, which asks for more, leaves the ambient set
# empty. The option means the named capability only after `--cap-drop ALL`. The bounding set stays full with each of these.
#
# Seen on 2026-11-27, bubblewrap 0.12.0, called by root; effective, bounding and ambient set, where `full` is the caller's set:
#     (no option)                            full full none
#     --cap-add CAP_NET_RAW                  full full full
#     --cap-add ALL                          full full none
#     --cap-drop ALL                         none full none
#     --cap-drop ALL --cap-add CAP_NET_RAW   0000000000002000 full 0000000000002000
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie bubblewrap=0.12.0-1~deb13u1 busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)
# shellcheck disable=SC2016  # expanded by the inner shell
inside "$work/trixie" busybox sh -c 'for options in "" "--cap-add CAP_NET_RAW" "--cap-add ALL" "--cap-drop ALL" "--cap-drop ALL --cap-add CAP_NET_RAW"; do
		bwrap --bind / / --proc /proc $options /usr/bin/busybox grep -E "^Cap(Eff|Bnd|Amb)" /proc/self/status | busybox cut -f 2 | busybox xargs
	done' | sed "s/$full/full/g; s/0000000000000000/none/g" >"$work/seen"
expect 'bubblewrap 0.12.0' $'full full none\nfull full full\nfull full none\nnone full none\n0000000000002000 full 0000000000002000' "$(<"$work/seen")"
