#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# In `privileged: ${PRIVILEGED:-false}` docker-compose replaces the variable and then reads the value as a boolean, which is the member's type.
# podman-compose keeps the text "false", which is not empty, and passes `--privileged`; it does the same with `read_only`. So a service that gets few
# capabilities under docker-compose gets all of them under podman-compose, and its `cap_drop` has no effect (privileged-and-cap-drop.sh). Write the
# value itself, or check the container with `podman inspect`.
#
# Seen on 2026-11-27, PRIVILEGED not set; what the container gets:
#                                docker-compose 2.26.1             podman-compose 1.6.0
#     ${PRIVILEGED:-false}       -                                 --privileged
#     false                      -                                 -
#     read_only: ${RO:-false}    -                                 --read-only
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker-compose=2.26.1-4 podman=5.4.2+ds1-2+b2 crun catatonit python3-yaml python3-dotenv busybox-static
python3 -m pip download --quiet --no-deps --dest "$work" podman-compose==1.6.0 2>"$work/err" || skip "podman-compose 1.6.0 is not to be had: $(tail -n 1 "$work/err")"
mkdir -p "$work/shared"
python3 -m zipfile -e "$work"/podman_compose-1.6.0-py3-none-any.whl "$work/shared"

# shellcheck disable=SC2016  # expanded by podman-compose and docker-compose
script='
	mkdir -p /run/project
	cd /run/project
	for member in "privileged: \${PRIVILEGED:-false}" "privileged: false" "read_only: \${RO:-false}"; do
		printf "services:\n  finding:\n    image: localhost/finding\n    %s\n" "$member" >compose.yaml
		/usr/libexec/docker/cli-plugins/docker-compose config >config || exit
		grep -E "privileged|read_only" config || echo -
		PYTHONPATH=/shared /usr/bin/python3 -m podman_compose --verbose --dry-run up --detach >log 2>&1
		grep "podman create" log | grep -oE -e "--(privileged|read-only)" || echo -
	done'
expect 'compose' $'-\n--privileged\n-\n-\n-\n--read-only' "$(with_podman "$work/trixie" "$script")"
