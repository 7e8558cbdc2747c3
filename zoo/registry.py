"""The registry of the zoo, specimens.json, as the scripts beside it see it."""
import dataclasses
import json
import os
import pathlib
import re
import resource
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPES = {"tutorial": "tutorial.c", "pooled": "pooled.c", "timed": "timed.c", "owners": "owners.cpp"}


@dataclasses.dataclass(frozen=True)
class Outcome:
    status: int       # 0: nothing was found
    text: str         # what was said on stderr
    seconds: float    # of processor time
    executions: int   # 0: not said


@dataclasses.dataclass(frozen=True)
class Specimen:
    name: str
    shape: str
    rule: list
    expected: list
    seen: str
    wrong: str
    needs: str = ""
    together: tuple = ()
    loopback: bool = False

    def found_in(self, outcome):
        return outcome.status != 0 and any(words in outcome.text for words in self.expected)


def specimens():
    rows = json.loads((ROOT / "zoo" / "specimens.json").read_text())
    return [Specimen(**row) for row in rows]


def run(command, specimen, timeout=None):
    """Runs a program of the zoo to its end. A program that takes too long found nothing."""
    environment = dict(os.environ, ZOO_SPECIMEN=specimen)
    # They die as from a failed assertion, so that zoo_search can say how many executions it took.
    environment["ASAN_OPTIONS"] = "detect_stack_use_after_return=1:symbolize=0:abort_on_error=1"
    environment["UBSAN_OPTIONS"] = "symbolize=0:abort_on_error=1"

    def limit():
        if timeout:
            resource.setrlimit(resource.RLIMIT_CPU, (int(timeout) + 1, int(timeout) + 2))

    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, preexec_fn=limit)
    text = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    counts = re.search(r"in execution (\d+)|(\d+) executions, none|executed_units: *(\d+)", text)
    return Outcome(process.returncode, text, usage.ru_utime + usage.ru_stime,
                   int(next(filter(None, counts.groups()))) if counts else 0)
