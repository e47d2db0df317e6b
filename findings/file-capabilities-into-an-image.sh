#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program with file capabilities (setcap(8)) may lose them on the way into an image or a container, depending on the way and on the engine. docker's
# builder (not BuildKit) loses them with COPY, even from a stage that has them, and keeps them with ADD of a tar archive; `docker cp` keeps them too.
# podman always keeps them, even with `COPY --chown`, although chown(2) removes them. So the same Containerfile gives a user other than root the
# capability under one engine, and EPERM under the other.
#
# Seen on 2026-11-27, a file with cap_net_raw=ep; does it still have the capability:
#                            docker 26.1.5, its own builder    podman 5.4.2
#     COPY                   no                                yes
#     COPY --chown           no                                yes
#     COPY of a directory    no                                yes
#     ADD of a tar archive   yes                               yes
#     COPY --from=STAGE      no                                yes
#     cp into a container    yes                               yes
#     cp out of it           yes                               yes
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit \
	libcap2-bin tar busybox-static
printf 'root:x:0:0::/:/bin/sh\n' >"$work/trixie/etc/passwd"
printf 'root:x:0:\n' >"$work/trixie/etc/group"

# shellcheck disable=SC2016  # expanded by the inner shell
script='
	mkdir -p /run/context/directory /run/seen
	cd /run/context
	for file in file directory/file; do
		cp /usr/bin/busybox $file
		/usr/sbin/setcap cap_net_raw=ep $file
	done
	keep="/usr/bin/tar --xattrs --xattrs-include=*"
	$keep -cf archive.tar file
	printf "%s\n" "FROM IMAGE AS first" "COPY file /copy" "COPY --chown=1000 file /chown" "COPY directory /directory" "ADD archive.tar /archive/" \
		"FROM IMAGE" "COPY --from=first /archive/file /stage" >Dockerfile
	BUILD -t first --target first . >/run/log 2>&1 && BUILD -t second . >/run/log 2>&1 || { cat /run/log >&2; exit 1; }
	for image in first second; do
		ENGINE create --name of-$image PREFIX$image sleep 1 >/dev/null
		ENGINE export of-$image | $keep -C /run/seen -xf -
	done
	ENGINE cp file of-second:/in
	ENGINE export of-second | $keep -C /run/seen -xf -
	ENGINE cp of-second:/in /run/seen/out
	for file in copy chown directory/file archive/file stage in out; do
		[ -e /run/seen/$file ] || echo "no $file"
		[ "$(/usr/sbin/getcap /run/seen/$file)" = "/run/seen/$file cap_net_raw=ep" ] && echo yes || echo no
	done | xargs'
docker=${script//IMAGE/finding} docker=${docker//PREFIX/} docker=${docker//BUILD/DOCKER_BUILDKIT=0 docker build}
podman=${script//IMAGE/localhost/finding} podman=${podman//PREFIX/localhost/} podman=${podman//BUILD/podman build}
expect 'docker 26.1.5' 'no no no yes no yes yes' "$(with_docker "$work/trixie" "${docker//ENGINE/docker}")"
expect 'podman 5.4.2' 'yes yes yes yes yes yes yes' "$(with_podman "$work/trixie" "${podman//ENGINE/podman}")"
