"""A page, or one plot, of what rowpool-bench has measured; rowpool-bench starts this.

    page.py report|plot [RESULTS] > page.html|plot.svg

RESULTS is a file that --format json wrote; without it that comes from standard input.
"""

import io
import json
import math
import re
import sys
from collections import Counter
from html import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter

# ---- Results --------------------------------------------------------------------------------------------------------

TEXTS = ["peer", "device", "driver", "dtype", "run_name", "run_type", "time_unit"]
COUNTS = ["rows", "width", "bytes"]
TIMES = ["real_time", "min_time", "p95_time", "first_time", "cpu_time"]
STAGES = ["upload_time", "kernel_time", "read_time"]
FIGURES = ["ratio_to_serial", "part_of_limit", "overhead", "efficiency"]
MAX = 1e30  # beyond it a number is no measurement


class Refused(Exception):
    """The input is not what rowpool-bench writes."""


def clean(value):
    """The same without characters that neither HTML nor SVG may have."""
    if isinstance(value, str):
        return re.sub("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", value)
    if isinstance(value, dict):
        return {clean(name): clean(member) for name, member in value.items()}
    return [clean(member) for member in value] if isinstance(value, list) else value


def check(condition, where, what):
    if not condition:
        raise Refused(f"{where} {what}")


def check_number(entry, name, where, low):
    value = entry.get(name)
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= MAX
    check(good, where, f"has no {name} that could be")


def check_median(entry, where):
    for name in COUNTS + TIMES:
        check_number(entry, name, where, 1 if name in COUNTS else 1e-6 if name == "real_time" else 0)
    for name in set(STAGES + FIGURES) & set(entry):
        check_number(entry, name, where, 0 if name in STAGES else -MAX)
    check(isinstance(entry.get("shares", {}), dict), where, "has no shares that could be")
    for device in entry.get("shares", {}):
        check_number(entry["shares"], device, where, 0)


def read(source):
    """The context, and the medians in their order, each with the times of its rounds."""
    try:
        root = clean(json.loads(source.decode()))
    except (ValueError, RecursionError) as error:
        raise Refused(f"this is no JSON: {error}") from None
    root = root if isinstance(root, dict) else {}
    check(isinstance(root.get("context"), dict), "there is no context:", "rowpool-bench --format json writes one")
    check(isinstance(root.get("benchmarks"), list), "there are no benchmarks:", "rowpool-bench --format json writes them")
    medians, rounds = [], {}
    for i, entry in enumerate(root["benchmarks"]):
        where = f"benchmark {i + 1}"
        check(isinstance(entry, dict), where, "is no object")
        for name in TEXTS:
            check(isinstance(entry.get(name), str), where, f"has no {name}")
        check(entry["time_unit"] == "ns", where, f"has its times in {entry['time_unit']}, not in ns")
        if entry["run_type"] == "aggregate":
            check_median(entry, where)
            medians.append({**entry, "rounds": rounds.pop(entry["run_name"], [])})
        else:
            check_number(entry, "real_time", where, 0)
            rounds.setdefault(entry["run_name"], []).append(entry["real_time"])
    check(medians, "it has no result", "of any peer")
    return {str(name): str(value) for name, value in root["context"].items()}, medians


# ---- Numbers as text ------------------------------------------------------------------------------------------------


def digits(value):
    """Four of them, without an exponent."""
    decimals = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{min(max(decimals, 0), 12)}f}"


def size(count):
    return EngFormatter("B", places=None if count < 1000 else 1)(count).replace(".0 ", " ")


def rate(entry):
    """Bytes in a nanosecond: GB/s."""
    return entry["bytes"] / entry["real_time"]


def figure_of(entry, name, factor):
    return digits(entry[name] * factor) if name in entry else ""


# ---- Drawing --------------------------------------------------------------------------------------------------------

LIMIT = "#8a929c"
SERIES = ["#0b62c4", "#c2410c", "#0f766e", "#8b2fc9", "#b3175a", "#4d7c0f", "#92600a", "#33638f", "#6b4bd8", "#a3372c"]
MARKERS = "osD^vPX<>"  # not as many as colours: each pair comes once

