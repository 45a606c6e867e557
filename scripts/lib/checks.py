"""The checks behind scripts/test: format, layering, unit, sanitizers, power cuts, wire, crash, fuzz.

Each check builds what it needs (quietly) and yields named results. Output of a test is shown only
if it failed. The last line is "N passed, N failed"; the exit status is 0 only if none failed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = os.cpu_count() or 1
FUZZ_SECONDS_SHORT, FUZZ_SECONDS_FULL = 10, 60
SWEEP_MINUTES_MAX = 180
OUTPUT_SHOWN = 16000  # last characters of a failed test's output


class Result:
    def __init__(self, name, passed, output=""):
        self.name, self.passed, self.output = name, passed, output


class BuildFailed(Exception):
    """What the compiler or CMake said."""


def run(command, timeout_s, env=None):
    """(exit status, output) of a command; a timeout is status 124."""
    try:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout_s, env=env, check=False)
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace")
        return 124, f"{text}\nstopped after {timeout_s} s"
    return done.returncode, done.stdout.decode(errors="replace")


def run_aloud(command):
    """The same for what takes so long that its lines are shown as they come; it ends by itself."""
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout:
            print(f"    {line}", end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def build(preset, *extra, target="all"):
    """Configure (every time: a file may be new) and build a preset."""
    for command in (["cmake", "--preset", preset, "-DCMAKE_C_COMPILER_LAUNCHER=ccache", *extra],
                    ["cmake", "--build", f"build/{preset}", "-j", str(JOBS), "--target", target]):
        status, output = run(command, 1800)
        if status != 0:
            raise BuildFailed(output)


def sanitizer_environment():
    supp = ROOT / "tests/support"
    return {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
        "LSAN_OPTIONS": f"suppressions={supp}/lsan.supp:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": f"suppressions={supp}/tsan.supp:second_deadlock_stack=1",
    }


def ctest(preset, labels):
    """Results of the tests of a built preset that carry one of `labels`."""
    report = ROOT / "build" / preset / "results.xml"
    report.unlink(missing_ok=True)
    env = sanitizer_environment()
    status, output = run(["ctest", "--test-dir", f"build/{preset}", "-L", f"^({'|'.join(labels)})$",
                          "-j", str(JOBS), "--output-junit", str(report),
                          "--test-output-size-failed", "200000", "--no-tests=ignore"], 3600, env)
    if not report.exists():
        return [Result(f"{preset}: ctest", False, output)] if status else []
    return [ctest_result(preset, case)
            for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase")]


def ctest_result(preset, case):
    passed = case.get("status") == "run"
    return Result(f"{preset}: {case.get('name')}", passed, case.findtext("system-out") or "")


def sources():
    return sorted(str(path.relative_to(ROOT)) for folder in ("src", "tests")
                  for path in (ROOT / folder).rglob("*.[ch]") if "node_modules" not in path.parts)


def check_format(_options):
    status, output = run(["clang-format", "--dry-run", "-Werror", *sources()], 300)
    files = sorted(set(re.findall(r"(?m)^(\S+?):\d+:\d+: error:", output)))
    told = "clang-format -i " + " ".join(files) if files else output
    return [Result("format", status == 0, told)]


def check_layering(_options):
    script = "tests/layering/check_layering.py"
    return [Result(f"layering {name}", *passed_and_output(["/usr/bin/python3", script, argument]))
            for name, argument in (("self-test", "--self-test"), ("tree", "src"))]


def passed_and_output(command):
    status, output = run(command, 60)
    return status == 0, output


def check_unit(_options):
    build("dev")
    return ctest("dev", ["unit"])


def check_asan(_options):
    build("asan")
    return ctest("asan", ["unit", "powercut", "wire"])


def check_tsan(_options):
    build("tsan")
    return ctest("tsan", ["unit", "wire"])


def check_powercut(options):
    build("dev")
    results = ctest("dev", ["powercut"])
    if options.full:
        sweep = ["/usr/bin/python3", "-B", "tests/powercut/sweep", "--build", "build/dev",
                 "--minutes", str(SWEEP_MINUTES_MAX)]
        status, output = run_aloud(sweep)
        results.append(Result("dev: powercut.sweep", status == 0, output))
    return results


def build_release():
    """Only the server and what drives it: linking every unit test with optimization over all of its
    libraries takes longer than running them."""
    build("release", "-DPS_TESTS=ON", target="server_with_tools")


def check_wire(_options):
    build_release()
    return ctest("release", ["wire"])


def check_crash(options):
    build_release()
    if options.full:
        os.environ["PS_CRASH_FULL"] = "1"
    return ctest("release", ["crash"])


def fuzz_one(target, seconds):
    """Run one libFuzzer binary over its corpus, without changing the corpus."""
    name = target.name.removeprefix("fuzz_")
    corpus = ROOT / "tests/fuzz/corpus" / name
    found = ROOT / "build/fuzz/found" / name
    found.mkdir(parents=True, exist_ok=True)
    command = [str(target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={found}/crash-of-{name}-", "-verbosity=0", str(found)]
    if corpus.is_dir():
        command.append(str(corpus))
    status, output = run(command, seconds + 300, sanitizer_environment())
    return Result(f"fuzz: {name}", status == 0, output)


def check_fuzz(options):
    build("fuzz")
    targets = sorted(path for path in (ROOT / "build/fuzz/tests/fuzz").glob("fuzz_*")
                     if os.access(path, os.X_OK) and path.is_file())
    if not targets:
        return [Result("fuzz: targets", False, "none was built")]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda target: fuzz_one(target, options.fuzz_seconds), targets))


CHECKS = {
    "format": check_format,
    "layering": check_layering,
    "unit": check_unit,
    "asan": check_asan,
    "tsan": check_tsan,
    "powercut": check_powercut,
    "wire": check_wire,
    "crash": check_crash,
    "fuzz": check_fuzz,
}


def parse_options():
    parser = argparse.ArgumentParser(prog="scripts/test", description="Runs everything CI runs.")
    parser.add_argument("--only", metavar="CHECK,...", help="only these checks")
    parser.add_argument("--full", action="store_true", help="fuzz, crash and cut for longer")
    parser.add_argument("--list", action="store_true", help="name the checks and stop")
    options = parser.parse_args()
    options.checks = options.only.split(",") if options.only else list(CHECKS)
    for name in options.checks:
        if name not in CHECKS:
            parser.error(f"no check is called {name}; there are: {', '.join(CHECKS)}")
    usual = FUZZ_SECONDS_FULL if options.full else FUZZ_SECONDS_SHORT
    options.fuzz_seconds = int(os.environ.get("PS_FUZZ_SECONDS", usual))
    return options


def show_failure(result):
    print(f"--- FAILED {result.name}")
    lines = result.output[-OUTPUT_SHOWN:].rstrip()
    if lines:
        print(re.sub(r"(?m)^", "    ", lines))


def main():
    options = parse_options()
    if options.list:
        print("\n".join(CHECKS))
        return 0
    results = []
    for name in options.checks:
        started = time.monotonic()
        try:
            new = CHECKS[name](options)
        except BuildFailed as failure:
            new = [Result(f"{name}: build", False, str(failure))]
        results += new
        for result in new:
            if not result.passed:
                show_failure(result)
        good = sum(result.passed for result in new)
        print(f"{name}: {good} of {len(new)} passed, {time.monotonic() - started:.0f} s",
              flush=True)
    failed = [result for result in results if not result.passed]
    for result in failed:
        print(f"failed: {result.name}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
