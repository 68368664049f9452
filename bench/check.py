"""Compares rowpool's performance targets with what it reaches here, beside its peers: a line for each target.

The exit status is 0 even if a target is missed.
"""

import re
import sys
from collections import namedtuple
from statistics import median

from results import parser, print_context, read, run, run_or_exit, say_and_exit

SIZES = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}
SIZES.update({"float16": 2, "float32": 4, "float64": 8})
QUICK = 2000  # --quick divides the sizes by this

# ---- The targets ----------------------------------------------------------------------------------------------------

# figure: computed from two times. more: whether a larger figure is better.
Measure = namedtuple("Measure", "figure more text")
FASTER = Measure(lambda own, peer: peer / own, True, "{:.4g} x")
TIME = Measure(lambda own, peer: own / peer, False, "{:.4g} x")
BEYOND = Measure(lambda own, peer: own - peer, False, "{:.0f} ns")

# subject: the label of the peer that is judged.
# peers: how the labels of the others begin; the fastest of them counts. PLAIN: the subject itself on the shape
# ROWS:WIDTH, once for each range of the case.
# cases: all must reach the target; the worst is shown. A case is a shape as --shape takes it, "WIDTH@MB" with as many
# rows as fill the megabytes, or "ROWS/MB" with rows long enough to fill them.
Target = namedtuple("Target", "name subject measure target peers cases dtypes", defaults=[["int32"]])
PLAIN = "plain shape"

TARGETS = [
    # Short rows: what a kernel for the width brings.
    Target("rows-5", "rowpool/auto", FASTER, 3, "openmp/", ["5@256"]),
    Target("rows-3", "rowpool/auto", FASTER, 2, "openmp/", ["3@256"]),
    Target("rows-8", "rowpool/auto", FASTER, 1, "openmp/", ["8@256"]),
    Target("widths", "rowpool/auto", FASTER, 1, "openmp/", [f"{width}@64" for width in range(1, 65)]),
    Target("200000", "rowpool/auto", FASTER, 2, "openmp/", ["200000:5"]),
    Target("width-known", "rowpool/auto", FASTER, 1, "openmp-width/", ["5@256"]),
    Target("intrinsics-5", "rowpool/auto", FASTER, 1.5, "intrinsics", ["5@256"]),
    Target("intrinsics", "rowpool/auto", FASTER, 1, "intrinsics", ["3@256", "8@256", "64@256"]),
    # Long rows: the memory's rate.
    Target("limit", "rowpool/auto", FASTER, 0.9, "limit", ["64@256", "1024@256", "65536@256", "1048576@256"], SIZES),
    # Shapes that are hard to split.
    Target("one-row", "rowpool/auto", FASTER, 1, "openmp/", ["1/2000"], SIZES),
    Target("seven-rows", "rowpool/auto", FASTER, 1, "openmp/", ["7/256"], SIZES),
    Target("rows-1", "rowpool/auto", FASTER, 1, "openmp/", ["100000000:1"], SIZES),
    # Rows of unequal length, and several ranges in one pass.
    Target("ragged", "rowpool/auto", FASTER, 0.8, PLAIN, ["64@256:zipf"]),
    Target("ranges-16", "rowpool/auto", FASTER, 4, PLAIN, ["64@256:16", "1024@256:16"]),
    # Small maps: what a call costs.
    Target("small-1", "rowpool/auto", BEYOND, 100, "serial", ["1:5"]),
    Target("small-10000", "rowpool/auto", TIME, 1.2, "serial", ["1000:5", "10000:5"]),
    Target("small-100000", "rowpool/auto", TIME, 1, "serial", ["20000:5", "100000:5"]),
    # Worker processes.
    Target("fork-alloc", "rowpool/fork+alloc", FASTER, 0.95, "openmp/", ["1024@256", "1024@4000"]),
    Target("fork-private", "rowpool/fork", FASTER, 0.3, "openmp/", ["1024@256", "1024@4000"]),
    # Python.
    Target("numpy", "rowpool/auto", FASTER, 6, "python/numpy", ["200000:5"]),
    Target("python-pool", "rowpool/auto", FASTER, 250, "python/pool", ["200000:5"]),
]

# ---- Measuring ------------------------------------------------------------------------------------------------------


class Skipped(Exception):
    """There is nothing to judge here; the argument says why."""


