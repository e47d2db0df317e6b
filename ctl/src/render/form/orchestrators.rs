//! The set in the syntax of orchestrators, which run containers on many hosts.

use super::super::privileged::Replacement;
use super::engines::{kubernetes, quoted};
use super::input::FormInput;
use super::names::short_names;
use serde_json::json;

/// A strategic merge patch of a Deployment (kustomize, `patches`).
pub(super) fn kustomize(workload: &FormInput<'_>) -> String {
    let container = workload.plain_name().unwrap_or("CONTAINER");
    let context: String = kubernetes(workload, true)
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: DEPLOYMENT\nspec:\n  template:\n    spec:\n      containers:\n        - name: \
         {container}\n{context}"
    )
}

/// OpenShift, security.openshift.io/v1, with the limits of `restricted-v2` for everything but capabilities.
pub(super) fn scc(workload: &FormInput<'_>) -> String {
    let name = workload
        .plain_name()
        .map(|name| name.to_ascii_lowercase().replace(['_', '.'], "-"))
        .unwrap_or_else(|| "name".to_owned());
    let user = match workload.uid {
        0 => "RunAsAny",
        _ => "MustRunAsNonRoot",
    };
    format!(
        "apiVersion: security.openshift.io/v1\n\
         kind: SecurityContextConstraints\n\
         metadata:\n  name: capprof-{name}\n\
         allowPrivilegedContainer: false\n\
         allowPrivilegeEscalation: {}\n\
         requiredDropCapabilities: [\"ALL\"]\n\
         defaultAddCapabilities: []\n\
         allowedCapabilities: [{}]\n\
         allowHostDirVolumePlugin: false\n\
         allowHostIPC: false\n\
         allowHostNetwork: false\n\
         allowHostPID: false\n\
         allowHostPorts: false\n\
         readOnlyRootFilesystem: false\n\
         runAsUser:\n  type: {user}\n\
         seLinuxContext:\n  type: MustRunAs\n\
         fsGroup:\n  type: RunAsAny\n\
         supplementalGroups:\n  type: RunAsAny\n\
         seccompProfiles: [\"runtime/default\"]\n\
         priority: null\n\
         volumes: [\"configMap\", \"csi\", \"downwardAPI\", \"emptyDir\", \"ephemeral\", \"persistentVolumeClaim\", \"projected\", \"secret\"]\n",
        !workload.no_new_privileges,
        quoted(workload.minimized)
    )
}

/// One element of `containerDefinitions` (Amazon ECS, `LinuxParameters`, `SystemControl`).
pub(super) fn ecs(workload: &FormInput<'_>, beyond: &Replacement) -> String {
    let mut linux =
        json!({"capabilities": {"drop": ["ALL"], "add": short_names(workload.minimized)}});
    if !beyond.devices.is_empty() {
        let devices: Vec<_> = beyond
            .devices
            .iter()
            .map(|(path, access)| {
                let permissions: Vec<&str> = [('r', "read"), ('w', "write")]
                    .into_iter()
                    .filter(|(letter, _)| access.contains(*letter))
                    .map(|(_, word)| word)
                    .collect();
                json!({"hostPath": path, "containerPath": path, "permissions": permissions})
            })
            .collect();
        linux["devices"] = devices.into();
    }
    let mut definition = json!({
        "name": workload.plain_name().unwrap_or("NAME"),
        "image": workload.plain_image(),
        "privileged": false,
        "linuxParameters": linux,
    });
    if !beyond.sysctls.is_empty() {
        let controls: Vec<_> = beyond
            .sysctls
            .iter()
            .map(|(name, value)| json!({"namespace": name, "value": value}))
            .collect();
        definition["systemControls"] = controls.into();
    }
    format!("{definition:#}\n")
}

/// Nomad's docker driver: names in lower case, without `CAP_`.
pub(super) fn nomad(workload: &FormInput<'_>, beyond: &Replacement) -> String {
    let names: Vec<String> = short_names(workload.minimized)
        .into_iter()
        .map(|name| format!("\"{}\"", name.to_lowercase()))
        .collect();
    let mut text = format!(
        "config {{\n  image    = \"{}\"\n  cap_drop = [\"all\"]\n  cap_add  = [{}]\n",
        workload.plain_image(),
        names.join(", ")
    );
    if !beyond.devices.is_empty() {
        text.push_str("  devices = [\n");
        for (path, access) in &beyond.devices {
            text.push_str(&format!(
                "    {{ host_path = \"{path}\", container_path = \"{path}\", cgroup_permissions = \"{access}\" }},\n"
            ));
        }
        text.push_str("  ]\n");
    }
    if !beyond.sysctls.is_empty() {
        text.push_str("  sysctl = {\n");
        for (name, value) in &beyond.sysctls {
            text.push_str(&format!("    \"{name}\" = \"{value}\"\n"));
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}
