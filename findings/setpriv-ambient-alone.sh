#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# If a process has a capability permitted but not inheritable, `setpriv --ambient-caps +chown` raises nothing. Neither standard error nor the exit
# status says so: the program runs, and under another user's id it holds no capability. With `--inh-caps` as well it works. setpriv expects names
# without `cap_` (`+chown`), but numbers with it (`+cap_0`): `+cap_chown` is an unknown capability.
#
# Seen on 2026-11-27, util-linux 2.41, --reuid 1000, effective set and exit status:
#     --ambient-caps +chown                      0000000000000000 0
#     --inh-caps +chown --ambient-caps +chown    0000000000000001 0
#     --inh-caps +cap_0 --ambient-caps +cap_0    0000000000000001 0
#     --inh-caps +cap_chown                      (refused) 1
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie util-linux busybox-static
version=$(inside "$work/trixie" setpriv --version)
[[ $version == *' 2.41'* ]] || skip "trixie has $version now"
seen() { # OPTION...
	local status=0
	inside "$work/trixie" setpriv --reuid 1000 --clear-groups "$@" /usr/bin/busybox grep ^CapEff /proc/self/status >"$work/out" 2>"$work/err" || status=$?
	echo "$(cut -f 2 "$work/out") $status $(wc -l <"$work/err")"
}
chmod a+rx "$work"
expect 'ambient alone' '0000000000000000 0 0' "$(seen --ambient-caps +chown)"
expect 'inheritable too' '0000000000000001 0 0' "$(seen --inh-caps +chown --ambient-caps +chown)"
expect 'by number' '0000000000000001 0 0' "$(seen --inh-caps +cap_0 --ambient-caps +cap_0)"
expect 'by the name of capabilities(7)' ' 1 1' "$(seen --inh-caps +cap_chown)"
