#!/usr/bin/env python3
"""rowpool-bench --report, --plot and --from: what the page holds, and what is refused. No figure is judged.

usage: page_holds.py PROGRAM SCRIPT    the script is page.py, which the program starts
"""

import html.parser
import importlib.util
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PROGRAM, SCRIPT = map(os.path.abspath, sys.argv[1:3])
SECTIONS = ["Throughput by row width", "Time by size", "Shares in co-execution", "Upload, kernel, read"]
VOID = {"meta", "br", "hr", "img", "input", "link", "use", "path", "rect", "line", "circle"}
HOSTILE = '<script>alert(1)</script> & "quoted" $x^2$'

# ---- A page, taken apart ---------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Elements with their attributes and what encloses them; the text of each cell, and the cells of each row."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.cells, self.rows, self.text, self.wrong = [], [], [], [], "", []
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> stays open" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag in ("td", "th", "dd"):
            self.cells.append("")
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID or tag in ("path", "use", "rect") and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.open)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")
        if tag in ("td", "th"):
            self.rows[-1].append(self.cells[-1])

    def handle_data(self, data):
        self.text += data
        if {"td", "th", "dd"} & set(self.open[-2:]):
            self.cells[-1] += data

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


def digits(value):
    """As the page is meant to show a number: four digits, no exponent."""
    decimals = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{min(max(decimals, 0), 12)}f}"


def expected_cells(entry):
    """What the last table must hold of one median."""
    cells = [entry["peer"], entry["dtype"], *(str(entry[name]) for name in ("rows", "width", "bytes"))]
    cells += [digits(value / 1e3) for name, value in entry.items() if name.endswith("_time")]
    cells += [digits(100 * entry[name]) for name in ("part_of_limit", "overhead", "efficiency") if name in entry]
    cells += [digits(entry["ratio_to_serial"])] if "ratio_to_serial" in entry else []
    return cells + [digits(entry["bytes"] / entry["real_time"]), digits(1e9 * entry["rows"] / entry["real_time"])]


# ---- Results that nobody measured ------------------------------------------------------------------------------------


def median(peer, rows, width, nanoseconds, **more):
    run = f"range_count/int32/{rows}:{width}/{peer}"
    times = dict.fromkeys(["real_time", "cpu_time", "min_time", "p95_time", "first_time"], nanoseconds)
    return {
        "name": run + "_median", "run_name": run, "run_type": "aggregate", "peer": peer, "device": HOSTILE,
        "driver": "a <b>driver</b>", "dtype": "int32", "time_unit": "ns", "rows": rows, "width": width,
        "bytes": 4 * rows * width, **times, **more,
    }  # fmt: skip


