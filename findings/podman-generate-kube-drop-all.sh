#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# For a container made with `--cap-drop ALL`, `podman generate kube` does not write `drop: [ALL]`. It lists the capabilities of podman's own default
# set, so the manifest does not drop what another engine grants by default: CAP_NET_RAW, CAP_MKNOD and CAP_AUDIT_WRITE under containerd. It also
# writes the names with `CAP_`, which the Kubernetes documentation says to leave out ("Set capabilities for a Container").
#
# Seen on 2026-11-27, podman 5.4.2, `--cap-drop ALL --cap-add NET_ADMIN`:
#     add: CAP_NET_ADMIN; drop: 11 names, neither ALL, nor CAP_NET_RAW, nor CAP_MKNOD, nor CAP_AUDIT_WRITE
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie podman=5.4.2+ds1-2+b2 crun catatonit busybox-static
with_podman "$work/trixie" '
	podman create --name profiled --network none --cap-drop ALL --cap-add NET_ADMIN localhost/finding sleep 1 >/dev/null
	podman generate kube profiled' >"$work/kube.yaml"
listed() { # MEMBER
	sed -n "/^ *$1:/,/^ *[a-z]*:/s/^ *- //p" "$work/kube.yaml"
}
expect 'added' CAP_NET_ADMIN "$(listed add)"
expect 'dropped' "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_NET_BIND_SERVICE CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT" \
	"$(listed drop | sort | xargs)"
