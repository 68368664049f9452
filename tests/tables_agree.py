#!/usr/bin/env python3
"""Compares rowpool's reader of text tables with a reference made of Python's csv module and exact numbers.

usage: tables_agree.py READ_TABLES    tests ROWPOOL_TEST_CASES random tables with the seed ROWPOOL_TEST_SEED

For each table both give the same numbers, labels and warnings, or both refuse it.
"""
import csv
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from fractions import Fraction

MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", "none", "?", ".", "-", "\\N"]
BOOLEANS = {"True": "1", "true": "1", "TRUE": "1", "False": "0", "false": "0", "FALSE": "0"}
INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)")
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
NO_REAL = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
DATE = re.compile(r"[0-9]+(-[A-Za-z]|:[0-9]{2}(?![0-9])|-[0-9]{1,2}$|([-/.])[0-9]{1,2}\2[0-9])")


class Refused(Exception):
    pass


# ---- The reference: cells ----------------------------------------------------------------------------------------------

class Lines:
    """The lines of a text without its comments; a comment can only begin where a row begins."""

    def __init__(self, text, is_comment):
        self.lines = iter(re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text))
        self.is_comment = is_comment
        self.begins = True
        self.first = self.last = ""

    def __iter__(self):
        return self

    def __next__(self):
        for line in self.lines:
            if self.begins and self.is_comment(line.lstrip(" ")):
                continue
            if self.begins:
                self.first = line
            self.begins = False
            self.last = line
            return line
        raise StopIteration


def rows_of(text, case, notes):
    """Rows of cells; None: an empty line. Adds to the set of warnings."""
    delimiter = case["delimiter"]
    def is_comment(line):
        nonlocal like_comment
        like_comment = line.startswith(comment) and rows and not anywhere
        return line.startswith(comment) and (anywhere or not rows)

    lines = Lines(text, is_comment)
    comment, anywhere = {None: ("#", False), "none": ("\0", True)}.get(case.get("C"), (case.get("C"), True))
    rows = []
    like_comment = False
    quoting = csv.QUOTE_NONE if case.get("Q") else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True, quoting=quoting)
    empty = 0
    while True:
        lines.begins = True
        try:
            cells = next(reader)
        except StopIteration:
            return rows
        except csv.Error as error:
            raise Refused(str(error)) from error
        if lines.first.strip(" \t\r\n" if delimiter != "\t" else " \r\n") == "":
            empty += 1
            continue
        rows += [None] * empty
        empty = 0
        if delimiter == " " and lines.last.rstrip("\r\n").endswith(" "):
            cells.pop()
        rows.append([cell.strip(" \t") for cell in cells])
        if like_comment and rows[-1][0] not in MISSING:
            notes.add("is taken as a row")
        if case["format"] == "tsv" and any(re.search("[\r\n]", cell) for cell in cells):
            notes.add("spans several lines")


# ---- The reference: what cells are -------------------------------------------------------------------------------------

def plain(cell, decimal):
    cell = BOOLEANS.get(cell, cell).strip("\u00a0\u202f").replace("\u2212", "-")
    return cell.translate({ord(","): ".", ord("."): ","}) if decimal == "," and cell != "." else cell


def kind(cell, decimal):
    text = plain(cell, decimal)
    if text in MISSING:
        return "missing"
    if INTEGER.fullmatch(text) or REAL.fullmatch(text) or NO_REAL.fullmatch(text):
        return "number"
    no_numeral = not any(c.isnumeric() for c in cell)
    return "word" if cell[0].isalpha() or DATE.match(cell) or no_numeral else "damaged"


def is_decimal_comma(cell, case):
    return case["delimiter"] != "," and case.get("N") != "," and "," in cell and kind(cell, ",") == "number"


def integer_of(text):
    digits = text.lstrip("+-")
    value = int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
    return -value if text[0] == "-" else value


def nearest(text):
    """The double nearest to the text's exact value."""
    if NO_REAL.fullmatch(text):
        return float(text)
    try:
        return float(integer_of(text)) if INTEGER.fullmatch(text) else float(Fraction(text))
    except OverflowError as error:
        raise Refused("beyond float64") from error


# ---- The reference: the table ------------------------------------------------------------------------------------------

def increase(cells, decimal):
    """Whether all are numbers in ascending order."""
    if not all(kind(cell, decimal) == "number" for cell in cells):
        return False
    try:
        numbers = [nearest(plain(cell, decimal)) for cell in cells]
    except Refused:
        return False
    return all(after > before for before, after in zip(numbers, numbers[1:]))


