#!/usr/bin/env python3
"""Compares the reader of .npy files with NumPy's: random headers, some of them damaged, and random data after them.

usage: npy_agrees.py READER    exit status 77 when there is no NumPy
ROWPOOL_TEST_CASES: the number of files; ROWPOOL_TEST_SEED: a number, or "new".

Both read the same numbers, or rowpool refuses the file with a message. rowpool reads every plain file, as NumPy writes
it. src/files/npy.h lists what else rowpool refuses, and what it reads although NumPy refuses it; each case is checked
against that list.
"""
import ast
import io
import os
import random
import re
import struct
import subprocess
import sys
import time
import warnings

try:
    import numpy
except ImportError:
    print("skipped: this Python has no NumPy")
    sys.exit(77)

BATCH = 2000
MAGIC = b"\x93NUMPY"
CODES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "b1", "b", "h", "i", "l", "q", "p", "B", "H", "I",
         "L", "Q", "P", "e", "f", "d", "?"]
NAMES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "bool",
         "byte", "short", "intc", "int", "int_", "intp", "long", "longlong", "ubyte", "ushort", "uintc", "uint", "uintp",
         "ulong", "ulonglong", "half", "single", "double", "float", "bool_"]
OLD_NAMES = ["int0", "uint0", "float_", "bool8"]  # NumPy has, or used to have, these names
PLAIN = set(order + code for order in ["", "<", ">", "=", "|"] for code in CODES) | set(NAMES)
ODD = ["i04", "i 4", "i+4", "1i4", "2i4", "i4,", "i4,i4", "<float32", "=bool", "<<i4", "i3", "f16", "f1", "b2", "u", "U3",
       "S4", "O", "V8", "c8", "complex64", "M8[ns]", "m8", "g", "G", "str", "object", "", "<", "Int32", "!i4", "a2", "()i4"]


# ---- Files -----------------------------------------------------------------------------------------------------------

def pick(rng, usual, odd, one_in):
    return rng.choice(odd if rng.randrange(one_in) == 0 else usual)


def literal(rng, text):
    quote = rng.choice("'\"")
    form = pick(rng, ["%s"], ["u%s", "b%s", "r%s", "(%s)", "%s''", "split", "escape"], 40)
    if form == "split":
        return f"{quote}{text[:1]}{quote} {quote}{text[1:]}{quote}"
    if form == "escape" and text:
        return f"{quote}\\x{ord(text[0]):02x}{text[1:]}{quote}"
    return form.replace("%s", quote + text + quote) if "%s" in form else quote + text + quote


def blank(rng):
    return pick(rng, ["", "", " "], ["  ", "\t", "\n", "\r\n", "\f", "#\n", "\v", "\0", "\\\n"], 60)


def length(rng, n):
    return pick(rng, [str(n)], [f"{n}L", f"0{n}", f"+{n}", f"-{n}", f"{n}.0", f"0x{n:x}", f"{n}_0", "True", "None", f"'{n}'",
                                f"({n})", f"{n}+0", str(2**64 + n), f"- {n}", f"{n}l"], 60)


def write_shape(rng, shape):
    lengths = [blank(rng) + length(rng, n) + blank(rng) for n in shape]
    text = ",".join(lengths)
    if len(shape) == 1 or (shape and rng.randrange(4) == 0):
        text += pick(rng, [","], ["", ",,"], 30)
    return pick(rng, ["(%s)"], ["[%s]", "(%s", "%s", "((%s))", "{%s}", "tuple(%s)"], 90) % (text + blank(rng))


def write_header(rng, descr, fortran, shape):
    entries = [["descr", literal(rng, descr) if descr is not None else "[('a', '<i4')]"],
               ["fortran_order", pick(rng, [str(fortran)], ["true", "0", "1", "None", "not True", "'True'"], 60)],
               ["shape", write_shape(rng, shape)]]
    if rng.randrange(2):
        rng.shuffle(entries)
    if rng.randrange(60) == 0:
        entries.append(rng.choice(entries + [["colour", "'red'"]]))
    if rng.randrange(60) == 0:
        entries.pop(rng.randrange(len(entries)))
    parts = [blank(rng) + literal(rng, key) + blank(rng) + ":" + blank(rng) + value + blank(rng) for key, value in entries]
    text = ",".join(parts) + rng.choice(["", ",", ", "])
    return pick(rng, [""], [" ", "\n", "\t", "#"], 30) + "{" + text + "}" + pick(rng, [""], [" x", "}", ";", "#", "\0"], 60)


