"""Holds what kustomize renders of deploy/kubernetes to Kubernetes' schemas, and to what the service needs.

check.py WHEEL CONFIGURATION NAME=FILE...: WHEEL holds the published schemas; CONFIGURATION is the commented reference, for
the defaults. Lists every fault of each rendered FILE. Then breaks each FILE in turn, and every such fault must be seen.
"""

import json
import re
import sys
import zipfile
from pathlib import Path

import jsonschema
import yaml

# The oldest that has `preStop.sleep` without a feature gate, and the newest that the wheel has.
VERSIONS = ("1.30.0", "1.37.0")
SERVICE_MONITOR = {
    "spec": {"selector", "endpoints", "namespaceSelector", "jobLabel"},
    "endpoint": {"port", "path", "interval", "scrapeTimeout", "scheme"},
}


def validators(wheel):
    """(version, apiVersion, kind) → what validates it, strictly: a field that is not known is a fault."""
    found = {}
    for version in VERSIONS:
        path = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/_definitions.json"
        schemas = json.loads(zipfile.ZipFile(wheel).read(path))
        for name, schema in schemas["$defs"].items():
            names = [schema.get("properties", {}).get(key, {}).get("enum") for key in ("apiVersion", "kind")]
            if all(names):
                whole = {"$schema": schemas["$schema"], "$defs": schemas["$defs"], "$ref": f"#/$defs/{name}"}
                found[version, names[0][0], names[1][0]] = jsonschema.Draft202012Validator(whole)
    return found


def of_schemas(documents, known):
    """What the schemas reject. A ServiceMonitor is a custom resource, in none of them: its fields are listed here."""
    for document in documents:
        kind = document["apiVersion"], document["kind"]
        if kind == ("monitoring.coreos.com/v1", "ServiceMonitor"):
            endpoints = document["spec"]["endpoints"]
            unknown = set(document["spec"]) - SERVICE_MONITOR["spec"]
            unknown |= set().union(*endpoints) - SERVICE_MONITOR["endpoint"]
            if unknown:
                yield f"ServiceMonitor: {sorted(unknown)}"
            continue
        for version in VERSIONS:
            if (version, *kind) not in known:
                yield f"{version} does not know {kind}"
                continue
            for error in known[version, *kind].iter_errors(document):
                yield f"{version} {kind[1]}: {error.json_path}: {error.message[:200]}"


def of_pod(pod, defaults):
    """What a pod of a cluster that trusts nothing must say, and the service's own needs."""
    (container,) = pod["containers"]
    own, shared = container.get("securityContext", {}), pod.get("securityContext", {})
    expected = {
        "runAsNonRoot": shared.get("runAsNonRoot") is True,
        "any user id": not {"runAsUser", "runAsGroup"} & (own.keys() | shared.keys()),
        "seccomp": shared.get("seccompProfile") == {"type": "RuntimeDefault"},
        "read-only root": own.get("readOnlyRootFilesystem") is True,
        "no escalation": own.get("allowPrivilegeEscalation") is False,
        "no capability": own.get("capabilities") == {"drop": ["ALL"]},
        "no token of the cluster": pod.get("automountServiceAccountToken") is False,
        "no variables of Services": pod.get("enableServiceLinks") is False,
        "requests": {"cpu", "memory"} <= container["resources"]["requests"].keys(),
        "an end to memory": "memory" in container["resources"]["limits"],
        "anti-affinity": "podAntiAffinity" in pod["affinity"],
        "no secret in a variable": all("value" in variable for variable in container["env"]),
    }
    yield from (f"the pod lacks: {name}" for name, holds in expected.items() if not holds)
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        if container.get(f"{probe}Probe", {}).get("httpGet") != {"path": path, "port": "management"}:
            yield f"the {probe} probe is another"
    if container["readinessProbe"]["timeoutSeconds"] <= defaults["deadline_seconds"]:
        yield "the readiness probe gives up before the store does"
    needed = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed += defaults["shutdown_timeout_seconds"] + 2 * defaults["deadline_seconds"]
    if pod["terminationGracePeriodSeconds"] < needed:
        yield f"it is killed before it has drained ({needed} s)"
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    if mounts != {volume["name"] for volume in pod["volumes"]}:
        yield "volumes and mounts differ"


