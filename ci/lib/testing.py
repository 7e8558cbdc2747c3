"""What ci/test does: sets up, builds and runs everything that can be run, goes on after what fails, and says
what ran. Logs and JUnit files of each suite are in build/logs, one JUnit file of everything is
build/junit.xml.

Two lanes run at a time. The foreground computes: it builds, and runs suites that compute. The background
runs the loopback tests, which mostly wait. Only one suite runs there at a time, because two crowds of
clients together could take all of the kernel's memory for TCP.
"""

import argparse
import collections
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOGS = ROOT / "build/logs"
DURATIONS = LOGS / "durations.json"
CORES = os.cpu_count() or 1
# The loopback tests of this name run on libuv 1.52.
NEWER = r"on-libuv-1\.52"

PARTS = {
    "lint": "format, clang-tidy, shellcheck, purity of the core; and that these can fail",
    "dev": "g++: all suites; and the server compiled against libuv 1.52 and run on it",
    "clang": "clang: the loopback tests of dev, with this server",
    "release": "the hardened build: the loopback tests of dev, with this server",
    "asan": "clang with AddressSanitizer, UndefinedBehaviorSanitizer, LeakSanitizer: all suites, and the\n"
            "loopback tests of dev, with this server",
    "tsan": "ThreadSanitizer: the loopback tests of dev, with this server",
    "msan": "MemorySanitizer: what needs no instrumented library",
    "valgrind": "the unit tests under memcheck",
    "fuzz": "each fuzz target replays its corpus, then searches with a fixed seed; and finds faulty servers",
    "coverage": "lines, branches and conditions of the product that the tests run; with --deep",
    "environments": "the project as a tarball, without IPv6, with other ways to build; with --deep",
    "libuv": "libuv's own code, from Debian's source, under sanitizers and with coverage; with --deep",
}
DEEP = ("coverage", "environments", "libuv")
QUICK = ("lint", "dev", "asan")
CHECKS = ("format", "tidy", "shell", "purity", "includes", "inventory", "figures", "links", "workflows", "planted", "budget")

Row = collections.namedtuple("Row", "part build suite passed failed skipped seconds")


class Results:
    """The rows that were printed, and the test cases that are no ctest's."""

    def __init__(self):
        self.rows = []
        self.reports = []  # (name of the suite, JUnit file of ctest)
        self._lock = threading.Lock()

    def add(self, row, said=""):
        verdict = f"{row.failed} FAILED" if row.failed else f"ok, {row.skipped} skipped" if row.skipped else "ok"
        with self._lock:
            self.rows.append(row)
            print(f"{row.build:17} {row.suite:24} {row.passed + row.failed:6}  {verdict:15} {row.seconds:6.0f}",
                  flush=True)
            if said:
                print(said, flush=True)

    def write_junit(self, path):
        """One file: what ctest wrote of each suite, and one case for each row that is not from ctest."""
        everything = ElementTree.Element("testsuites")
        told = set()
        for name, report in self.reports:
            try:
                suite = ElementTree.parse(report).getroot()
            except (OSError, ElementTree.ParseError):
                continue
            suite.set("name", name)
            everything.append(suite)
            told.add(name)
        for row in self.rows:
            name = f"{row.build} {row.suite}"
            if name in told:
                continue
            suite = ElementTree.SubElement(everything, "testsuite", name=name, tests=str(row.passed + row.failed),
                                           failures=str(row.failed), skipped="0", time=f"{row.seconds:.0f}")
            case = ElementTree.SubElement(suite, "testcase", name=row.suite, classname=row.build,
                                          time=f"{row.seconds:.0f}")
            if row.failed:
                ElementTree.SubElement(case, "failure", message=f"{row.failed} failed; see build/logs")
        ElementTree.ElementTree(everything).write(path, encoding="utf-8", xml_declaration=True)


