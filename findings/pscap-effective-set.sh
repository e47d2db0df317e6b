#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pscap(8) says: "If a process is not in the report, it has dropped all capabilities." In fact the effective set alone decides if a process is in the
# report, and pscap prints the permitted set:
#  - A process that holds capabilities, but has none of them effective at the moment, is not in the report; `pscap -p PID` prints nothing and exits
#    with 0. The process can make each of them effective at any time by capset(2).
#  - A process with one effective capability is shown with all that it holds.
# getpcaps of libcap shows both sets, as /proc/PID/status does. Read these before you call a process unprivileged.
#
# Seen on 2026-11-27, CAP_CHOWN, CAP_KILL and CAP_NET_RAW permitted (the `+` stands for a bounding set that is not empty):
#                                  none effective                    CAP_CHOWN effective
#     pscap of libcap-ng 0.8.5     (no line)                         chown, kill, net_raw +
#     pscap -p PID                 (no line)                         chown, kill, net_raw +
#     getpcaps of libcap 2.75      cap_chown,cap_kill,cap_net_raw=p  cap_chown=ep cap_kill,cap_net_raw+p
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie libcap-ng-utils=0.8.5-4+b1 libcap2-bin=1:2.75-10+deb13u1+b3 python3 busybox-static
mkdir -p "$work/shared"
cat >"$work/shared/limit" <<'PYTHON'
import ctypes, struct, sys, time
libc = ctypes.CDLL(None)
version, permitted = 0x20080522, 0x2021
assert libc.capset(struct.pack("II", version, 0), struct.pack("IIIIII", int(sys.argv[1]), permitted, 0, 0, 0, 0)) == 0
print("limited", flush=True)
time.sleep(60)
PYTHON
# shellcheck disable=SC2016  # expanded by the inner shell
script='
	for effective in 0 1; do
		/usr/bin/python3 /shared/limit $effective >/run/out &
		id=$! tries=0
		until busybox grep -q limited /run/out || [ $((tries += 1)) -gt 50 ]; do busybox sleep 0.1; done
		for options in "" "-p $id"; do
			/usr/bin/pscap $options | busybox awk -v id=$id "\$2 == id { sub(/.*python3 */, \"\"); print; seen = 1 } END { if (!seen) print \"no line\" }"
		done
		/usr/sbin/getpcaps $id 2>&1 | busybox sed "s/^[^:]*: //"
		kill $id
	done'
expect 'pscap and getpcaps' "no line
no line
cap_chown,cap_kill,cap_net_raw=p
chown, kill, net_raw +
chown, kill, net_raw +
cap_chown=ep cap_kill,cap_net_raw+p" "$(inside "$work/trixie" /usr/bin/busybox unshare --pid --fork --mount-proc /usr/bin/busybox sh -c "$script")"
