"""How the count scales over the ranks of MPI jobs, the model that fits, and what it says of more; rowpool-bench --ranks
starts this.

    scaling.py PROGRAM FOLDER LAUNCHER RANKS TYPE ROWS LENGTH ROUNDS FORMAT < results.json

PROGRAM is rowpool-bench; the program of a rank lies beside it, or in FOLDER from there. results.json has the context of the run.
FORMAT is table or json.
"""

import json
import math
import os
import re
import subprocess
import sys
from collections import namedtuple
from statistics import median

ROUNDS_OF_JOB = 5
RANKS_PREDICTED = 1024
SIZES = {"int16": 2, "int32": 4, "int64": 8, "uint16": 2, "uint32": 4, "uint64": 8, "float16": 2, "float32": 4, "float64": 8}

# One job. bytes: of all data; counts: bytes of all counts. count, agree, gather: seconds. crowd: ranks for each processor.
Point = namedtuple("Point", "scaling ranks rows width bytes counts count agree gather crowd", defaults=[0, 0, 0, 1])


class Failure(Exception):
    """What is said, and the exit status."""


def point(scaling, ranks, rows, width, size):
    """strong: the same rows for all ranks; weak: for each."""
    rows *= ranks if scaling == "weak" else 1
    return Point(scaling, ranks, rows, width, rows * width * size, rows * 4)


# ---- Jobs -----------------------------------------------------------------------------------------------------------


def rank_program(program, installed):
    for folder in (".", installed):
        path = os.path.join(os.path.dirname(program), folder, "rowpool-bench-rank")
        if os.access(path, os.X_OK):
            return path
    raise Failure("--ranks: rowpool-bench-rank is not there: it is built where there is MPI", 1)


def run_job(launcher, program, dtype, job):
    """The seconds that rank 0 prints, among all that the launcher and the ranks may print."""
    numbers = [str(number) for number in (job.rows, job.width, ROUNDS_OF_JOB)]
    command = [*launcher, "-n", str(job.ranks), program, dtype, *numbers]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    except OSError as error:
        raise Failure(f"--launcher: {launcher[0]}: {error.strerror}", 1) from None
    found = re.search(r"rowpool-bench-rank: (\{.*?\})", run.stdout)
    if run.returncode or not found:
        raise Failure(f"--ranks: {launcher[0]} with {job.ranks} ranks failed", 1)
    return json.loads(found[1])


def measure(jobs, rounds, launcher, program, dtype):
    """The medians. Rounds are interleaved: a slow minute of the machine meets all jobs alike."""
    taken = [[] for _ in jobs]
    for _ in range(rounds):
        for job, times in zip(jobs, taken):
            times.append(run_job(launcher, program, dtype, job))
    names = {"count": "count", "agree": "agree", "gather": "gather", "crowd": "ranks_per_processor"}
    return [
        job._replace(**{name: median(round_[member] for round_ in times) for name, member in names.items()})
        for job, times in zip(jobs, taken)
    ]


# ---- The model: seconds = bytes / (ranks x rate) + latency x log2(ranks); counts that other ranks have / bandwidth ---

# rate: bytes a second of one rank. latency: seconds of one step of an agreement. bandwidth: bytes a second of counts.
Model = namedtuple("Model", "rate latency bandwidth")


def bytes_to_gather(job):
    return job.counts * (job.ranks - 1) / job.ranks


def fit(points):
    """Least squares through the origin over the points of several ranks with a processor for each."""
    usable = [job for job in points if job.crowd <= 1]

    def slope(x_of, y_of):
        squares = sum(x_of(job) ** 2 for job in usable)
        return sum(x_of(job) * y_of(job) for job in usable) / squares if squares else None

    latency = slope(lambda job: math.log2(job.ranks), lambda job: job.agree)
    seconds_of_byte = slope(bytes_to_gather, lambda job: job.gather)
    return Model(points[0].bytes / points[0].count, latency, 1 / seconds_of_byte if seconds_of_byte else None)


def seconds_by(model, job):
    return job.bytes / (job.ranks * model.rate) + (model.latency or 0) * math.log2(job.ranks)


def efficiency(job, one):
    """The rate of all ranks, as a part of so many times that of one."""
    return job.bytes / job.count / (job.ranks * one.bytes / one.count)


