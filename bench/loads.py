"""Bulk load and small messages: what the generators wrk and load.cpp are asked for, and what they say.

Used by the scripts of this folder; measures nothing by itself.
"""
import dataclasses
import json
import pathlib
import subprocess

from server import LOAD_CORE

ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Load:
    size: int
    connections: int
    pipeline: int

    def name(self):
        mode = "closed loop" if self.pipeline == 1 else f"{self.pipeline} pipelined"
        return f"{human(self.size)} x {self.connections}, {mode}"

    def under_way(self):
        """Bytes."""
        return self.size * self.connections * self.pipeline


def human(size):
    for unit, scale in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale} {unit}B"
    return f"{size} B"


def generate(server, load, seconds, binaries, cores=LOAD_CORE):
    """One run of load; the generator's own JSON."""
    if load.size >= 64:
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "30s", "-s",
                   str(ROOT / "bench/echo.lua"), f"http://127.0.0.1:{server.port}", "--",
                   str(load.size), str(load.pipeline)]
    else:
        command = [str(binaries / "load"), "--port", str(server.port), "--connections",
                   str(load.connections), "--size", str(load.size), "--pipeline",
                   str(load.pipeline), "--messages", str(int(60_000 * seconds * load.pipeline**0.5))]
    result = subprocess.run(["taskset", "-c", cores, *command], capture_output=True, text=True,
                            timeout=120)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip() or result.stdout.strip())
    report = json.loads(result.stdout.strip().splitlines()[-1])
    if report.get("errors", 0) > 0 or report["messages"] == 0:
        raise RuntimeError(f"{report.get('errors', 0)} connections failed, "
                           f"{report['messages']} messages came back")
    return report
