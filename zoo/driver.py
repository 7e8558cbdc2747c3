"""What a sanitizer or valgrind finds without oracles: a specimen on real libuv, and clients on loopback.
Some clients talk, some leave early, reset, half-close first, or read late.

The only oracle is the tool's own report.
"""
import json
import os
import random
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOOLS = ("AddressSanitizer", "LeakSanitizer", "runtime error", "ERROR SUMMARY", "Assertion")
FOUND_BY_VALGRIND = 99


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def visit(port, choose):
    """One client's life."""
    client = socket.create_connection(("127.0.0.1", port), timeout=1)
    client.settimeout(0.2)
    try:
        for _ in range(choose.randrange(4)):
            client.sendall(b"x" * choose.choice([1, 10, 200, 65536, 300_000]))
            if choose.random() < 0.5:
                client.recv(65536)
        end = choose.randrange(4)
        if end == 0:
            reset(client)
        elif end == 1:
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        elif end == 2:
            time.sleep(choose.random() * 0.02)
    except OSError:
        pass
    finally:
        client.close()


def attempt(specimen, tool, seed, budget, bins):
    choose = random.Random(seed)
    seconds, runs, said = 0.0, 0, []
    while seconds < budget and runs < 20:
        runs += 1
        text, status, used = one_run(specimen.name, tool, choose, bins)
        seconds += used
        said = verdict(text, status, tool)
        if said:
            return {"found": True, "executions": runs, "seconds": round(seconds, 3), "said": said}
    return {"found": False, "executions": runs, "seconds": round(seconds, 3), "said": said}


def verdict(text, status, tool):
    """What the tool reported, or how the server died of itself."""
    if tool == "valgrind" and status == FOUND_BY_VALGRIND:
        return [line for line in text.splitlines() if "ERROR SUMMARY" in line][-1:] or ["valgrind"]
    if tool == "asan":
        lines = [line for line in text.splitlines() if any(t in line for t in TOOLS[:3])]
        if status != 0 and lines:
            return lines[:1]
    if status in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGPIPE):
        return [f"died of signal {-status}"]
    return []


def one_run(name, tool, choose, bins):
    command = [bins["fuzz"] / "zoo_server", name]
    environment = dict(os.environ, ASAN_OPTIONS="detect_stack_use_after_return=1:symbolize=0",
                       UBSAN_OPTIONS="symbolize=0")
    if tool == "valgrind":
        command = ["valgrind", "--quiet", f"--error-exitcode={FOUND_BY_VALGRIND}",
                   "--leak-check=full", "--errors-for-leak-kinds=definite",
                   bins["dev"] / "zoo_server", name]
    with tempfile.TemporaryFile() as errors:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
        try:
            port = json.loads(server.stdout.readline() or b'{"port": 0}')["port"]
            for _ in range(10):
                visit(port, choose)
            server.send_signal(signal.SIGTERM)
        except OSError:
            pass  # it has died, or it does not answer any more
        deadline = time.monotonic() + 10
        status = 0
        while True:
            pid, status, usage = os.wait4(server.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                server.kill()
                _, status, usage = os.wait4(server.pid, 0)
                break
            time.sleep(0.01)
        server.returncode = os.waitstatus_to_exitcode(status)
        server.stdout.close()
        errors.seek(0)
        return (errors.read().decode(errors="replace"), server.returncode,
                usage.ru_utime + usage.ru_stime)
