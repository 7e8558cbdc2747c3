"""How many inputs a second each fuzz target tries, with and without sanitizers. Called by measure.py.

Seconds of processor time, so that a busy machine counts for nothing. Each search starts from the
seeds in fuzz/corpus with the same random seed, so that both builds try similar inputs.
"""
import pathlib
import re
import resource
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = sorted(source.stem.removesuffix("_fuzzer") for source in (ROOT / "fuzz").glob("*_fuzzer.cpp"))


def longest_input(name):
    """In bytes, as the tests have it."""
    said = re.search(rf"set\({name}_max_len (\d+)\)", (ROOT / "fuzz/CMakeLists.txt").read_text())
    return int(said[1]) if said else 64


def what_it_found(said):
    """The line that names it, of all that an engine says."""
    lines = said.strip().splitlines() or ["nothing said"]
    return next((line for line in lines if re.match(r"oracle |.*(assertion failed|ERROR: )", line)), lines[-1])


def rate(program, name, seconds):
    """Executions for each second of processor time."""
    with tempfile.TemporaryDirectory() as found:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run(
            [str(program), "-seed=1", f"-max_total_time={seconds}", "-print_final_stats=1",
             f"-max_len={longest_input(name)}", f"-artifact_prefix={found}/", found,
             str(ROOT / "fuzz/corpus" / name)],
            capture_output=True, text=True, timeout=20 * seconds + 60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", result.stderr)
    if result.returncode != 0 or not executed:
        raise RuntimeError(f"{program.name}: exit status {result.returncode}: {what_it_found(result.stderr)}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(executed[1]) / spent


def measure(builds, seconds, progress, failures, rates):
    """Adds to `rates` the executions a second by target, with the names of the builds."""
    for name in TARGETS:
        row = rates.setdefault(name, {})
        for build, directory in builds.items():
            progress(f"{name}_fuzzer, {build}")
            try:
                row[build] = rate(directory / "bin" / f"{name}_fuzzer", name, seconds)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failures.append(f"fuzz target, {build}: {error}")
    return rates


def table(rates, builds):
    shown = {name: [f"{row[b]:,.0f}" if b in row else "failed" for b in builds]
             for name, row in rates.items() if row}
    return "\n".join(
        ["\n### Executions of the fuzz targets for each second of processor time\n",
         "| target | " + " | ".join(builds) + " |", "|---" * (len(builds) + 1) + "|",
         *[f"| `{name}_fuzzer` | " + " | ".join(row) + " |" for name, row in shown.items()]])
