#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# For perf_event_open(2) the kernel accepts CAP_PERFMON or CAP_SYS_ADMIN (capabilities(7): the latter is enough, but discouraged), and so does
# docker's seccomp filter. podman's filter accepts neither of them alone. With PERFMON it has rules that allow the call and rules that refuse it, and
# the refusal wins. With SYS_ADMIN alone it has no rule, so the call fails with ENOSYS, as in a kernel built without it. A set that was found without
# the filter, or under docker, therefore fails under podman: add both there, or give the container its own filter.
#
# Seen on 2026-11-27, perf_event_open(2) of one's own software clock, kernel included, kernel.perf_event_paranoid above 1:
#                                    docker 26.1.5    podman 5.4.2
#     (no option)                    EPERM            EPERM
#     --cap-add PERFMON              opened           EPERM
#     --cap-add SYS_ADMIN            opened           ENOSYS
#     --cap-add PERFMON,SYS_ADMIN    opened           opened
source "$(dirname "$0")/common.bash"

[[ $(uname -m) == x86_64 ]] || skip 'the number of the system call is that of x86-64'
(($(</proc/sys/kernel/perf_event_paranoid) > 1)) || skip 'kernel.perf_event_paranoid lets everybody measure the kernel'
debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit \
	perl-base busybox-static
mkdir -p "$work/shared"
cat >"$work/shared/measure" <<'PERL'
# struct perf_event_attr of the first version: type PERF_TYPE_SOFTWARE, size 64, config PERF_COUNT_SW_CPU_CLOCK.
my $attributes = pack("L2 Q7", 1, 64, (0) x 7);
my $opened = syscall(298, $attributes, 0, -1, -1, 0) >= 0;
my $result = $opened ? "opened" : $!{EPERM} ? "EPERM" : $!{ENOSYS} ? "ENOSYS" : "$!";
open(my $seen, ">>", "/shared/seen") or die "/shared/seen: $!";
print $seen "$result\n";
PERL
# shellcheck disable=SC2016  # expanded by the inner shell
script='for options in "" "--cap-add PERFMON" "--cap-add SYS_ADMIN" "--cap-add PERFMON --cap-add SYS_ADMIN"; do
		ENGINE run --rm --network none $options -v /usr:/usr:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro -v /shared:/shared \
			finding /usr/bin/perl /shared/measure
	done >&2
	cat /shared/seen
	rm /shared/seen'
expect 'docker 26.1.5' $'EPERM\nopened\nopened\nopened' "$(with_docker "$work/trixie" "${script//ENGINE/docker}")"
expect 'podman 5.4.2' $'EPERM\nEPERM\nENOSYS\nopened' "$(with_podman "$work/trixie" "${script//ENGINE/podman}")"
