#!/usr/bin/env python3
"""rowpool count against NumPy: real data and every element type, on every kind of worker, and without any OpenCL device.

usage: numpy_agrees.py PROGRAM DATA.npy    exit status 77 when there is no NumPy
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("there is no NumPy for this Python: skipped")
    sys.exit(77)

TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]


def surroundings(folder):
    """Each kind of worker: a name, the program's options, changes to the environment."""
    empty = os.path.join(folder, "no-icd")
    os.mkdir(empty)
    return [
        ("default", [], {}),
        ("fork", ["--device", "fork"], {}),
        ("host", ["--device", "host"], {}),
        ("no OpenCL device", [], {"OCL_ICD_VENDORS": empty}),
    ]


def count(program, path, low, high, options, changes):
    command = [program, "count", "--min", str(low), "--max", str(high), *options, path]
    output = subprocess.run(command, env={**os.environ, **changes}, check=True, capture_output=True, text=True).stdout
    return numpy.array(output.split(), dtype=numpy.int64)


def check(program, name, path, low, high, workers):
    array = numpy.load(path)
    expected = ((array >= low) & (array <= high)).sum(axis=-1).ravel()
    wrong = 0
    for worker, options, changes in workers:
        counts = count(program, path, low, high, options, changes)
        equal = numpy.array_equal(counts, expected)
        wrong += not equal
        print(f"{name}, {worker}: {expected.size} rows, {'equal' if equal else 'NOT EQUAL'}")
    return wrong


def main(program, data):
    random = numpy.random.default_rng(4)
    with tempfile.TemporaryDirectory() as folder:
        workers = surroundings(folder)
        wrong = check(program, "Seattle's hours between 50 and 60 F", data, 50, 60, workers)
        for dtype in TYPES:
            path = os.path.join(folder, dtype + ".npy")
            numpy.save(path, random.integers(0, 10, (30, 100, 7)).astype(dtype))
            wrong += check(program, dtype, path, 4, 8, workers)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