matplotlib.rcdefaults()
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none", "svg.hashsalt": "rowpool", "text.parse_math": False, "font.size": 11,
        "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
        "grid.color": "#d8dce1", "legend.frameon": False, "lines.linewidth": 1.8, "lines.markersize": 4.5,
    }
)  # fmt: skip


def svg(figure, title, what):
    """The drawing alone, as an element of a page."""
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", metadata=nothing, bbox_inches="tight")
    drawing = out.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    # Several drawings share a page, and so the space of names.
    prefix = re.sub(r"\W+", "-", title)
    drawing = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", drawing)
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}: {escape(what)}" ', 1)


def canvas(height):
    figure = Figure(figsize=(5, height))
    return figure, figure.add_subplot()


def legend(on, *arguments):
    on.legend(*arguments, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.35 / on.figure.get_figheight() - 0.05))


def look(peers):
    """How each peer is drawn, the same in all plots: rowpool in whole lines, the others dashed."""
    styles = {"limit": {"color": LIMIT, "linewidth": 4, "alpha": 0.7}}
    for i, peer in enumerate(peer for peer in peers if peer != "limit"):
        styles[peer] = {"color": SERIES[i % len(SERIES)], "marker": MARKERS[i % len(MARKERS)]}
        if not peer.startswith("rowpool/"):
            styles[peer]["linestyle"] = "--"
    return styles


# ---- What is drawn of the results: a drawing, and sentences below it ------------------------------------------------


def unique(values):
    return list(dict.fromkeys(values))


def most_varied(entries, key, varies):
    """Those entries that are equal in the key and have the max number of values of what varies; of equals the largest."""
    kinds = Counter(kind for kind, _ in {(key(entry), entry[varies]) for entry in entries})
    return [entry for entry in entries if key(entry) == max(kinds, key=lambda kind: (kinds[kind], kind))]


def curves_of(entries, x, y):
    """Of each peer the points; of several results for one point the first, which was measured beside the others'."""
    curves = {peer: {} for peer in unique(entry["peer"] for entry in entries)}
    for entry in sorted(entries, key=lambda entry: entry[x]):
        curves[entry["peer"]].setdefault(entry[x], y(entry))
    return curves


def lines(curves, styles):
    figure, on = canvas(3.2)
    for peer, points in curves.items():
        on.plot(list(points), list(points.values()), label=peer, **styles[peer])
    legend(on)
    xs = [x for points in curves.values() for x in points]
    return figure, on, min(xs), max(xs)


def by_width(entries):
    """Those of about one size, but all where that leaves a single width; and what they read, as a sentence."""
    alike = most_varied(entries, lambda entry: round(math.log2(entry["bytes"]) * 2), "width")
    entries = alike if len({entry["width"] for entry in alike}) > 1 else entries
    sizes = [entry["bytes"] for entry in entries]
    return entries, f"Each run reads {' to '.join(unique([size(min(sizes)), size(max(sizes))]))}."


def width_plot(title, entries, styles):
    entries, reads = by_width(entries)
    curves = curves_of(entries, "width", rate)
    rates = [y for points in curves.values() for y in points.values()]
    figure, on, first, last = lines(curves, styles)
    on.set_xscale("log", base=2)
    on.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
    if max(rates) > 50 * min(rates):
        on.set_yscale("log")
        on.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    else:
        on.set_ylim(0, 1.06 * max(rates))
    on.set_xlabel("elements in a row")
    on.set_ylabel("GB/s")
    notes = [f"{reads} Higher is better."]
    if "limit" in curves:
        notes.append("The broad grey line is the memory's limit: the bytes read and written, and nothing counted.")
    return svg(figure, title, f"GB of data read in a second by each peer, rows of {first} to {last} elements"), notes


def crossing(times, host):
    """Where a peer begins to be faster than the host, and stays so: bytes; 0: everywhere, None: not in these results."""
    both = [(x, math.log(time / host[x])) for x, time in times.items() if x in host]
    slower = [i for i, (_, behind) in enumerate(both) if behind >= 0]
    if not both or slower and slower[-1] == len(both) - 1:
        return None
    if not slower:
        return 0
    (x0, behind), (x1, ahead) = both[slower[-1]], both[slower[-1] + 1]
    return x0 * (x1 / x0) ** (behind / (behind - ahead))