def find_header(row, case):
    """Whether the row is a header, and the warnings."""
    if case.get("H"):
        return case["H"] == "yes", []
    kinds = [kind(cell, case.get("N")) for cell in row]
    if all(k == "word" for k in kinds) or (row[0] == "" and len(row) > 1 and all(k == "word" for k in kinds[1:])):
        return True, []
    if row[0] == "" and len(row) > 1 and (len(row) > 2 or row[1] == "0") and increase(row[1:], case.get("N")):
        return True, ["the first row is taken as names"]
    series = len(row) > 2 and increase(row[1:], case.get("N"))
    if kinds[0] == "word" and (series or not re.search("[0-9]", "".join(row[1:]))):
        return False, ["the first row is taken as data"]
    return False, []


def find_columns(names, columns, text, notes):
    found = [i for i, name in enumerate(names) if name == text]
    numbered = int(text) - 1 if text.isdigit() and 1 <= int(text) <= columns else None
    if found and numbered is not None and numbered not in found and names:
        notes.append("which has that name")
    if not found and numbered is not None:
        found = [numbered]
    if not found:
        raise Refused("there is no such column")
    return found


def is_row_numbers(names, rows):
    first = [row[0] if row else None for row in rows[:2]]
    return len(names) > 1 and names[0] == "row" and first in (["0"], ["0", "1"])


def judge_first_column(names, rows, decimal):
    """Whether the first column holds labels, and as what its cells count."""
    if is_row_numbers(names, rows):
        return True, "numbers"
    for row in rows:
        found = kind(row[0], decimal) if row else "missing"
        if found != "missing":
            return found == "word", "words"
    return False, None


def elements_of(row, left_out, case):
    decimal = case.get("N")
    cells = list(row)
    while "g" in case and cells and plain(cells[-1], decimal) in MISSING:
        cells.pop()
    for i, cell in enumerate(cells):
        if i in left_out:
            continue
        if plain(cell, decimal) in MISSING:
            if "i" not in case:
                raise Refused("missing")
            cell = case["i"]
        elif kind(cell, decimal) != "number":
            raise Refused("no number")
        yield plain(cell, decimal)


def convert(rows, case, notes):
    """The dtype, and rows of numbers."""
    texts = [text for row in rows for text in row]
    integers = [integer_of(text) for text in texts if INTEGER.fullmatch(text)]
    wanted = case.get("T")
    whole = len(integers) == len(texts)
    if wanted == "int64" and not whole:
        raise Refused("no integer")
    if wanted != "float64" and any(not -2**63 <= value < 2**63 for value in integers):
        raise Refused("beyond int64")
    if wanted == "int64" or (wanted is None and whole):
        return "int64", [[integer_of(text) for text in row] for row in rows]
    if any(int(float(value)) != value for value in integers):
        notes.append("is rounded")
    if any(nearest(text) == 0 and Fraction(text) != 0 for text in texts if REAL.fullmatch(text)):
        notes.append("becomes 0")
    return "float64", [[nearest(text) for text in row] for row in rows]


def check_labels(labels, rule, decimal):
    for i, label in enumerate(labels):
        if rule == "numbers" and not (label.isascii() and label.isdigit() and int(label) == i):
            raise Refused("no row number")
        if rule == "words" and kind(label, decimal) in ("number", "damaged"):
            raise Refused("words and numbers")


