"""The throughput by row width and the time by size, as one drawing of what rowpool-bench has measured: --plot."""

import math
import os
import sys
import tempfile
from collections import Counter

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from results import parser, read, run_or_exit, say_and_exit

# Without --shape: 2^24 elements in rows of every width, and 256 to 2^26 elements in rows of 5.
SHAPES = [f"{2**24 // width}:{width}" for width in (1, 2, 3, 5, 8, 16, 32, 64, 128, 256, 512, 1024)]
SHAPES += [f"{2**exponent // 5}:5" for exponent in range(8, 27, 2)]

matplotlib.rcParams.update({"text.parse_math": False, "svg.fonttype": "none", "axes.grid": True})


def curves_of(entries, x, y):
    """The points of each peer; of several results for one point the first."""
    curves = {}
    for entry in sorted(entries, key=lambda entry: entry[x]):
        curves.setdefault(entry["peer"], {}).setdefault(entry[x], y(entry))
    return curves


def crossing(times, host):
    """The size from which a peer stays faster than the host, between two that were measured; None: there is none."""
    both = [(x, math.log(time / host[x])) for x, time in times.items() if x in host]
    for (x0, behind), (x1, ahead) in reversed(list(zip(both, both[1:]))):
        if ahead >= 0:
            return None
        if behind >= 0:
            return x0 * (x1 / x0) ** (behind / (behind - ahead))
    return None


def draw(on, curves, xlabel, ylabel):
    for peer, points in curves.items():
        on.plot(list(points), list(points.values()), "o-" if peer.startswith("rowpool/") else ".--", label=peer)
    on.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)


def figure_of(entries):
    """Of the first element type."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    widths, sizes = figure.subplots(1, 2)
    entries = [entry for entry in entries if entry.get("run_type") == "aggregate"]
    entries = [entry for entry in entries if entry["dtype"] == entries[0]["dtype"]]
    largest = max(entry["bytes"] for entry in entries)
    alike = [entry for entry in entries if 2 * entry["bytes"] > largest]
    curves = curves_of(alike, "width", lambda entry: entry["bytes"] / entry["real_time"])
    draw(widths, curves, "elements in a row", "GB/s (higher is better)")
    width = Counter(entry["width"] for entry in entries).most_common(1)[0][0]
    alike = [entry for entry in entries if entry["width"] == width]
    curves = curves_of(alike, "bytes", lambda entry: entry["real_time"] / 1e9)
    draw(sizes, curves, f"bytes in rows of {width}", "time of a call (lower is better)")
    sizes.xaxis.set_major_formatter(EngFormatter("B"))
    sizes.yaxis.set_major_formatter(EngFormatter("s"))
    for (peer, times), line in zip(curves.items(), sizes.get_lines()):
        at = crossing(times, curves.get("rowpool/host", {}))
        if at and peer.startswith("rowpool/"):
            line.set_label(f"{peer}, faster than the host from {EngFormatter('B', places=0)(at)}")
            sizes.axvline(at, color=line.get_color(), linestyle=":")
    sizes.legend(loc="upper left")
    return figure


def main():
    options = parser("--plot")
    options.add_argument("--plot", required=True)
    options.add_argument("--from", dest="results")
    options, others = options.parse_known_args()
    folder, name = os.path.split(os.path.abspath(options.plot))
    try:
        # Opened before anything is measured; it gets its name when it is complete.
        with tempfile.TemporaryDirectory(dir=folder) as draft:
            if options.results:
                results = read(options.results)
            else:
                shapes = [] if any(other.startswith("--shape") for other in others) else ["--shape", ",".join(SHAPES)]
                results = run_or_exit(options.program, *others, *shapes)
            path = os.path.join(draft, name)
            figure_of(results["benchmarks"]).savefig(path)
            os.replace(path, options.plot)
    except OSError as error:
        say_and_exit(f"--plot: {options.plot}: {error.strerror}")
    except (LookupError, TypeError, ValueError) as error:
        say_and_exit(f"--plot: {options.plot}: these results cannot be drawn: {error!r}")


if __name__ == "__main__":
    sys.exit(main())
