"""An echo server as a process of its own: what it is started with, and what the system says of it.

Used by the scripts of this folder; measures nothing by itself.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SERVER_CORE, LOAD_CORE, BOTH_CORES = "0", "1", "0,1"
# Servers that are told their port and do not say when they listen; {port} and {folder} are filled in.
INETD = {
    "xinetd": ["xinetd", "-dontfork", "-stayalive", "-pidfile", "{folder}/pid", "-f", "{folder}/conf"],
    "socat": ["socat", "TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,backlog=4096,fork", "EXEC:cat"],
}
XINETD_CONF = """defaults
{{
  instances = UNLIMITED
  cps = 100000 1
  per_source = UNLIMITED
  log_type = FILE {folder}/log
}}
service echo
{{
  type = INTERNAL UNLISTED
  id = echo-stream
  socket_type = stream
  protocol = tcp
  user = root
  wait = no
  bind = 127.0.0.1
  port = {port}
}}
"""


def inetd_servers():
    """Those of INETD that are installed, by name."""
    return {name: command for name, command in INETD.items() if shutil.which(command[0])}


def tcp_memory():
    """Bytes that the sockets of all processes have in the kernel."""
    for line in pathlib.Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def tcp_memory_pressure():
    """Bytes of them from which on the kernel takes memory away from sockets; 0: it does not say."""
    path = pathlib.Path("/proc/sys/net/ipv4/tcp_mem")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if path.exists() else 0


def socket_memory(port):
    """Bytes that the sockets of the server at a port have in the kernel; None: no ss to say so."""
    if not shutil.which("ss"):
        return None
    said = subprocess.run(["ss", "-tmnH", f"sport = :{port}"], capture_output=True, text=True).stdout
    # What was received, what is set aside (less than nothing at times, which ss shows as a large
    # number), what is to be sent.
    return sum(int(r) + (int(f) + 2**31) % 2**32 - 2**31 + int(w) for r, f, w in
               re.findall(r"skmem:\(r(\d+),.*?,f(\d+),w(\d+),", said))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process on a core of its own; use with `with`."""

    def __init__(self, command, cores=SERVER_CORE, environment=None):
        self.folder = tempfile.TemporaryDirectory()
        told = any("{" in word for word in command)
        self.port = free_port() if told else 0
        (pathlib.Path(self.folder.name) / "conf").write_text(
            XINETD_CONF.format(folder=self.folder.name, port=self.port))
        if told:
            command = [word.format(folder=self.folder.name, port=self.port) for word in command]
        self.process = subprocess.Popen(["taskset", "-c", cores, *command], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env={**os.environ, **(environment or {})})
        if told:
            self._wait_for_listener(command[0])
            return
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command[0]} did not start")
        self.port = json.loads(line)["port"]

    def _wait_for_listener(self, name):
        end = time.monotonic() + 10
        while time.monotonic() < end and self.alive():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError(f"{name} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in reversed(self.processes()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended between the two
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def processes(self):
        """The server's process and, of a server that forks, its children and theirs."""
        found = [self.process.pid]
        for pid in found:
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += map(int, children.read_text().split())
                except (FileNotFoundError, ProcessLookupError):
                    pass  # it ended between the two looks
        return found

    def cpu_seconds(self):
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass  # the thread ended between the two looks
        return total / 1e9

    def cpu_seconds_of_all(self):
        """Of the process and its children, also those that have ended, to a hundredth."""
        ticks = 0
        for pid in self.processes():
            try:
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            except FileNotFoundError:
                continue
            ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes_of_all(self):
        """Of the process and its children; what they share counts for each."""
        total = 0
        for pid in self.processes():
            try:
                statm = pathlib.Path(f"/proc/{pid}/statm").read_text()
            except FileNotFoundError:
                continue
            total += int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def memory(self, field="VmHWM"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
        return 0

    def private_bytes(self):
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(l.split()[1]) * 1024 for l in rollup if l.startswith("Private_Dirty"))

    def alive(self):
        return self.process.poll() is None

    def seconds_to_end(self, timeout=40):
        """From SIGTERM to the exit; None: not within the timeout."""
        start = time.monotonic()
        # A tracer passes no signal on: the traced process gets it.
        os.kill(self.processes()[-1] if "strace" in self.process.args else self.process.pid,
                signal.SIGTERM)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - start
