"""Holds alert rules, dashboard and documentation to a scrape of the running service.

check.py SCRAPE ALERTS TESTS DASHBOARD DOCUMENTATION MANUAL: every metric and label that an expression names is in the
scrape, and the table of docs/METRICS.md names exactly what the scrape has, with its type and labels. Each alert fires in
the TESTS and has a paragraph in the MANUAL. Lists every fault; exit code 1.
"""

import json
import re
import sys
from pathlib import Path

# Known to Prometheus, or its blackbox exporter, and not to the service.
ITS_OWN_METRICS = {"up", "probe_ssl_earliest_cert_expiry"}
ITS_OWN_LABELS = {"job", "instance"}
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "inf", "nan"}
MADE = {"histogram": ("_bucket", "_sum", "_count")}


class Scrape:
    """What the service exposes: metric → type, sample's name → its labels."""

    def __init__(self, text):
        self.types, self.labels = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
                for suffix in MADE.get(kind, ("",)):
                    # Known without a sample: those of the shared database have none here.
                    self.labels.setdefault(name + suffix, {"le"} if suffix == "_bucket" else set())
            elif line and not line.startswith("#"):
                name = re.match(r"[a-z_]+", line)[0]
                self.labels[name] |= set(re.findall(r'[{,](\w+)="', line))

    def labels_of(self, metric):
        """The labels of a metric, those of its parts together, but for the bounds of buckets."""
        parts = (metric + suffix for suffix in MADE.get(self.types[metric], ("",)))
        return set().union(*(self.labels[part] for part in parts)) - {"le"}


def faults_of(expression, scrape):
    """What an expression of PromQL names that the scrape does not have."""
    expression = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    grouped = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    named = set()
    for name, matchers in re.findall(r"(?<![\w:$])([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?(?!\w*\s*\()", bare):
        if name in WORDS:
            continue
        named.add(name)
        if name in ITS_OWN_METRICS:
            continue
        if name not in scrape.labels:
            yield f"the metric {name} is not in the scrape"
            continue
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in scrape.labels[name] | ITS_OWN_LABELS:
                yield f"{name} has no label {label}"
    known = set().union(ITS_OWN_LABELS, *(scrape.labels.get(name, set()) for name in named))
    for label in (label.strip() for group in grouped for label in group.split(",") if label.strip()):
        if label not in known:
            yield f"none of {', '.join(sorted(named))} has the label {label}"
    if not named:
        yield f"no metric was found in {expression}"


def expressions_of_alerts(text):
    """The `expr` of each rule: a line, or the folded lines below it."""
    found, folded = [], None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if folded is not None and line.strip() and indent > folded:
            found[-1] += " " + line.strip()
            continue
        folded = None
        start = re.match(r"( *)expr: (.*)", line)
        if start:
            found.append("" if start[2] == ">-" else start[2])
            folded = indent
    return found


def of_manual(alerts, tests, manual):
    """Alerts that no test makes fire, or without a paragraph of the manual, and paragraphs without an alert."""
    named = set(re.findall(r"- alert: (\w+)", alerts))
    explained = re.findall(r"^### (Virksomhedslogin\w+)\n\n\w", manual, re.MULTILINE)
    for name in sorted(named ^ set(explained)):
        yield f"{name} is an alert or has a paragraph, and not both"
    for name in sorted(named - set(re.findall(r'alertname="(\w+)"[^}]*}\', value', tests))):
        yield f"no test makes {name} fire"


def walk(value):
    """Every object within this JSON."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def of_dashboard(board, scrape):
    """Faults of the dashboard's expressions, and data sources that only somebody else has."""
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield "there is no variable `datasource` to choose the data source by"
    seen = 0
    for part in walk(board):
        source = part.get("datasource")
        if source is not None and not (isinstance(source, dict) and source.get("uid") == "${datasource}"):
            yield f"a data source is hard-wired: {json.dumps(source)}"
        texts = [part["expr"]] if "expr" in part else []
        if isinstance(part.get("definition"), str):
            texts += re.findall(r"label_values\((.*), *\w+\)", part["definition"])
        for text in texts:
            seen += 1
            yield from faults_of(text, scrape)
    identifiers = [panel["id"] for panel in board["panels"]]
    if len(set(identifiers)) != len(identifiers):
        yield "two panels have the same id"
    if seen < 20:
        yield f"only {seen} expressions were found"


def of_documentation(text, scrape):
    """Where the table and the scrape differ."""
    rows = re.findall(r"^\| `((?:virksomhedslogin|process)_\w+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    if len(documented) != len(rows):
        yield "a metric stands twice in the table"
    for name in sorted(scrape.types.keys() - documented.keys()):
        yield f"{name} is in the scrape and not in the table"
    for name in sorted(documented.keys() - scrape.types.keys()):
        yield f"{name} is in the table and not in the scrape"
    for name in sorted(documented.keys() & scrape.types.keys()):
        if documented[name] != (scrape.types[name], scrape.labels_of(name)):
            yield f"{name} is documented as {documented[name]}, and is {(scrape.types[name], scrape.labels_of(name))}"


def main():
    """Prints every fault; the exit code."""
    names = ("scrape", "alerts", "tests", "dashboard", "documentation", "manual")
    files = dict(zip(names, map(Path, sys.argv[1:]), strict=True))
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    scrape = Scrape(texts["scrape"])
    alerts = expressions_of_alerts(texts["alerts"])
    found = [(files["alerts"], fault) for expression in alerts for fault in faults_of(expression, scrape)]
    if len(alerts) != texts["alerts"].count("- alert:"):
        found.append((files["alerts"], f"{len(alerts)} expressions were found"))
    found += [(files["manual"], fault) for fault in of_manual(texts["alerts"], texts["tests"], texts["manual"])]
    found += [(files["dashboard"], fault) for fault in of_dashboard(json.loads(texts["dashboard"]), scrape)]
    found += [(files["documentation"], fault) for fault in of_documentation(texts["documentation"], scrape)]
    for file, fault in found:
        print(f"{file}: {fault}")
    if not found:
        print(f"{len(scrape.types)} metrics: alerts ({len(alerts)}), dashboard and table name nothing else")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
