"""Measures echo servers side by side and writes a table, plots and JSON. Called by ci/bench.

Every figure that is quoted is a ratio within one round: in each round every server runs once, in
turn, so that a machine that drifts drifts for all of them. The server's processor time is read from
the kernel, so it counts also where the load generator was the limit, and such rows say so.
"""
import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BARE = "epoll_loop"
SERVER_CORE, LOAD_CORE = "0", "1"


@dataclasses.dataclass(frozen=True)
class Load:
    size: int
    connections: int
    pipeline: int

    def name(self):
        mode = "closed loop" if self.pipeline == 1 else f"{self.pipeline} pipelined"
        return f"{human(self.size)} x {self.connections}, {mode}"


def human(size):
    for unit, scale in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale} {unit}B"
    return f"{size} B"


class Server:
    """A server process on a core of its own; use with `with`."""

    def __init__(self, command):
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command[0]} did not start")
        self.port = json.loads(line)["port"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def cpu_seconds(self):
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass  # the thread ended between the two looks
        return total / 1e9

    def memory(self, field="VmHWM"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
        return 0

    def private_bytes(self):
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(l.split()[1]) * 1024 for l in rollup if l.startswith("Private_"))

    def alive(self):
        return self.process.poll() is None


def generate(server, load, seconds, binaries):
    """One run of load; the generator's own JSON."""
    if load.size >= 64:
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "30s", "-s",
                   str(ROOT / "bench/echo.lua"), f"http://127.0.0.1:{server.port}", "--",
                   str(load.size), str(load.pipeline)]
    else:
        command = [str(binaries / "load"), "--port", str(server.port), "--connections",
                   str(load.connections), "--size", str(load.size), "--pipeline",
                   str(load.pipeline), "--messages", str(int(60_000 * seconds * load.pipeline**0.5))]
    result = subprocess.run(["taskset", "-c", LOAD_CORE, *command], capture_output=True, text=True,
                            timeout=120)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip() or result.stdout.strip())
    return json.loads(result.stdout.strip().splitlines()[-1])


def measure_round(command, load, seconds, binaries):
    with Server(command) as server:
        before = server.cpu_seconds()
        result = generate(server, load, seconds, binaries)
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


def main():
    parser = argparse.ArgumentParser(prog="ci/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--server", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where reports go")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of load in each run")
    parser.add_argument("--sizes", default="64,1024,65536,1048576")
    parser.add_argument("--connections", default="50,1000")
    parser.add_argument("--pipeline", default="1")
    parser.add_argument("--idle", default="1000,10000,19000", help="idle connections; '' for none")
    parser.add_argument("--only", default="", help="names of servers, with commas")
    parser.add_argument("--full", action="store_true", help="the whole matrix: about an hour")
    args = parser.parse_args()
    if args.full:
        args.sizes, args.connections, args.pipeline = \
            "1,64,1024,16384,65536,1048576", "1,50,1000,10000", "1,16"

    servers = {"echoproof": [str(args.server), "--port", "0", "--log-level", "error"]}
    for path in sorted(args.binaries.iterdir()):
        if path.name not in ("load",) and os.access(path, os.X_OK) and path.is_file():
            servers[path.name] = [str(path)]
    if args.only:
        servers = {k: v for k, v in servers.items() if k in (*args.only.split(","), BARE)}
    loads = [Load(int(s), int(c), int(p)) for p, c, s in itertools.product(
        args.pipeline.split(","), args.connections.split(","), args.sizes.split(","))]
    # A generator with 10,000 messages of a megabyte under way would measure its own memory.
    loads = [l for l in loads if l.size * l.connections * l.pipeline <= 2 << 30]

    args.out.mkdir(parents=True, exist_ok=True)
    measured, lines, failures = {}, ["# Speed and memory beside peers"], []
    start, total = time.time(), len(loads) * args.rounds * len(servers)
    done = 0
    for load in loads:
        results = {name: [] for name in servers}
        for _ in range(args.rounds):
            for name, command in servers.items():
                try:
                    results[name].append(measure_round(command, load, args.seconds, args.binaries))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failures.append(f"{name}, {load.name()}: {error}")
                done += 1
                left = (time.time() - start) / done * (total - done)
                print(f"\r{done}/{total} runs, about {left / 60:.0f} min left, {load.name()}, {name}"
                      "          ", end="", file=sys.stderr, flush=True)
        measured[load] = {n: r for n, r in results.items() if len(r) == args.rounds}
        lines.append(table(load, measured[load]))
    print(file=sys.stderr)

    memory = {}
    if args.idle:
        counts = [int(n) for n in args.idle.split(",")]
        lines += ["\n### Private memory for each idle connection, bytes\n",
                  "| server | " + " | ".join(map(str, counts)) + " |", "|---" * (len(counts) + 1) + "|"]
        for name, command in servers.items():
            try:
                memory[name] = [idle_memory(command, n, args.binaries) for n in counts]
                lines.append(f"| {name} | " + " | ".join(f"{m:,.0f}" for m in memory[name]) + " |")
            except (RuntimeError, subprocess.CalledProcessError) as error:
                failures.append(f"{name}, idle: {error}")
    if failures:
        lines += ["\n### Runs that failed\n", *[f"* {f}" for f in sorted(set(failures))]]

    report = "\n".join(lines) + "\n"
    print(report)
    (args.out / "report.md").write_text(report)
    (args.out / "report.json").write_text(json.dumps({
        "loads": [{"size": l.size, "connections": l.connections, "pipeline": l.pipeline,
                   "results": r} for l, r in measured.items()],
        "idle_bytes": memory, "failures": failures}, indent=1))
    plot(measured, args.out)
    print(f"report.md, report.json and plots are in {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
