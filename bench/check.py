"""What rowpool is meant to reach beside its peers, and what it reaches here: a line for each target.

    check.py [--rounds N] [--quick] [NAMES [PROGRAM [RESULTS]]]

NAMES are targets, comma-separated; "": all. PROGRAM is rowpool-bench, which starts this for --check. RESULTS is a file
that its --format json wrote, to be judged instead of a run. The exit status is 0 also where rowpool falls short.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import namedtuple
from statistics import median

SIZES = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}
SIZES.update({"float16": 2, "float32": 4, "float64": 8})
QUICK = 2000  # what the sizes are divided by

# ---- The targets ----------------------------------------------------------------------------------------------------

# A figure of two times. more: whether more of it is better.
Measure = namedtuple("Measure", "figure more text")
FASTER = Measure(lambda own, peer: peer / own, True, "{:.4g} x")
TIME = Measure(lambda own, peer: own / peer, False, "{:.4g} x")
BEYOND = Measure(lambda own, peer: own - peer, False, "{:.0f} ns")

# subject: its label. peers: patterns of labels; the fastest of them counts. Each case must reach the target; the worst is
# shown. A case is a shape as --shape takes it, or "WIDTH@MB": as many rows as make up the megabytes, or "ROWS/MB": rows
# as long, or "largest": one row in half of the free memory.
Target = namedtuple("Target", "name subject measure target peers cases dtypes", defaults=[["int32"]])

LOOP = "openmp/"  # the loop that learns the width when the program runs; the better compiler counts
LOOP_OR_SPLIT = "openmp/,openmp-split/"  # for few rows: also with each row cut up

TARGETS = [
    # Short rows: what a kernel for the width brings.
    Target("rows-5", "rowpool/auto", FASTER, 3, LOOP, ["5@256"]),
    Target("rows-3", "rowpool/auto", FASTER, 2, LOOP, ["3@256"]),
    Target("rows-8", "rowpool/auto", FASTER, 1, LOOP, ["8@256"]),
    Target("widths", "rowpool/auto", FASTER, 1, LOOP, [f"{width}@64" for width in range(1, 65)]),
    Target("200000", "rowpool/auto", FASTER, 2, LOOP, ["200000:5"]),
    Target("width-known", "rowpool/auto", FASTER, 1, "openmp-width/", ["5@256"]),
    Target("intrinsics-5", "rowpool/auto", FASTER, 1.5, "intrinsics", ["5@256"]),
    Target("intrinsics", "rowpool/auto", FASTER, 1, "intrinsics", ["3@256", "8@256", "64@256"]),
    # Long rows: the memory's rate.
    Target("limit", "rowpool/auto", FASTER, 0.9, "limit", ["64@256", "1024@256", "65536@256", "1048576@256"], SIZES),
    # Shapes that are hard to split.
    Target("one-row", "rowpool/auto", FASTER, 1, LOOP_OR_SPLIT, ["largest"], SIZES),
    Target("seven-rows", "rowpool/auto", FASTER, 1, LOOP_OR_SPLIT, ["7/256"], SIZES),
    Target("rows-1", "rowpool/auto", FASTER, 1, LOOP_OR_SPLIT, ["100000000:1"], SIZES),
    # Rows of unequal length, beside equal ones.
    Target("ragged-zipf", "rowpool/auto", FASTER, 0.8, "dense/rowpool", ["64@256:zipf"]),
    Target("ragged-giant", "rowpool/auto", FASTER, 0.8, "dense/rowpool", ["10@256:giant"]),
    Target("ragged-empties", "rowpool/auto", FASTER, 0.8, "dense/rowpool", ["5@256:empties"]),
    # Several ranges at once.
    Target("ranges-16", "rowpool/auto", FASTER, 4, "passes/rowpool", ["64@256:16", "1024@256:16"]),
    # Small maps: what a call costs.
    Target("small-1", "rowpool/auto", BEYOND, 100, "serial", ["1:5"]),
    Target("small-10000", "rowpool/auto", TIME, 1.2, "serial", ["1000:5", "10000:5"]),
    Target("small-100000", "rowpool/auto", TIME, 1, "serial", ["20000:5", "100000:5"]),
    # Worker processes.
    Target("fork-alloc", "rowpool/fork+alloc", FASTER, 0.95, LOOP, ["1024@256", "1024@4000"]),
    Target("fork-private", "rowpool/fork", FASTER, 0.3, LOOP, ["1024@256", "1024@4000"]),
    # Python.
    Target("numpy", "rowpool/auto", FASTER, 6, "python/numpy", ["200000:5"]),
    Target("python-pool", "rowpool/auto", FASTER, 250, "python/pool", ["200000:5"]),
    # What comes before the first count.
    Target("open", "open/rowpool", TIME, 1.1, "open/opencl", ["1:5"]),
    Target("first", "process/rowpool", TIME, 1.1, "process/opencl", ["200000:5"]),
    Target("first-cold", "process/rowpool-cold", TIME, 1.5, "process/rowpool", ["200000:5"]),
]

# ---- Cases ----------------------------------------------------------------------------------------------------------


class Skipped(Exception):
    """There is nothing to judge here, and why."""


def memory_free():
    with open("/proc/meminfo") as file:
        return 1024 * int(re.search(r"MemAvailable: *(\d+)", file.read())[1])


def shape_of(case, element, quick):
    """The case as --shape takes it; element: its size in bytes."""
    divisor = QUICK if quick else 1
    if case == "largest":
        return f"1:{min(2**30, max(2**28, 1 << (memory_free() // 2 // element).bit_length() - 1)) // divisor}"
    if "/" in case:
        count, size = map(int, case.split("/"))
        return f"{count}:{size * 10**6 // divisor // element // count}"
    if "@" in case:
        width, size, suffix = re.fullmatch(r"(\d+)@(\d+)(.*)", case).groups()
        return f"{max(1, int(size) * 10**6 // divisor // element // int(width))}:{width}{suffix}"
    count, rest = case.split(":", 1)
    return f"{max(1, int(count) // divisor)}:{rest}"


def check_memory(target, shapes, element):
    """Counts are there twice; memory of rowpool's own is a copy of the data."""
    for shape in shapes:
        rows, width = map(int, shape.split(":")[:2])
        need = rows * width * element * (2 if "+alloc" in target.subject else 1) + 8 * rows
        if need > memory_free():
            raise Skipped(f"{shape} needs {need / 1e9:.3g} GB of memory and {memory_free() / 1e9:.3g} GB are free")


