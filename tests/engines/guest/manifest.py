#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts a DaemonSet as a kubelet does: manifest.py FILE [ARGUMENT]...

Prints requests for the container runtime interface, one JSON a line: the pod's sandbox, then each container, the init
containers first; makes the directories of the volumes. With arguments, the init containers get these instead of their
own. It knows only the members that the DaemonSet of packaging/kubernetes uses; anything else is an error.
"""

import json
import os
import sys

import yaml


def only(mapping, known, where):
    unknown = set(mapping) - set(known)
    if unknown:
        sys.exit(f"manifest.py: {where}: does not know {', '.join(sorted(unknown))}")
    return mapping


def security(context, host_pid):
    only(context, ["privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities", "seLinuxOptions"], "securityContext")
    answer = {
        "privileged": context.get("privileged", False),
        "readonlyRootfs": context.get("readOnlyRootFilesystem", False),
        "noNewPrivs": not context.get("allowPrivilegeEscalation", True),
        "capabilities": {"dropCapabilities": context.get("capabilities", {}).get("drop", [])},
        "seccomp": {"profileType": "Unconfined"},
        "namespaceOptions": {"network": "NODE", "pid": "NODE" if host_pid else "CONTAINER"},
    }
    if "seLinuxOptions" in context:
        answer["selinuxOptions"] = context["seLinuxOptions"]
    return answer


def volume(entry, pod):
    """The directory of the node for a volume."""
    if "emptyDir" in entry:
        path = f"/var/lib/kubelet/pods/{pod}/volumes/kubernetes.io~empty-dir/{entry['name']}"
    else:
        only(entry["hostPath"], ["path", "type"], "hostPath")
        path = entry["hostPath"]["path"]
    os.makedirs(path, exist_ok=True)
    return path


def container(entry, volumes, host_pid, arguments):
    only(entry, ["name", "image", "args", "env", "securityContext", "resources", "volumeMounts"], "container")
    mounts = [
        {
            "containerPath": mount["mountPath"],
            "hostPath": volumes[only(mount, ["name", "mountPath", "readOnly"], "volumeMounts")["name"]],
            "readonly": mount.get("readOnly", False),
        }
        for mount in entry.get("volumeMounts", [])
    ]
    return {
        "metadata": {"name": entry["name"]},
        "image": {"image": f"localhost/{entry['image']}:latest"},
        "args": arguments or entry["args"],
        "envs": [{"key": variable["name"], "value": variable["value"]} for variable in entry.get("env", [])],
        "mounts": mounts,
        "logPath": f"{entry['name']}.log",
        "linux": {"securityContext": security(entry.get("securityContext", {}), host_pid)},
    }


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        daemonset = yaml.safe_load(file)
    spec = only(
        daemonset["spec"]["template"]["spec"],
        ["nodeSelector", "automountServiceAccountToken", "hostPID", "initContainers", "containers", "volumes"],
        "pod",
    )
    name = daemonset["metadata"]["name"]
    host_pid = spec.get("hostPID", False)
    containers = [(entry, sys.argv[2:]) for entry in spec["initContainers"]] + [(entry, []) for entry in spec["containers"]]
    privileged = any(entry.get("securityContext", {}).get("privileged") for entry, _ in containers)
    print(json.dumps({
        "metadata": {"name": name, "namespace": "capprof", "uid": f"{name}-uid"},
        "logDirectory": f"/var/log/pods/{name}",
        "linux": {"securityContext": {"privileged": privileged, "namespaceOptions": {"network": "NODE", "pid": "NODE" if host_pid else "CONTAINER"}}},
    }))
    volumes = {entry["name"]: volume(entry, f"{name}-uid") for entry in spec["volumes"]}
    for entry, arguments in containers:
        print(json.dumps(container(entry, volumes, host_pid, arguments)))


if __name__ == "__main__":
    main()
