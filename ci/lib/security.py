"""The numbered claims of SECURITY.md, and the tests that it names for each."""

import re

from sources import read


def claims_of_page():
    """(number, text, cell of tests) for each claim, in order."""
    section = read("SECURITY.md").split("\n## Claims\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|$", section, re.MULTILINE)
    if [int(row[0]) for row in rows] != list(range(1, len(rows) + 1)):
        raise SystemExit("the claims of SECURITY.md are not numbered one after another")
    return [(int(number), text, tests) for number, text, tests in rows]


def pattern_of(name):
    """The tests of ctest that a name in SECURITY.md stands for, or None if it stands for none."""
    if re.fullmatch(r"(exhaustive|torture|props|fuzz)\.[a-z_.*]+", name):
        words = re.escape(name).replace(r"\*", ".*")
        return rf"^{words}(\..*)?$"
    if re.fullmatch(r"[A-Z]\w*\.[\w*]+", name):
        words = re.escape(name).replace(r"\*", r"\w*")
        # A suite of a test with parameters has a prefix, a test of it a suffix; on the newer libuv
        # all have one more, and so have the unit tests.
        return rf"^(unit\.)?(\w+/)?{words}(/.*)?(\.on-libuv.*)?$"
    return None
