"""Measures echo servers side by side and writes a table, plots and JSON. Called by ci/bench.

Every figure that is quoted is a ratio within one round: in each round every server runs once, in
turn, so that a machine that drifts drifts for all of them. The server's processor time is read from
the kernel, so it counts also where the load generator was the limit, and such rows say so.

Ctrl-C ends it: what was measured until then is reported.
"""
import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import constants
import crowds
import fuzzing
import instructions
from loads import Load, generate, human
from server import BOTH_CORES, LOAD_CORE, SERVER_CORE, Server, inetd_servers

ROOT = pathlib.Path(__file__).resolve().parent.parent
BARE = "epoll_loop"
OURS = "echoproof"
UNHARDENED = "echoproof_O2"
# The bare loop, brought closer to this server one step at a time: which step costs what.
STEPS = {BARE: "the bare loop, recv and send", "epoll_read_write": "the same with read and write, as libuv",
         "libuv_floor": "the least on libuv", OURS: "this server"}
# What is no library's peer: this server, and what is written for the kernel alone or is no server.
NO_LIBRARY = (*STEPS, UNHARDENED, "io_uring_loop")
# What ci/bench measures, unless some of it is asked for.
PARTS = ("speed", "crowds", "instructions", "fuzzing")
NO_SERVER = ("load", "crowd", "echo_benchmark", "socket_sizes.so")


def measure_round(command, load, seconds, binaries, server_cores=SERVER_CORE, load_cores=LOAD_CORE):
    with Server(command, server_cores) as server:
        before = server.cpu_seconds()
        result = generate(server, load, seconds, binaries, load_cores)
        cpu = server.cpu_seconds() - before
        result["cpu_us_per_echo"] = cpu * 1e6 / max(result["messages"], 1)
        result["busy"] = cpu / max(result["seconds"], 1e-9)
        result["memory"] = server.memory()
        return result


