"""Measures how the count scales over the ranks of MPI jobs, fits a model, and predicts more ranks.

rowpool-bench-rank, which counts on each rank, is in the folder of the program, or in LIBEXEC relative to it.
"""

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections import namedtuple
from statistics import median

from results import parser, print_context, run_or_exit, say_and_exit

ROUNDS_OF_JOB = 5
RANKS_PREDICTED = 1024

# One job. bytes: of all data. count, agree, gather: seconds. crowd: ranks per processor.
Job = namedtuple("Job", "scaling ranks rows width bytes count agree gather crowd", defaults=[0, 0, 0, 1])

# seconds = bytes / (ranks x rate) + latency x log2(ranks). bandwidth: bytes of counts gathered per second.
Model = namedtuple("Model", "rate latency bandwidth")


def job_of(scaling, ranks, rows, width, element):
    """strong: the same rows, divided among all ranks; weak: the same rows for each rank."""
    rows *= ranks if scaling == "weak" else 1
    return Job(scaling, ranks, rows, width, rows * width * element)


# ---- Measuring ------------------------------------------------------------------------------------------------------


def run_job(launcher, program, dtype, job):
    """The times that rank 0 prints; the launcher and the ranks may print other lines."""
    numbers = [str(number) for number in (job.rows, job.width, ROUNDS_OF_JOB)]
    command = [*launcher, "-n", str(job.ranks), program, dtype, *numbers]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    except OSError as error:
        say_and_exit(f"--launcher: {launcher[0]}: {error.strerror}")
    found = re.search(r"rowpool-bench-rank: (\{.*?\})", run.stdout)
    if run.returncode or not found:
        say_and_exit(f"--ranks: {launcher[0]} with {job.ranks} ranks failed")
    return json.loads(found[1])


def measure(jobs, rounds, run):
    """The medians. Each round runs every job once, so that slow phases of the machine affect all jobs alike."""
    taken = [[run(job) for job in jobs] for _ in range(rounds)]
    return [
        job._replace(**{name: median(round_[i][name] for round_ in taken) for name in taken[0][i]})
        for i, job in enumerate(jobs)
    ]


# ---- The model ------------------------------------------------------------------------------------------------------


def bytes_to_gather(job):
    """The bytes of the counts that rank 0 does not have already."""
    return 4 * job.rows * (job.ranks - 1) / job.ranks


def fit(jobs):
    """Least squares through the origin, over the jobs that have a processor for each rank."""
    usable = [job for job in jobs if job.crowd <= 1]

    def slope(x_of, y_of):
        squares = sum(x_of(job) ** 2 for job in usable)
        return sum(x_of(job) * y_of(job) for job in usable) / squares if squares else None

    latency = slope(lambda job: math.log2(job.ranks), lambda job: job.agree)
    seconds_of_byte = slope(bytes_to_gather, lambda job: job.gather)
    return Model(jobs[0].bytes / jobs[0].count, latency, 1 / seconds_of_byte if seconds_of_byte else None)


def seconds_by(model, job):
    return job.bytes / (job.ranks * model.rate) + (model.latency or 0) * math.log2(job.ranks)


# ---- Output ---------------------------------------------------------------------------------------------------------


def rates_of(job, one):
    """GB/s, and the efficiency: the rate as a fraction of `ranks` times the rate of one rank."""
    rate = job.bytes / job.count
    return rate / 1e9, rate / (job.ranks * one.bytes / one.count)


def print_table(jobs, model, predicted):
    print(f"\nscaling  ranks {'rows x width':>27}{'MB':>11}  median ms    GB/s", end="")
    print("  efficiency  model ms  agree us  gather ms")
    for job in jobs:
        rate, efficiency = rates_of(job, jobs[0])
        print(
            f"{job.scaling:7} {job.ranks:6} {f'{job.rows} x {job.width}':>27} {job.bytes / 1e6:10.1f} "
            f"{job.count * 1e3:10.3f} {rate:7.2f} {efficiency:11.2f} {seconds_by(model, job) * 1e3:9.3f} "
            f"{job.agree * 1e6:9.2f} {job.gather * 1e3:10.3f}"
            + ("  more ranks than processors: not in the model" if job.crowd > 1 else "")
        )
    if predicted:
        print(
            f"\nmodel: seconds = bytes / (ranks x {model.rate / 1e9:.2f} GB/s) + {model.latency * 1e6:.2f} us x "
            f"log2(ranks); gathering counts: {model.bandwidth / 1e9:.2f} GB/s"
        )
    for job in predicted:
        rate, efficiency = rates_of(job, jobs[0])
        print(
            f"predicted: {job.scaling}, {job.ranks} ranks: {job.bytes / 1e6:.4g} MB in {job.count * 1e3:.4g} ms, "
            f"{rate:.4g} GB/s, efficiency {efficiency:.2f}; gathering the counts: "
            f"{bytes_to_gather(job) / model.bandwidth * 1e3:.4g} ms"
        )


def rank_list(text):
    numbers = text.split(",")
    for number in numbers:
        if not re.fullmatch("[0-9]+", number) or not 1 <= int(number) <= 65536:
            raise argparse.ArgumentTypeError(f"'{number}' is not a whole number from 1 to 65536")
    return [int(number) for number in numbers]


def shape_of(text):
    if not re.fullmatch("[0-9]+:[0-9]+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a shape: give ROWS:LENGTH")
    return [int(number) for number in text.split(":")]


def find_rank_program(program, libexec):
    for folder in (".", libexec):
        path = os.path.join(os.path.dirname(program), folder, "rowpool-bench-rank")
        if os.access(path, os.X_OK):
            return path
    return say_and_exit("--ranks: rowpool-bench-rank is missing: it is built only if MPI is installed")


def main():
    options = parser("--ranks")
    options.add_argument("--ranks", required=True, type=rank_list)
    options.add_argument("--launcher", default="mpirun")
    options.add_argument("--type", default="int32")
    options.add_argument("--shape", default="12800000:5", type=shape_of)
    options.add_argument("--rounds", default=7, type=int)
    options = options.parse_args()
    launcher, rank = shlex.split(options.launcher), find_rank_program(options.program, options.libexec)
    if not launcher:
        say_and_exit(f"--launcher: '{options.launcher}' is not a command")
    probe = ["--device", "host", "--peers", "none", "--type", options.type, "--shape", "1:1"]
    results = run_or_exit(options.program, *probe)
    shape = [*options.shape, results["benchmarks"][0]["bytes"]]
    jobs = [job_of("strong", 1, *shape)]
    jobs += [job_of(scaling, ranks, *shape) for ranks in options.ranks if ranks > 1 for scaling in ("strong", "weak")]
    jobs = measure(jobs, options.rounds, lambda job: run_job(launcher, rank, options.type, job))
    model, predicted = fit(jobs), []
    if model.latency is not None and model.bandwidth is not None:
        predicted = [job_of(scaling, RANKS_PREDICTED, *shape) for scaling in ("strong", "weak")]
        predicted = [job._replace(count=seconds_by(model, job)) for job in predicted]
    print_context(results["context"], options.rounds)
    print_table(jobs, model, predicted)


if __name__ == "__main__":
    sys.exit(main())
