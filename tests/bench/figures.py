"""Figures: what was measured, its floor in the same run, the ratio, and the goal."""
import json
import os
import statistics


class Figure:
    """floor, goal may be None. goal: (">=" or "<=", number), of the ratio where there is a floor, of
    the value where there is none."""

    rss_mib = None  # of paneld, after it
    cpu_s = None  # that paneld has used since its start
    latency = None  # quantiles by name, in ms

    def __init__(self, name, value, unit, floor=None, goal=None, spread=None, note=""):
        self.name = name
        self.value = value
        self.unit = unit
        self.floor = floor
        self.goal = goal
        self.spread = spread
        self.note = note

    @property
    def ratio(self):
        return self.value / self.floor if self.floor else None

    @property
    def met(self):
        if self.goal is None or self.floor == 0:  # a floor too low to be measured judges nothing
            return None
        sign, limit = self.goal
        judged = self.value if self.floor is None else self.ratio
        return judged >= limit if sign == ">=" else judged <= limit

    def as_json(self):
        return {"name": self.name, "value": self.value, "unit": self.unit, "floor": self.floor,
                "ratio": self.ratio, "goal": "".join(map(str, self.goal)) if self.goal else None,
                "met": self.met, "spread": self.spread, "note": self.note, "rss_mib": self.rss_mib,
                "cpu_s": self.cpu_s, "latency": self.latency}


def number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def table(figures):
    lines = [f"{'':52} {'value':>10} {'unit':6} {'floor':>10} {'ratio':>6} {'goal':>9}  met  spread"]
    for f in figures:
        goal = f"{f.goal[0]} {number(f.goal[1])}" if f.goal else ""
        met = {None: "", True: "yes", False: "NO"}[f.met]
        spread = f"±{f.spread * 100:.0f} %" if f.spread is not None else ""
        lines.append(f"{f.name:52} {number(f.value):>10} {f.unit:6} {number(f.floor):>10} "
                     f"{number(f.ratio):>6} {goal:>9}  {met:4} {spread} {f.note}".rstrip())
    return "\n".join(lines)


def write_json(path, figures, **more):
    with open(path, "w") as out:
        json.dump({"cores": os.cpu_count(), "figures": [f.as_json() for f in figures], **more}, out,
                  indent=1)
        out.write("\n")


def median(values):
    """(median, half the distance between the lowest and highest as a part of it)"""
    middle = statistics.median(values)
    return middle, (max(values) - min(values)) / 2 / middle if middle else 0.0


def compare(name, unit, measure, floor_measure, rounds, goal):
    """A figure from interleaved rounds of both, so that both see the same noise."""
    values, floors = [], []
    for _ in range(rounds):
        floors.append(floor_measure())
        values.append(measure())
    value, spread = median(values)
    return Figure(name, value, unit, statistics.median(floors), goal, spread)
