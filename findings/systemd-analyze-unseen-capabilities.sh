#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `systemd-analyze security` rates a unit, with a line for each capability, or group of capabilities, in the bounding set (systemd-analyze(1)). For
# two kinds of units the exposure level does not follow what they hold:
#  - CAP_PERFMON and CAP_CHECKPOINT_RESTORE are in no line, although the program knows both names and has a line for CAP_BPF. A unit with these two
#    gets the same table and level as a unit without any capability. CAP_PERFMON lets it watch the kernel and every other process by perf events.
#  - A user other than root with NoNewPrivileges=yes can never hold what is only in the bounding set, but a full bounding set makes the level worse.
# So a better level does not prove that a set is smaller, and a worse one does not prove that it is larger.
#
# Seen on 2026-11-27, systemd 257.13, whole table and level compared with those of a unit with an empty CapabilityBoundingSet=:
#     CapabilityBoundingSet=CAP_X   the same for CAP_PERFMON and CAP_CHECKPOINT_RESTORE, and for no other of 41
#     User=1000, NoNewPrivileges=yes, with a full set and with an empty one: 8.8 and 6.4
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie systemd=257.13-1~deb13u1 python3 busybox-static
mkdir -p "$work/shared" "$work/trixie/etc/systemd/system"
cat >"$work/shared/compare" <<'PYTHON'
import subprocess

def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], stdout=subprocess.PIPE, check=True, text=True).stdout

def security(*settings):
    with open("/etc/systemd/system/finding.service", "w") as unit:
        print("[Service]", "ExecStart=/usr/bin/true", *settings, sep="\n", file=unit)
    return analyze("security", "--offline=true", "--no-pager", "finding.service")

def level(*settings):
    return security(*settings).split("finding.service: ")[1].split()[0]

names = [line.split()[0].upper() for line in analyze("capability", "--no-pager").splitlines() if line.startswith("cap_")]
none = security("CapabilityBoundingSet=")
print(len(names), *(name for name in names if security("CapabilityBoundingSet=" + name) == none))
user = "User=1000", "NoNewPrivileges=yes"
print(level(*user), level(*user, "CapabilityBoundingSet="))
PYTHON
expect 'systemd 257.13' $'41 CAP_PERFMON CAP_CHECKPOINT_RESTORE\n8.8 6.4' "$(inside "$work/trixie" /usr/bin/busybox env PATH=/usr/bin LANG=C.UTF-8 python3 /shared/compare)"
