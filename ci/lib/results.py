"""What the tests said when they ran last, from what ctest, ci/test and ci/prove left in build."""

import re
import time
import xml.etree.ElementTree

from security import pattern_of
from sources import ROOT, read, tree

BUILD = ROOT / "build"
# The name of a test with parameters is followed by "  # GetParam() = ...".
_LINE = re.compile(r"^ *\d+/\d+ Test +#\d+: (\S+)(?:  #.*?)? ?\.*(\*\*\*|   )([A-Za-z][A-Za-z ]*?) +\d+\.\d+ sec",
                   re.MULTILINE)
_ENTRY = re.compile(r"^\d+/\d+ Testing: (\S+).*?^Test (Passed|Failed|Timeout|Not Run)", re.MULTILINE | re.DOTALL)


def _outcome(word):
    word = word.strip().lower()
    return word if word in ("passed", "skipped") else "failed"


def _of_junit(path):
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            yield case.get("name"), "skipped"
        else:
            failed = case.find("failure") is not None or case.find("error") is not None
            yield case.get("name"), "failed" if failed or case.get("status") == "fail" else "passed"


def _sources():
    """(preset, file) of all that ctest wrote, the oldest first."""
    found = [(path.parts[-4], path) for path in BUILD.glob("*/Testing/Temporary/LastTest.log")]
    for path in [*BUILD.glob("logs/**/*.log"), *BUILD.glob("logs/**/*.xml"), *BUILD.glob("*/*.xml")]:
        preset = re.match(r"(?:prove-|server-of-)?([a-z]+)", path.name if path.parent.name == "logs" else path.parent.name)
        if preset:
            found.append((preset.group(1), path))
    return sorted(found, key=lambda each: each[1].stat().st_mtime)


def last_results():
    """By preset and test: its last outcome, and when that was; of one run several times at once, the worst."""
    results = {}
    for preset, path in _sources():
        when = path.stat().st_mtime
        try:
            if path.suffix == ".xml":
                outcomes = list(_of_junit(path))
            else:
                text = path.read_text(encoding="utf-8", errors="replace")
                outcomes = [(name, _outcome(word)) for name, word in _ENTRY.findall(text)]
                outcomes += [(name, _outcome(word)) for name, _, word in _LINE.findall(text)]
        except (xml.etree.ElementTree.ParseError, OSError):
            continue
        for name, outcome in outcomes:
            if results.get((preset, name), ("", 0))[1] != when or outcome == "failed":
                results[preset, name] = outcome, when
    return results


def _suites_in(folder):
    text = "".join(read(name) for name in tree() if name.startswith(f"{folder}/") and name.endswith(".cpp"))
    return sorted(set(re.findall(r"^TEST(?:_F|_P)?\((\w+),", text, re.MULTILINE)))


def _compiled(source):
    """When a source that is only compiled was compiled, after it and the table had changed."""
    newest = max((ROOT / name).stat().st_mtime for name in (source, "src/core/transitions.hpp"))
    times = [path.stat().st_mtime for path in BUILD.glob(f"*/**/{source.rsplit('/', 1)[1]}.o")]
    times = [when for when in times if when > newest]
    return f"compiled {_date(max(times))}" if times else "not run"


def _date(when):
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def verdict_of(name, results):
    """(what is said of it, whether it failed) for a name that SECURITY.md gives as a test, or None."""
    if name.endswith(".cpp"):
        return _compiled(name), False
    if (ROOT / name).is_dir():
        patterns = [pattern_of(f"{suite}.*") for suite in _suites_in(name)]
    elif pattern_of(name) is not None:
        patterns = [pattern_of(name)]
    else:
        return None  # a preset, or an option of the program
    wanted = re.compile("|".join(patterns))
    by_preset = {}
    for (preset, test), (outcome, when) in results.items():
        if wanted.search(test):
            by_preset.setdefault(preset, []).append((outcome, when))
    said = []
    failed = False
    for preset, runs in sorted(by_preset.items()):
        outcomes = [outcome for outcome, _ in runs]
        failed = failed or "failed" in outcomes
        told = [f"{outcomes.count(kind)} {kind}" for kind in ("passed", "failed", "skipped") if kind in outcomes]
        said.append(f"{preset}: {', '.join(told)}, {_date(max(when for _, when in runs))}")
    return "; ".join(said) or "not run", failed
