"""Instructions and system calls for an echo of 64 bytes. Called by measure.py.

Each is the difference of two runs that differ in the number of echoes only, so what the start, the
connections and the end take cancels out. Neither depends on how busy the machine is.
"""
import pathlib
import re
import shutil
import subprocess
import tempfile

from server import BOTH_CORES, Server

FEW, MANY = 2000, 12000  # echoes
CLIENTS = (1, 50)


def serve(command, messages, clients, binaries):
    """Has a server echo so many messages, and ends it by SIGTERM."""
    with Server(command, BOTH_CORES) as server:
        subprocess.run(["timeout", "100", str(binaries / "load"), "--port", str(server.port),
                        "--connections", str(clients), "--size", "64", "--messages", str(messages)],
                       stdout=subprocess.DEVNULL, check=True)
        if server.seconds_to_end() is None:
            raise RuntimeError(f"{command[0]} did not end")


def instructions(command, messages, clients, binaries):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind"
        serve(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command], messages,
              clients, binaries)
        return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1))


def system_calls(command, messages, clients, binaries):
    """By name."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "strace"
        serve(["strace", "-c", "-f", "-o", str(out), *command], messages, clients, binaries)
        rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", out.read_text(), re.M)
        return {name: int(calls) for calls, name in rows if name != "total"}


def measure(servers, binaries, progress, failures, results):
    """By name: for 1 and for 50 clients, instructions and system calls for an echo."""
    for name, command in servers.items():
        for clients in CLIENTS:
            progress(f"instructions, {name}, {clients}")
            row = results.setdefault(name, {}).setdefault(clients, {})
            try:
                if shutil.which("valgrind"):
                    few, many = (instructions(command, n, clients, binaries) for n in (FEW, MANY))
                    row["instructions"] = (many - few) / (MANY - FEW)
                if shutil.which("strace"):
                    few, many = (system_calls(command, n, clients, binaries) for n in (FEW, MANY))
                    row["calls"] = {call: (n - few.get(call, 0)) / (MANY - FEW)
                                    for call, n in many.items()
                                    if n - few.get(call, 0) > (MANY - FEW) / 1000}
            except (RuntimeError, AttributeError, subprocess.SubprocessError) as error:
                failures.append(f"instructions of {name}, {clients}: {error}")


def table(results):
    lines = ["\n### Instructions and system calls for an echo of 64 bytes\n",
             "| server | clients | user instructions | system calls | of these |", "|---|---|---|---|---|"]
    for name, by_clients in results.items():
        for clients, row in by_clients.items():
            count = f"{row['instructions']:,.0f}" if "instructions" in row else "no valgrind: skipped"
            calls = row.get("calls")
            total = f"{sum(calls.values()):.2f}" if calls is not None else "no strace: skipped"
            lines.append(f"| {name} | {clients} | {count} | {total} | " + ", ".join(
                f"{call} {n:.2f}" for call, n in sorted((calls or {}).items(), key=lambda x: -x[1])) + " |")
    return "\n".join(lines)