class Processes:
    """The processes that run, each with a group of its own, so that all of it can be ended."""

    def __init__(self):
        self._running = set()
        self._lock = threading.Lock()

    def run(self, command, log, mode="w", **environment):
        """Its exit status. What it prints goes to the file `log`; mode "a" adds to what is there."""
        with open(log, mode, encoding="utf-8") as output:
            process = subprocess.Popen([str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                                       env={**os.environ, **environment})
            with self._lock:
                self._running.add(process)
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)

    def end_all(self):
        with self._lock:
            for process in self._running:
                try:
                    os.killpg(process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass


def failures_in(log):
    """What a log says of its failures, for a reader who has only the terminal."""
    told = re.compile(r"^CMake Error|^FAILED:|error:|: Failure|oracle [a-z]+:|assertion failed|SUMMARY|\*\*\*[A-Z]|^ci/")
    noise = re.compile(r" Passed |^ *Start ")
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if not noise.search(line)]
    kept = []
    follow = 0
    for line in lines:
        follow = 5 if told.search(line) else follow - 1
        if follow > 0:
            kept.append(line[:200])
    return "\n".join([f"--- {log.relative_to(ROOT)}", *kept[-40:], "---"])


def last_lines(log, count=25):
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(line[:300] for line in lines[-count:])


