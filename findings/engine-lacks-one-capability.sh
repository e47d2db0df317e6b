#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An engine may itself lack a capability of its default set: in another container, or because of CapabilityBoundingSet= in its unit. One would expect
# its containers to get the other capabilities.
#  - docker asks the runtime for its whole default set, and no container starts. It also refuses to drop the capability that it lacks. So
#    `--privileged` and `--cap-add ALL` work where narrower command lines do not; otherwise only `--cap-drop ALL` with a list works.
#  - podman leaves out the capability that it lacks, even if `--cap-add` names it, with exit status 0 and without a message.
# So one engine refuses a set of capabilities that the other silently does not grant. Look at the engine's CapBnd first.
#
# Seen on 2026-11-27, engine without CAP_KILL (0x20), effective set:
#                                      docker 26.1.5                podman 5.4.2
#     (no option)                      unable to apply caps         800405db
#     --cap-drop KILL                  invalid CapDrop              800405db
#     --cap-drop ALL --cap-add KILL    invalid CapAdd               0
#     --cap-drop ALL --cap-add CHOWN   1                            1
#     --cap-add ALL                    full                         full
#     --privileged                     full                         full
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit \
	util-linux busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)
full=$(printf %x $((0x$full & ~0x20)))

# shellcheck disable=SC2016  # expanded by the inner shell
script='for options in "" "--cap-drop KILL" "--cap-drop ALL --cap-add KILL" "--cap-drop ALL --cap-add CHOWN" "--cap-add ALL" --privileged; do
		ENGINE run --rm --network none $options finding grep CapEff /proc/self/status 2>/run/err ||
			grep -Eo "unable to apply caps|invalid Cap(Add|Drop)|Error: .*" /run/err
	done'
seen() {
	sed "s/^CapEff:\t*0*\(.\)/\1/; s/^$full\$/full/"
}
# shellcheck disable=SC2016  # expanded by the inner shell
docker='kill $daemon
	wait
	/usr/bin/setpriv --bounding-set -kill dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs >/run/dockerd.log 2>&1 &
	daemon=$! tries=0
	until docker version >/dev/null 2>&1; do
		[ $((tries += 1)) -lt 100 ] || { tail -n 3 /run/dockerd.log >&2; exit 1; }
		sleep 0.2
	done
	'
# shellcheck disable=SC2016  # expanded by the inner shell
podman='podman() {
		/usr/bin/setpriv --bounding-set -kill podman --root /run/podman/root --runroot /run/podman/run --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"
	}
	'
expect 'docker 26.1.5' $'unable to apply caps\ninvalid CapDrop\ninvalid CapAdd\n1\nfull\nfull' "$(with_docker "$work/trixie" "$docker${script//ENGINE/docker}" | seen)"
expect 'podman 5.4.2' $'800405db\n800405db\n0\n1\nfull\nfull' "$(with_podman "$work/trixie" "$podman${script//ENGINE/podman}" | seen)"