# ---- Output ---------------------------------------------------------------------------------------------------------


def as_json(job, one):
    rate = job.bytes / job.count
    return {
        "scaling": job.scaling, "ranks": job.ranks, "bytes": job.bytes, "seconds": job.count,
        "bytes_per_second": rate, "efficiency": efficiency(job, one),
    }  # fmt: skip


def print_json(context, dtype, rounds, points, model, predicted):
    one = points[0]
    listed = [
        {
            **as_json(job, one), "rows": job.rows, "width": job.width, "model_seconds": seconds_by(model, job),
            "agree_seconds": job.agree, "gather_seconds": job.gather,
        }
        for job in points
    ]  # fmt: skip
    figures = {"latency_seconds": model.latency, "gather_bytes_per_second": model.bandwidth}
    figures = {name: value for name, value in figures.items() if value is not None}
    everything = {
        "command": context["command"], "dtype": dtype, "rounds": rounds, "points": listed,
        "model": {"bytes_per_second_of_rank": model.rate, **figures}, "told": [as_json(job, one) for job in predicted],
    }  # fmt: skip
    print(json.dumps(everything, indent=1))


def print_table(context, points, model, predicted):
    for name in ("command", "date", "processor", "cores", "memory", "compiler", "rowpool", "work", "rounds"):
        print(f"{name:11}{context[name]}")
    print(
        "\nscaling  ranks                rows x width         MB  median ms    GB/s  efficiency  model ms  agree us  "
        "gather ms"
    )
    for job in points:
        print(
            f"{job.scaling:7} {job.ranks:6} {job.rows:20} x {job.width:<10} {job.bytes / 1e6:6.1f} "
            f"{job.count * 1e3:10.3f} {job.bytes / job.count / 1e9:7.2f} {efficiency(job, points[0]):11.2f} "
            f"{seconds_by(model, job) * 1e3:9.3f} {job.agree * 1e6:9.2f} {job.gather * 1e3:10.3f}"
            + ("  more ranks than processors: not in the model" if job.crowd > 1 else "")
        )
    if not predicted:
        return
    print(
        f"\nmodel    seconds = bytes / (ranks x {model.rate / 1e9:.2f} GB/s) + {model.latency * 1e6:.2f} us x log2(ranks); "
        f"gathering counts: {model.bandwidth / 1e9:.2f} GB/s"
    )
    for job in predicted:
        print(
            f"told     {job.scaling}, {job.ranks} ranks: {job.bytes / 1e6:.4g} MB in {job.count * 1e3:.4g} ms, "
            f"{job.bytes / job.count / 1e9:.4g} GB/s, efficiency {efficiency(job, points[0]):.2f}; gathering the counts: "
            f"{bytes_to_gather(job) / model.bandwidth * 1e3:.4g} ms"
        )


def run(program, folder, launcher, ranks, dtype, rows, width, rounds, form):
    shape = int(rows), int(width), SIZES.get(dtype, 1)
    for number in ranks.split(","):
        if not re.fullmatch("[0-9]+", number) or not 1 <= int(number) <= 65536:
            raise Failure(f"--ranks: '{number}' is no whole number from 1 to 65536", 2)
    if not launcher.split():
        raise Failure(f"--launcher: '{launcher}' is no command", 1)
    several = [int(number) for number in ranks.split(",") if int(number) > 1]
    jobs = [point("strong", 1, *shape)]
    jobs += [point(scaling, count, *shape) for count in several for scaling in ("strong", "weak")]
    points = measure(jobs, int(rounds), launcher.split(), rank_program(program, folder), dtype)
    model, predicted = fit(points), []
    if model.latency is not None and model.bandwidth is not None:
        predicted = [point(scaling, RANKS_PREDICTED, *shape) for scaling in ("strong", "weak")]
        predicted = [job._replace(count=seconds_by(model, job)) for job in predicted]
    context = json.load(sys.stdin)["context"]
    if form == "json":
        print_json(context, dtype, int(rounds), points, model, predicted)
    else:
        print_table(context, points, model, predicted)


if __name__ == "__main__":
    try:
        run(*sys.argv[1:])
    except Failure as failure:
        print(f"rowpool-bench: {failure.args[0]}", file=sys.stderr)
        sys.exit(failure.args[1])
