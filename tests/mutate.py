#!/usr/bin/env python3
"""Applies single mutations to the sources and runs the tests that should fail: a mutation that survives is a gap in the
tests.

usage: tests/mutate.py [--only PATTERN] [--preset PRESET] [--jobs N] [--list]

The list, mutations.toml beside this file, says for each mutation where it is, what it changes, and which tests
should fail; `equivalent` gives the reason if no test can. Each job works in its own copy of the committed tree, built
once for each preset. All listed tests must pass there first. A test that fails, crashes or takes several times as long
as before kills the mutation. The exit status is 1 if a mutation survives, does not compile, or its text is not found
exactly once.
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
LIST = os.path.join(ROOT, "tests", "mutations.toml")
TEST_SECONDS = 600  # longer than any test takes without a mutation


def time_limit(seconds):
    """The limit for a mutated test, from its time without the mutation: a longer run hangs, even on a busy machine."""
    return 60 + 5 * seconds


def kill_session(leader):
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == leader:
                os.kill(int(name), signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended already


class Tree:
    """A copy of the committed tree with a build for each preset in use."""

    def __init__(self, root):
        self.root = root
        self.targets = {}
        subprocess.run(["git", "clone", "-q", ROOT, root], check=True)

    def build_folder(self, preset):
        return os.path.join(self.root, "build", preset)

    def run(self, *command, seconds=None):
        """The completed command, or None after the time limit. Processes that it leaves running are killed."""
        process = subprocess.Popen(command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        try:
            output, messages = process.communicate(timeout=seconds)
            return subprocess.CompletedProcess(command, process.returncode, output, messages)
        except subprocess.TimeoutExpired:
            return None
        finally:
            kill_session(process.pid)
            process.communicate()

    def configure(self, preset):
        """Configures, and finds the targets that each test needs."""
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

    def failure(self, preset, test, seconds):
        """None: the test passes."""
        ended = self.run("ctest", "--test-dir", self.build_folder(preset), "-R", f"^{re.escape(test)}$",
                         "--no-tests=error", seconds=seconds)
        if ended is None:
            return f"{test} hangs"
        return None if ended.returncode == 0 else test


def read_list(only, preset):
    with open(LIST, "rb") as file:
        mutations = tomllib.load(file)["mutation"]
    names = [mutation["name"] for mutation in mutations]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        sys.exit(f"{LIST}: named twice: {', '.join(sorted(repeated))}")
    for mutation in mutations:
        mutation.setdefault("preset", "release")
        mutation.setdefault("tests", [])
        if not mutation["tests"] and "equivalent" not in mutation:
            sys.exit(f"{LIST}: {mutation['name']} has no tests")
    return [mutation for mutation in mutations
            if re.search(only, mutation["name"]) and preset in (None, mutation["preset"])]


def apply(mutation, root):
    """The file's text before the mutation; None: the text to change does not occur exactly once."""
    path = os.path.join(root, mutation["file"])
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(mutation["old"]) != 1:
        return None
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(mutation["old"], mutation["new"]))
    return text


def judge(mutation, tree, seconds):
    """killed, survived, equivalent or error, and details; seconds: how long each test takes."""
    before = apply(mutation, tree.root)
    if before is None:
        return "error", "its text does not occur exactly once in the file"
    try:
        if "equivalent" in mutation:
            return "equivalent", mutation["equivalent"]
        built = tree.build(mutation["preset"], mutation["tests"])
        if built.returncode != 0:
            wrong = [line for line in built.stdout.splitlines() if "error" in line]
            return "error", "does not compile: " + " ".join(wrong[:1])
        for test in mutation["tests"]:
            failure = tree.failure(mutation["preset"], test, time_limit(seconds[mutation["preset"], test]))
            if failure is not None:
                return "killed", failure
        return "survived", ", ".join(mutation["tests"])
    finally:
        with open(os.path.join(tree.root, mutation["file"]), "w", encoding="utf-8") as file:
            file.write(before)


def prepare(root, pairs):
    """A tree with everything built that the mutations need."""
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


def show(mutations):
    for mutation in mutations:
        tests = "equivalent" if "equivalent" in mutation else ", ".join(mutation["tests"])
        print(f"{mutation['name']:36} {mutation['file']:34} {mutation['preset']:8} {tests}")


def try_all(mutations, trees):
    """Tries all mutations, one in each tree at a time; prints and returns the verdicts."""
    free = queue.Queue()
    for tree in trees:
        free.put(tree)

    def with_tree(function, *words):
        tree = free.get()
        try:
            return function(tree, *words)
        finally:
            free.put(tree)

    def time_unmutated(tree, preset, test):
        started = time.monotonic()
        failure = tree.failure(preset, test, TEST_SECONDS)
        return failure, time.monotonic() - started

    def try_one(tree, mutation, seconds):
        started = time.monotonic()
        verdict, words = judge(mutation, tree, seconds)
        print(f"{verdict:10} {mutation['name']:36} {time.monotonic() - started:5.0f} s  {words}", flush=True)
        return mutation["name"], verdict, words

    with concurrent.futures.ThreadPoolExecutor(len(trees)) as jobs:
        pairs = pairs_of(mutations)
        ends = list(jobs.map(lambda pair: with_tree(time_unmutated, *pair), pairs))
        failing = [failure for failure, _ in ends if failure is not None]
        if failing:
            sys.exit(f"without any mutation these fail: {', '.join(failing)}")
        seconds = {pair: took for pair, (_, took) in zip(pairs, ends)}
        return list(jobs.map(lambda mutation: with_tree(try_one, mutation, seconds), mutations))


def pairs_of(mutations):
    return sorted({(mutation["preset"], test) for mutation in mutations for test in mutation["tests"]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="PATTERN", help="only names that match this regular expression")
    parser.add_argument("--preset", help="only mutations of this preset")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="how many to try at once")
    parser.add_argument("--list", action="store_true", help="list the mutations and exit")
    arguments = parser.parse_args()
    mutations = read_list(arguments.only, arguments.preset)
    if not mutations:
        sys.exit("there is no such mutation")
    if arguments.list:
        show(mutations)
        return 0
    work = tempfile.mkdtemp(prefix="rowpool-mutate-")
    os.environ.setdefault("CCACHE_BASEDIR", work)
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    try:
        roots = [os.path.join(work, str(i)) for i in range(arguments.jobs)]
        verdicts = try_all(mutations, [prepare(root, pairs_of(mutations)) for root in roots])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print()
    for kind in ("equivalent", "survived", "error"):
        for name, verdict, words in verdicts:
            if verdict == kind:
                print(f"{kind:10} {name:36} {words}")
    counts = {kind: sum(verdict == kind for _, verdict, _ in verdicts)
              for kind in ("killed", "equivalent", "survived", "error")}
    print(f"{len(verdicts)} mutations: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 1 if counts["survived"] + counts["error"] > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
