#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# udica makes an SELinux policy for a container from `podman inspect`, and writes all capabilities into one rule of the class `capability`. SELinux
# has the capabilities from number 32 on in a second class, `capability2`, so the compiler refuses the rule.
#  - CAP_SYSLOG, a valid value of --cap-add: udica exits with 0, and its module cannot be loaded. WAKE_ALARM, AUDIT_READ and others behave in the same
#    way.
#  - CAP_BPF, PERFMON and CHECKPOINT_RESTORE, and therefore `--privileged`: udica stops half-way and leaves half a policy.
# So pass only the capabilities below 32 by --caps, and add your own rule for the others: (allow process process (capability2 (syslog))).
#
# Seen on 2026-11-27, udica 0.2.2, podman 5.4.2, secilc 3.8.1; the rule, and the compiler's answer with both classes as the kernel has them:
#     CHOWN            capability ( chown )           compiled
#     CHOWN, SYSLOG    capability ( chown syslog )    Failed to resolve permission syslog
#     CHOWN, BPF       Couldn't create policy: 'BPF'
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie podman=5.4.2+ds1-2+b2 crun catatonit secilc=3.8.1-1 python3-semanage python3-selinux busybox-static
python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$work" udica==0.2.2 2>"$work/err" || skip "udica 0.2.2 is not to be had: $(tail -n 1 "$work/err")"
mkdir -p "$work/shared" "$work/trixie/usr/share/udica"
tar -C "$work/shared" --strip-components 1 -xf "$work"/udica-0.2.2.tar.gz
cp -R "$work/shared/udica/templates" "$work/trixie/usr/share/udica/"
# What udica's block inherits, and the least that makes a policy: the classes' permissions are those of the kernel's security/selinux/include/classmap.h.
cat >"$work/shared/base.cil" <<'CIL'
(class capability (chown dac_override kill net_admin net_raw sys_admin))
(class capability2 (mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore))
(classorder (capability capability2))
(sid kernel) (sidorder (kernel)) (user system) (role object) (type system)
(userrole system object) (roletype object system)
(sensitivity s0) (sensitivityorder (s0)) (userlevel system (s0)) (userrange system ((s0) (s0)))
(sidcontext kernel (system object system ((s0) (s0))))
(allow system system (capability (chown)))
(block container (type process))
CIL
# shellcheck disable=SC2016  # expanded by the inner shell
script='
	cd /run
	for capability in NONE SYSLOG BPF; do
		add=--cap-add=$capability
		[ $capability != NONE ] || add=
		podman create --name $capability --network none --cap-drop ALL --cap-add CHOWN $add localhost/finding sleep 1 >/dev/null
		podman inspect $capability >inspect.json
		PYTHONPATH=/shared /usr/bin/python3 -m udica -j inspect.json profiled >log 2>&1
		grep -o "Couldn.t create policy: .*" log && continue
		grep -o "capability ( [a-z_ ]*)" profiled.cil
		/usr/bin/secilc --mls true --output policy --filecontexts contexts /shared/base.cil profiled.cil >log 2>&1 && echo compiled || grep -o "Failed to resolve permission [a-z]*" log
	done'
expect 'udica 0.2.2' "capability ( chown )
compiled
capability ( chown syslog )
Failed to resolve permission syslog
Couldn't create policy: 'BPF'" "$(with_podman "$work/trixie" "$script")"