class Run:
    def __init__(self, deep):
        self.deep = deep
        self.fuzz_seconds = 1800 if deep else 25
        self.results = Results()
        self.processes = Processes()
        self.part = ""
        self._dev_is_built = False
        self._background = queue.Queue()
        self._worker = threading.Thread(target=self._work_in_background, daemon=True)
        self._worker.start()

    # ---- Lanes -----------------------------------------------------------------------------------

    def _work_in_background(self):
        while (arguments := self._background.get()) is not None:
            try:
                self.suite(*arguments)
            except OSError as error:
                self.row("background", str(arguments[1]), 0, 1, time.monotonic(), said=str(error))

    def later(self, preset, name, *options):
        self._background.put((preset, name, options, self.part))

    def finish(self):
        self._background.put(None)
        self._worker.join()

    def row(self, build, suite, passed, failed, start, skipped=0, part=None, said=""):
        self.results.add(Row(part or self.part, build, suite, passed, failed, skipped, time.monotonic() - start), said)

    # ---- Building and testing --------------------------------------------------------------------

    def build(self, preset, *targets):
        """False, and one failure, when it failed. One that succeeded counts as no test."""
        start, log = time.monotonic(), LOGS / f"{preset}-build.log"
        options = ["-DECHOPROOF_FAULTY_COPIES=all"] if self.deep else []
        if preset == "asan" and not self.deep:
            options.append("-DECHOPROOF_LOOPBACK_TESTS=OFF")  # those of dev run on its server
        failed = self.processes.run(["cmake", "--preset", preset, *options], log)
        if not failed:
            # Tests in the background go first.
            failed = self.processes.run(["nice", "cmake", "--build", "--preset", preset, "--target", *(targets or ["all"])],
                                        log, mode="a")
        self.row(preset, "build", 0, 1 if failed else 0, start, said=failures_in(log) if failed else "")
        return not failed

    def suite(self, preset, name, options, part=None):
        """What ctest selects, which must be something. The preset brings the sanitizers' options."""
        start = time.monotonic()
        log = LOGS / f"{preset}-{re.sub('[^a-z0-9.]', '-', name)}.log"
        report = log.with_suffix(".xml")
        environment = {}
        if name == "props":
            environment["RC_PARAMS"] = os.environ.get(
                "RC_PARAMS", "seed=1 max_success=10000" if self.deep else "seed=1")
        status = self.processes.run(["ctest", "--preset", preset, "--no-tests=error", "--output-junit", report, *options],
                                    log, **environment)
        text = log.read_text(encoding="utf-8", errors="replace")
        counts = re.findall(r"^\d+% tests passed, (\d+) tests? failed out of (\d+)$", text, re.MULTILINE)
        failed, total = (int(number) for number in counts[-1]) if counts else (1, 1)
        if status != 0 and failed == 0:
            failed = total = max(total, 1)
        self.results.reports.append((f"{preset} {name}", report))
        self.row(preset, name, total - failed, failed, start, text.count("***Skipped"), part,
                 failures_in(log) if failed else "")

    def ctest_says(self, preset, *options):
        return subprocess.run(["ctest", "--preset", preset, *options], cwd=ROOT, capture_output=True, text=True,
                              check=False).stdout

    def selects_tests(self, preset, *options):
        return "\n  Test " in self.ctest_says(preset, "-N", *options)

    def suites(self, preset, but=""):
        """All suites of a build but the label `but`, one row a label. A test of several labels counts for the first."""
        seen = [but] if but else []
        for label in re.findall(r"^  ([a-z]+)$", self.ctest_says(preset, "--print-labels"), re.MULTILINE):
            if label == but:
                continue
            options = ["--label-regex", f"^{label}$"]
            if seen:
                options += ["--label-exclude", f"^({'|'.join(seen)})$"]
            if label == "loopback":
                options += ["--parallel", 2 * CORES]  # these wait more than they compute
                if self.deep:
                    options += ["--repeat", "until-fail:5"]
                self.later(preset, label, *options, "--exclude-regex", NEWER)
                if self.selects_tests(preset, "--tests-regex", NEWER):
                    self.later(preset, "loopback, libuv 1.52.1", *options, "--tests-regex", NEWER)
            else:
                self.suite(preset, label, [*options, "--parallel", CORES])
            seen.append(label)
        # A test without a label would be run by no row above.
        if self.selects_tests(preset, "--label-exclude", "."):
            self.suite(preset, "(no label)", ["--label-exclude", "."])

    def everything(self, preset):
        built = self.build(preset)
        if built:
            self.suites(preset)
        return built

    def tests_of_dev(self):
        """Built once: while its tests run in the background it is not touched."""
        if not self._dev_is_built:
            self._dev_is_built = self.build("dev", "unit_tests", "loopback_tests")
        return self._dev_is_built

    def server_of(self, preset):
        """The loopback tests of dev with the server of another build. The server is their child process, in the
        environment that its build wants; the tests need no sanitizer."""
        if self.tests_of_dev():
            self.later(f"server-of-{preset}", "loopback", "--label-regex", "^(loopback|torture)$", "--label-exclude",
                       "^conformance$", "--exclude-regex", rf"{NEWER}|^torture\.sim$", "--parallel", 2 * CORES)

    def check(self, build, suite, command, name):
        """One command as one test. What it printed, when it failed."""
        start, log = time.monotonic(), LOGS / f"{name}.log"
        failed = self.processes.run(command, log) != 0
        self.row(build, suite, 0 if failed else 1, 1 if failed else 0, start, said=last_lines(log) if failed else "")
        return log

    # ---- Parts -----------------------------------------------------------------------------------

    def part_lint(self):
        for name in CHECKS:
            log = self.check("lint", name, ["ci/lint", name], f"lint-{name}")
            if name == "budget":
                print(re.sub(r"(?m)^budget *ok *", "  ", last_lines(log)), flush=True)

    def part_dev(self):
        start, log = time.monotonic(), LOGS / "newer-libuv.log"
        # Before the configuration, which looks whether it is there.
        if self.processes.run(["ci/newer-libuv"], log) != 0:
            self.row("dev", "libuv 1.52.1 obtained", 0, 1, start, said=last_lines(log))
        if self.deep:
            # Its source, with faults seeded; where the machine cannot get it, the part "libuv" says so.
            self.processes.run(["ci/libuv-source", "plain"], LOGS / "libuv-source.log")
        self._dev_is_built = self.everything("dev")

    # What is not the server does not differ from build to build, and two, one by each compiler, run it.
    def _server(self, preset):
        if self.deep:
            self.everything(preset)
        elif self.build(preset, "echo-server"):
            self.server_of(preset)

    def part_clang(self):
        self._server("clang")

    def part_release(self):
        self._server("release")

    # Only the server has threads.
    def part_tsan(self):
        self._server("tsan")

    def part_asan(self):
        if self.everything("asan") and not self.deep:
            self.server_of("asan")

    # Exploring takes MemorySanitizer ten times as long, and two other builds do it.
    def part_msan(self):
        if self.build("msan"):
            self.suites("msan", "" if self.deep else "exhaustive")

    # Each program of dev once, with all its tests: as a process per test it would start valgrind 270 times.
    def part_valgrind(self):
        if not self.tests_of_dev():
            return
        listed = self.ctest_says("dev", "-N", "-V", "--label-regex", "^unit$")
        for program in sorted(set(re.findall(r"Test command: (\S+_test) ", listed))):
            name, start = os.path.basename(program), time.monotonic()
            log = LOGS / f"valgrind-{name}.log"
            failed = self.processes.run(["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
                                         "--show-leak-kinds=all", "--errors-for-leak-kinds=all", program], log)
            passed = re.findall(r"^\[  PASSED  \] (\d+) tests?\.$", log.read_text(encoding="utf-8", errors="replace"),
                                re.MULTILINE)
            if failed or not passed:
                self.row("valgrind", f"{name}, memcheck", 0, 1, start, said=failures_in(log))
            else:
                self.row("valgrind", f"{name}, memcheck", int(passed[0]), 0, start)

    # The seed is fixed, so that the same commit searches in the same places every day. All search at once, and
    # share the processors.
    def part_fuzz(self):
        if not self.build("fuzz"):
            return
        self.suites("fuzz")
        (ROOT / "build/fuzz/found").mkdir(parents=True, exist_ok=True)
        searches = [threading.Thread(target=self._search, args=(path.stem,)) for path in
                    sorted((ROOT / "fuzz").glob("*_fuzzer.cpp"))]
        for search in searches:
            search.start()
        for search in searches:
            search.join()

    def _search(self, target):
        work = ROOT / "build/fuzz/search" / target
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        self.check("fuzz", f"search {target}",
                   [f"build/fuzz/bin/{target}", "-seed=1", f"-max_total_time={self.fuzz_seconds}", "-timeout=10",
                    "-print_final_stats=1", f"-artifact_prefix=build/fuzz/found/{target}-", work,
                    f"fuzz/corpus/{target.removesuffix('_fuzzer')}"], f"fuzz-{target}")

    # Nothing below the floor: see ci/coverage.
    def part_coverage(self):
        self.check("coverage", "src/core, src/uv", ["ci/coverage"], "coverage")

    def part_libuv(self):
        start, log = time.monotonic(), LOGS / "libuv.log"
        status = self.processes.run(["ci/libuv-source", "check", "--deep"], log)
        skipped = 1 if status == 77 else 0
        failed = 1 if status not in (0, 77) else 0
        self.row("libuv", "its own code on floor 2", 1 - failed, failed, start, skipped,
                 said=last_lines(log, 60) if failed else "")

    def part_environments(self):
        start, log = time.monotonic(), LOGS / "environments.log"
        status = self.processes.run(["ci/environments"], log)
        counts = re.findall(r"^(\d+) ok, (\d+) skipped, (\d+) failed$", last_lines(log), re.MULTILINE)
        ok, skipped, failed = (int(count) for count in counts[-1]) if counts else (0, 0, 1)
        if status != 0 and failed == 0:
            failed = 1
        self.row("environments", "each its own", ok + skipped, failed, start, skipped,
                 said=last_lines(log, 60) if failed else "")


