"""What constants of the server were chosen by: `ci/bench --constants`.

First sizes of socket buffers, which socket_sizes.c gives to the server as it is. Then copies of the
server, each with one constant changed. Bulk throughput is compared in short slices in turn, and
what is reported is the median of the ratios within a round: the machine's own pace drops out.
"""
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

import crowds
from loads import ROOT
from server import LOAD_CORE, Server, socket_memory

KIB, MIB = 1 << 10, 1 << 20
SOCKET_SIZES = (8, 12, 16, 32, 64, 128, 192)  # KiB, of SO_RCVBUF and of SO_SNDBUF
CHOSEN = "as it is"
# By constant: the file, what stands before its number, and other numbers.
VARIANTS = {
    "small_block_size": ("service.hpp", "small_block_size = ", (256, 4096)),
    "linger_share": ("service.hpp", "linger_share = std::size_t{", (4, 64)),
    "least": ("kernel_budget.hpp", "least = std::size_t{", (16, 32)),
    "little": ("kernel_budget.hpp", "little = std::size_t{", (32, 128)),
    "little_max": ("kernel_budget.hpp", "little_max = ", (4, 16)),
    "fraction": ("kernel_budget.hpp", "fraction = ", (256, 4096)),
    "tuned_part": ("kernel_budget.hpp", "tuned_part = ", (2, 64)),
}
MESSAGE = 64 * KIB
CLIENTS = (1, 50, 1000)
CROWD = crowds.CROWDS["5,000 that never read"]
CROWD_SIZE = int(CROWD[2])


