#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# gVisor's runsc reads process.capabilities differently from both runc and crun (lower-case-capabilities.sh).
#  - It silently removes CAP_NET_RAW, unless runsc itself is called with --net-raw. config.json does not show that to the user of an engine.
#  - A name that it does not know, even one in lower case, makes the container fail, with a message that names neither the capability nor the member.
#
# Seen on 2026-11-27, runsc 0.0~20240729.0, effective set for CAP_NET_RAW and CAP_CHOWN (0x2001), and for "cap_chown":
#     runsc              0000000000000001     fails: "cannot read client sync file: waiting for sandbox to start: EOF"
#     runsc --net-raw    0000000000002001     the same
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie runsc=0.0~20240729.0-4+b7 busybox-static
seen() { # CAPABILITIES [OPTION...]
	bundle "$work/trixie/usr/bin/busybox" '["grep", "CapEff", "/proc/self/status"]' "{\"bounding\": [$1], \"effective\": [$1], \"permitted\": [$1]}"
	inside "$work/trixie" timeout 60 runsc --root /run/state --platform=systrap --network=none --ignore-cgroups "${@:2}" run --bundle /shared/bundle finding 2>&1 |
		sed -n 's/^CapEff:\t*//p; s/.*\(cannot read client sync file\).*/\1/p'
}
ln -sf busybox "$work/trixie/usr/bin/timeout"
expect 'runsc' 0000000000000001 "$(seen '"CAP_NET_RAW", "CAP_CHOWN"')"
expect 'runsc --net-raw' 0000000000002001 "$(seen '"CAP_NET_RAW", "CAP_CHOWN"' --net-raw)"
expect 'small letters' 'cannot read client sync file' "$(seen '"cap_chown"')"
