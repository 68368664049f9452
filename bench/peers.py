"""A range count by Python, for rowpool-bench, which starts this for each map.

    peers.py KIND DTYPE ROWS:WIDTH LO:HI 3<data 4<>counts

Descriptor 4 has the counts, uint32, and behind them a double: the seconds that the second of two calls took.
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
    """The row function's defaults are the range; the processes are there before the time is taken."""
    assert (lo, hi) == (4, 8)
    rows = data.tolist()
    pool = multiprocessing.Pool(multiprocessing.cpu_count())
    return lambda: pool.map(howmany_within_range_rowonly, rows)


def main(kind, dtype, shape, ends):
    data = numpy.fromfile("/proc/self/fd/3", dtype).reshape([int(size) for size in shape.split(":")])
    count = {"python/numpy": by_numpy, "python/pool": by_pool}[kind](data, *map(int, ends.split(":")))
    count()
    begin = time.perf_counter()
    result = count()
    seconds = time.perf_counter() - begin
    with open("/proc/self/fd/4", "r+b") as file:
        file.write(numpy.asarray(result, numpy.uint32).tobytes() + struct.pack("d", seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
