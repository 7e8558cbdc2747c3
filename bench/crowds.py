"""What servers do for slow readers, and for honest clients beside a crowd. Called by measure.py.

Clients are those of crowd.cpp. Each row has a server process of its own; rows that measure latency
run one at a time, and each waits until the kernel has back what the one before took.
"""
import contextlib
import json
import subprocess
import threading
import time

from server import INETD, LOAD_CORE, Server, socket_memory, tcp_memory, tcp_memory_pressure

KB, MIB = 1000, 1 << 20
RATES = (5 * KB, 10 * KB, 20 * KB, 40 * KB)
SIZE = 8 * MIB
# Longer than the server's write limit, 30 s.
BEYOND_WRITE_LIMIT = 45
HONEST = ["--clients", "50", "--size", "2000"]
CROWDS = {
    "no crowd": None,
    "5,000 that never read": ["never", "--clients", "5000", "--small"],
    "15,000 that never read": ["never", "--clients", "15000", "--small"],
    "3,000 that read 1 B/s": ["never", "--clients", "3000", "--rate", "1", "--small"],
    "60 that send until nothing goes, half-close and stay": ["orphans", "--clients", "60", "--small"],
    "60 that send until nothing goes, half-close and vanish":
        ["orphans", "--clients", "60", "--vanish", "--small"],
    "60 that are owed 1 MiB, half-close and vanish":
        ["orphans", "--clients", "60", "--size", str(MIB), "--vanish"],
}


