#!/usr/bin/env python3
"""Applies single mutations to the sources and runs the tests that should notice: what survives is a hole in the tests.

usage: tests/mutate.py [--only PATTERN] [--jobs N] [--list FILE]

The list, mutations.toml beside this file, says for each mutation where it is, what it changes, and the tests that should
fail with it; `equivalent` gives the reason where no test can. Each job works in a copy of the committed tree that it
builds once per preset. First all tests of the list have to pass there. A test that fails, crashes or exceeds its time
kills the mutation. The exit status is 1 when one survives, does not compile, or no longer finds its text exactly once.
"""
import argparse
import concurrent.futures
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEST_SECONDS = 300  # several times what any of them takes on a busy machine


def kill_session(leader):
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == leader:
                os.kill(int(name), signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended meanwhile


class Tree:
    """A copy of the committed tree, with a build for each preset that was asked for."""

    def __init__(self, root):
        self.root = root
        self.targets = {}
        subprocess.run(["git", "clone", "-q", ROOT, root], check=True)

    def build_folder(self, preset):
        return os.path.join(self.root, "build", preset)

    def run(self, *command, seconds=None):
        """A command's end; None where it takes longer than that: then all that it started is killed."""
        process = subprocess.Popen(command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        try:
            output, messages = process.communicate(timeout=seconds)
            return subprocess.CompletedProcess(command, process.returncode, output, messages)
        except subprocess.TimeoutExpired:
            kill_session(process.pid)
            process.wait()
            return None

    def configure(self, preset):
        """Configures, and finds what each test needs to be built."""
        configured = self.run("cmake", "--preset", preset, "-D", "ROWPOOL_WERROR=OFF")  # mutations leave things unused
        if configured.returncode != 0:
            sys.exit(f"cmake --preset {preset} fails:\n{configured.stdout}{configured.stderr}")
        folder = self.build_folder(preset)
        tests = json.loads(self.run("ctest", "--test-dir", folder, "--show-only=json-v1").stdout)["tests"]
        graph = self.run("ninja", "-C", folder, "-t", "targets", "all").stdout
        built = {line.split(": ")[0] for line in graph.splitlines() if ": phony" not in line}
        for test in tests:
            environment = [value for entry in test.get("properties", []) if entry["name"] == "ENVIRONMENT"
                           for value in entry["value"]]
            words = test.get("command", []) + [value.partition("=")[2] for value in environment]
            paths = {os.path.relpath(word, folder) for word in words if word.startswith(folder)}
            self.targets[preset, test["name"]] = sorted(paths & built)

    def build(self, preset, tests):
        targets = sorted({target for test in tests for target in self.targets[preset, test]})
        if not targets:
            sys.exit(f"nothing is built for {', '.join(tests)}")
        return self.run("cmake", "--build", self.build_folder(preset), "--target", *targets)

    def passes(self, preset, test):
        ended = self.run("ctest", "--test-dir", self.build_folder(preset), "-R", f"^{re.escape(test)}$",
                         "--no-tests=error", seconds=TEST_SECONDS)
        return ended is not None and ended.returncode == 0


def read_list(path, only):
    with open(path, "rb") as file:
        mutations = tomllib.load(file)["mutation"]
    names = [mutation["name"] for mutation in mutations]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        sys.exit(f"{path}: named twice: {', '.join(sorted(repeated))}")
    for mutation in mutations:
        mutation.setdefault("preset", "release")
        mutation.setdefault("tests", [])
        if not mutation["tests"] and "equivalent" not in mutation:
            sys.exit(f"{path}: {mutation['name']} has no tests")
    return [mutation for mutation in mutations if re.search(only, mutation["name"])]


def apply(mutation, root):
    """The text of the file before; None: the text to change is not there exactly once."""
    path = os.path.join(root, mutation["file"])
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(mutation["old"]) != 1:
        return None
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(mutation["old"], mutation["new"]))
    return text


def judge(mutation, tree):
    """killed, survived, equivalent or error, and what there is to say about it."""
    before = apply(mutation, tree.root)
    if before is None:
        return "error", "its text is not in the file exactly once"
    try:
        if "equivalent" in mutation:
            return "equivalent", mutation["equivalent"]
        built = tree.build(mutation["preset"], mutation["tests"])
        if built.returncode != 0:
            wrong = [line for line in built.stdout.splitlines() if "error" in line]
            return "error", "does not compile: " + " ".join(wrong[:1])
        for test in mutation["tests"]:
            if not tree.passes(mutation["preset"], test):
                return "killed", test
        return "survived", ", ".join(mutation["tests"])
    finally:
        with open(os.path.join(tree.root, mutation["file"]), "w", encoding="utf-8") as file:
            file.write(before)


def prepare(root, pairs):
    """A tree with what all mutations need built, and whether each test passes in it."""
    tree = Tree(root)
    for preset in sorted({preset for preset, _ in pairs}):
        tree.configure(preset)
        tests = sorted(test for of, test in pairs if of == preset)
        unknown = [test for test in tests if (preset, test) not in tree.targets]
        if unknown:
            sys.exit(f"the preset {preset} has no test {', '.join(unknown)}")
        built = tree.build(preset, tests)
        if built.returncode != 0:
            sys.exit(f"{preset} does not build:\n{built.stdout[-4000:]}")
    return tree


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutations whose names this regular expression finds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", default=os.path.join(ROOT, "tests", "mutations.toml"))
    arguments = parser.parse_args()
    mutations = read_list(arguments.list, arguments.only)
    pairs = sorted({(mutation["preset"], test) for mutation in mutations for test in mutation["tests"]})
    work = tempfile.mkdtemp(prefix="rowpool-mutate-")
    os.environ.setdefault("CCACHE_BASEDIR", work)
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    verdicts = {}
    try:
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as jobs:
            trees = queue.Queue()
            first = prepare(os.path.join(work, "0"), pairs)
            for tree in [first, *jobs.map(lambda i: prepare(os.path.join(work, str(i)), pairs), range(1, arguments.jobs))]:
                trees.put(tree)

            def with_tree(function, *words):
                tree = trees.get()
                try:
                    return function(tree, *words)
                finally:
                    trees.put(tree)

            failing = [test for (preset, test), passed in
                       zip(pairs, jobs.map(lambda pair: with_tree(Tree.passes, *pair), pairs)) if not passed]
            if failing:
                sys.exit(f"without any mutation these fail: {', '.join(failing)}")

            def one(mutation):
                started = time.monotonic()
                verdict, words = with_tree(lambda tree: judge(mutation, tree))
                print(f"{verdict:10} {mutation['name']:44} {time.monotonic() - started:5.0f} s  {words}", flush=True)
                verdicts[mutation["name"]] = verdict, words

            list(jobs.map(one, mutations))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    bad = [(name, verdict, words) for name, (verdict, words) in verdicts.items() if verdict in ("survived", "error")]
    for name, verdict, words in bad:
        print(f"{verdict}: {name}: {words}")
    counts = {kind: sum(verdict == kind for verdict, _ in verdicts.values())
              for kind in ("killed", "equivalent", "survived", "error")}
    print(f"{len(verdicts)} mutations: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 1 if bad or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
