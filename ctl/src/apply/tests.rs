//! Tests of the text that `apply` writes into files.

use super::*;
use capprof_profile::Capability;
use snapbox::assert_data_eq;

fn parts() -> Parts {
    Parts {
        set: [Capability::CHOWN, Capability::NET_BIND_SERVICE]
            .into_iter()
            .collect(),
        devices: vec![("/dev/net/tun".to_owned(), "rw".to_owned())],
        sysctls: vec![("net.ipv4.ip_forward".to_owned(), "1".to_owned())],
        ..Parts::default()
    }
}

fn of(kind: FileFormat, text: &str, name: &str) -> String {
    apply(kind, text, name, &parts()).unwrap().text
}

#[test]
fn a_service_keeps_its_comments_its_order_and_all_else() {
    let text = r#"# what we run
services:
  web:   # the front
    image: nginx:1.27
    # the vendor says so
    privileged: true
    cap_add:
      - NET_ADMIN # tunnels
      - cap_net_bind_service # port 80
    ports: ["80:80"]

  # the rest
  db:
    image: postgres
    privileged: true
volumes: {data: {}}
"#;
    assert_data_eq!(
        of(FileFormat::Compose, text, "web"),
        snapbox::str![[r#"
# what we run
services:
  web:   # the front
    image: nginx:1.27
    # the vendor says so
    cap_add:
      - cap_net_bind_service # port 80
      - "CHOWN"
    ports: ["80:80"]
    cap_drop: ["ALL"]
    devices: ["/dev/net/tun:/dev/net/tun:rw"]
    sysctls: ["net.ipv4.ip_forward=1"]

  # the rest
  db:
    image: postgres
    privileged: true
volumes: {data: {}}

"#]]
    );
}

#[test]
fn what_is_there_is_joined_and_not_said_twice() {
    let text = r#"services:
  web:
    image: nginx
    cap_drop: [ALL] # all of them
    devices:
      - /dev/kvm
      - "/dev/net/tun"
    sysctls:
      net.core.somaxconn: 1024
"#;
    let once = of(FileFormat::Compose, text, "web");
    assert_data_eq!(
        once.as_str(),
        snapbox::str![[r#"
services:
  web:
    image: nginx
    cap_drop: [ALL] # all of them
    devices:
      - /dev/kvm
      - "/dev/net/tun"
    sysctls:
      net.core.somaxconn: 1024
      net.ipv4.ip_forward: "1"
    cap_add: ["CHOWN", "NET_BIND_SERVICE"]

"#]]
    );
    assert_eq!(of(FileFormat::Compose, &once, "web"), once);
}

#[test]
fn what_a_service_merges_is_overruled() {
    let text = r#"x-base: &base
  privileged: true
  cap_add: [SYS_ADMIN]
services:
  web:
    <<: *base
    image: nginx
"#;
    let none = Parts::default();
    assert_data_eq!(
        apply(FileFormat::Compose, text, "web", &none).unwrap().text,
        snapbox::str![[r#"
x-base: &base
  privileged: true
  cap_add: [SYS_ADMIN]
services:
  web:
    <<: *base
    image: nginx
    privileged: false
    cap_drop: ["ALL"]
    cap_add: []

"#]]
    );
}

#[test]
fn what_cannot_be_edited_is_refused() {
    let error = |text: &str, name: &str| {
        apply(FileFormat::Compose, text, name, &parts())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("services: {web: {image: nginx}}\n", "web"),
        "line 1: service web is written in braces: write it over several lines"
    );
    assert_eq!(
        error("services:\n  web:\n    image: nginx\n", "db"),
        "no service \"db\" in it, but web"
    );
    assert!(error("services:\n  web: [\n", "web").starts_with("line "));
}

#[test]
fn a_container_gets_its_security_context() {
    let text = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          image: nginx # pinned elsewhere
          securityContext:
            privileged: true
            runAsGroup: 0 # why not
        - name: side
          image: busybox
          securityContext: {privileged: true, runAsUser: 5}
---
apiVersion: v1
kind: Pod
spec:
  containers:
  - image: nginx
    name: web
"#;
    assert_data_eq!(
        of(FileFormat::Kubernetes, text, "web"),
        snapbox::str![[r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          image: nginx # pinned elsewhere
          securityContext:
            runAsGroup: 0 # why not
            capabilities:
              drop: ["ALL"]
              add: ["CHOWN", "NET_BIND_SERVICE"]
        - name: side
          image: busybox
          securityContext: {privileged: true, runAsUser: 5}
---
apiVersion: v1
kind: Pod
spec:
  containers:
  - image: nginx
    name: web
    securityContext:
      capabilities:
        drop: ["ALL"]
        add: ["CHOWN", "NET_BIND_SERVICE"]

"#]]
    );
    let side = of(FileFormat::Kubernetes, text, "side");
    assert!(
        side.contains(
            "          securityContext:\n            runAsUser: 5\n            capabilities:\n"
        ),
        "{side}"
    );
}

#[test]
fn a_quadlet_gets_its_lines() {
    let text = "[Unit]\nDescription=web\n\n[Container]\nImage=nginx\n# as the vendor says\nPodmanArgs=--privileged --memory=1g\nAddCapability=NET_ADMIN\nSysctl=net.ipv4.ip_forward=0\n\n[Install]\nWantedBy=multi-user.target\n";
    let once = of(FileFormat::Quadlet, text, "web");
    assert_data_eq!(
        once.as_str(),
        snapbox::str![[r#"
[Unit]
Description=web

[Container]
Image=nginx
# as the vendor says
PodmanArgs=--memory=1g
DropCapability=all
AddCapability=CHOWN NET_BIND_SERVICE
Sysctl=net.ipv4.ip_forward=0
AddDevice=/dev/net/tun:/dev/net/tun:rw

[Install]
WantedBy=multi-user.target

"#]]
    );
    assert_eq!(of(FileFormat::Quadlet, &once, "web"), once);
}

#[test]
fn a_service_unit_gets_its_sets() {
    let text = "[Service]\nExecStart=/usr/sbin/web \\\n  --port 80\nCapabilityBoundingSet=CAP_SYS_ADMIN \\\n  CAP_CHOWN\nUser=web";
    let mut parts = parts();
    parts.ambient.insert(Capability::NET_BIND_SERVICE);
    let edited = apply(FileFormat::Systemd, text, "web", &parts)
        .unwrap()
        .text;
    assert_data_eq!(
        edited,
        snapbox::str![[r#"
[Service]
ExecStart=/usr/sbin/web /
  --port 80
CapabilityBoundingSet=CAP_CHOWN CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
User=web
"#]]
    );
}

#[test]
fn a_file_is_known_by_its_name_and_content() {
    let kind = |name: &str, text: &str| kind(Path::new(name), text);
    assert_eq!(kind("web.container", "").unwrap(), FileFormat::Quadlet);
    assert_eq!(kind("web.service", "").unwrap(), FileFormat::Systemd);
    assert_eq!(kind("a.yaml", "services: {}").unwrap(), FileFormat::Compose);
    assert_eq!(kind("a.yaml", "kind: Pod").unwrap(), FileFormat::Kubernetes);
    assert!(matches!(kind("a.yaml", "a: b"), Err(Error::Kind)));
}

/// The container had a limit, and within it the kernel did not check a capability.
#[test]
fn a_limit_in_the_place_of_a_capability_is_added_once() {
    let with = |kind: FileFormat, text: &str, limits: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let parts = Parts {
            limits: limits.iter().map(owned).collect(),
            ..Parts::default()
        };
        let once = apply(kind, text, "web", &parts).map(|edited| edited.text);
        if let Ok(once) = &once {
            assert_eq!(&apply(kind, once, "web", &parts).unwrap().text, once);
        }
        once.map_err(|error| error.to_string())
    };
    let two = &[("memlock", "-1"), ("rtprio", "{soft: 1, hard: 99}")];
    assert_data_eq!(
        with(
            FileFormat::Compose,
            "services:\n  web:\n    image: qemu\n",
            two
        )
        .unwrap(),
        snapbox::str![[r#"
services:
  web:
    image: qemu
    cap_drop: ["ALL"]
    ulimits: {memlock: -1, rtprio: {soft: 1, hard: 99}}

"#]]
    );
    let text = "services:\n  web:\n    image: qemu\n    ulimits:\n      nofile: 1024\n      memlock: 65536 # a page\n";
    assert_data_eq!(
        with(FileFormat::Compose, text, two).unwrap(),
        snapbox::str![[r#"
services:
  web:
    image: qemu
    ulimits:
      nofile: 1024
      memlock: 65536 # a page
      rtprio: {soft: 1, hard: 99}
    cap_drop: ["ALL"]

"#]]
    );
    let text = "services:\n  web:\n    image: qemu\n    ulimits: {nofile: 1024}\n";
    let error = with(FileFormat::Compose, text, two).unwrap_err();
    assert!(error.contains("ulimits of service web"), "{error}");
    assert_data_eq!(
        with(
            FileFormat::Quadlet,
            "[Container]\nImage=qemu\n",
            &[("memlock", "-1:-1")]
        )
        .unwrap(),
        snapbox::str![[r#"
[Container]
Image=qemu
DropCapability=all
Ulimit=memlock=-1:-1

"#]]
    );
    assert_data_eq!(
        with(
            FileFormat::Systemd,
            "[Service]\nExecStart=/usr/bin/qemu\n",
            &[("LimitMEMLOCK", "infinity")]
        )
        .unwrap(),
        snapbox::str![[r#"
[Service]
ExecStart=/usr/bin/qemu
CapabilityBoundingSet=
LimitMEMLOCK=infinity

"#]]
    );
}
