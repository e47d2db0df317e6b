# SPDX-License-Identifier: Apache-2.0
"""Forms of engines that do not run here, held against what their makers publish: the schema of compose files, those of Kubernetes, and the model of the ECS
API. Each must also refuse a form with a word that does not exist, or it would say nothing."""

import copy
import json
import subprocess
import sys

PACKAGES = ("check-jsonschema==0.39.0", "kubernetes-validate==1.37.0", "botocore==1.44.8")
KUBERNETES = "1.37"


def install(folder):
    """The schemas, below target/."""
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, *PACKAGES], check=True)
    sys.path.insert(0, str(folder))


def compose(folder):
    import jsonschema

    schema = json.loads((folder / "check_jsonschema/builtin_schemas/vendor/compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)

    def problems(document):
        return [error.message for error in validator.iter_errors(document)]

    return problems


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
    """A pod with a container that has what the form says."""
    container = {"name": "a", "image": "b", **form}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}}


def deployment(patch):
    """What the patch is merged into has what a deployment must have."""
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
    """The same with another word where capabilities are dropped."""
    if isinstance(value, dict):
        changed = {{"drop": "dropp", "cap_drop": "cap_dropp"}.get(key, key): misspelt(one) for key, one in value.items()}
        return changed
    return [misspelt(one) for one in value] if isinstance(value, list) else value


def check(folder, form):
    """What is wrong with the forms that `form` gives by their names, a line each."""
    install(folder)
    import ruamel.yaml

    reader = ruamel.yaml.YAML(typ="safe")
    kinds = {
        "compose": (reader.load, dict, compose(folder)),
        "kubernetes": (reader.load, pod, kubernetes),
        "kustomize": (reader.load, deployment, kubernetes),
        "ecs": (json.loads, task, ecs),
    }
    wrong = []
    for kind, (read, whole, problems) in kinds.items():
        document = whole(read(form(kind)))
        wrong += [f"{kind}: {problem}" for problem in problems(document)]
        if not problems(misspelt(document)):
            wrong.append(f"{kind}: a word that does not exist is accepted")
    return wrong