def quietly(what, *arguments):
    """The result, or None if NumPy refuses: a damaged header may raise any exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return what(*arguments)
        except Exception:
            return None


def size_of(descr):
    dtype = quietly(numpy.dtype, descr)
    return dtype.itemsize if dtype is not None else 4


def make_plain_or_odd(rng):
    """A complete file, perhaps with unusual contents."""
    descr = rng.choice(pick(rng, [sorted(PLAIN)], [ODD, OLD_NAMES, [None]], 8))
    shape = [rng.randrange(5) for _ in range(pick(rng, [1, 2, 3], [0], 10))]
    if rng.randrange(300) == 0:
        shape = [1] * rng.choice([31, 32, 33, 64, 65])
    header = write_header(rng, descr, bool(rng.randrange(2)), shape).encode("latin1", "replace")
    if rng.randrange(2):
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
    major = pick(rng, [1, 1, 2, 3], [0, 4, 255], 100)
    minor = pick(rng, [0], [1], 200)
    count = struct.pack("<H" if major == 1 else "<I", len(header))
    data = rng.randbytes(size_of(descr) * numpy.prod(shape, dtype=int))
    if rng.randrange(10) == 0 and data:  # few NaNs; booleans of 0 and 1
        data = bytes(byte & 1 for byte in data)
    return MAGIC + bytes([major, minor]) + count + header + data


def damage(rng, file):
    at = rng.randrange(len(file) + 1)
    what = rng.randrange(6)
    if what == 0:
        return file[:at]
    if what == 1:
        return file + rng.randbytes(rng.randrange(1, 9))
    if what == 2:
        return file + make_plain_or_odd(rng)
    if what == 3 and at < len(file):
        return file[:at] + file[at + 1:]
    put = bytes([rng.choice(file)]) if file and rng.randrange(2) else rng.randbytes(1)
    return file[:at] + put + file[at + (what > 4):]


def make_file(rng):
    file = make_plain_or_odd(rng)
    while rng.randrange(4) == 0:
        file = damage(rng, file)
    return file[:4000]


# ---- What is in them -------------------------------------------------------------------------------------------------

def load(file):
    """The array as numpy.load reads it and the bytes after it, or None."""
    stream = io.BytesIO(file)
    array = quietly(numpy.lib.format.read_array, stream)
    return None if array is None else (array, file[stream.tell():])


def as_rowpool(array):
    """The elements as rowpool holds them in memory: C order, native byte order, bool as 0 and 1."""
    if array.dtype == bool:
        array = (array.view("u1") != 0).astype("u1")
    return numpy.ascontiguousarray(array).astype(array.dtype.newbyteorder("="))


def header_of(file):
    begin = 10 if file[6:7] == b"\1" else 12
    size = int.from_bytes(file[8:begin], "little")
    return file[begin:begin + size].decode("latin1")


BLANK = r"[ \t\r\n]*"
KEY = r"(?:'%s'|\"%s\")"
TUPLE = rf"\({BLANK}(?:(?:0|[1-9][0-9]*){BLANK},{BLANK})*(?:(?:0|[1-9][0-9]*){BLANK})?\)"
VALUES = {"descr": r"(?:'[^'\\\n]*'|\"[^\"\\\n]*\")", "fortran_order": "(?:True|False)", "shape": TUPLE}
ENTRY = "(?:" + "|".join(KEY % (key, key) + BLANK + ":" + BLANK + value for key, value in VALUES.items()) + ")"
HEADER = re.compile(rf"{BLANK}\{{{BLANK}{ENTRY}{BLANK}(?:,{BLANK}{ENTRY}{BLANK}){{2}},?{BLANK}\}}{BLANK}")


def is_plain(file, rest):
    """Whether NumPy could have written the file; for files that NumPy reads."""
    header = header_of(file)
    if not HEADER.fullmatch(header) or (rest and not rest.startswith(MAGIC)):
        return False
    content = ast.literal_eval(header.strip())
    return content["descr"] in PLAIN and len(content["shape"]) > 0


def is_extra(file):
    """Whether the file contains something that only rowpool reads."""
    header = header_of(file)
    return bool(re.search(r"[0-9]L|[(, \t\r\n]0[0-9]", header) or header.count("1") >= 32 or len(header) > 10000
                or any(name in header for name in OLD_NAMES))


REFUSALS = re.compile("stray bytes follow|the array is a single value|the header is malformed|a structured dtype|dtype '.*'"
                      "|a length of the shape is|the shape has (a negative length|more than 64 dimensions)", re.S)


def judge(file, answer):
    """"read", "refused" or "neither", or what is wrong."""
    line, _, data = answer.partition(b"\n")
    words = line.decode("latin1").split(" ")
    loaded = load(file)
    if words[0] == "no":
        message = line.decode("latin1")[3:]
        if not loaded:
            return "neither"
        if is_plain(file, loaded[1]):
            return f"NumPy reads it; rowpool: {message}"
        return "refused" if REFUSALS.match(message) else f"not a refusal that is listed: {message}"
    if not loaded:
        return "extra" if is_extra(file) else "only rowpool reads it"
    array = as_rowpool(loaded[0])
    shape = ",".join(map(str, array.shape))
    more = str(int(bool(loaded[1])))
    if words[1:] != [array.dtype.name, shape, more]:
        return f"rowpool reads {words[1:]}, NumPy {array.dtype.name} {shape}, followed: {more}"
    return "read" if data == array.tobytes() else "the elements are not the same"


def answers(reader, cases):
    request = b"".join(way + struct.pack("<I", len(file)) + file for way, file in cases)
    found = subprocess.run([reader], input=request, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in cases:
        size, = struct.unpack_from("<I", found, at)
        yield found[at + 4:at + 4 + size]
        at += 4 + size


def main(reader):
    seed = os.environ.get("ROWPOOL_TEST_SEED", "20240613")
    seed = str(time.time_ns()) if seed == "new" else seed
    print(f"ROWPOOL_TEST_SEED={seed}")
    rng = random.Random(int(seed, 0))
    cases = int(os.environ.get("ROWPOOL_TEST_CASES", BATCH))
    outcomes = dict.fromkeys(["read", "refused", "neither", "extra"], 0)
    wrong = 0
    for begin in range(0, cases, BATCH):
        batch = [(rng.choice([b"m", b"f", b"p"]), make_file(rng)) for _ in range(min(BATCH, cases - begin))]
        for (way, file), answer in zip(batch, answers(reader, batch)):
            outcome = judge(file, answer)
            if outcome in outcomes:
                outcomes[outcome] += 1
                continue
            wrong += 1
            if wrong <= 20:
                print(f"{way!r} {file!r}: {outcome}")
    print(f"{cases} files: both read {outcomes['read']}, neither {outcomes['neither']}; rowpool alone refused "
          f"{outcomes['refused']} and read {outcomes['extra']}, as listed; {wrong} wrong")
    return 1 if wrong or outcomes["read"] < cases // 4 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
