"""Every specimen by every technique: which one finds it, after how many executions and how much time.
ci/zoo calls this file.

A specimen counts as found if the verdict is the expected oracle or rule. Time is processor time, which a
busy machine changes little. Each cell of the table is written to build/zoo/cells.json as soon as it is
known. So an interrupted run continues from there.
"""
import argparse
import json
import signal
import statistics
import sys
import time

import registry
import driver

OUT = registry.ROOT / "build" / "zoo"
BIN = {preset: registry.ROOT / "build" / preset / "bin" for preset in ("fuzz", "dev")}

# In the order of the table; on simulator, or alone on real sockets.
TECHNIQUES = {
    "fuzz": "libFuzzer with AddressSanitizer on uvsim, from an empty corpus",
    "random": "random answers to every question on uvsim",
    "exhaustive": "all answers to the first questions on uvsim, deeper and deeper",
    "torture": "one unkind answer in a kind world on uvsim, each in turn",
    "asan": "AddressSanitizer alone: real libuv, clients on loopback",
    "valgrind": "valgrind alone: real libuv, clients on loopback",
}
SEEDED = ("fuzz", "random", "asan", "valgrind")
RUNS_MAX = 100_000_000


def engine(seed, runs, *more):
    return [BIN["fuzz"] / "zoo_fuzzer", f"-seed={seed}", f"-runs={runs}", "-max_len=128",
            "-len_control=0", "-verbosity=0", "-print_final_stats=1",
            f"-artifact_prefix={OUT}/found/", *more]


def attempt(specimen, technique, seed, budget):
    """One cell for one seed: found, executions, seconds, and what was said."""
    if technique in ("asan", "valgrind"):
        return driver.attempt(specimen, technique, seed, budget, BIN)
    if technique == "fuzz":
        command = engine(seed, RUNS_MAX, f"-max_total_time={budget * 4}")
    else:
        program = BIN["fuzz" if specimen.needs else "dev"] / "zoo_search"
        command = [program, technique, str(seed), str(RUNS_MAX)]
    outcome = registry.run(command, specimen.name, timeout=budget)
    found = specimen.found_in(outcome)
    words = [w for w in specimen.expected if w in outcome.text] if found else last_words(outcome)
    return {"found": found, "executions": outcome.executions, "seconds": round(outcome.seconds, 3),
            "said": words}


def last_words(outcome):
    if outcome.status in (0, -signal.SIGXCPU, -signal.SIGKILL):
        return []
    lines = [line for line in outcome.text.splitlines()
             if line.startswith("oracle ") or "ERROR: " in line or "Assertion" in line]
    return [lines[-1][:160] if lines else f"status {outcome.status}"]


class Cells:
    """What is known, on disk."""

    def __init__(self, fresh):
        self.path = OUT / "cells.json"
        self.known = {}
        if self.path.exists() and not fresh:
            self.known = json.loads(self.path.read_text())

    def key(self, specimen, technique, seed):
        return f"{specimen.name} {technique} {seed}"

    def keep(self, key, cell):
        self.known[key] = cell
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.known, indent=0))
        part.replace(self.path)


def human(seconds):
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def summary(cells):
    """Median and worst of the seeds of one specimen and technique; a cell not found counts as endless."""
    found = [c for c in cells if c["found"]]
    by_seconds = sorted(c["seconds"] if c["found"] else float("inf") for c in cells)
    by_runs = sorted(c["executions"] if c["found"] else float("inf") for c in cells)
    return {"found": len(found), "of": len(cells),
            "median_seconds": statistics.median_low(by_seconds), "worst_seconds": by_seconds[-1],
            "median_executions": statistics.median_low(by_runs), "worst_executions": by_runs[-1]}


def write_report(specimens, techniques, cells, budget):
    rows = {}
    for specimen in specimens:
        for each in techniques:
            known = [c for k, c in cells.known.items()
                     if k.split()[:2] == [specimen.name, each]]
            if known:
                rows.setdefault(specimen.name, {})[each] = summary(known)
    finite = json.loads(json.dumps(rows).replace("Infinity", "null"))
    report = {"budget_seconds": budget, "techniques": {m: TECHNIQUES[m] for m in techniques}, "specimens": finite}
    (OUT / "matrix.json").write_text(json.dumps(report, indent=1))
    lines = [f"Processor time to first detection as expected: median (worst) of the seeds, "
             f"and executions. Budget {budget} s; - is not found.", "",
             "| specimen | " + " | ".join(techniques) + " |", "|---|" + "---|" * len(techniques)]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(cell_text(row.get(m)) for m in techniques) + " |")
    lines += ["", "| technique | found by the median seed | within 10 s | in every seed | what it is |",
              "|---|---|---|---|---|"]
    for each in techniques:
        column = [row[each] for row in rows.values() if each in row]
        median = sum(c["median_seconds"] < float("inf") for c in column)
        quick = sum(c["median_seconds"] <= 10 for c in column)
        every = sum(c["found"] == c["of"] for c in column)
        total = len(column)
        lines.append(f"| {each} | {median} of {total} | {quick} of {total} | {every} of {total} | "
                     f"{TECHNIQUES[each]} |")
    text = "\n".join(lines) + "\n"
    (OUT / "matrix.md").write_text(text)
    return text