def read_reference(case):
    """The dtype, rows, labels (or None), and texts that the warnings contain."""
    text = case["text"].removeprefix("\ufeff")
    decimal = case.get("N")
    if case.get("separator_line"):
        text = text[len(case["separator_line"]):]
    noted = set()
    rows = rows_of(text, case, noted)
    first = next((i for i, row in enumerate(rows) if row is not None), None)
    if first is None:
        raise Refused("empty")
    if decimal == "," and case["delimiter"] == ",":
        raise Refused("two commas")
    if case.get("C") == case["delimiter"]:
        raise Refused("a comment separates")
    is_header, notes = find_header(rows[first], case)
    notes.extend(noted)
    names = rows[first] if is_header else []
    columns = len(rows[first])
    data = rows[first + 1:] if is_header else rows
    begin = next((row for row in data if row is not None), None)
    if begin is not None and names and "g" not in case and len(begin) == columns + 1 and \
            begin[-1] != "" and (columns > 1 or case["delimiter"] != ","):
        names = [""] + names
        columns += 1
        notes.append("column 1 is unnamed")
    if case.get("separator_line") and columns == 1:
        notes.append("sets the separator")
    if "g" not in case and columns > 1 and None in data:
        raise Refused("an empty line")
    data = [row if row is not None else [] if "g" in case else [""] for row in data]

    skipped = {i for item in case["k"].split(",") for i in find_columns(names, columns, item, notes)} if "k" in case else set()
    labels, rule = None, None
    if case.get("L", "none") != "none":
        found = find_columns(names, columns, case["L"], notes)
        if len(found) > 1:
            raise Refused("labels of one name")
        labels = found[0]
    elif "L" not in case and 0 not in skipped:
        if len(names) > 1 and names[0] == "":
            labels = 0
        else:
            is_label, rule = judge_first_column(names, data, decimal)
            labels = 0 if is_label else None
            if rule == "numbers":
                notes.append("holds row numbers")
    left_out = skipped | ({labels} if labels is not None else set())
    undecided = rule is not None or (labels is None and "L" not in case)
    words = {i for i, cell in enumerate(begin or []) if i < columns and i not in left_out
             and not (i == 0 and undecided) and kind(cell, decimal) == "word"}
    if words:
        notes.append("left out")
    if any(i in words and (kind(cell, decimal) == "number" or is_decimal_comma(cell, case))
           for row in data for i, cell in enumerate(row)):
        raise Refused("words and numbers")
    if "g" not in case and any(len(row) != columns for row in data):
        raise Refused("ragged")
    if "g" not in case and columns == len(left_out | words):
        raise Refused("no numbers")
    found = [row[labels] if labels < len(row) else "" for row in data] if labels is not None else None
    if found is not None:
        check_labels(found, rule, decimal)
    dtype, numbers = convert([list(elements_of(row, left_out | words, case)) for row in data], case, notes)
    return dtype, numbers, found, notes


# ---- Tables ------------------------------------------------------------------------------------------------------------

LETTERS = "abcdefgh\u00e9\u00df\u4e2d"
DAMAGED = ["$5", "5%", "1_000", "1.0D+02", "5kg", "3rd", "#7", "1/2", "5-", "0x", "1e", "+-3", "--", "1.2.", "1 2",
           "1'000", "\u20ac5", "5\u202f000", "1,5", "1.234,5", "2020-001", "1:2", "1;2", "\u0665", "\u096b", "\u0e55", "\u00bd"]


def word(source):
    first = source.choice([source.choice(LETTERS), source.choice(LETTERS), "(", "*", "\u00b0", "\u00b5"])
    inside = LETTERS + LETTERS + " _-7" + source.choice(["", "", '"', ',;"', "\n#", "\r\n%"])
    return first + "".join(source.choice(inside) for _ in range(source.randrange(5))) + source.choice(LETTERS)


def date(source):
    year, month, day = source.randrange(1900, 2100), source.randrange(1, 13), source.randrange(1, 29)
    return source.choice([f"{year}-{month:02}-{day:02}", f"{year}/{month}/{day}", f"{day}.{month}.{year}",
                          f"{day}-Mar-{year}", f"{month:02}:{day:02}", f"{year}-{month:02}"])


def real(source):
    digits = str(source.randrange(10**source.randrange(1, 22)))
    at = source.randrange(len(digits) + 1)
    exponent = source.choice(["", "", "", f"e{source.randrange(-30, 30)}", f"E+{source.randrange(290)}",
                              f"e-{source.randrange(290, 345)}"])
    return source.choice(["", "-", "+"]) + digits[:at] + "." + digits[at:] + exponent


INTEGERS = [
    lambda source: str(source.randrange(-20, 20)),
    lambda source: str(source.randrange(-20, 20)),
    lambda source: str(source.choice([2**53, 2**63, 2**31]) * source.choice([-1, 1, 1]) + source.randrange(-4, 1)),
    lambda source: source.choice(["+7", "-0", "007", "0x1F", "-0Xa", "True", "false", "\u22125", "\u00a08", "9\u202f"]),
]
KINDS = [
    lambda source: source.choice(INTEGERS)(source),
    lambda source: source.choice(INTEGERS)(source),
    lambda source: source.choice(INTEGERS[:2])(source),
    lambda source: source.choice(INTEGERS[:2])(source),
    lambda source: str(source.randrange(10)),
    real,
    lambda source: source.choice([real(source), source.choice(INTEGERS)(source), "nan", "-inf", "Infinity"]),
    word,
    word,
    date,
]


