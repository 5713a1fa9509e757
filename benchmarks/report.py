"""What came out: the table for people, results.json for scripts, the section of the documentation."""

import json
import platform
import re
from pathlib import Path

from measure import AT_LEAST, Row
from targets import TARGETS

# The tables of the page, by what precedes the names of their rows; a row is in the first that fits.
SECTIONS = {"pg-": ("<!-- benchmarks/run: postgresql begin -->", "<!-- benchmarks/run: postgresql end -->"),
            "": ("<!-- benchmarks/run: begin -->", "<!-- benchmarks/run: end -->")}
VERDICTS = {"aim": "aim reached", "met": "met", "missed": "MISSED", "failed": "FAILED RUN", "-": "for information"}
HEADER = ("row", "what", "median", "range", "required", "aim", "verdict")


def figure(number, unit):
    """A number with as many digits as it is worth."""
    if number is None:
        return "–"
    if unit == "×":
        return f"{number:.2f}×"
    return f"{number:.2f} {unit}" if number < 10 else f"{number:.0f} {unit}"


def mark(target, number):
    """What is required or aimed at."""
    if number is None:
        return "–"
    return f"{'≥' if target.sense == AT_LEAST else '≤'} {figure(number, target.unit)}"


def cells(row):
    """The row as it is printed."""
    target, unit = row.target, row.target.unit
    spread = "–"
    if len(row.values) > 1:
        spread = f"{figure(min(row.values), unit)} – {figure(max(row.values), unit)}"
    verdict = VERDICTS[row.verdict()] if row.values or row.faults else (row.note or "not measured")
    return (target.name, target.what, figure(row.value(), unit), spread,
            mark(target, target.required), mark(target, target.aim), verdict)


def table(rows):
    """The table for a terminal."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    for row in rows:
        if row.note and row.values:
            text.append(f"  {row.target.name}: {row.note}")
        text += [f"! {row.target.name}: {fault}" for fault in row.faults]
    return "\n".join(text)


def machine():
    """What it was measured on, without a name."""
    model, cores, memory = platform.processor(), 0, 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "model name":
            model = value
        cores += name == "processor"
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) / (1 << 20)
    return {"processor": model, "cores": cores, "memory_gib": round(memory, 1), "system": platform.system(),
            "kernel": platform.release()}


def results(rows, series, length, commit):
    """Everything, for scripts."""
    return {
        "commit": commit, "length": length, "machine": machine(),
        "rows": [{
            "name": row.target.name, "what": row.target.what, "unit": row.target.unit, "sense": row.target.sense,
            "required": row.target.required, "aim": row.target.aim, "median": row.value(), "values": row.values,
            "verdict": row.verdict(), "faults": row.faults, "note": row.note} for row in rows],
        "series": series,
    }


def read_rows(document):
    """The rows of a results.json."""
    return [Row(TARGETS[row["name"]], row["values"], row["faults"], row["note"]) for row in document["rows"]]


def write_docs(document, page, plots):
    """Fills those generated sections of the documentation that have a row now, and puts the plots beside it."""
    on = measured_on(document) + ", {} rounds of {} s.".format(*document["length"])
    left = read_rows(document)
    for prefix, (begin, end) in SECTIONS.items():
        rows = [row for row in left if row.target.name.startswith(prefix)]
        left = [row for row in left if row not in rows]
        if rows:
            fill(page, begin, end, [on, "", *markdown(rows)])
    for name, plot in plots.items():
        (page.parent / name).write_text(plot)


def measured_on(document):
    """The commit and the machine."""
    here = document["machine"]
    return (f"Commit {document['commit']}, {here['cores']} cores ({here['processor']}), {here['memory_gib']:.0f} GiB, "
            f"{here['system']} {here['kernel']}")


def fill(page, begin, end, lines):
    """Puts these lines between two marks of a page."""
    section = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text = page.read_text()
    if not section.search(text):
        raise ValueError(f"{page} has no section between {begin} and {end}")
    page.write_text(section.sub(lambda _: "\n".join([begin, "", *lines, "", end]), text))


def markdown(rows):
    """The table for the documentation, and what is to be said of its rows."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER),
             *("| " + " | ".join(cells(row)) + " |" for row in rows)]
    notes = [f"- `{row.target.name}`: {row.note}" for row in rows if row.note and row.values]
    return [*lines, "", *notes] if notes else lines


def write_results(directory, document, plots):
    """results.json and the plots."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    for name, plot in plots.items():
        (directory / name).write_text(plot)
