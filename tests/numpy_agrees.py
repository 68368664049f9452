#!/usr/bin/env python3
"""rowpool count against NumPy: real data and every element type, on every kind of worker, and without any OpenCL device.

usage: numpy_agrees.py PROGRAM DATA.npy    exit status 77 when there is no NumPy
"""
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("there is no NumPy for this Python: skipped")
    sys.exit(77)

# The last bin has its upper edge too; no bin has what lies below the first edge.
EDGES = [-3, 0, 2.5, 4, 8]

TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]


def has_cpu_device(program):
    answer = subprocess.run([program, "devices", "--device", "cpu"], capture_output=True)
    return answer.returncode == 0


def surroundings(program, folder):
    """Each kind of worker: a name, the program's options, changes to the environment."""
    empty = os.path.join(folder, "no-icd")
    os.mkdir(empty)
    named = [("OpenCL", ["--device", "cpu"], {})] if has_cpu_device(program) else []
    return named + [
        ("default", [], {}),
        ("fork", ["--device", "fork"], {}),
        ("host", ["--device", "host"], {}),
        ("no OpenCL device", [], {"OCL_ICD_VENDORS": empty}),
    ]


def run(program, arguments, changes):
    command = [program, "count", *arguments]
    return subprocess.run(command, env={**os.environ, **changes}, check=True, capture_output=True, text=True).stdout


def count(program, path, low, high, options, changes):
    output = run(program, ["--min", str(low), "--max", str(high), *options, path], changes)
    return numpy.array(output.split(), dtype=numpy.int64)


def histograms(program, path, edges, options, changes):
    output = path + ".counts.npy"
    run(program, ["--bins", ",".join(map(str, edges)), "--output", output, *options, path], changes)
    return numpy.load(output)


def report(name, worker, counts, expected):
    """1 where they differ in a value or in shape, else 0."""
    equal = numpy.array_equal(counts, expected)
    print(f"{name}, {worker}: {expected.size} counts, {'equal' if equal else 'NOT EQUAL'}")
    return int(not equal)


def check(program, name, path, low, high, workers):
    array = numpy.load(path)
    expected = ((array >= low) & (array <= high)).sum(axis=-1).ravel()
    return sum(report(name, worker, count(program, path, low, high, options, changes), expected)
               for worker, options, changes in workers)


def check_histograms(program, name, path, edges, workers):
    array = numpy.load(path)
    expected = numpy.apply_along_axis(lambda row: numpy.histogram(row, bins=edges)[0], -1, array)
    return sum(report(name + ", histograms", worker, histograms(program, path, edges, options, changes), expected)
               for worker, options, changes in workers)


def main(program, data):
    random = numpy.random.default_rng(4)
    with tempfile.TemporaryDirectory() as folder:
        workers = surroundings(program, folder)
        real = os.path.join(folder, "seattle.npy")
        shutil.copyfile(data, real)
        wrong = check(program, "Seattle's hours between 50 and 60 F", real, 50, 60, workers)
        wrong += check_histograms(program, "Seattle's hours", real, [32, 45.1, 50, 60, 75], workers)
        for dtype in TYPES:
            path = os.path.join(folder, dtype + ".npy")
            least = 0 if dtype.startswith("u") else -10
            numpy.save(path, random.integers(least, 10, (30, 100, 7)).astype(dtype))
            wrong += check(program, dtype, path, 4, 8, workers)
            wrong += check_histograms(program, dtype, path, EDGES, workers)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
