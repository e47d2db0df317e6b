#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ausearch and aureport have three ways to answer "did the kernel allow it?" for the same AVC records, and none of them looks at `permissive=`:
#  - `ausearch --success` counts `granted` as a success. It counts `denied` in a permissive domain, which the kernel allowed, as a failure.
#  - `ausearch --format text` and `csv` call all of them unsuccessful, even `granted` (auditallow).
#  - `ausearch --interpret` prints a blank instead of the comma between two categories of a context: `s0:c1,c2` becomes `s0:c1 c2`, which no tool
#    accepts.
#  - `ausearch --context s0:c1,c2` also finds `s0:c1,c23`, because it searches for a part. With `--word` it finds neither, only a whole context.
#
# Seen on 2026-11-27, audit 4.0.2, records 42 (denied, permissive=1, s0:c1,c2), 43 (granted, s0:c1,c23), 44 (denied, permissive=0, s0:c1,c23):
#     --success yes: 43           --success no: 42 44        text: unsuccessfully, three times
#     --context s0:c1,c2: 42 43 44     with --word: (none)   --interpret: s0:c1 c2, s0:c1 c23, s0:c1 c23
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie auditd=1:4.0.2-2+deb13u1 busybox-static
printf 'root:x:0:\nadm:x:4:\n' >"$work/trixie/etc/group"
mkdir -p "$work/shared"
record() { # SERIAL VERDICT LEVEL PERMISSIVE
	local context=system_u:system_r:container_t:$3
	printf 'type=AVC msg=audit(17000000%s.001:%s): avc:  %s  { sys_admin } for  pid=1 comm="mount" capability=21  scontext=%s tcontext=%s tclass=capability permissive=%s\n' \
		"$1" "$1" "$2" "$context" "$context" "$4"
}
{
	record 42 denied s0:c1,c2 1
	record 43 granted s0:c1,c23 1
	record 44 denied s0:c1,c23 0
} >"$work/shared/audit.log"

serials() { # OPTION...
	inside "$work/trixie" ausearch --input /shared/audit.log --raw "$@" 2>/dev/null | sed -n 's/.*audit([0-9.]*:\([0-9]*\)).*/\1/p' | xargs
}
expect '--success yes' 43 "$(serials --success yes)"
expect '--success no' '42 44' "$(serials --success no)"
expect 'text' '3' "$(inside "$work/trixie" ausearch --input /shared/audit.log --format text 2>/dev/null | grep -c ' unsuccessfully accessed-mac-policy-controlled-object ')"
expect '--context s0:c1,c2' '42 43 44' "$(serials --context s0:c1,c2)"
expect '--context s0:c1,c2 --word' '' "$(serials --context s0:c1,c2 --word)"
expect '--interpret' 's0:c1 c2;s0:c1 c23;s0:c1 c23;' \
	"$(inside "$work/trixie" ausearch --input /shared/audit.log --interpret 2>/dev/null | sed -n 's/.* scontext=[a-z_]*:[a-z_]*:[a-z_]*:\(.*\) tcontext.*/\1/p' | tr '\n' ';')"
