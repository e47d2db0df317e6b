#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `exec --privileged` gives the new process every capability, but leaves it under the container's seccomp filter, which the engine made for the
# container's capabilities. Under docker, mount(2) therefore fails with EPERM even with CAP_SYS_ADMIN. podman's filter has no rule for mount(2) that
# depends on a capability. `run --privileged` has no filter under either engine.
#
# Seen on 2026-11-27, container with `--cap-drop ALL`; effective set, Seccomp, mount of a tmpfs:
#                      exec --privileged    run --privileged
#     docker 26.1.5    full 2 refused       full 0 mounted
#     podman 5.4.2     full 2 mounted       full 0 mounted
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)

# shellcheck disable=SC2016  # expanded by the inner shell
script='
	check="grep -E \"^(CapEff|Seccomp):\" /proc/self/status; mkdir /m; mount -t tmpfs tmpfs /m 2>/dev/null && echo mounted || echo refused"
	ENGINE run -d --name profiled --network none --cap-drop ALL finding sleep 60 >/dev/null 2>&1
	ENGINE exec --privileged profiled sh -c "$check"
	ENGINE rm -f -t 0 profiled >/dev/null 2>&1 || ENGINE rm -f profiled >/dev/null
	ENGINE run --rm --network none --privileged finding sh -c "$check"'
seen() {
	sed "s/^CapEff:\t*//; s/^Seccomp:\t*//; s/^$full\$/full/"
}
expect 'docker 26.1.5' $'full\n2\nrefused\nfull\n0\nmounted' "$(with_docker "$work/trixie" "${script//ENGINE/docker}" | seen)"
expect 'podman 5.4.2' $'full\n2\nmounted\nfull\n0\nmounted' "$(with_podman "$work/trixie" "${script//ENGINE/podman}" | seen)"