def of_links(documents, pod, labels):
    """Names and selectors that lead nowhere, or elsewhere."""
    named = {(document["kind"], document["metadata"]["name"]) for document in documents}
    for volume in pod["volumes"]:
        for kind, key in (("ConfigMap", "configMap"), ("PersistentVolumeClaim", "persistentVolumeClaim")):
            if key in volume and (kind, volume[key].get("name") or volume[key]["claimName"]) not in named:
                yield f"there is no {kind} for {volume}"
    ports = {port["name"] for port in pod["containers"][0]["ports"]}

    def selects(selector, them):
        return bool(selector) and selector.items() <= them.items()

    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        selector = spec.get("podSelector" if kind == "NetworkPolicy" else "selector", {})
        if kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy"):
            selector = selector.get("matchLabels")
        if kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "Service") and not selects(selector, labels):
            yield f"{kind} {document['metadata']['name']} does not select the pods"
        if kind == "Service" and not {port["targetPort"] for port in spec["ports"]} <= ports:
            yield f"Service {document['metadata']['name']} names another port"
        if kind == "ServiceMonitor":
            wanted = spec["selector"]["matchLabels"]
            services = [other for other in documents
                        if other["kind"] == "Service" and selects(wanted, other["metadata"]["labels"])]
            # alerts.yml expects a job of this name.
            if [service["metadata"]["name"] for service in services] != ["virksomhedslogin-management"]:
                yield "the ServiceMonitor selects another Service"
            elif [end["port"] for end in spec["endpoints"]] != [port["name"] for port in services[0]["spec"]["ports"]]:
                yield "the ServiceMonitor names another port"
        if kind == "NetworkPolicy":
            if sorted(spec["policyTypes"]) != ["Egress", "Ingress"]:
                yield "the network policy leaves a way open"
            for rule in spec["ingress"]:
                is_open = not rule.get("from") or not all(peer.get("namespaceSelector") for peer in rule["from"])
                reached = {port["port"] for port in rule.get("ports", [])} or ports
                exporters = [peer.get("podSelector", {}).get("matchLabels") for peer in rule.get("from", [])]
                wanted = [{"app.kubernetes.io/name": "prometheus"}]
                if is_open or not reached <= ports or ("management" in reached and exporters != wanted):
                    yield f"the network policy lets others in: {rule}"


def faults(name, text, known, defaults):
    """Everything that is wrong in these documents."""
    documents = list(yaml.safe_load_all(text))
    yield from of_schemas(documents, known)
    (deployment,) = (document for document in documents if document["kind"] == "Deployment")
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    yield from of_pod(pod, defaults)
    yield from of_links(documents, pod, spec["template"]["metadata"]["labels"])
    kinds = {document["kind"] for document in documents}
    missing = {"ConfigMap", "Service", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor"} - kinds
    if missing:
        yield f"missing: {sorted(missing)}"
    strategy, replicas = spec["strategy"], spec["replicas"]
    group = pod["securityContext"].get("fsGroup")
    claims = [document["spec"]["accessModes"] for document in documents if document["kind"] == "PersistentVolumeClaim"]
    if name == "postgres":
        if (replicas, strategy["rollingUpdate"], claims) != (3, {"maxSurge": 1, "maxUnavailable": 0}, []):
            yield "three pods, replaced one by one, without a volume, are expected"
        if not any("secret" in volume for volume in pod["volumes"]):
            yield "the connection string is not a file of a Secret"
    elif (replicas, strategy, claims) != (1, {"type": "Recreate"}, [["ReadWriteOncePod"]]):
        yield "one pod, ended before the next one starts, with a volume of its own, is expected"
    if group != {"postgres": None, "embedded": 65532, "openshift": None}[name]:
        yield f"the group of the volume is {group}"


# What is wrong, how to make it so.
BROKEN = (
    ("a misspelt field", r"readOnlyRootFilesystem", "readOnlyRootFileSystem"),
    ("a field of the wrong type", r"maxUnavailable: 1\b", "maxUnavailable: [1]"),
    ("a writable root", r"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    ("a fixed user", r"runAsNonRoot: true", "runAsNonRoot: true\n        runAsUser: 65532"),
    ("capabilities", r"- ALL", "- CHOWN"),
    ("a probe on the API", r"path: /readyz\n +port: management", "path: /readyz\n            port: api"),
    ("no time to drain", r"terminationGracePeriodSeconds: 50", "terminationGracePeriodSeconds: 20"),
    ("a Service without pods", r"(?s)(kind: Service\n.*?selector:\n +app.kubernetes.io/name: )virksomhedslogin", r"\1other"),
    ("an unselected monitor", r"(?s)(kind: ServiceMonitor.*component: )management", r"\1other"),
    ("a monitor's misspelt field", r"interval: 30s", "intervall: 30s"),
    ("an export for all pods", r" +podSelector:\n +matchLabels:\n +app.kubernetes.io/name: prometheus\n", ""),
    ("a policy of the whole namespace", r"  podSelector:\n    matchLabels:\n      app[^\n]*\n", "  podSelector: {}\n"),
    ("a configuration that is not there", r"(kind: ConfigMap\n(?:.*\n)*?  name: virksomhedslogin-)\w+", r"\g<1>other"),
    ("another number of pods", r"replicas: \d", "replicas: 2"),
)


def main():
    """Prints every fault; the exit code."""
    reference = Path(sys.argv[2]).read_text(encoding="utf-8")
    defaults = {key: int(re.search(rf"^# {key} = (\d+)$", reference, re.M)[1])
                for key in ("shutdown_timeout_seconds", "deadline_seconds")}
    known = validators(sys.argv[1])
    found = False
    for name, file in (argument.split("=") for argument in sys.argv[3:]):
        text = Path(file).read_text(encoding="utf-8")
        for fault in faults(name, text, known, defaults):
            print(f"{name}: {fault}")
            found = True
        for what, pattern, replacement in BROKEN:
            broken = re.sub(pattern, replacement, text, count=1)
            if broken == text or not list(faults(name, broken, known, defaults)):
                print(f"{name}: not seen: {what}")
                found = True
        print(f"{name}: {text.count('kind: ') and len(list(yaml.safe_load_all(text)))} objects, {len(BROKEN)} broken ones seen")
    return found


if __name__ == "__main__":
    sys.exit(main())