def usage():
    parts = "\n".join(f"  {name:12} " + text.replace("\n", "\n" + " " * 15) for name, text in PARTS.items())
    return f"""usage: ci/test [--quick | --deep] [PART...]
       ci/test --help

Parts, all of them but the last two unless some are named:
{parts}

--quick runs {', '.join(QUICK[:-1])} and {QUICK[-1]}. --deep runs all suites in every build and searches for all faulty servers,
not some, lets the fuzz targets search for half an hour and the properties try 100 times as many cases, and
repeats the loopback tests 5 times.

Logs are in build/logs, and build/junit.xml has every test. The last line is "N passed, N failed": tests,
builds that failed, lint checks, fuzz searches."""


def arguments():
    parser = argparse.ArgumentParser(prog="ci/test", add_help=False, usage=argparse.SUPPRESS)
    parser.format_help = lambda: usage() + "\n"
    parser.format_usage = lambda: ""
    parser.add_argument("-h", "--help", action="help")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true")
    length.add_argument("--deep", action="store_true")
    parser.add_argument("parts", nargs="*", metavar="PART")
    asked = parser.parse_intermixed_args()
    for part in asked.parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}'; there are: {', '.join(PARTS)}")
    usual = QUICK if asked.quick else PARTS if asked.deep else [part for part in PARTS if part not in DEEP]
    return asked.deep, asked.parts or list(usual)


