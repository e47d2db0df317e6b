#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The state that hooks read on standard input (runtime-spec, runtime.md, "State") differs between runc and crun.
#  - In prestart and createRuntime the status is `creating` under runc, and `created` under crun; in poststart it is `created` and `running`.
#  - In poststop runc leaves `pid` out, and crun writes 0.
#  - `ociVersion` is not the version of the container's configuration (here 1.0.2): runc gives the version that it implements, crun 1.0.
#
# Seen on 2026-11-27 (ociVersion, status, and pid if it is there):
#                  runc 1.3.6              crun 1.28
#     prestart     1.2.1 creating pid      1.0 created pid
#     poststart    1.2.1 created pid       1.0 running pid
#     poststop     1.2.1 stopped -         1.0 stopped 0
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["sh", "-c", "exit 0"]' \
	'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
amend "c['hooks'] = {kind: [{'path': '/usr/bin/busybox', 'args': ['busybox', 'dd', 'of=/shared/' + kind]}] for kind in ('prestart', 'poststart', 'poststop')}"

seen() { # RUNTIME [OPTION...]
	inside "$work/sid" "$@" --root /run/state run --bundle /shared/bundle finding >"$work/out" 2>&1
	python3 - "$work/shared" <<-'PYTHON'
		import json, sys
		for kind in ("prestart", "poststart", "poststop"):
		    state = json.load(open(f"{sys.argv[1]}/{kind}"))
		    print(kind, state["ociVersion"], state["status"], "pid" if state.get("pid") else state.get("pid", "-"))
	PYTHON
}

expect 'runc 1.3.6' $'prestart 1.2.1 creating pid\npoststart 1.2.1 created pid\npoststop 1.2.1 stopped -' "$(seen runc)"
expect 'crun 1.28' $'prestart 1.0 created pid\npoststart 1.0 running pid\npoststop 1.0 stopped 0' "$(seen crun --cgroup-manager=disabled)"