def begins_to_pay(peer, at):
    if at is None:
        return f"{peer} does not pay up to the largest size measured: the host is as fast or faster there."
    if at == 0:
        return f"{peer} is faster than the host at every size measured."
    return f"{peer} begins to pay at about {size(at)}: from there on it is faster than the host."


def size_plot(title, entries, styles):
    entries = most_varied(entries, lambda entry: -entry["width"], "bytes")
    curves = curves_of(entries, "bytes", lambda entry: entry["real_time"] / 1e9)
    host = curves.get("rowpool/host")
    together = {entry["peer"] for entry in entries if "shares" in entry}
    devices = [peer for peer in curves if peer.startswith("rowpool/") and peer not in {"rowpool/host", *together}]
    found = {peer: crossing(curves[peer], host) for peer in devices} if host else {}
    figure, on, first, last = lines(curves, styles)
    on.set_xscale("log")
    on.set_yscale("log")
    on.xaxis.set_major_formatter(EngFormatter("B"))
    on.yaxis.set_major_formatter(EngFormatter("s"))
    on.set_xlabel("size of the data")
    for peer, at in found.items():
        if at and "/fork" not in peer:  # worker processes have their sentence; more marks would hide each other
            on.axvline(at, color=styles[peer]["color"], linewidth=1, linestyle=":")
    notes = [f"Rows of {entries[0]['width']}. Lower is better."]
    notes += ["A dotted line marks where a device begins to be faster than the host."] if any(found.values()) else []
    notes += [begins_to_pay(peer, at) for peer, at in found.items()]
    if not host:
        notes.append("Where a device begins to pay cannot be told: rowpool/host is not among the peers.")
    return svg(figure, title, f"time of a call by each peer, {size(first)} to {size(last)} of data, both scales log"), notes


def bars(title, what, names, parts, label):
    """Stacked from the left; parts: of each kind a value for each name. The first name is the topmost."""
    figure, on = canvas(0.5 + 0.3 * len(names))
    edges = [0.0] * len(names)
    for (kind, values), colour in zip(parts.items(), SERIES * len(parts)):
        on.barh(range(len(names)), values, left=edges, height=0.7, color=colour, label=kind)
        edges = [edge + value for edge, value in zip(edges, values)]
    on.set_yticks(range(len(names)), names)
    on.invert_yaxis()
    on.grid(False, axis="y")
    on.set_xlabel(label)
    legend(on)
    return svg(figure, title, what)


def shares_plot(title, entries, _):
    entries = [entry for entry in entries if entry.get("shares")]
    if not entries:
        return None
    names = [
        f"{entry['rows']} × {entry['width']}" + (f", {entry['efficiency']:.2f}" if "efficiency" in entry else "")
        for entry in entries
    ]
    devices = unique(device for entry in entries for device in entry["shares"])
    parts = {device: [100 * entry["shares"].get(device, 0) for entry in entries] for device in devices}
    what = "the part of the rows that each device answered, a stacked bar for each shape"
    notes = "Rows × width, and the efficiency: the rate together over the sum of the rates alone; 1 is ideal."
    return bars(title, what, names, parts, "rows, %"), [notes]


def stages_plot(title, entries, _):
    entries = [entry for entry in entries if any(name in entry for name in STAGES)]
    if not entries:
        return None
    entries, reads = by_width(entries)
    entries.sort(key=lambda entry: (entry["peer"], entry["width"]))
    names = [f"{entry['peer']}, {entry['width']}" for entry in entries]
    parts = {name.split("_")[0]: [entry.get(name, 0) / 1e6 for entry in entries] for name in STAGES}
    what = "milliseconds of each stage, a stacked bar for each device and number of elements in a row"
    notes = f"{reads} The device's own clock, in calls apart from those timed; one in the host's memory has no upload."
    return bars(title, what, names, parts, "ms"), [notes]