def start(binaries, port, *words, limit):
    """A crowd; it ends by itself after so many seconds."""
    return subprocess.Popen(
        ["timeout", str(limit + 10), "taskset", "-c", LOAD_CORE, str(binaries / "crowd"), words[0],
         "--port", str(port), "--limit", str(limit), *words[1:]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer_of(crowd):
    """Its report, when it has ended."""
    said, complaint = crowd.communicate()
    if crowd.returncode != 0 or not said:
        raise RuntimeError(complaint.strip() or f"crowd: exit status {crowd.returncode}")
    return json.loads(said.splitlines()[-1])


def measure_rates(servers, binaries, deep, progress, failures, results):
    """One client for each rate: 8 MiB, half-close. All run at once, each with its own server, because
    they need little processor time. Unless `deep`, clients read the rest at once at the end."""
    progress("steady readers")
    with contextlib.ExitStack() as stack:
        running = []
        for name, command in servers.items():
            for rate in RATES:
                try:
                    server = stack.enter_context(Server(command))
                except (RuntimeError, OSError) as error:
                    failures.append(f"{name}, steady reader: {error}")
                    continue
                hurry = [] if deep else ["--hurry-after", str(BEYOND_WRITE_LIMIT)]
                limit = SIZE // rate + 60 if deep else BEYOND_WRITE_LIMIT + 30
                running.append((name, rate, start(
                    binaries, server.port, "steady", "--clients", "1", "--size", str(SIZE),
                    "--rate", str(rate), *hurry, limit=limit)))
        for name, rate, crowd in running:
            try:
                results.setdefault(name, {})[rate] = answer_of(crowd)
            except RuntimeError as error:
                failures.append(f"{name}, steady reader of {rate} B/s: {error}")


def measure_forty(servers, binaries, progress, failures, results):
    """40 clients of 300 KB/s at once, 8 MiB each; with little memory where a server has that option."""
    for name, command in servers.items():
        progress(f"40 steady readers, {name}")
        little = ["--buffer-memory", "1MiB"] if "--log-level" in command else []
        try:
            with Server([*command, *little]) as server:
                results[name] = answer_of(start(
                    binaries, server.port, "steady", "--clients", "40", "--size", str(SIZE),
                    "--rate", str(300 * KB), limit=50))
        except (RuntimeError, OSError) as error:
            failures.append(f"{name}, 40 steady readers: {error}")


class PeakOfTcpMemory(threading.Thread):
    """Looks twenty times a second until it is stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.over = 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            self.peak = max(self.peak, tcp_memory())

    def stop(self):
        self.over.set()
        self.join()
        return self.peak


def wait_for_free_memory(bytes_free=64 * MIB, timeout=60):
    end = time.monotonic() + timeout
    while tcp_memory() > bytes_free and time.monotonic() < end:
        time.sleep(0.2)


def measure_beside(command, words, binaries, seconds, environment=None, to_the_end=True):
    """Honest clients beside a crowd: latency, and what it takes of the machine."""
    wait_for_free_memory()
    orphans = words is not None and words[0] == "orphans"
    with Server(command, environment=environment) as server:
        peak = PeakOfTcpMemory()
        crowd = words and start(binaries, server.port, *words, limit=seconds + 150)
        try:
            # Orphans come while the honest are there, the others stay.
            if crowd and not orphans:
                if not crowd.stdout.readline():
                    raise RuntimeError("the crowd could not be placed")
                time.sleep(2)
            cpu, began = server.cpu_seconds_of_all(), time.monotonic()
            honest = start(binaries, server.port, "honest", *HONEST, "--seconds", str(seconds),
                           limit=seconds + 20)
            result = answer_of(honest)
            result["core"] = (server.cpu_seconds_of_all() - cpu) / (time.monotonic() - began)
            result["resident"] = server.resident_bytes_of_all()
            if orphans and not crowd.stdout.readline():
                raise RuntimeError("the orphans could not be placed")
            result["sockets"] = socket_memory(server.port)
            if orphans:
                time.sleep(BEYOND_WRITE_LIMIT)
                result["sockets_afterwards"] = socket_memory(server.port)
            result["tcp_peak"] = peak.stop()
            if crowd:
                crowd.stdin.write("?")
                crowd.stdin.flush()
                result["crowd"] = json.loads(crowd.stdout.readline())
            if to_the_end:
                result["seconds_to_end"] = server.seconds_to_end()
            return result
        finally:
            peak.stop()
            if crowd and crowd.poll() is None:
                crowd.communicate()


def measure_beside_all(servers, binaries, seconds, progress, failures, results):
    """By crowd and by server. A server that has a process for each client is no match for thousands
    on the same machine, so it is not asked."""
    for what, words in CROWDS.items():
        for name, command in servers.items():
            progress(f"{what}, {name}")
            if words and words[0] == "never" and name in INETD:
                continue
            try:
                results.setdefault(what, {})[name] = measure_beside(command, words, binaries, seconds)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failures.append(f"{name} beside {what}: {error}")


def steps(servers):
    """How many times progress is told."""
    return 1 + len(servers) + len(CROWDS) * len(servers)


def mebibytes(count):
    return "-" if count is None else f"{count / MIB:,.0f}"


def table(rates, forty, crowds):
    lines = []
    if rates:
        lines += ["\n### Steady readers: 8 MiB, half-close; bytes lost\n",
                  "| server | " + " | ".join(f"{r // KB} KB/s" for r in RATES) +
                  " | 40 at 300 KB/s: most, whole |", "|---" * (len(RATES) + 2) + "|"]
        for name, by_rate in rates.items():
            row = [f"{by_rate[r]['lost']:,}" if r in by_rate else "-" for r in RATES]
            many = forty.get(name)
            row.append(f"{many['lost_most']:,}, {many['whole']}" if many else "-")
            lines.append(f"| {name} | " + " | ".join(row) + " |")
    for what, by_name in crowds.items():
        lines += [f"\n### 50 honest clients beside {what}\n",
                  f"Pressure on TCP memory begins at {tcp_memory_pressure() / MIB:,.0f} MiB.\n",
                  "| server | whole | failed | median ms | p99 ms | worst ms | % of a core | RSS MiB |"
                  " TCP memory at its peak, MiB | the server's sockets | afterwards |"
                  " SIGTERM to exit, s | clients cut |", "|---" * 13 + "|"]
        for name, r in by_name.items():
            ended = f"{r['seconds_to_end']:.2f}" if r["seconds_to_end"] is not None else "not in 40"
            lines.append(
                f"| {name} | {r['whole']:,} | {r['failed']} | {r['median_ms']:.1f} | {r['p99_ms']:.1f} |"
                f" {r['worst_ms']:.1f} | {100 * r['core']:.1f} | {r['resident'] / MIB:,.0f} |"
                f" {r['tcp_peak'] / MIB:,.0f} | {mebibytes(r['sockets'])} |"
                f" {mebibytes(r.get('sockets_afterwards'))} | {ended} |"
                f" {r.get('crowd', {}).get('cut', 0):,} |")
    return "\n".join(lines)