# ---- Measuring ------------------------------------------------------------------------------------------------------


def measure(program, rounds, device, peers, dtype, shapes):
    command = [program, "--format", "json", "--rounds", str(rounds), "--device", device, "--peers", peers]
    run = subprocess.run([*command, "--type", dtype, "--shape", ",".join(shapes)], capture_output=True, text=True)
    if run.returncode == 2:  # no such peer on this machine
        raise Skipped(run.stderr.strip().removeprefix("rowpool-bench: "))
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    return json.loads(run.stdout)


def device_of(target):
    kind, name = target.subject.split("/")
    return name.split("+")[0] if kind == "rowpool" else "auto"


def fits(label, patterns):
    return any(label.startswith(pattern) for pattern in patterns.split(","))


def times_of(results, dtype, shape):
    """Of each peer the times of its rounds."""
    times = {}
    for entry in results["benchmarks"]:
        label = entry.get("peer")
        if entry.get("run_type") == "iteration" and entry["run_name"] == f"range_count/{dtype}/{shape}/{label}":
            times.setdefault(label, []).append(entry["real_time"])
    return times


def judge(target, times):
    """The figure of one case, and the peer: what each round gives by itself, where both have as many."""
    peers = [label for label in times if label != target.subject and fits(label, target.peers)]
    if target.subject not in times or not peers:
        raise Skipped("no such peer for this case here")
    own, label = times[target.subject], min(peers, key=lambda label: median(times[label]))
    pairs = zip(own, times[label]) if len(own) == len(times[label]) else [(median(own), median(times[label]))]
    return median(target.measure.figure(*pair) for pair in pairs), label


# ---- Lines ----------------------------------------------------------------------------------------------------------


def line(target, case, beside, measured, verdict):
    sign = ">= " if target.measure.more else "<= "
    bound = sign + target.measure.text.format(target.target)
    print(f"{target.name:15}{case:29}{target.subject:22}{beside:27}{bound:>12}{measured:>12}  {verdict}", flush=True)


def check(target, dtype, options, results):
    """Prints the line of one element type, and one for each case that is skipped."""
    shapes = list(dict.fromkeys(shape_of(case, SIZES[dtype], options.quick) for case in target.cases))
    if options.quick:
        shapes = shapes[:3]
    if not results:
        check_memory(target, shapes, SIZES[dtype])
        # A pool that is open makes the next one cheaper.
        peers = f"{target.subject},{target.peers}" + ("" if target.subject.startswith("rowpool/") else ",-rowpool/")
        results = measure(options.program, options.rounds, device_of(target), peers, dtype, shapes)
    worst = None
    for shape in shapes:
        try:
            figure, label = judge(target, times_of(results, dtype, shape))
        except Skipped as why:
            line(target, f"{dtype} {shape}", target.peers, "-", f"skipped: {why}")
            continue
        if worst is None or (figure < worst[0]) == target.measure.more:
            worst = figure, label, shape
    if worst:
        figure, label, shape = worst
        reached = figure >= target.target if target.measure.more else figure <= target.target
        line(target, f"{dtype} {shape}", label, target.measure.text.format(figure), "pass" if reached else "short")


def print_head(context):
    for name in ("date", "processor", "cores", "memory", "compiler", "rowpool", "work"):
        print(f"{name:11}{context.get(name, 'unknown')}")
    head = f"{'check':15}{'worst case':29}{'of':22}{'beside':27}{'target':>12}{'measured':>12}  verdict"
    print(f"\n{head}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="check.py")
    parser.add_argument("--rounds", default=7, type=int)
    parser.add_argument("--quick", action="store_true", help="few small cases, to see it run")
    parser.add_argument("names", nargs="?", default="")
    parser.add_argument("program", nargs="?", default="rowpool-bench")
    parser.add_argument("results", nargs="?")
    options = parser.parse_args()
    names = options.names.split(",") if options.names else [target.name for target in TARGETS]
    for name in names:
        if name not in {target.name for target in TARGETS}:
            known = " ".join(target.name for target in TARGETS)
            print(f"rowpool-bench: --check: there is no '{name}', but {known}", file=sys.stderr)
            return 2
    results, code = None, 0
    if options.results:
        try:
            with open(options.results, encoding="utf-8") as file:
                results = json.load(file)
            context, _ = results["context"], results["benchmarks"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(f"rowpool-bench: --from: {options.results}: {error!r}", file=sys.stderr)
            return 1
    else:
        context = measure(options.program, 1, "host", "none", "int32", ["1:1"])["context"]
    print_head(context)
    for target in TARGETS:
        for dtype in list(target.dtypes)[: 2 if options.quick else None] if target.name in names else []:
            try:
                check(target, dtype, options, results)
            except Skipped as why:
                line(target, dtype, target.peers, "-", f"skipped: {why}")
            except RuntimeError as error:
                print(f"rowpool-bench: {target.name}: {error}", file=sys.stderr, flush=True)
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
