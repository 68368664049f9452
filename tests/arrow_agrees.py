#!/usr/bin/env python3
"""Compares range counts of arrays exported by pyarrow with pyarrow's own values.

usage: arrow_agrees.py LIBRARY.so    exit status 77 when there is no pyarrow
"""
import ctypes
import math
import random
import sys

try:
    import pyarrow
except ImportError:
    print("skipped: this Python has no pyarrow")
    sys.exit(77)

LOW, HIGH = -1, 5

OK, EINVAL = 0, 1


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1024)]


class Range(ctypes.Structure):
    _fields_ = [("bounds", ctypes.c_uint64 * 4), ("closed", ctypes.c_int)]


# Only pyarrow looks inside these structs; they have the size of nine and ten pointers.
ArrowSchema = ctypes.c_uint64 * 9
ArrowArray = ctypes.c_uint64 * 10


def load(path):
    library = ctypes.CDLL(path)
    library.rowpool_range_i64.argtypes = [ctypes.c_int64, ctypes.c_int64]
    library.rowpool_range_i64.restype = Range
    library.rowpool_arrow_rows.argtypes = library.rowpool_arrow_close.argtypes = [ctypes.c_void_p]
    library.rowpool_arrow_rows.restype = ctypes.c_void_p
    library.rowpool_range_count.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                                            ctypes.c_void_p, ctypes.c_void_p]
    library.rowpool_close.argtypes = [ctypes.c_void_p]
    return library


class Pool:
    def __init__(self, library):
        self.library = library
        self.error = Error()
        self.handle = ctypes.c_void_p()
        if library.rowpool_open(ctypes.byref(self.handle), None, ctypes.byref(self.error)) != OK:
            raise RuntimeError(self.error.message.decode())

    def close(self):
        self.library.rowpool_close(self.handle)

    def count_exported(self, schema, array, rows):
        """The counts, or the error message."""
        arrow = ctypes.c_void_p()
        error = ctypes.byref(self.error)
        if self.library.rowpool_arrow_open(ctypes.byref(arrow), schema, array, error) != OK:
            return self.error.message.decode()
        counts = (ctypes.c_uint32 * rows)()
        wanted = self.library.rowpool_range_i64(LOW, HIGH)
        status = self.library.rowpool_range_count(self.handle, self.library.rowpool_arrow_rows(arrow),
                                                  ctypes.byref(wanted), 1, counts, error)
        self.library.rowpool_arrow_close(arrow)
        return list(counts) if status == OK else self.error.message.decode()

    def count(self, exporter):
        """The same for an array or a record batch; checks that it was not changed, released or moved."""
        schema, array = ArrowSchema(), ArrowArray()
        exporter._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
        answer = self.count_exported(schema, array, len(exporter))
        back = type(exporter)._import_from_c(ctypes.addressof(array), ctypes.addressof(schema))
        back.validate(full=True)
        if repr(back.to_pylist()) != repr(exporter.to_pylist()):
            raise AssertionError("the array was changed")
        return answer


# ---- Arrays ----------------------------------------------------------------------------------------------------------

TYPES = [pyarrow.int8(), pyarrow.int16(), pyarrow.int32(), pyarrow.int64(), pyarrow.uint8(), pyarrow.uint16(),
         pyarrow.uint32(), pyarrow.uint64(), pyarrow.float16(), pyarrow.float32(), pyarrow.float64()]


def element(kind):
    if pyarrow.types.is_floating(kind):
        return random.choice([math.nan, math.inf, -math.inf, -0.0, random.randint(-20, 20) / 2])
    return random.randint(0 if pyarrow.types.is_unsigned_integer(kind) else -10, 10)


def rows_of(kind, count, width):
    return [[element(kind) for _ in range(width if width >= 0 else random.randint(0, -width))] for _ in range(count)]


def arrays(kind):
    """The name of every layout and an array of it."""
    return [
        ("dense", pyarrow.array(rows_of(kind, 500, 7), pyarrow.list_(kind, 7))),
        ("dense, wide", pyarrow.array(rows_of(kind, 9, 1000), pyarrow.list_(kind, 1000))),
        ("dense, of no elements", pyarrow.array(rows_of(kind, 5, 0), pyarrow.list_(kind, 0))),
        ("ragged", pyarrow.array(rows_of(kind, 500, -20), pyarrow.list_(kind))),
        ("ragged, large", pyarrow.array(rows_of(kind, 500, -20), pyarrow.large_list(kind))),
        ("ragged, of no elements", pyarrow.array([[], [], []], pyarrow.list_(kind))),
    ]