def cell_text(cell):
    if cell is None:
        return ""
    if cell["median_seconds"] == float("inf"):
        return f"- ({cell['found']} of {cell['of']})" if cell["found"] else "-"
    worst = cell["worst_seconds"]
    tail = f" ({human(worst)})" if worst < float("inf") else f" ({cell['found']} of {cell['of']})"
    return f"{human(cell['median_seconds'])}{tail}, {cell['median_executions']}"


def plot(specimens, techniques, cells, budget):
    """How many attempts have not found their specimen yet, over time (Kaplan and Meier)."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zoo"
    import matplotlib.pyplot as pyplot
    figure, axes = pyplot.subplots(figsize=(8, 4.8))
    wanted = {s.name for s in specimens}
    end = max([budget] + [c["seconds"] for c in cells.known.values()])
    styles = ["-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1))]
    for each, style in zip(techniques, styles):
        column = [c for k, c in cells.known.items()
                  if k.split()[1] == each and k.split()[0] in wanted]
        if not column:
            continue
        times = sorted(c["seconds"] for c in column if c["found"])
        floor = 0.005
        x, y, left = [floor], [100.0], len(column)
        for t in times:
            left -= 1
            x.append(max(t, floor))
            y.append(100.0 * left / len(column))
        x.append(end)
        y.append(y[-1])
        axes.step(x, y, where="post", label=each, linestyle=style, linewidth=1.8)
    axes.set_xscale("log")
    axes.set_xlim(0.005, end)
    axes.set_ylim(0, 102)
    axes.set_xlabel("processor time, seconds")
    axes.set_ylabel("specimens not found yet, % of attempts")
    axes.set_title(f"{len(wanted)} specimens: how long each technique lets them live")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(title="technique", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(OUT / "survival.svg", metadata={"Date": None})
    figure.savefig(OUT / "survival.png", dpi=80)


def matrix(options):
    (OUT / "found").mkdir(parents=True, exist_ok=True)
    specimens = [s for s in registry.specimens() if not options.only or s.name in options.only]
    techniques = [m for m in TECHNIQUES if m in options.techniques]
    cells = Cells(options.fresh)
    todo = [(s, m, seed) for seed in range(1, options.seeds + 1) for m in techniques for s in specimens
            if (seed == 1 or m in SEEDED) and cells.key(s, m, seed) not in cells.known]
    start = time.monotonic()
    interrupted = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # also where a shell has it ignored
    try:
        for done, (specimen, each, seed) in enumerate(todo, 1):
            cell = attempt(specimen, each, seed, options.budget)
            cells.keep(cells.key(specimen, each, seed), cell)
            passed = time.monotonic() - start
            left = passed / done * (len(todo) - done)
            words = f"{cell['executions']} executions" if cell["found"] else "not found"
            print(f"{done:5}/{len(todo)}  {specimen.name:38} {each:10} seed {seed}  "
                  f"{human(cell['seconds']):>8}  {words:24} about {left / 60:.0f} min left", flush=True)
    except KeyboardInterrupt:
        interrupted = True
        print("ci/zoo: interrupted; what is known is kept, and the next run goes on from there")
    print(write_report(specimens, techniques, cells, options.budget))
    plot(specimens, techniques, cells, options.budget)
    print(f"ci/zoo: matrix.md, matrix.json, survival.svg and cells.json are in {OUT}")
    if interrupted:
        return 128 + signal.SIGINT
    escaped = [s.name for s in specimens if "fuzz" in techniques and not any(
        c["found"] for k, c in cells.known.items() if k.split()[:2] == [s.name, "fuzz"])]
    for name in escaped:
        print(f"ci/zoo: {name} ESCAPED the fuzzer")
    return 1 if escaped else 0


def fixed_versions(total):
    """Runs the fixed versions for this many executions in all, by the fuzzer, by random answers and blind."""
    (OUT / "found").mkdir(parents=True, exist_ok=True)
    shapes = list(registry.SHAPES)
    share = total // (3 * len(shapes))
    failed = 0
    for shape in shapes:
        for technique in ("fuzz", "blind", "random"):
            command = engine(1, share) if technique == "fuzz" else \
                [BIN["dev"] / "zoo_search", technique, "1", str(share)]
            outcome = registry.run(command, shape)
            failed += outcome.status != 0
            print(f"{shape:10} {technique:8} {outcome.executions:10} executions  "
                  f"{human(outcome.seconds):>8}  "
                  f"{'clean' if outcome.status == 0 else last_words(outcome)}", flush=True)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(prog="ci/zoo")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=60, help="seconds for each attempt")
    parser.add_argument("--techniques", type=lambda s: s.split(","), default=list(TECHNIQUES))
    parser.add_argument("--only", type=lambda s: s.split(","), default=[])
    parser.add_argument("--fresh", action="store_true", help="forget what is known")
    parser.add_argument("--fixed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    return fixed_versions(options.fixed) if options.fixed else matrix(options)


if __name__ == "__main__":
    sys.exit(main())
