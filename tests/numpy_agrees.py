#!/usr/bin/env python3
"""Compares rowpool count and rowpool map with NumPy: real data and every element type, on every kind of worker, with
and without OpenCL devices.

usage: numpy_agrees.py PROGRAM DATA.npy DATA.csv    exit status 77 when there is no NumPy
"""
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("skipped: this Python has no NumPy")
    sys.exit(77)

# The last bin includes its upper edge; values below the first edge are in no bin.
EDGES = [-3, 0, 2.5, 4, 8]

TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
if "ROWPOOL_TEST_DTYPES" in os.environ:
    TYPES = [name for name in TYPES if name in os.environ["ROWPOOL_TEST_DTYPES"].split(",")]


def has_cpu_device(program):
    answer = subprocess.run([program, "devices", "--device", "cpu"], capture_output=True)
    return answer.returncode == 0


def surroundings(program, folder):
    """The kinds of worker: name, program options, changes to the environment."""
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
    return subprocess.run([program, *arguments], env={**os.environ, **changes}, check=True, capture_output=True, text=True).stdout


def count(program, path, low, high, options, changes):
    output = run(program, ["count", "--min", str(low), "--max", str(high), *options, path], changes)
    return numpy.array(output.split(), dtype=numpy.int64)


def histograms(program, path, edges, options, changes):
    output = path + ".counts.npy"
    run(program, ["count", "--bins", ",".join(map(str, edges)), "--output", output, *options, path], changes)
    return numpy.load(output)


def report(name, worker, counts, expected):
    """1 if they differ in a value or in shape, else 0."""
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


# ---- Built-in functions ----------------------------------------------------------------------------------------------

LOW, HIGH = -1, 5


def within(array):
    return (array >= LOW) & (array <= HIGH)


def wide(array):
    """The dtype in which its elements are summed."""
    return {"i": "int64", "u": "uint64", "f": "float64"}[array.dtype.kind]


def sums(array):
    return array.sum(axis=-1, dtype=wide(array))


# Each function in NumPy. Every row contains a number. NumPy's mean of integers sums doubles.
OF_A_RANGE = {
    "count": lambda array: within(array).sum(axis=-1, dtype="uint32"),
    "count64": lambda array: within(array).sum(axis=-1, dtype="uint64"),
    "any": lambda array: within(array).any(axis=-1).astype("uint8"),
    "all": lambda array: within(array).all(axis=-1).astype("uint8"),
    "fraction": lambda array: within(array).mean(axis=-1),
}
FUNCTIONS = OF_A_RANGE | {
    "sum": sums,
    "mean": lambda array: array.mean(axis=-1, dtype="float64"),
    "min": lambda array: numpy.nanmin(array, axis=-1),
    "max": lambda array: numpy.nanmax(array, axis=-1),
    "argmin": lambda array: numpy.nanargmin(array, axis=-1),
    "argmax": lambda array: numpy.nanargmax(array, axis=-1),
}

# The dtypes tested on OpenCL devices: building a function takes a second for each.
BUILT_TYPES = ["int64", "uint8", "float16", "float32"]


def tolerance(function, array):
    """The largest permitted error: sums of floats, and means, depend on the order of the additions."""
    if function not in ("sum", "mean") or (function == "sum" and array.dtype.kind != "f"):
        return 0
    return 2.0**-50 * array.shape[-1] * numpy.abs(array.astype("float64")).sum(axis=-1)


def agree(results, expected, off):
    same = (results == expected) | (numpy.isnan(results) & numpy.isnan(expected))
    if numpy.any(off):
        same |= numpy.abs(results - expected) <= off
    return results.dtype == expected.dtype and results.shape == expected.shape and bool(numpy.all(same))


def map_to_file(program, function, path, options, changes):
    """The results as an array read from a file, and as text."""
    output = path + ".results.npy"
    limits = ["--min", str(LOW), "--max", str(HIGH)] if function in OF_A_RANGE else []
    everything = ["--head", str(2**64 - 1), "--output", output]
    text = run(program, ["map", "--function", function, *limits, *everything, *options, path], changes)
    return numpy.load(output), text


def check_function(program, name, function, path, workers):
    """The number of workers whose results are wrong or whose printed text does not give the same results."""
    array = numpy.load(path)
    expected = FUNCTIONS[function](array)
    wrong = 0
    for worker, options, changes in workers:
        results, text = map_to_file(program, function, path, options, changes)
        read = numpy.array(text.split(), dtype=results.dtype).reshape(results.shape)
        right = agree(results, expected, tolerance(function, array)) and agree(read, results, 0)
        print(f"{name}, {function}, {worker}: {expected.size} results, {'agree' if right else 'DO NOT AGREE'}")
        wrong += not right
    return wrong