def idle_memory(command, connections, binaries):
    """Growth of private memory for each idle connection, in bytes."""
    with Server(command) as server:
        subprocess.run([str(binaries / "load"), "--port", str(server.port), "--connections", "1",
                        "--idle"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        before = server.private_bytes()
        holder = subprocess.Popen([str(binaries / "load"), "--port", str(server.port),
                                   "--connections", str(connections), "--idle"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if not holder.stdout.readline():
                raise RuntimeError("the connections could not all be opened")
            return (server.private_bytes() - before) / connections
        finally:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def ratio_to_bare(results, name):
    """Median over rounds of CPU for an echo, relative to the bare loop in the same round."""
    return statistics.median(a["cpu_us_per_echo"] / b["cpu_us_per_echo"]
                             for a, b in zip(results[name], results[BARE]))


def table(load, results):
    rows = [f"\n### {load.name()}\n",
            "| server | CPU s a million echoes | x bare loop | echoes/s | p50 us | p99 us | p99.9 us"
            " | peak MiB | |", "|---|---|---|---|---|---|---|---|---|"]
    for name, rounds in sorted(results.items(), key=lambda kv: median(kv[1], "cpu_us_per_echo")):
        rate = statistics.median(r["messages"] / r["seconds"] for r in rounds)
        latency = ["-"] * 3 if load.pipeline > 1 else [
            f"{median(rounds, k):.0f}" for k in ("p50_us", "p99_us", "p999_us")]
        note = "" if median(rounds, "busy") > 0.9 else \
            f"not the bottleneck: {median(rounds, 'busy'):.0%} busy"
        rows.append(f"| {name} | {median(rounds, 'cpu_us_per_echo'):.3f} |"
                    f" {ratio_to_bare(results, name):.3f} | {rate:,.0f} | {' | '.join(latency)} |"
                    f" {median(rounds, 'memory') / 2**20:.1f} | {note} |")
    return "\n".join(rows)


def plot(measured, out):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    for pipeline, connections in sorted({(l.pipeline, l.connections) for l in measured}):
        loads = sorted((l for l in measured if (l.pipeline, l.connections) ==
                        (pipeline, connections)), key=lambda l: l.size)
        figure, axes = plt.subplots(figsize=(8, 4.5))
        for name in sorted({n for l in loads for n in measured[l]}):
            points = [(human(l.size), ratio_to_bare(measured[l], name)) for l in loads
                      if name in measured[l]]
            axes.plot(*zip(*points), marker="o", label=name,
                      linewidth=2.5 if name == "echoproof" else 1)
        axes.axhline(1, color="black", linewidth=0.5)
        axes.set_ylabel("CPU for an echo, bare epoll loop = 1")
        axes.set_xlabel("message")
        axes.set_yscale("log")
        axes.set_title(Load(1, connections, pipeline).name().split(" x ")[1].replace(
            ",", " connections,"))
        axes.legend(fontsize=8)
        figure.tight_layout()
        figure.savefig(out / f"cpu-{connections}-{pipeline}.svg")
        plt.close(figure)


def measure_load(load, servers, args, progress, failures):
    """The rounds of each server. Servers that failed in some round are left out."""
    # The least on libuv keeps nothing that the kernel does not take at once.
    results = {name: [] for name in servers
               if name != "libuv_floor" or load.size * load.pipeline <= 64 << 10}
    seconds = args.seconds * max(1, load.under_way() >> 26)
    for _ in range(args.rounds):
        for name, rounds in results.items():
            progress(f"{load.name()}, {name}")
            try:
                rounds.append(measure_round(servers[name], load, seconds, args.binaries))
            except (RuntimeError, subprocess.SubprocessError) as error:
                failures.append(f"{name}, {load.name()}: {error}")
    return {n: r for n, r in results.items() if len(r) == args.rounds}


def measure_threads(command, args, progress):
    """Rounds by number of threads; server and load share all cores, so that what counts is the CPU."""
    load, rounds = Load(1024, 200, 1), {threads: [] for threads in (1, 2)}
    for _ in range(args.rounds):
        for threads, results in rounds.items():
            progress(f"{threads} threads")
            results.append(measure_round([*command, "--threads", str(threads)], load, args.seconds,
                                         args.binaries, BOTH_CORES, BOTH_CORES))
    return rounds


def measure_without_kernel(program, progress):
    """Nanoseconds of processor time for an echo, by benchmark."""
    progress("without a kernel")
    result = subprocess.run([str(program), "--benchmark_format=json", "--benchmark_repetitions=5",
                             "--benchmark_report_aggregates_only=true"],
                            capture_output=True, text=True, check=True)
    return {b["run_name"]: b["per_echo"] * 1e9 if "per_echo" in b else b["cpu_time"]
            for b in json.loads(result.stdout)["benchmarks"] if b["aggregate_name"] == "median"}


def idle_table(counts, memory):
    return "\n".join(["\n### Private memory for each idle connection, bytes\n",
                      "| server | " + " | ".join(f"{n:,}" for n in counts) + " |",
                      "|---" * (len(counts) + 1) + "|",
                      *[f"| {name} | " + " | ".join(f"{m:,.0f}" for m in row) + " |"
                        for name, row in memory.items()]])


def threads_table(rounds):
    return "\n".join(["\n### Threads: 1 KiB x 200, server and load on the same two cores\n",
                      "| threads | CPU s a million echoes | x one thread |", "|---|---|---|",
                      *[f"| {n} | {median(r, 'cpu_us_per_echo'):.3f} | " + "{:.3f} |".format(
                          statistics.median(a["cpu_us_per_echo"] / b["cpu_us_per_echo"]
                                            for a, b in zip(r, rounds[1])))
                        for n, r in rounds.items()]])


def without_kernel_table(times):
    return "\n".join(["\n### Without a kernel: nanoseconds of CPU for an echo\n",
                      "`least_server` is what uvsim itself takes: a server of a few lines on it.\n",
                      "| benchmark / bytes | ns |", "|---|---|",
                      *[f"| {name} | {ns:,.0f} |" for name, ns in times.items()]])


def steps_table(measured):
    """What of the difference to the bare loop is the system calls', libuv's and this server's."""
    rows = [(load.name(), [ratio_to_bare(results, name) for name in STEPS])
            for load, results in measured.items()
            if load.pipeline == 1 and STEPS.keys() <= results.keys()]
    if not rows:
        return ""
    return "\n".join(["\n### From the bare loop to this server: CPU for an echo\n",
                      "| load | " + " | ".join(STEPS.values()) + " |", "|---" * (len(STEPS) + 1) + "|",
                      *[f"| {name} | " + " | ".join(f"{r:.3f}" for r in row) + " |"
                        for name, row in rows]])


def targets(measured, memory):
    """What the server is to reach: rows of (what, limit, figure), for what was measured."""
    ours = {(l.size, l.connections): r for l, r in measured.items()
            if l.pipeline == 1 and {OURS, BARE} <= r.keys()}
    rows = [(f"CPU for an echo of {human(size)} x 50, bare loop = 1", 1.0,
             ratio_to_bare(ours[size, 50], OURS))
            for size in (64, 1024, 1 << 20) if (size, 50) in ours]
    for (size, connections), results in sorted(ours.items()):
        peers = {n: ratio_to_bare(results, n) for n in results if n not in NO_LIBRARY}
        if peers:
            best = min(peers, key=peers.get)
            rows.append((f"CPU for an echo of {human(size)} x {connections}, {best}, the best"
                         " library = 1", 1.0, ratio_to_bare(results, OURS) / peers[best]))
    for (size, connections), results in sorted(ours.items()):
        if connections == 1000 and size < 1 << 20:
            rows.append((f"p99 of {human(size)} x 1000, bare loop = 1", 1.1,
                         statistics.median(a["p99_us"] / b["p99_us"] for a, b in
                                           zip(results[OURS], results[BARE]))))
    if (64, 50) in ours and (64, 9000) in ours:
        few, many = ours[64, 50], ours[64, 9000]
        growth = {n: median(many[n], "cpu_us_per_echo") / median(few[n], "cpu_us_per_echo")
                  for n in (OURS, BARE)}
        rows.append((f"growth of CPU for an echo from 50 to 9,000 connections, {growth[OURS]:.2f},"
                     f" bare loop ({growth[BARE]:.2f}) = 1", 1.05, growth[OURS] / growth[BARE]))
    if OURS in memory:
        rows.append(("bytes for each idle connection, at most", 352, max(memory[OURS])))
    return rows


def targets_table(rows):
    return "\n".join(["\n### What is to be reached\n", "| what | at most | measured | |",
                      "|---|---|---|---|",
                      *[f"| {what} | {limit:g} | {figure:.3f} | {'' if figure <= limit else 'missed'} |"
                        for what, limit, figure in rows]])


class Progress:
    """What is being measured, and how long the rest will take: on a terminal in one line that is
    overwritten, in a log once a minute."""

    def __init__(self, total):
        self.start, self.done, self.total = time.time(), 0, total
        self.told = 0
        self.live = sys.stderr.isatty()

    def __call__(self, what):
        spent = time.time() - self.start
        left = spent / max(self.done, 1) * (self.total - self.done) / 60
        line = f"{self.done}/{self.total}{f', about {left:.0f} min left' if self.done else ''}: "
        if self.live:
            print(f"\r{line}{what:60.60}", end="", file=sys.stderr, flush=True)
        elif spent >= self.told:
            print(line + what, file=sys.stderr, flush=True)
            self.told = spent + 60
        self.done += 1


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ci/bench", description=__doc__.splitlines()[0])
    for name in ("binaries", "server", "unhardened", "fuzz", "fuzz-plain", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of load in each run")
    parser.add_argument("--sizes", help="of messages, in bytes")
    parser.add_argument("--connections", default="50,1000")
    parser.add_argument("--pipeline", default="1", help="messages under way on each connection")
    parser.add_argument("--idle", default="1000,10000,19000", help="idle connections; '' for none")
    parser.add_argument("--only", default="", help="names of servers, with commas")
    parser.add_argument("--full", action="store_true", help="the whole matrix: about two hours")
    parser.add_argument("--parts", default=",".join(PARTS), help="of what is measured, with commas")
    parser.add_argument("--deep", action="store_true",
                        help="slow readers read all their 8 MiB slowly: half an hour")
    parser.add_argument("--before", type=pathlib.Path, help="another echo-server to compare with")
    parser.add_argument("--constants", action="store_true",
                        help="only what constants of the server were chosen by")
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"--parts: {', '.join(unknown)}: not one of {', '.join(PARTS)}")
    args.growth = not args.sizes  # one load more, for the growth with the number of connections
    args.sizes = args.sizes or "64,1024,65536,1048576"
    if args.full:
        args.sizes, args.connections, args.pipeline = \
            "1,64,1024,16384,65536,1048576", "1,50,1000,10000", "1,16"
    return args


def main():
    args = parse_arguments()
    quiet = ["--port", "0", "--log-level", "error"]
    servers = {OURS: [str(args.server), *quiet], UNHARDENED: [str(args.unhardened), *quiet]}
    for path in sorted(args.binaries.iterdir()):
        if path.name not in NO_SERVER and os.access(path, os.X_OK) and path.is_file():
            servers[path.name] = [str(path)]
    if args.only:
        servers = {k: v for k, v in servers.items() if k in (*args.only.split(","), BARE, OURS)}
    loads = [Load(int(s), int(c), int(p)) for p, c, s in itertools.product(
        args.pipeline.split(","), args.connections.split(","), args.sizes.split(","))]
    # A generator with 10,000 messages of a megabyte under way would measure its own memory; and in
    # a second hardly one of 1,000 comes back.
    loads = [l for l in loads if l.under_way() <= (2 << 30 if args.full else 256 << 20)]
    if args.growth:
        loads.append(Load(64, 9000, 1))
    counts = [int(n) for n in args.idle.split(",") if n]

    if "speed" not in args.parts:
        loads, counts = [], []
    if args.before:
        servers["before"] = [str(args.before), *quiet]
    if args.constants:
        return constants.main(servers, args)
    beside = {n: servers[n] for n in (OURS, "before", BARE) if n in servers} | inetd_servers()
    counted = {n: servers[n] for n in (OURS, "before", "libuv_floor") if n in servers}

    args.out.mkdir(parents=True, exist_ok=True)
    measured, memory, threads, times, rates, failures = {}, {}, {}, {}, {}, []
    slow, forty, latency, counts_of_echo = {}, {}, {}, {}
    builds = {"ASan and UBSan": args.fuzz, "no sanitizer": args.fuzz_plain}
    progress = Progress(len(loads) * args.rounds * len(servers) +
                        (len(servers) if counts else 0) +
                        (2 * args.rounds + 1 if "speed" in args.parts else 0) +
                        (crowds.steps(beside) if "crowds" in args.parts else 0) +
                        (2 * len(counted) if "instructions" in args.parts else 0) +
                        (len(fuzzing.TARGETS) * len(builds) if "fuzzing" in args.parts else 0))
    try:
        for load in loads:
            measured[load] = measure_load(load, servers, args, progress, failures)
        for name, command in servers.items() if counts else ():
            progress(f"idle connections, {name}")
            try:
                memory[name] = [idle_memory(command, n, args.binaries) for n in counts]
            except (RuntimeError, subprocess.SubprocessError) as error:
                failures.append(f"{name}, idle: {error}")
        # Whatever fails, what was measured before is reported.
        if "speed" in args.parts:
            try:
                threads = measure_threads(servers[OURS], args, progress)
                times = measure_without_kernel(args.binaries / "echo_benchmark", progress)
            except (RuntimeError, subprocess.SubprocessError) as error:
                failures.append(str(error))
        if "crowds" in args.parts:
            crowds.measure_rates(beside, args.binaries, args.deep, progress, failures, slow)
            crowds.measure_forty(beside, args.binaries, progress, failures, forty)
            crowds.measure_beside_all(beside, args.binaries, 10, progress, failures, latency)
        if "instructions" in args.parts:
            instructions.measure(counted, args.binaries, progress, failures, counts_of_echo)
        if "fuzzing" in args.parts:
            fuzzing.measure(builds, 10, progress, failures, rates)
    except KeyboardInterrupt:
        failures.append("interrupted: what is missing was not measured")
    if progress.live:
        print(file=sys.stderr)

    reached = targets(measured, memory)
    parts = ["# Speed and memory beside peers", *[table(l, r) for l, r in measured.items() if BARE in r]]
    parts += [steps_table(measured)]
    parts += [idle_table(counts, memory)] if memory else []
    parts += [threads_table(threads)] if threads else []
    parts += [without_kernel_table(times)] if times else []
    parts += [crowds.table(slow, forty, latency)]
    parts += [instructions.table(counts_of_echo)] if counts_of_echo else []
    parts += [fuzzing.table(rates, builds)] if rates else []
    parts += [targets_table(reached)] if reached else []
    if failures:
        parts += ["\n### Runs that failed\n", *[f"* {f}" for f in sorted(set(failures))]]
    report = "\n".join(parts) + "\n"
    print(report)
    (args.out / "report.md").write_text(report)
    (args.out / "report.json").write_text(json.dumps({
        "loads": [{"size": l.size, "connections": l.connections, "pipeline": l.pipeline,
                   "results": r} for l, r in measured.items()],
        "idle_bytes": memory, "threads": threads, "without_kernel_ns": times,
        "steady_readers": slow, "forty_readers": forty, "crowds": latency,
        "instructions": counts_of_echo, "executions_a_second": rates, "failures": failures}, indent=1))
    if measured:
        plot({l: r for l, r in measured.items() if BARE in r}, args.out)
    print(f"report.md, report.json and any plots are in {args.out}", file=sys.stderr)
    return 0 if not failures else 1


if __name__ == "__main__":
    sys.exit(main())
