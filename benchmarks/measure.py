"""Rounds, ratios and verdicts.

Contestants are measured in turn, round by round, and a ratio is taken within a round: machine and disk drift by a
factor of two over minutes, which a ratio of two moments side by side does not see.
"""

from dataclasses import dataclass, field
from statistics import median

from load import Run

AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Target:
    """A row of the table: what is measured, what it must reach and what it should."""
    name: str
    what: str
    unit: str
    sense: str
    required: float | None = None
    aim: float | None = None

    def reached(self, value, mark):
        """Whether the value is as good as the mark."""
        return value >= mark if self.sense == AT_LEAST else value <= mark


@dataclass
class Row:
    """A row as it was measured."""
    target: Target
    values: list
    faults: list = field(default_factory=list)
    note: str = ""

    def value(self):
        """The median, or nothing when nothing was measured."""
        return median(self.values) if self.values else None

    def verdict(self):
        """`failed` (a run did not count), `missed`, `met`, `aim`, or `-` where nothing is required."""
        if self.faults:
            return "failed"
        if self.target.required is None or not self.values:
            return "-"
        # A figure that is printed as reaching the mark counts as reaching it.
        value = round(self.value(), 3)
        if not self.target.reached(value, self.target.required):
            return "missed"
        aim = self.target.aim
        return "aim" if aim is not None and self.target.reached(value, aim) else "met"


class Rounds:
    """What each contestant showed, round by round."""

    def __init__(self):
        self.values = {}
        self.faults = []

    def add(self, name, run, number):
        """Takes one measurement."""
        self.values.setdefault(name, []).append(run.value)
        self.faults += [f"{name}, round {number + 1}: {fault}" for fault in run.faults]

    def faults_of(self, *names):
        """The faults of these contestants."""
        return [fault for fault in self.faults if fault.split(",")[0] in names]

    def ratio(self, upper, lower):
        """upper ÷ lower, round by round."""
        return [one / other if other else 0.0
                for one, other in zip(self.values[upper], self.values[lower], strict=True)]

    def median(self, name):
        """The median of one contestant."""
        return median(self.values[name])


def interleave(rounds, contestants, into=None):
    """Measures each contestant once a round; a different one goes first in each.

    A contestant gives a figure, or several by what is to be added to its name.
    """
    measured = into or Rounds()
    names = list(contestants)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found = contestants[name]()
            for suffix, run in (found if isinstance(found, dict) else {"": found}).items():
                measured.add(name + suffix, run if isinstance(run, Run) else Run(run), number)
    return measured


def against_best(target, measured, kind, peers, less_is_better, scale=1.0, unit=""):
    """A row of the service against the peer whose median is best; what each showed is in the note."""
    names = {peer: f"{peer}-{kind}" for peer in ("service", *peers)}
    best = (min if less_is_better else max)(peers, key=lambda peer: measured.median(names[peer]))
    pair = (names["service"], names[best])
    shown = {peer: measured.median(name) * scale for peer, name in names.items()}
    note = ", ".join(f"{peer} {value:,.{0 if value >= 100 else 3}f}{unit}" for peer, value in shown.items())
    return Row(target, measured.ratio(*(reversed(pair) if less_is_better else pair)),
               measured.faults_of(*(name.removesuffix("-cost") for name in names.values())), f"best peer: {best}; {note}")