def slices(name, array):
    """The array, slices of it, slices of slices, an empty slice, and arrays over sliced elements."""
    yield name, array
    yield name + ", sliced", array.slice(2)
    yield name + ", sliced twice", array.slice(1).slice(1, len(array) // 2)
    yield name + ", nothing of it", array.slice(len(array))
    if isinstance(array, (pyarrow.ListArray, pyarrow.LargeListArray)) and len(array.values) > 8:
        offsets = pyarrow.array([0, 3, 3, 8], pyarrow.int32() if isinstance(array, pyarrow.ListArray) else pyarrow.int64())
        yield name + ", of sliced elements", type(array).from_arrays(offsets, array.values.slice(5))
    if isinstance(array, pyarrow.FixedSizeListArray) and len(array.values) > 30:
        yield name + ", of sliced elements", pyarrow.FixedSizeListArray.from_arrays(array.values.slice(5, 24), 4)


def within(row):
    return sum(LOW <= x <= HIGH for x in row)


def with_null(array, row, place):
    """The same rows with one row, or one of its elements, null."""
    rows = array.to_pylist()
    if place is None:
        rows[row] = None
    else:
        rows[row] = list(rows[row])
        rows[row][place] = None
    return pyarrow.array(rows, array.type)


# ---- Checks ----------------------------------------------------------------------------------------------------------

def report(name, answer, expected):
    """1 if they differ, else 0."""
    right = answer == expected if isinstance(expected, list) else isinstance(answer, str) and expected in answer
    print(f"{name}: {'as expected' if right else f'WRONG: {answer} instead of {expected}'}")
    return int(not right)


def check_counts(pool, kind):
    return sum(report(f"{kind}, {name}", pool.count(part), [within(row) for row in part.to_pylist()])
               for layout, array in arrays(kind) for name, part in slices(layout, array))


def check_nulls(pool, kind):
    wrong = 0
    for name, array in arrays(kind):
        row = next((i for i, values in enumerate(array.to_pylist()) if i > 2 and len(values) > 2), None)
        if row is None:
            continue
        without, holed = with_null(array, row, None), with_null(array, row, 2)
        wrong += report(f"{kind}, {name}, a null row", pool.count(without), f"row {row} is null")
        wrong += report(f"{kind}, {name}, a null row, sliced", pool.count(without.slice(2)), f"row {row - 2} is null")
        wrong += report(f"{kind}, {name}, a null element", pool.count(holed), f"element 2 of row {row} is null")
        wrong += report(f"{kind}, {name}, a null element, sliced", pool.count(holed.slice(1)), f"element 2 of row {row - 1} is null")
        for part in (without.slice(0, row), without.slice(row + 1), holed.slice(0, row), holed.slice(row + 1)):
            wrong += report(f"{kind}, {name}, nulls elsewhere", pool.count(part), [within(values) for values in part.to_pylist()])
    return wrong


def check_refusals(pool):
    lists = pyarrow.array([[1, 2], [3]])
    others = [
        (pyarrow.array([1, 2]), "type is int64"),
        (pyarrow.array([[[1]]]), "elements are of type list"),
        (pyarrow.array([["a"]]), "elements are of type utf8"),
        (pyarrow.array([[True]]), "elements are of type boolean"),
        (pyarrow.array([[1]], pyarrow.list_(pyarrow.timestamp("us"))), "elements are of type timestamp"),
        (pyarrow.array([[("a", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int8())), "type is map"),
        (pyarrow.ListArray.from_arrays(pyarrow.array([0, 2], pyarrow.int32()), pyarrow.array(["a", "b"]).dictionary_encode()),
         "elements: dictionary-encoded"),
        (pyarrow.record_batch([lists], ["column"]), "type is struct"),
    ]
    if hasattr(pyarrow, "list_view"):
        others.append((pyarrow.array([[1]], pyarrow.list_view(pyarrow.int8())), "type is list view"))
        others.append((pyarrow.array([[1]], pyarrow.large_list_view(pyarrow.int8())), "type is large list view"))
    return sum(report(str(other.schema if isinstance(other, pyarrow.RecordBatch) else other.type), pool.count(other), text)
               for other, text in others)


def check_extension(pool):
    """A tensor of a fixed shape is stored as a list of fixed size."""
    if not hasattr(pyarrow, "fixed_shape_tensor"):
        return 0
    storage = pyarrow.array([[1, 7, 3, 4, 5, 6]] * 3, pyarrow.list_(pyarrow.int16(), 6))
    tensors = pyarrow.ExtensionArray.from_storage(pyarrow.fixed_shape_tensor(pyarrow.int16(), [2, 3]), storage)
    return report("tensors", pool.count(tensors), [4, 4, 4])


def main(path):
    random.seed(4)
    pool = Pool(load(path))
    wrong = sum(check_counts(pool, kind) + check_nulls(pool, kind) for kind in TYPES)
    wrong += check_refusals(pool) + check_extension(pool)
    pool.close()
    print(f"pyarrow {pyarrow.__version__}: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
