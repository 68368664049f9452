"""A range count by Python, for rowpool-bench, which starts this for each map.

    peers.py KIND DTYPE ROWS WIDTH LO HI 3<>file

The file has room for the counts (uint32), then for the seconds (double) of the second of two calls; then comes the data.
"""

import multiprocessing
import struct
import sys
import time

import numpy


def howmany_within_range_rowonly(row, minimum=4, maximum=8):
    """How many numbers of a row lie in [minimum, maximum]."""
    count = 0
    for n in row:
        if minimum <= n <= maximum:
            count = count + 1
    return count


def by_numpy(data, lo, hi):
    return lambda: ((data >= lo) & (data <= hi)).sum(1)


def by_pool(data, lo, hi):
    """The range is that of the row function's defaults. The processes are started before the timed call."""
    assert (lo, hi) == (4, 8)
    rows = data.tolist()
    pool = multiprocessing.Pool(multiprocessing.cpu_count())
    return lambda: pool.map(howmany_within_range_rowonly, rows)


def main(kind, dtype, *numbers):
    rows, width, lo, hi = map(int, numbers)
    with open("/proc/self/fd/3", "r+b") as file:
        file.seek(4 * rows + 8)
        data = numpy.fromfile(file, dtype, rows * width).reshape(rows, width)
        count = {"python/numpy": by_numpy, "python/pool": by_pool}[kind](data, lo, hi)
        count()
        begin = time.perf_counter()
        result = count()
        seconds = time.perf_counter() - begin
        file.seek(0)
        file.write(numpy.asarray(result, numpy.uint32).tobytes() + struct.pack("d", seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