def prepare_environment():
    if shutil.which("ccache"):
        os.environ.update(CMAKE_C_COMPILER_LAUNCHER="ccache", CMAKE_CXX_COMPILER_LAUNCHER="ccache",
                          CCACHE_SLOPPINESS="pch_defines,time_macros")  # for headers that are compiled first
    # Reports with names instead of addresses, from the LLVM that made the program.
    for sanitizer in ("ASAN", "MSAN", "TSAN"):
        os.environ[f"{sanitizer}_SYMBOLIZER_PATH"] = "/usr/bin/llvm-symbolizer-19"


def durations():
    """Seconds by part, of the last time that it was run."""
    try:
        return json.loads(DURATIONS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def run_parts(run, parts):
    known = durations()
    for number, part in enumerate(parts):
        left = [known.get(name) for name in parts[number:]]
        estimate = f", about {sum(left) / 60:.0f} min to go" if None not in left else ""
        print(f"# {part}: part {number + 1} of {len(parts)}{estimate}", flush=True)
        run.part = part
        start = time.monotonic()
        getattr(run, f"part_{part}")()
        known[part] = time.monotonic() - start
        DURATIONS.write_text(json.dumps(known, indent=1), encoding="utf-8")
    print("# the rest of what runs in the background", flush=True)
    run.finish()


def summary(run, parts):
    rows = run.results.rows
    table = [f"\n{'part':12} {'tests':>6} {'failed':>6} {'skipped':>7} {'seconds':>7}"]
    known = durations()
    for part in parts:
        own = [row for row in rows if row.part == part]
        table.append(f"{part:12} {sum(row.passed + row.failed for row in own):6} {sum(row.failed for row in own):6} "
                     f"{sum(row.skipped for row in own):7} {known.get(part, 0):7.0f}")
    return "\n".join(table)


def main():
    deep, parts = arguments()
    os.chdir(ROOT)
    start = time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["ci/setup"], check=False).returncode != 0:
        return 1
    prepare_environment()
    run = Run(deep)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    interrupted = False
    try:
        run_parts(run, parts)
    except KeyboardInterrupt:
        interrupted = True
        run.processes.end_all()
    run.results.write_junit(ROOT / "build/junit.xml")
    failed = sum(row.failed for row in run.results.rows)
    failures = [f"{row.build} {row.suite}: {row.failed} failed" for row in run.results.rows if row.failed]
    print(summary(run, parts))
    if failures:
        print("\n" + "\n".join(failures))
    print(f"\n{time.monotonic() - start:.0f} seconds{', interrupted' if interrupted else ''}")
    print(f"{sum(row.passed for row in run.results.rows)} passed, {failed} failed", flush=True)
    if interrupted:
        os._exit(130)  # the background's thread may still wait for what was ended
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
