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
        raise RuntimeError(f"{program}: {result.stderr.strip().splitlines()[-1]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(executed[1]) / spent


def measure(builds, seconds, progress):
    """Executions a second by target, with the names of the builds."""
    rates = {}
    for name in TARGETS:
        rates[name] = {}
        for build, directory in builds.items():
            progress(f"{name}_fuzzer, {build}")
            rates[name][build] = rate(directory / "bin" / f"{name}_fuzzer", name, seconds)
    return rates


def table(rates):
    builds = list(next(iter(rates.values())))
    return "\n".join(
        ["\n### Executions of the fuzz targets for each second of processor time\n",
         "| target | " + " | ".join(builds) + " |", "|---" * (len(builds) + 1) + "|",
         *[f"| `{name}_fuzzer` | " + " | ".join(f"{row[b]:,.0f}" for b in builds) + " |"
           for name, row in rates.items()]])