def build_copy(name, file, before, number, folder):
    """A release of the server that differs in one number."""
    tree = folder / f"{name}-{number}"
    tree.mkdir(parents=True, exist_ok=True)
    for part in ("CMakeLists.txt", "CMakePresets.json", "cmake"):
        (tree / part).unlink(missing_ok=True)
        (tree / part).symlink_to(ROOT / part)
    shutil.rmtree(tree / "src", ignore_errors=True)
    shutil.copytree(ROOT / "src", tree / "src")
    header = tree / "src/core" / file
    text, count = re.subn(re.escape(before) + r"\d+", f"{before}{number}", header.read_text())
    if count != 1:
        raise RuntimeError(f"{name} is not a constant of {file} any more")
    header.write_text(text)
    for command in (["cmake", "-S", tree, "-B", tree / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"],
                    ["cmake", "--build", tree / "build", "--target", "echo-server"]):
        subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return str(tree / "build/bin/echo-server")


def stream(port, clients, seconds, binaries):
    """What load.cpp says; wrk is slower than the servers at such messages."""
    result = subprocess.run(
        ["timeout", "60", "taskset", "-c", LOAD_CORE, str(binaries / "load"), "--port", str(port),
         "--connections", str(clients), "--size", str(MESSAGE), "--messages", str(10**9),
         "--seconds", str(seconds)], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def bulk(servers, clients, rounds, seconds, args, failures):
    """Megabytes a second by name, by round; servers are (command, environment). All run through,
    one slice each in turn."""
    results = {name: [] for name in servers}
    for _ in range(rounds):
        for name, (command, environment) in servers.items():
            try:
                with Server(command, environment=environment) as server:
                    said = stream(server.port, clients, seconds, args.binaries)
                results[name].append(said["bytes"] / said["seconds"] / 1e6)
            except (RuntimeError, subprocess.SubprocessError) as error:
                failures.append(f"{name}, bulk of {clients}: {error}")
                results[name].append(0)
    return results


def ratio(results, name, base):
    ratios = [a / b for a, b in zip(results[name], results[base]) if b > 0]
    return statistics.median(ratios) if ratios else 0


def beside_crowd(command, environment, args):
    return crowds.measure_beside(command, CROWD, args.binaries, 5, environment, to_the_end=False)


def crowd_cells(r):
    return (f"{r['p99_ms']:.1f} | {r['worst_ms']:.1f} | {(r['sockets'] or 0) / CROWD_SIZE / KIB:,.0f} |"
            if r else "- | - | - |")


def try_crowd(name, command, environment, args, failures):
    try:
        return beside_crowd(command, environment, args)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        failures.append(f"{name} beside the crowd: {error}")
        return None


def socket_sizes(command, args, failures):
    preload = str((args.binaries / "socket_sizes.so").resolve())
    servers = {f"{k} + {k}": (command, {"LD_PRELOAD": preload, "SOCKET_RECEIVE": str(k * KIB),
                                        "SOCKET_SEND": str(k * KIB)}) for k in SOCKET_SIZES}
    servers[CHOSEN] = (command, {})
    rates = bulk(servers, 50, args.rounds, args.seconds, args, failures)
    lines = ["\n### Socket buffers: SO_RCVBUF + SO_SNDBUF of each connection\n",
             f"50 streams of 64 KiB; and 50 honest clients beside {CROWD_SIZE:,} that never read.\n",
             f"| KiB | MB/s | x {CHOSEN} | honest p99 ms | worst ms | TCP memory of the server for each, KiB |",
             "|---|---|---|---|---|---|"]
    for name, (program, environment) in servers.items():
        crowd = try_crowd(name, program, environment, args, failures)
        lines.append(f"| {name} | {statistics.median(rates[name]):,.0f} |"
                     f" {ratio(rates, name, CHOSEN):.2f} | {crowd_cells(crowd)}")
    return "\n".join(lines)


def beside_before(ours, before, args, failures):
    lines = ["\n### Bulk, 64 KiB messages, beside the server before\n",
             "| clients | MB/s | before, MB/s | x before |", "|---|---|---|---|"]
    for clients in CLIENTS:
        rates = bulk({"now": (ours, {}), "before": (before, {})}, clients, 2 * args.rounds,
                     args.seconds, args, failures)
        lines.append(f"| {clients:,} | {statistics.median(rates['now']):,.0f} |"
                     f" {statistics.median(rates['before']):,.0f} | {ratio(rates, 'now', 'before'):.2f} |")
    return "\n".join(lines)


def orphaned(command, size, args):
    """TCP memory of the server for each of 60 clients that send so much, half-close and vanish, when the write
    limit has passed."""
    with Server([*command, "--write-timeout", "1"]) as server:
        crowd = crowds.start(args.binaries, server.port, "orphans", "--clients", "60", "--size",
                             str(size), "--vanish", "--small", limit=60)
        try:
            if not crowd.stdout.readline():
                raise RuntimeError("the orphans could not be placed")
            time.sleep(4)
            return (socket_memory(server.port) or 0) / 60
        finally:
            crowd.communicate()


def variants(command, args, failures):
    """Each constant with other numbers, in a copy of the server that is built for it."""
    folder = args.out.parent / "constants"
    options = command[1:]
    lines = ["\n### Other numbers for the constants\n",
             f"Bulk of 64 KiB messages, the server {CHOSEN} in the same round = 1.\n",
             "| constant | number | 1 client | 50 | 1,000 | 50 with --buffer-memory 1MiB | honest p99 ms |"
             " worst ms | TCP memory of the server for each, KiB | of an orphan of 12 KiB | of 48 KiB |",
             "|---" * 11 + "|"]
    reference = build_copy("small_block_size", *VARIANTS["small_block_size"][:2], 1024, folder)
    rows = [(CHOSEN, "", reference)]
    for name, (file, before, numbers) in VARIANTS.items():
        for number in numbers:
            print(f"building {name} {number}", file=sys.stderr)
            try:
                rows.append((name, number, build_copy(name, file, before, number, folder)))
            except (RuntimeError, subprocess.SubprocessError) as error:
                failures.append(f"{name} {number}: {error}")
    little = ["--buffer-memory", "1MiB"]
    loads = [(clients, options) for clients in CLIENTS] + [(50, [*options, *little])]
    rates = [bulk({row[:2]: ([row[2], *words], {}) for row in rows}, clients, args.rounds,
                  args.seconds, args, failures) for clients, words in loads]
    for name, number, program in rows:
        cells = " | ".join(f"{ratio(r, (name, number), rows[0][:2]):.2f}" for r in rates)
        crowd = try_crowd(f"{name} {number}", [program, *options], {}, args, failures)
        left = " | ".join(f"{orphaned([program, *options], size * KIB, args) / KIB:,.0f}"
                          for size in (12, 48))
        lines.append(f"| {name} | {number} | {cells} | {crowd_cells(crowd)} {left} |")
    return "\n".join(lines)


def main(servers, args):
    args.out.mkdir(parents=True, exist_ok=True)
    failures, parts = [], ["# What constants were chosen by"]
    tables = {"socket sizes": lambda: socket_sizes(servers["echoproof"], args, failures)}
    if "before" in servers:
        tables["before"] = lambda: beside_before(servers["echoproof"], servers["before"], args, failures)
    tables["other numbers"] = lambda: variants(servers["echoproof"], args, failures)
    for name, table in tables.items():
        print(f"constants: {name}", file=sys.stderr)
        parts.append(table())
        print(parts[-1], flush=True)
    if failures:
        parts += ["\n### Runs that failed\n", *[f"* {f}" for f in sorted(set(failures))]]
        print("\n".join(parts[-1 - len(set(failures)):]))
    pathlib.Path(args.out / "constants.md").write_text("\n".join(parts) + "\n")
    return 0 if not failures else 1
