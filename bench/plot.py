"""Draws the throughput by row width and the time by size, from results of rowpool-bench: the option --plot."""

import math
import os
import sys
import tempfile
from collections import Counter

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter

from results import parser, read, run_or_exit, say_and_exit

# Without --shape: 2^24 elements in rows of every width, and 256 to 2^26 elements in rows of 5.
SHAPES = [f"{2**24 // width}:{width}" for width in (1, 2, 3, 5, 8, 16, 32, 64, 128, 256, 512, 1024)]
SHAPES += [f"{2**exponent // 5}:5" for exponent in range(8, 27, 2)]

matplotlib.rcParams.update({"text.parse_math": False, "svg.fonttype": "none", "axes.grid": True})


def most_varied(entries, key, varies):
    """Of the groups of entries with an equal key, the one with the most different values of `varies`."""
    kinds = Counter(kind for kind, _ in {(key(entry), entry[varies]) for entry in entries})
    return [entry for entry in entries if key(entry) == max(kinds, key=lambda kind: (kinds[kind], kind))]


def draw(on, entries, x, y, format_x, format_y):
    """Returns the points and the line of each peer. Of several results for one point the first is used."""
    curves = {entry["peer"]: {} for entry in entries}
    for entry in sorted(entries, key=lambda entry: entry[x]):
        curves[entry["peer"]].setdefault(entry[x], y(entry))
    on.set(xscale="log", yscale="log")
    on.xaxis.set_major_formatter(format_x)
    on.yaxis.set_major_formatter(format_y)
    style = {peer: "o-" if peer.startswith("rowpool/") else ".--" for peer in curves}
    return {peer: (at, on.plot(list(at), list(at.values()), style[peer])[0]) for peer, at in curves.items()}


def crossing(times, host):
    """The size from which a peer stays faster than the host, interpolated; None: there is none."""
    both = [(x, math.log(time / host[x])) for x, time in times.items() if x in host]
    for (x0, behind), (x1, ahead) in reversed(list(zip(both, both[1:]))):
        if ahead >= 0:
            return None
        if behind >= 0:
            return x0 * (x1 / x0) ** (behind / (behind - ahead))
    return None


def figure_of(entries):
    """The drawing for the first element type, dense rows and one range."""
    figure = Figure(figsize=(14, 6), layout="constrained")
    widths, sizes = figure.subplots(1, 2)
    entries = [entry for entry in entries if "repetition_index" not in entry and not {"layout", "ranges"} & set(entry)]
    entries = [entry for entry in entries if entry["dtype"] == entries[0]["dtype"]]
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    alike = most_varied(entries, lambda entry: round(math.log2(entry["bytes"])), "width")
    draw(widths, alike, "width", lambda entry: entry["bytes"] / entry["real_time"], plain, plain)
    widths.set(xlabel="elements in a row", ylabel="GB/s (higher is better)")
    alike = most_varied(entries, lambda entry: entry["width"], "bytes")
    engineers = EngFormatter("B"), EngFormatter("s")
    curves = draw(sizes, alike, "bytes", lambda entry: entry["real_time"] / 1e9, *engineers)
    sizes.set(xlabel=f"size in rows of {alike[0]['width']}", ylabel="time of a call (lower is better)")
    for peer, (times, line) in curves.items():
        at = crossing(times, curves.get("rowpool/host", [{}])[0]) if peer.startswith("rowpool/") else None
        line.set_label(peer + (f", faster than the host from {EngFormatter('B', places=0)(at)}" if at else ""))
        if at:
            sizes.axvline(at, color=line.get_color(), linestyle=":")
    sizes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def main():
    options = parser("--plot")
    options.add_argument("--plot", required=True)
    options.add_argument("--from", dest="results")
    options, others = options.parse_known_args()
    folder, name = os.path.split(os.path.abspath(options.plot))
    try:
        # The folder must be writable before anything is measured. The drawing gets its name when it is complete.
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
