"""Range counts by Python, for rowpool-bench, which starts this and talks to it in lines.

    peers.py KIND DATA COUNTS DTYPE ROWS WIDTH LO HI

DATA and COUNTS are files of plain numbers, the latter uint32. It says "ready"; to each line "run" it answers with the
seconds that the count itself took, after the counts have been written. It ends with its standard input.
"""

import multiprocessing
import sys
import time


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


def main(kind, data_path, counts_path, dtype, rows, width, lo, hi):
    import numpy

    data = numpy.fromfile(data_path, dtype).reshape(int(rows), int(width))
    counts = numpy.memmap(counts_path, numpy.uint32, "r+", shape=(int(rows),))
    count = {"numpy": by_numpy, "pool": by_pool}[kind](data, int(lo), int(hi))
    print("ready", flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        result = count()
        seconds = time.perf_counter() - begin
        counts[:] = result
        print(f"{seconds:.9f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