# Title, drawing, and what is said where there is nothing to draw.
PLOTS = [
    ("Throughput by row width", width_plot, ""),
    ("Time by size", size_plot, ""),
    ("Shares in co-execution", shares_plot, "No devices shared a map in this run: it takes two, or --balance."),
    ("Upload, kernel, read", stages_plot, "No peer in this run tells its stages: those named opencl/ do."),
]

# ---- The page -------------------------------------------------------------------------------------------------------

STYLE = """
body{margin:0 auto;max-width:70rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
figure{margin:0}figure svg{width:100%;max-width:34rem;height:auto}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem}th,td{padding:.2rem .7rem;text-align:left;white-space:nowrap}
"""


def table(caption, head, rows):
    """The first column heads the line. It scrolls by itself where it is too wide, and can be reached by keyboard."""
    name = escape(caption)
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}"><table><caption>{name}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def section(title, plot, missing):
    if not plot:
        return f"<section><h3>{escape(title)}</h3>\n<p>{escape(missing)}</p></section>\n"
    notes = "".join(f"<p>{escape(note)}</p>" for note in plot[1])
    return f"<section><h3>{title}</h3>\n<figure>{plot[0]}<figcaption>{notes}</figcaption></figure></section>\n"


def plots_of(dtype, medians):
    entries = [entry for entry in medians if entry["dtype"] == dtype]
    styles = look(unique(entry["peer"] for entry in entries))
    sections = (section(title, make(f"{title}, {dtype}", entries, styles), missing) for title, make, missing in PLOTS)
    return f'<h2>{escape(dtype)}</h2>\n{"".join(sections)}'


def every_result(medians):
    head = ["peer", "type", "rows", "width", "bytes", "GB/s", "rows/s", "median, µs", "min, µs", "p95, µs", "first, µs"]
    head += ["CPU, µs", "upload, µs", "kernel, µs", "read, µs", "× serial", "limit, %", "overhead, %", "efficiency, %"]
    rows = [
        [entry["peer"], entry["dtype"], *(str(entry[name]) for name in COUNTS)]
        + [digits(rate(entry)), digits(entry["rows"] / entry["real_time"] * 1e9)]
        + [figure_of(entry, name, 1e-3) for name in TIMES + STAGES]
        + [figure_of(entry, name, 1 if name == "ratio_to_serial" else 100) for name in FIGURES]
        + [", ".join(f"{device} {digits(100 * share)}" for device, share in entry.get("shares", {}).items())]
        + [" ".join(digits(time / 1e3) for time in entry["rounds"])]
        for entry in medians
    ]
    return table("All results: medians, with their rounds", [*head, "shares, %", "rounds, µs"], rows)


def report(context, medians):
    title = escape(f"rowpool-bench: {context.get('processor', 'unknown processor')}")
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in context.items())
    peers = unique((entry["peer"], entry["device"], entry["driver"]) for entry in medians)
    plots = "".join(plots_of(dtype, medians) for dtype in unique(entry["dtype"] for entry in medians))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f"<h1>{title}</h1>\n<h2>Run</h2>\n<dl>\n{facts}</dl>\n<h2>Peers</h2>\n"
        f"{table('What was measured, and by which driver or compiler', ['peer', 'device', 'driver'], peers)}"
        f"{plots}<h2>All results</h2>\n<details><summary>{len(medians)} medians</summary>\n{every_result(medians)}"
        "</details>\n</body>\n</html>\n"
    )


def plot(_, medians):
    """The first plot as a file of its own, of the first element type."""
    entries = [entry for entry in medians if entry["dtype"] == medians[0]["dtype"]]
    title, make, _ = PLOTS[0]
    drawing, _ = make(title, entries, look(unique(entry["peer"] for entry in entries)))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{drawing}'


def main(kind, path=None):
    try:
        with open(path, "rb") if path else sys.stdin.buffer as file:
            context, medians = read(file.read())
    except OSError as error:
        sys.exit(f"rowpool-bench: --from: {path}: {error.strerror}")
    except Refused as error:
        sys.exit(f"rowpool-bench: {path or 'the results'}: {error}")
    sys.stdout.buffer.write({"report": report, "plot": plot}[kind](context, medians).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