def check_functions(program, name, path, workers):
    return sum(check_function(program, name, function, path, workers) for function in FUNCTIONS)


# ---- Other files than .npy -------------------------------------------------------------------------------------------

WEATHER = ["precipitation", "temp_max", "temp_min", "wind"]


def check_weather(program, path, workers):
    """A text table with a header, a column of dates and one of words; compared with NumPy's own reader."""
    table = numpy.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    numbers = numpy.stack([table[name] for name in WEATHER], axis=1)
    skip = ["--skip", "weather"]
    expected = ((numbers >= 2.5) & (numbers <= 10)).sum(axis=1)
    wrong = sum(report("Seattle's days between 2.5 and 10", worker,
                       count(program, path, 2.5, 10, skipped + options, changes), expected)
                for worker, options, changes in workers for skipped in (skip, []))
    output = path + ".counts.csv"
    run(program, ["count", "--min", "2.5", "--max", "10", *skip, "--output", output, path], {})
    counts = numpy.genfromtxt(output, delimiter=",", names=True, dtype=None, encoding="utf-8")
    same = counts.dtype.names == ("row", "date", "count") and bool(
        numpy.all(counts["row"] == numpy.arange(len(table))) and numpy.all(counts["date"] == table["date"]))
    print(f"the days' counts as a table: {'as NumPy reads it' if same else 'NOT as NumPy reads it'}")
    return wrong + int(not same) + report("the same", "as a table", counts["count"], expected)


def check_tables(program, folder, random, workers):
    """Arrays that NumPy wrote as text, compressed or not, in archives and raw are read back unchanged."""
    wrong = 0
    for dtype in TYPES:
        array = (random.integers(0, 100, (50, 9)) / 7).astype(dtype)
        base = os.path.join(folder, "table-" + dtype)
        expected = ((array >= 4) & (array <= 8)).sum(axis=1)
        numpy.savetxt(base + ".csv", array, delimiter=",", fmt="%d" if dtype[0] in "iu" else "%.17g")
        numpy.savez(base + ".npz", other=array[:3], array=array)
        numpy.savez_compressed(base + "-compressed.npz", array=array)
        array.tofile(base + ".bin")
        for path, options in [(base + ".csv", ["--type", dtype]), (base + ".csv", []),
                              (base + ".npz", ["--member", "array"]), (base + "-compressed.npz", []),
                              (base + ".bin", ["--type", dtype, "--shape", "50:9"])]:
            name = os.path.basename(path) + " " + " ".join(options)
            wrong += sum(report(name, worker, count(program, path, 4, 8, options + device, changes), expected)
                         for worker, device, changes in workers)
    return wrong


def write_random(path, dtype, random):
    """Random values of any size, with NaNs among floats but never a whole row of them; then small values."""
    if dtype.startswith("float"):
        array = random.normal(size=(40, 33)) * 10.0 ** random.integers(-4, 4, (40, 33))
        array[:20] = numpy.where(random.random((20, 33)) < 0.1, numpy.nan, array[:20])
    else:
        limits = numpy.iinfo(dtype)
        array = random.integers(limits.min, limits.max, (40, 33), dtype=dtype, endpoint=True)
        array[20:] = random.integers(0, 10, (20, 33))
    numpy.save(path, array.astype(dtype))


def main(program, data, table):
    random = numpy.random.default_rng(4)
    with tempfile.TemporaryDirectory() as folder:
        workers = surroundings(program, folder)
        real = os.path.join(folder, "seattle.npy")
        shutil.copyfile(data, real)
        wrong = check(program, "Seattle's hours between 50 and 60 F", real, 50, 60, workers)
        wrong += check_histograms(program, "Seattle's hours", real, [32, 45.1, 50, 60, 75], workers)
        wrong += check_functions(program, "Seattle's hours", real, workers)
        weather = os.path.join(folder, "weather.csv")
        shutil.copyfile(table, weather)
        wrong += check_weather(program, weather, workers)
        wrong += check_tables(program, folder, random, [worker for worker in workers if worker[0] == "host"])
        for dtype in TYPES:
            path = os.path.join(folder, dtype + ".npy")
            least = 0 if dtype.startswith("u") else -10
            numpy.save(path, random.integers(least, 10, (30, 100, 7)).astype(dtype))
            wrong += check(program, dtype, path, 4, 8, workers)
            wrong += check_histograms(program, dtype, path, EDGES, workers)
            write_random(path, dtype, random)
            wrong += check_functions(program, dtype, path, [worker for worker in workers if worker[0] in ("fork", "host")
                                     or (worker[0] == "OpenCL" and dtype in BUILT_TYPES)])
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