def cell_text(source, cell, case, quoted_often):
    """The cell as it is written in the file."""
    special = any(c in cell for c in '"\r\n' + case["delimiter"]) or cell[:1] == "#"
    if case.get("Q"):
        return re.sub(r"[\r\n]", "_", cell).replace(case["delimiter"], "_")
    if case["format"] == "tsv" and re.fullmatch('[^"\r\n\t#][^\r\n\t]*', cell) and source.random() < 0.5:
        return cell
    if special or (source.random() < 0.1 and quoted_often) or (case["delimiter"] == " " and cell == ""):
        cell = '"' + cell.replace('"', '""') + '"'
    if source.random() < 0.05 and case["delimiter"] != " ":
        cell = " " * source.randrange(3) + cell + (" " if cell[-1:] != '"' else "")
    return cell


def make_rows(source, case):
    columns = source.choice([1, 2, 2, 3, 3, 4])
    kinds = [source.choice(KINDS[:7]) for _ in range(columns)]
    if columns > 1 and source.random() < 0.4:
        kinds[0] = source.choice(KINDS[7:])
    if columns > 2 and source.random() < 0.2:
        kinds[source.randrange(columns)] = source.choice(KINDS[7:])
    count = source.choice([0, 1, 2, 2, 3, 3, 4, 5, 6])
    missing = source.choice([0, 0, 0.1, 0.5])
    ragged = "g" in case or source.random() < 0.03
    return columns, [[source.choice(MISSING) if source.random() < missing else make(source)
                      for make in kinds[:source.randrange(1, columns + 1) if ragged else columns]] for _ in range(count)]


def add_header(source, columns, rows):
    names = [word(source) for _ in range(columns)]
    choice = source.random()
    if choice < 0.15:
        names[0] = ""
    elif choice < 0.2 and columns > 1:
        names = names[1:]
    elif choice < 0.25:
        names = [""] + [str(i) for i in range(columns - 1)]
    elif choice < 0.3:
        names = ["x"] + [str(2010 + i) for i in range(columns - 1)]
    elif choice < 0.32:
        names[-1] = source.choice(["inf", "nan", ""])
    elif choice < 0.4:
        names[0] = "row"
        for i, row in enumerate(rows):
            row[0] = str(i)
    elif choice < 0.45:
        names[-1] = names[0]
    if source.random() < 0.5:
        for row in rows if names and names[0] == "" else []:
            row[0] = str(source.randrange(100))
    rows.insert(0, names)


def spoil(source, rows):
    row = source.choice(rows)
    at = source.randrange(len(row)) if row else 0
    spoilt = source.choice([source.choice(DAMAGED), source.choice(MISSING), word(source), date(source), "5", "1e400",
                            "99999999999999999999", "7.5"])
    row[at:at + 1] = source.choice([[spoilt], [spoilt], [spoilt], [spoilt], [], [spoilt, "1"]])


def make_settings(source):
    case = {"format": source.choice(["csv", "csv", "csv", "tsv", "txt"])}
    case["delimiter"] = {"csv": ",", "tsv": "\t", "txt": " "}[case["format"]]
    if case["format"] == "csv" and source.random() < 0.3:
        case["D"] = case["delimiter"] = source.choice(";|")
    if source.random() < 0.1 and case["delimiter"] != ",":
        case["N"] = ","
    for letter, chance, values in [("i", 0.6, ["0", "nan", "-1", "NaN", "0", "1.5"]), ("g", 0.15, [""]), ("H", 0.1, ["yes", "no"]),
                                   ("L", 0.1, ["none", "1", "1", "2", "row"]), ("k", 0.08, ["1", "2", "1,2", "row"]),
                                   ("T", 0.15, ["int64", "float64"]), ("C", 0.08, ["#", "%", "none"]),
                                   ("Q", 0.05, ["none"])]:
        if source.random() < chance:
            case[letter] = source.choice(values)
    missing = plain(case.get("i", "0"), case.get("N"))
    if not INTEGER.fullmatch(missing) and (case.get("T") == "int64" or kind(missing, None) != "number"):
        del case["i"]  # the program refuses these options together
    return case


