#!/usr/bin/env python3
"""rowpool-bench --plot and --from: what the drawing holds, and what is refused. No figure is judged.

usage: plot_holds.py PROGRAM
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PROGRAM = os.path.abspath(sys.argv[1])
HOSTILE = '<script>alert(1)</script> & "quoted" $x^2$'


def median(peer, rows, width, nanoseconds):
    run = f"range_count/int32/{rows}:{width}/{peer}"
    return {
        "name": run + "_median", "run_name": run, "run_type": "aggregate", "peer": peer, "dtype": "int32",
        "rows": rows, "width": width, "bytes": 4 * rows * width, "real_time": nanoseconds,
    }  # fmt: skip


def invented():
    """A device that is four times slower than the host at 2 kB and four times faster at 32 kB: equal at 8 kB."""
    entries = []
    for rows, host, device in ((100, 1000, 4000), (1600, 16000, 4000)):
        entries.append(median("rowpool/host", rows, 5, host))
        entries.append(median("rowpool/fork", rows, 5, 2 * host))
        entries.append(median("rowpool/0:0", rows, 5, device))
        entries.append(median(HOSTILE, rows, 5, 500))
    entries += [median("opencl/0:0", 64000 // width, width, 20000) for width in (1, 64)]
    return {"context": {}, "benchmarks": entries}


class Plots(unittest.TestCase):
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

    def bench(self, *arguments, **more):
        return subprocess.run([PROGRAM, *arguments], **{"capture_output": True, "cwd": self.folder, **more})

    def refused(self, answer, *says):
        self.assertEqual((answer.returncode, answer.stdout), (1, b""), answer.stderr)
        for words in says:
            self.assertIn(words, answer.stderr.decode())

    def texts_of(self, path):
        root = xml.etree.ElementTree.parse(path).getroot()
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        return "".join(root.itertext())

    def test_a_run_makes_a_plot(self):
        target = self.path("plot.svg")
        arguments = ["--shape", "100:5,500:1,1000:5", "--rounds", "3", "--peers", "serial,limit"]
        answer = self.bench(*arguments, "--device", "host,fork", "--plot", target)
        self.assertEqual((answer.returncode, answer.stdout), (0, b""), answer.stderr)
        shown = self.texts_of(target)
        for words in ("serial", "limit", "rowpool/host", "rowpool/fork", "elements in a row", "GB/s"):
            self.assertIn(words, shown)
        self.assertEqual(os.listdir(self.folder), ["plot.svg"])

    def test_results_are_drawn_and_where_a_device_begins_to_pay_is_said(self):
        source, target = self.path("results.json", json.dumps(invented()).encode()), self.path("plot.svg")
        answer = self.bench("--from", source, f"--plot={target}")
        self.assertEqual((answer.returncode, answer.stdout), (0, b""), answer.stderr)
        shown = self.texts_of(target)
        self.assertIn("rowpool/0:0, faster than the host from 8 kB", shown)
        self.assertNotIn("rowpool/fork, faster", shown)
        self.assertIn(HOSTILE, shown)

    def test_the_results_of_a_run_are_drawn(self):
        answer = self.bench("--shape", "100:5", "--rounds", "2", "--balance", "fork,host", "--format", "json")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        source, target = self.path("results.json", answer.stdout), self.path("plot.png")
        answer = self.bench("--from", source, "--plot", target)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        with open(target, "rb") as file:
            self.assertEqual(file.read(4), b"\x89PNG")

    def test_what_is_no_result_is_refused(self):
        whole = json.dumps(invented())
        target = self.path("plot.svg", b"as before")
        contents = ["", whole[: len(whole) // 2], "[" * 100000, "[]", '{"context": {}}', whole.replace("bytes", "b")]
        contents += ['{"context": {}, "benchmarks": []}', '{"context": {}, "benchmarks": [7]}']
        for content in contents:
            source = self.path("foreign.json", content.encode())
            with self.subTest(content[:80]):
                self.refused(self.bench("--from", source, "--plot", target), "rowpool-bench: --")
            with open(target, "rb") as file:
                self.assertEqual(file.read(), b"as before")
            self.assertEqual(sorted(os.listdir(self.folder)), ["foreign.json", "plot.svg"])

    def test_what_cannot_be_read_is_named(self):
        for source, says in ((self.path("nowhere.json"), "No such file"), (self.folder, "Is a directory")):
            self.refused(self.bench("--from", source, "--plot", self.path("plot.svg")), source, says)
            self.assertEqual(os.listdir(self.folder), [])

    def test_what_cannot_be_written_is_named(self):
        for target in (self.path("no/plot.svg"), self.path("plot.nothing")):
            self.refused(self.bench("--device", "host", "--shape", "5:5", "--plot", target), target)
        self.assertEqual(os.listdir(self.folder), [])

    def test_after_a_run_that_fails_there_is_no_plot(self):
        target = self.path("plot.svg", b"as before")
        self.assertNotEqual(self.bench("--device", "9:9", "--shape", "5:5", "--plot", target).returncode, 0)
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b"as before")
        self.assertEqual(os.listdir(self.folder), ["plot.svg"])

    def test_a_python_without_matplotlib_is_told(self):
        os.mkdir(self.path("matplotlib"))
        self.path("matplotlib/__init__.py", b"raise ImportError")
        answer = self.bench("--plot", self.path("plot.svg"), env={**os.environ, "PYTHONPATH": self.folder})
        self.refused(answer, "--plot: no Python 3", "import matplotlib")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
