"""The figures of docs/audit.md that are counted: lines of what must be believed, minutes of the tours.

A table between `<!-- figures: ... -->` and `<!-- end of figures -->` names files in backticks; the last
words of a row are then counted. The page has rounded figures, which may be a tenth off.
"""

import re

from sources import ROOT, lines_of, read, tree

PAGE = "docs/audit.md"
FAST, SLOW = 15, 12  # lines a minute
_TABLE = re.compile(r"<!-- figures: (\w+) -->\n(.*?)<!-- end of figures -->", re.DOTALL)
_PATH = r"`([\w./-]+/[\w./-]*)`"


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def lines_of_cell(cell):
    """Lines of the files that a cell names; of a file that is followed by "up to `text`", those before it."""
    total = 0
    for path, end in re.findall(_PATH + r"(?: up to `([^`]+)`)?", cell):
        if end:
            total += read(path).split(end)[0].count("\n")
        elif (ROOT / path).is_dir():
            total += lines_of([path])
        elif path in tree():
            total += read(path).count("\n")
        else:
            raise SystemExit(f"{PAGE}: {path} does not exist")
    return total


def tables():
    """(kind, rows) for each table of figures; a row is (cells, lines), without the head."""
    walked = 0
    for kind, text in _TABLE.findall(read(PAGE)):
        rows = []
        for line in text.strip().splitlines()[2:]:
            cells = cells_of(line)
            if cells[0] == "**together**":
                lines = walked
            else:
                lines = lines_of_cell(cells[0] if kind == "tour" else cells[1])
                walked += lines if kind == "tour" else 0
            rows.append((cells, lines))
        yield kind, rows


def rounded(number):
    """To two digits."""
    digits = max(0, len(str(number)) - 2)
    return f"{round(number / 10 ** digits) * 10 ** digits:,}"


def minutes(lines):
    def told(time):
        return f"{time} min" if time < 60 else f"{time // 60} h {time % 60:02}"
    return f"{told(round(lines / FAST))} to {told(round(lines / SLOW))}"


def figures_of(kind, lines):
    if kind == "tour":
        return [rounded(lines), minutes(lines)]
    return [rounded(lines) if lines else "none"]


def renewed():
    """The page with figures of now."""
    fresh = iter(tables())

    def table(match):
        kind, rows = next(fresh)
        lines = match.group(2).strip().splitlines()[:2]
        for cells, count in rows:
            cells[2:2 + len(figures_of(kind, count))] = figures_of(kind, count)
            lines.append("| " + " | ".join(cells).rstrip() + " |")
        return f"<!-- figures: {kind} -->\n\n" + "\n".join(lines) + "\n\n<!-- end of figures -->"
    return _TABLE.sub(table, read(PAGE))


def _off(said, true):
    return abs(said - true) > max(true / 5, 1)


def _minutes(text):
    """The two times of a cell such as "50 min to 1 h 02"."""
    return [int(hours or 0) * 60 + int(rest) for hours, rest in re.findall(r"(?:(\d+) h )?(\d+)", text)]


def problems():
    """Figures of the page that are more than a fifth off."""
    found = []
    for kind, rows in tables():
        for cells, count in rows:
            wrong = _off(int(re.sub(r"\D", "", cells[2]) or 0), count)
            if kind == "tour":
                said, true = _minutes(cells[3]), _minutes(minutes(count))
                wrong = wrong or len(said) != 2 or any(_off(*each) for each in zip(said, true))
            if wrong:
                told = ", ".join(figures_of(kind, count))
                found.append(f"{PAGE}: {cells[0]}: says {cells[2]}, and it is {told}: run ci/audit --write")
    return found