def shape_of(case, element, divisor):
    """The case as --shape takes it. element: its size in bytes."""
    first, sign, second, suffix = re.fullmatch(r"(\d+)([:@/])(\d+)(.*)", case).groups()
    if sign == ":":
        return f"{max(1, int(first) // divisor)}:{second}{suffix}"
    count = max(1, int(second) * 10**6 // divisor // element // int(first))
    return f"{count}:{first}{suffix}" if sign == "@" else f"{first}:{count}{suffix}"


def plain(shape):
    return ":".join(shape.split(":")[:2])


def measure(options, target, dtype, shapes):
    kind, name = target.subject.split("/")
    device, peers = name.split("+")[0] if kind == "rowpool" else "auto", f"{target.subject},{target.peers}"
    if target.peers == PLAIN:
        shapes, peers = [*shapes, *map(plain, shapes)], target.subject
    arguments = ["--device", device, "--peers", peers, "--type", dtype, "--shape", ",".join(shapes)]
    status, results = run(options.program, "--rounds", str(options.rounds), *arguments)
    if status == 2:  # no such peer on this machine, or too little memory
        raise Skipped(results)
    return results if status == 0 else say_and_exit(f"{target.name}: {results}")


def times_of(results, dtype, shape):
    """The times of each peer, round by round."""
    times = {}
    for entry in results["benchmarks"]:
        label = entry.get("peer")
        if entry.get("run_type") == "iteration" and entry["run_name"] == f"range_count/{dtype}/{shape}/{label}":
            times.setdefault(label, []).append(entry["real_time"])
    return times


def judge(target, results, dtype, shape):
    """The figure of one case, its peer and the shape: the median over the rounds, or of the medians where one has fewer."""
    times = times_of(results, dtype, shape)
    peers = {label: time for label, time in times.items() if label.startswith(target.peers)}
    if target.peers == PLAIN:
        ranges = int(re.sub(r"\D", "", shape.removeprefix(plain(shape))) or 1)
        alone = times_of(results, dtype, plain(shape)).get(target.subject, [])
        peers = {plain(shape): [ranges * time for time in alone]} if alone else {}
    if target.subject not in times or not peers:
        raise Skipped("no such peer for this case here")
    own, label = times[target.subject], min(peers, key=lambda label: median(peers[label]))
    pairs = zip(own, peers[label]) if len(own) == len(peers[label]) else [(median(own), median(peers[label]))]
    return median(target.measure.figure(*pair) for pair in pairs), label, shape


# ---- Lines ----------------------------------------------------------------------------------------------------------


def line(target, case, beside, measured, verdict):
    bound = (">= " if target.measure.more else "<= ") + target.measure.text.format(target.target)
    print(f"{target.name:15}{case:29}{target.subject:22}{beside:27}{bound:>12}{measured:>12}  {verdict}", flush=True)


def check(target, dtype, options, results):
    """Prints the line of one element type, and one for each case that is skipped."""
    shapes = list(dict.fromkeys(shape_of(case, SIZES[dtype], QUICK if options.quick else 1) for case in target.cases))
    shapes = shapes[:3] if options.quick else shapes
    results = results or measure(options, target, dtype, shapes)
    figures = []
    for shape in shapes:
        try:
            figures.append(judge(target, results, dtype, shape))
        except Skipped as why:
            line(target, f"{dtype} {shape}", target.peers, "-", f"skipped: {why}")
    if figures:
        figure, label, shape = (min if target.measure.more else max)(figures)
        reached = figure >= target.target if target.measure.more else figure <= target.target
        line(target, f"{dtype} {shape}", label, target.measure.text.format(figure), "pass" if reached else "short")


def main():
    options = parser("--check")
    options.add_argument("--check", nargs="?", const="")
    options.add_argument("--from", dest="results")
    options.add_argument("--rounds", default=7, type=int)
    options.add_argument("--quick", action="store_true", help="few small cases, to see it run")
    parsed = options.parse_args()
    if parsed.check is None:
        options.error("--from needs --check or --plot")
    known = [target.name for target in TARGETS]
    names = parsed.check.split(",") if parsed.check else known
    for name in names:
        if name not in known:
            options.error(f"there is no '{name}', but {' '.join(known)}")
    results = read(parsed.results) if parsed.results else None
    machine = results or run_or_exit(parsed.program, "--device", "host", "--peers", "none", "--shape", "1:1")
    print_context(machine["context"], parsed.rounds)
    print(f"\n{'check':15}{'worst case':29}{'of':22}{'beside':27}{'target':>12}{'measured':>12}  verdict", flush=True)
    for target in TARGETS:
        for dtype in list(target.dtypes)[: 2 if parsed.quick else None] if target.name in names else []:
            try:
                check(target, dtype, parsed, results)
            except Skipped as why:
                line(target, dtype, target.peers, "-", f"skipped: {why}")


if __name__ == "__main__":
    sys.exit(main())
