"""What the scripts share. rowpool-bench starts them as `SCRIPT PROGRAM LIBEXEC OPTION...`; they run PROGRAM in turn, or read
what an earlier run wrote with --format json."""

import argparse
import json
import shlex
import subprocess
import sys


def say_and_exit(message, status=1):
    print(f"rowpool-bench: {message}", file=sys.stderr)
    sys.exit(status)


def parser(option):
    """A parser for PROGRAM and LIBEXEC, the path from the program's folder to that of its helper programs."""
    made = argparse.ArgumentParser(prog=f"rowpool-bench {option}", allow_abbrev=False)
    made.add_argument("program")
    made.add_argument("libexec")
    return made


def run(program, *arguments):
    """The exit status, and the results or the message."""
    command = [program, *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        return done.returncode, done.stderr.strip().removeprefix("rowpool-bench: ")
    sys.stderr.write(done.stderr)
    return 0, json.loads(done.stdout)


def run_or_exit(program, *arguments):
    status, results = run(program, *arguments)
    return results if status == 0 else say_and_exit(results, status)


def read(path):
    """The results in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
        for entry in results["benchmarks"]:
            entry["peer"], entry["run_name"], entry["real_time"] + 0
        return {"context": dict(results["context"]), "benchmarks": results["benchmarks"]}
    except OSError as error:
        say_and_exit(f"--from: {path}: {error.strerror}")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        say_and_exit(f"--from: {path} has no results of rowpool-bench --format json: {error!r}")


def print_context(context, rounds):
    facts = {**context, "command": shlex.join(["rowpool-bench", *sys.argv[3:]]), "rounds": f"{rounds}, interleaved"}
    for name in ("command", "date", "processor", "cores", "memory", "compiler", "rowpool", "work", "rounds"):
        print(f"{name:11}{facts.get(name, 'unknown')}")