def invented():
    """A device that is four times slower than the host at 2 kB and four times faster at 32 kB: equal at 8 kB."""
    entries = []
    for rows, host, device in ((100, 1000, 4000), (1600, 16000, 4000)):
        entries += [
            median("rowpool/host", rows, 5, host),
            median("rowpool/fork", rows, 5, 2 * host),
            median("rowpool/0:0", rows, 5, device),
            median("rowpool/1:0", rows, 5, host / 2),
            median("limit", rows, 5, 500),
        ]
    for width in (1, 5, 64):
        stages = {"upload_time": 1.5, "kernel_time": 22.25, "read_time": 3}
        entries.append(median("opencl/0:0", 64000 // width, width, 20000, **stages, overhead=-0.0125))
    shares = {"0:0": 0.625, "1:0": 0.375}
    entries.append(median("rowpool/0:0,1:0", 1600, 5, 3000, efficiency=0.875, shares=shares))
    context = {"processor": "a <i>processor</i>", "command": "rowpool-bench --shape '<b>'"}
    return {"context": context, "benchmarks": entries}


# ---- The tests -------------------------------------------------------------------------------------------------------


class Pages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def bench(self, *arguments, **environment):
        command = [PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, cwd=self.folder)

    def made(self, results, kind="report"):
        """The text of what is made of these results."""
        source, target = self.path("made.json", json.dumps(results).encode()), self.path("made")
        answer = self.bench("--from", source, f"--{kind}", target)
        self.assertEqual((answer.returncode, answer.stdout), (0, b""), answer.stderr)
        with open(target, encoding="utf-8") as file:
            return file.read()

    def refused(self, answer, status, *says):
        self.assertEqual((answer.returncode, answer.stdout), (status, b""), answer.stderr)
        for words in says:
            self.assertIn(words, answer.stderr.decode())

    def holds(self, text, results):
        """Everything that any page must be and have."""
        page = Page(text)
        self.assertEqual(page.wrong, [])
        self.assertEqual(page.all("html"), [{"lang": "en"}])
        self.assertEqual(len(page.all("title")), 1)
        levels = [int(tag[1]) for tag, _, _ in page.elements if tag in ("h1", "h2", "h3", "h4", "h5", "h6")]
        self.assertEqual((levels[0], levels.count(1)), (1, 1))
        self.assertTrue(all(level <= before + 1 for before, level in zip(levels, levels[1:])))
        for title in SECTIONS:
            self.assertIn(title, page.text)
        drawings = page.all("svg")
        self.assertEqual(len(drawings), len(page.all("figcaption")))
        self.assertEqual(len(page.all("details")), 1)
        self.assertEqual(len(page.all("table")), len(page.all("caption")))
        for drawing in drawings:
            self.assertEqual(drawing["role"], "img")
            self.assertGreater(len(drawing["aria-label"]), 40)
        names = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
        self.assertEqual(len(names), len(set(names)))
        self.loads_nothing(page, text)
        medians = [entry for entry in results["benchmarks"] if entry["run_type"] == "aggregate"]
        for entry, row in zip(medians, page.rows[-len(medians) :]):
            self.assertEqual(set(expected_cells(entry)) - set(row), set())
            self.assertIn([entry["peer"], entry["device"], entry["driver"]], page.rows)
        for value in results["context"].values():
            self.assertIn(str(value), page.cells)
        return page

    def loads_nothing(self, page, text):
        for tag, attributes, _ in page.elements:
            self.assertNotIn(tag, ("script", "link", "img", "iframe", "object", "image"))
            for name in ("src", "href", "xlink:href", "srcset", "data"):
                self.assertTrue(attributes.get(name, "#").startswith("#"), (tag, attributes))
        self.assertNotIn("@import", text)
        self.assertEqual(text.count("url("), text.count("url(#"))

    def test_a_run_makes_a_page_of_its_results(self):
        target = self.path("page.html")
        arguments = ["--shape", "100:5,500:1,20:25,1000:5", "--rounds", "3", "--peers", "serial,openmp/,limit"]
        answer = self.bench(*arguments, "--device", "host,fork", "--format", "json", "--report", target)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        results = json.loads(answer.stdout)
        with open(target, encoding="utf-8") as file:
            page = self.holds(file.read(), results)
        self.assertEqual(len(page.all("svg")), 2)
        command = " ".join(["rowpool-bench", *arguments, "--device host,fork --format json --report", target])
        self.assertEqual(results["context"]["command"], command)
        rounds = [entry for entry in results["benchmarks"] if entry["run_type"] == "iteration"]
        for first in rounds[::3]:
            times = [entry["real_time"] for entry in rounds if entry["run_name"] == first["run_name"]]
            self.assertIn(" ".join(digits(time / 1e3) for time in times), page.cells)
        self.assertEqual(os.listdir(self.folder), ["page.html"])

    def test_the_command_is_told_as_a_shell_takes_it_and_in_utf_8(self):
        target = self.path("a b'\udcff.html")
        arguments = ["--shape", "5:5", "--rounds", "1", "--peers", "none", "--device", "host", "--format", "json"]
        answer = self.bench(*arguments, "--report", target)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        command = json.loads(answer.stdout.decode())["context"]["command"]
        shown = target.replace("\udcff", "?")
        self.assertEqual(shlex.split(command), ["rowpool-bench", *arguments, "--report", shown])
        with open(target, encoding="utf-8") as file:
            self.assertIn(command, Page(file.read()).cells)

    def test_devices_that_share_have_their_shares_shown(self):
        target = self.path("page.html")
        arguments = ["--shape", "1000:5", "--rounds", "2", "--balance", "fork,host", "--format", "json"]
        answer = self.bench(*arguments, "--report", target)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        results = json.loads(answer.stdout)
        with open(target, encoding="utf-8") as file:
            page = self.holds(file.read(), results)
        shares = [entry["shares"] for entry in results["benchmarks"] if "shares" in entry]
        self.assertEqual(len(shares), 1)
        self.assertIn(", ".join(f"{name} {digits(100 * part)}" for name, part in shares[0].items()), page.cells)

    def test_every_plot_is_drawn(self):
        page = self.holds(self.made(invented()), invented())
        self.assertEqual(len(page.all("svg")), len(SECTIONS))

    def test_where_a_device_begins_to_pay_is_said(self):
        text = Page(self.made(invented())).text
        self.assertIn("rowpool/0:0 begins to pay at about 8 kB", text)
        self.assertIn("rowpool/fork does not pay", text)
        self.assertIn("rowpool/1:0 is faster than the host at every size", text)
        self.assertNotRegex(text, "rowpool/0:0,1:0 (is|does|begins)")

    def test_what_comes_from_outside_stays_text(self):
        text = self.made(invented())
        self.assertIn(HOSTILE, Page(text).cells)
        for tag in ("<script", "<b>", "<i>"):
            self.assertNotIn(tag, text)

    def test_a_plot_is_a_file_of_its_own(self):
        text = self.made(invented(), "plot")
        root = xml.etree.ElementTree.fromstring(text)
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        shown = "".join(root.itertext())
        for words in ("opencl/0:0", "elements in a row", "GB/s"):
            self.assertIn(words, shown)

    def test_characters_that_no_document_may_have_do_not_break_it(self):
        results = invented()
        for entry in results["benchmarks"]:
            entry["peer"] = entry["device"] = "a\x1b\x00\ud800\uffff\x9fb $x^2$"
        for kind in ("plot", "report"):
            text = self.made(results, kind)
            self.assertIn("a\ufffd\ufffd\ufffd\ufffd\ufffdb $x^2$", text)
            self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")
        drawing = xml.etree.ElementTree.fromstring(self.made(results, "plot"))
        self.assertIn("b $x^2$", "".join(drawing.itertext()))

    def test_every_element_type_has_its_plots(self):
        results = invented()
        for entry in invented()["benchmarks"]:
            results["benchmarks"].append({**entry, "dtype": "int8"})
        page = self.holds(self.made(results), results)
        self.assertEqual(len(page.all("svg")), 2 * len(SECTIONS))

    def test_what_is_no_result_is_refused(self):
        whole = json.dumps(invented())
        first = invented()["benchmarks"][0]

        def changed(**members):
            return json.dumps({"context": {}, "benchmarks": [{**first, **members}]})

        cases = [
            ("", "this is no JSON"),
            (whole[: len(whole) // 2], "this is no JSON"),
            ("[" * 100000, "this is no JSON"),
            ("\xff\xfe", "this is no JSON"),
            ("[]", "there is no context"),
            ('{"context": {}}', "there are no benchmarks"),
            ('{"context": {}, "benchmarks": []}', "no result of any peer"),
            ('{"context": {}, "benchmarks": [{"name": "BM_memcpy/8"}]}', "benchmark 1 has no peer"),
            ('{"context": {}, "benchmarks": [7]}', "benchmark 1 is no object"),
            (changed(time_unit="us"), "benchmark 1 has its times in us"),
            (changed(rows=0), "benchmark 1 has no rows"),
            (changed(rows=True), "benchmark 1 has no rows"),
            (changed(width="5"), "benchmark 1 has no width"),
            (changed(bytes=10**400), "benchmark 1 has no bytes"),
            (changed(real_time=0), "benchmark 1 has no real_time"),
            (changed(cpu_time=float("nan")), "benchmark 1 has no cpu_time"),
            (changed(kernel_time=float("inf")), "benchmark 1 has no kernel_time"),
            (changed(efficiency=None), "benchmark 1 has no efficiency"),
            (changed(shares=[1]), "benchmark 1 has no shares"),
            (changed(shares={"0:0": -1}), "benchmark 1 has no 0:0"),
        ]  # fmt: skip
        sys.dont_write_bytecode = True
        spec = importlib.util.spec_from_file_location("page", SCRIPT)
        page = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(page)
        page.read(whole.encode())
        for content, says in cases:
            with self.subTest(content[:80]), self.assertRaisesRegex(page.Refused, says):
                page.read(content.encode("latin-1"))

    def test_what_is_refused_leaves_all_as_it_was(self):
        whole = json.dumps(invented()).encode()
        target = self.path("page.html", b"as before")
        for kind, content, says in (("--report", whole[:-1], "no JSON"), ("--plot", b'{"a": 1}', "no context")):
            source = self.path("foreign.json", content)
            self.refused(self.bench("--from", source, kind, target), 1, f"{source}: ", says, f"{target} is not written")
            with open(target, "rb") as file:
                self.assertEqual(file.read(), b"as before")
            self.assertEqual(sorted(os.listdir(self.folder)), ["foreign.json", "page.html"])

    def test_what_cannot_be_read_is_named(self):
        target = self.path("page.html")
        for source, says in ((self.path("nowhere.json"), "No such file"), (self.folder, "Is a directory")):
            self.refused(self.bench("--from", source, "--report", target), 1, source, says)
            self.assertEqual(os.listdir(self.folder), [])

    def test_what_cannot_be_written_is_named_before_a_run(self):
        for target, says in ((self.path("no/page.html"), "No such file"), (self.folder, "directory")):
            for kind in ("--report", "--plot"):
                self.refused(self.bench("--device", "host", "--shape", "5:5", kind, target), 1, target, says)
        self.assertEqual(os.listdir(self.folder), [])

    def test_after_a_run_that_fails_there_is_no_page(self):
        target = self.path("page.html", b"as before")
        with open("/dev/full", "wb") as full:
            for device in ("9:9", "host"):
                command = [PROGRAM, "--device", device, "--shape", "5:5", "--format", "json", "--report", target]
                self.assertNotEqual(subprocess.run(command, stdout=full, stderr=subprocess.DEVNULL).returncode, 0)
                with open(target, "rb") as file:
                    self.assertEqual(file.read(), b"as before")
                self.assertEqual(os.listdir(self.folder), ["page.html"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