def make_case(source):
    case = make_settings(source)
    columns, rows = make_rows(source, case)
    if source.random() < 0.6:
        add_header(source, columns, rows)
    for _ in range(source.choice([0, 0, 0, 1, 2]) if rows else 0):
        spoil(source, rows)
    if case.get("N") and source.random() < 0.9:
        rows = [[cell.replace(".", ",") if REAL.fullmatch(cell) and cell != "." else cell for cell in row] for row in rows]
    end = source.choice(["\n", "\n", "\n", "\r\n", "\r"])
    often = source.random() < 0.3
    between = case["delimiter"]
    lines = []
    for row in rows:
        texts = [cell_text(source, cell, case, often) for cell in row]
        blanks = [between * source.randrange(1, 4) if between == " " else between for _ in texts[1:]] + [""]
        lines.append("".join(text + blank for text, blank in zip(texts, blanks)))
        if between == " " and source.random() < 0.2:
            lines[-1] = "  " + lines[-1] + source.choice(["", " "])
    for chance, line in [(0.08, "# a, b"), (0.03, "%5"), (0.06, ""), (0.03, "  ")]:
        if source.random() < chance:
            lines.insert(source.randrange(len(lines) + 1), line)
    lines += [""] * source.choice([0, 0, 0, 1, 2])
    if case["delimiter"] in ";|" and source.random() < 0.3:
        case["separator_line"] = "sep=" + case.pop("D") + end
    text = case.get("separator_line", "") + end.join(lines) + source.choice([end, end, ""])
    case["text"] = source.choice(["", "", "", "\ufeff"]) + text
    return case


# ---- The comparison ----------------------------------------------------------------------------------------------------

def to_input(case):
    text = case["text"].encode()
    settings = "".join("\t" + letter + case[letter] for letter in "iDgHLkTCQN" if letter in case)
    return f"{len(text)} {case['format']}{settings}\n".encode() + text


def parse_answer(line):
    """The reader's answer: dtype, rows, labels and note; or None and the message."""
    if line.startswith("error\t"):
        return None, line[6:]
    dtype, shape, labels, elements, note = line.split("\t")
    numbers = [int(text) if dtype == "int64" else float.fromhex(text) for text in elements.split()]
    if "x" in shape:
        count, width = map(int, shape.split("x"))
        offsets = [i * width for i in range(count + 1)]
    else:
        offsets = [int(text) for text in shape.split()]
    rows = [numbers[begin:end] for begin, end in zip(offsets, offsets[1:])]
    names = None if labels == "-" else [bytes.fromhex(text).decode() for text in labels.split(" ")[:-1]]
    return (dtype, rows, names), note


def same_numbers(a, b):
    return len(a) == len(b) and all(len(x) == len(y) and all(p == q or (p != p and q != q) for p, q in zip(x, y))
                                    for x, y in zip(a, b))


NOTES = ["the first row is taken as names", "the first row is taken as data", "column 1 is unnamed", "holds row numbers",
         "left out", "is rounded", "becomes 0", "spans several lines",
         "is taken as a row", "which has that name", "sets the separator"]


def difference(case, answer, note):
    """What is wrong with the answer, or None; and whether it is a table."""
    try:
        dtype, rows, labels, notes = read_reference(case)
    except Refused as refusal:
        return None if answer is None else f"is refused by the reference: {refusal}"
    if answer is None:
        return f"is refused: {note}; the reference has {dtype} {rows} {labels}"
    labels = labels if rows else None
    if labels is not None and answer[2] is not None:
        answer = (answer[0], answer[1], [label.strip(" \t") for label in answer[2]])
    if answer[0] != dtype or not same_numbers(answer[1], rows) or answer[2] != labels:
        return f"is {answer}; the reference has {dtype} {rows} {labels}"
    said = sorted(text for text in NOTES if text in note)
    return None if said == sorted(set(notes)) else f"warns of '{note}'; the reference of {notes}"


def main(program):
    given = os.environ.get("ROWPOOL_TEST_SEED") or "20240613"
    seed = int(time.time()) if given == "new" else int(given)
    count = int(os.environ.get("ROWPOOL_TEST_CASES", "2000"))
    print(f"ROWPOOL_TEST_SEED={seed}")
    source = random.Random(seed)
    cases = [make_case(source) for _ in range(count)]
    with tempfile.TemporaryFile() as file:
        for case in cases:
            file.write(to_input(case))
        file.seek(0)
        output = subprocess.run([program], stdin=file, stdout=subprocess.PIPE, check=True, text=True).stdout
    answers = [parse_answer(line) for line in output.split("\n")[:-1]]
    if len(answers) != count:
        sys.exit(f"{len(answers)} answers for {count} tables")
    wrong = 0
    for case, (answer, note) in zip(cases, answers):
        what = difference(case, answer, note)
        if what is not None:
            wrong += 1
            if wrong <= 20:
                print(f"{case} {what}")
    read = sum(answer is not None for answer, _ in answers)
    print(f"{count} tables, {read} read, {wrong} wrong")
    return 1 if wrong or not count // 4 < read < count * 3 // 4 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
