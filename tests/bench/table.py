"""Rows of results: what was measured, by whom, and whether the goal is reached."""

import statistics


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


class Row:
    """One line of the table. `values` maps a carrier's name to its rounds; the goal is
    a bound for mpcproxy: ("<=" or ">=", number, text)."""

    def __init__(self, part, what, unit, values, goal=None, subject="mpcproxy"):
        self.part, self.what, self.unit, self.values = part, what, unit, values
        self.goal, self.subject = goal, subject

    def median(self, name):
        return median(self.values.get(name, []))

    def reached(self):
        mine = self.median(self.subject)
        if self.goal is None or self.goal[1] is None or mine is None:
            return None
        return mine <= self.goal[1] if self.goal[0] == "<=" else mine >= self.goal[1]

    def as_dict(self):
        return {"part": self.part, "what": self.what, "unit": self.unit,
                "median": {name: self.median(name) for name in self.values},
                "rounds": self.values,
                "goal": None if self.goal is None else
                {"bound": self.goal[0], "value": self.goal[1], "text": self.goal[2]},
                "reached": self.reached()}


def number(value):
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def show(rows):
    """The table, as Markdown: it goes into doc/performance.md as it is."""
    names = []
    for row in rows:
        names += [n for n in row.values if n not in names]
    lines = [["", "unit", *names, "goal", "reached"]]
    for row in rows:
        verdict = {None: "", True: "yes", False: "NO"}[row.reached()]
        goal = "" if row.goal is None else f"{row.goal[0]} {number(row.goal[1])} ({row.goal[2]})"
        lines.append([f"{row.part}: {row.what}", row.unit,
                      *(number(row.median(n)) if n in row.values else "" for n in names),
                      goal, verdict])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths)) + " |"
                     for line in lines)
