"""A page, or one plot, of what rowpool-bench has measured; rowpool-bench starts this.

    page.py report|plot NAME < results.json > page.html|plot.svg

results.json is what --format json writes; NAME is what errors call it.
"""

import io
import json
import math
import re
import sys
from collections import Counter, namedtuple
from html import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator

# ---- Results --------------------------------------------------------------------------------------------------------

TEXTS = ["peer", "device", "driver", "dtype", "run_name", "run_type", "time_unit"]
COUNTS = ["rows", "width", "bytes"]
TIMES = ["real_time", "min_time", "p95_time", "first_time", "cpu_time"]
STAGES = ["upload_time", "kernel_time", "read_time"]
FIGURES = ["ratio_to_serial", "part_of_limit", "overhead", "efficiency"]
LARGEST = 1e30  # beyond it a number is no measurement

# The least that the numbers of a median may be: those that it has, and those that it may have.
REQUIRED = {**dict.fromkeys(COUNTS, 1), **dict.fromkeys(TIMES, 0), "real_time": 1e-6}
OPTIONAL = {**dict.fromkeys(STAGES, 0), **dict.fromkeys(FIGURES, -LARGEST)}


class Refused(Exception):
    """The input is not what rowpool-bench writes."""


def clean(value):
    """The same without characters that neither HTML nor SVG may have."""
    if isinstance(value, str):
        return re.sub("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", value)
    if isinstance(value, dict):
        return {clean(name): clean(member) for name, member in value.items()}
    return [clean(member) for member in value] if isinstance(value, list) else value


def number(entry, name, where, least):
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= LARGEST:
        raise Refused(f"{where} has no {name} that could be")
    return value


def check_median(entry, where):
    for name, least in REQUIRED.items():
        number(entry, name, where, least)
    for name, least in OPTIONAL.items():
        if name in entry:
            number(entry, name, where, least)
    shares = entry.get("shares", {})
    if not isinstance(shares, dict):
        raise Refused(f"{where} has no shares that could be")
    for device in shares:
        number(shares, device, where, 0)


def check_entry(entry, where):
    if not isinstance(entry, dict):
        raise Refused(f"{where} is no object")
    for name in TEXTS:
        if not isinstance(entry.get(name), str):
            raise Refused(f"{where} has no {name}")
    if entry["time_unit"] != "ns":
        raise Refused(f"{where} has its times in {entry['time_unit']}, not in ns")


def read(source):
    """The context, and the medians in their order, each with the times of its rounds."""
    try:
        root = clean(json.loads(source.decode()))
    except (ValueError, RecursionError) as error:
        raise Refused(f"this is no JSON: {error}") from None
    if not isinstance(root, dict) or not isinstance(root.get("context"), dict):
        raise Refused("there is no context: rowpool-bench --format json writes one")
    if not isinstance(root.get("benchmarks"), list):
        raise Refused("there are no benchmarks: rowpool-bench --format json writes them")
    medians, rounds = [], {}
    for i, entry in enumerate(root["benchmarks"]):
        where = f"benchmark {i + 1}"
        check_entry(entry, where)
        if entry["run_type"] == "aggregate":
            check_median(entry, where)
            medians.append({**entry, "rounds": rounds.pop(entry["run_name"], [])})
        else:
            rounds.setdefault(entry["run_name"], []).append(number(entry, "real_time", where, 0))
    if not medians:
        raise Refused("it has no result of any peer")
    context = {str(name): str(value) for name, value in root["context"].items()}
    return context, medians


# ---- Numbers as text ------------------------------------------------------------------------------------------------


def digits(value):
    """Four of them, without an exponent."""
    decimals = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{min(max(decimals, 0), 12)}f}"


def counted(things, name):
    return f"{len(things)} {name}{'s' if len(things) != 1 else ''}"


def size(count):
    return EngFormatter("B", places=None if count < 1000 else 1)(count).replace(".0 ", " ")


def microseconds(entry, name="real_time"):
    return digits(entry[name] / 1e3) if name in entry else ""


def rate(entry):
    """Bytes in a nanosecond: GB/s."""
    return entry["bytes"] / entry["real_time"]


def percent(entry, name):
    return digits(100 * entry[name]) if name in entry else ""


# ---- Drawing --------------------------------------------------------------------------------------------------------

# What is drawn has the colours on the left; a dark page has those on the right instead.
INK, GRID = "#1f2328", "#d8dce1"
LIMIT = "#8a929c"
SERIES = ["#0b62c4", "#c2410c", "#0f766e", "#8b2fc9", "#b3175a", "#4d7c0f", "#92600a", "#33638f", "#6b4bd8", "#a3372c"]
DARK = dict(
    zip(
        [INK, GRID, LIMIT, *SERIES],
        ["#e6e8eb", "#3a4047", "#8f98a3", "#6cb2ff", "#ff9b62", "#3fd0bf", "#cf9bff", "#ff85b3", "#a9d15a", "#e6b450"]
        + ["#8fc1ea", "#a99bff", "#ff9a8f"],
    )
)
MARKERS = "osD^vPX<>"  # not as many as colours: each pair comes once
WIDTH, LEFT, RIGHT, TOP = 360, 50, 20, 10  # CSS pixels: about what a phone has, so that text keeps its size
LINE, FOOT = 16, 38  # a line of text; the numbers and the name of an axis

matplotlib.rcdefaults()
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "rowpool",
        "text.parse_math": False,
        "font.size": 12,
        "axes.edgecolor": GRID,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 1,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "xtick.color": GRID,
        "ytick.color": GRID,
        **{f"{name}color": INK for name in ("text.", "axes.label", "xtick.label", "ytick.label")},
    }
)

# svg: the drawing; what: what is seen on it, in words; notes: sentences below it; head, rows: its values.
Plot = namedtuple("Plot", "svg what notes head rows")


def canvas(height):
    """A figure whose unit is the pixel."""
    return Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor="none")


def axes(figure, height, bottom, tall, left=LEFT, right=RIGHT):
    made = figure.add_axes((left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, tall / height))
    made.set_facecolor("none")
    return made


def legend_height(labels):
    columns = 2 if max(map(len, labels)) <= 19 else 1
    return columns, LINE * math.ceil(len(labels) / columns)


def legend(figure, handles, labels):
    columns, _ = legend_height(labels)
    figure.legend(
        handles, labels, ncol=columns, loc="lower center", borderaxespad=0.2, borderpad=0, labelspacing=0.3,
        handlelength=2, handletextpad=0.5, columnspacing=1,
    )  # fmt: skip


def svg(figure, title, what):
    """The drawing alone, as an element of a page."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = out.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"(font: [^;\"]*?px )[^;\"]*", r"\1system-ui, sans-serif", drawing)
    drawing = re.sub(r"<defs>\s*<style.*?</defs>", "", drawing, count=1, flags=re.DOTALL)
    drawing = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', drawing, count=2)
    # Several drawings share a page, and so the space of names.
    prefix = re.sub(r"\W+", "-", title)
    drawing = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", drawing)
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}: {escape(what)}" ', 1)


def drawing_style():
    """What is drawn says its colour itself, so that also programs that know no style sheets show it."""
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("stroke", "fill")
    )
    return f"svg *{{stroke-linejoin:round}}@media(prefers-color-scheme:dark){{{rules}}}"


def look(peers):
    """How each peer is drawn, the same in all plots: rowpool in whole lines, the others dashed."""
    styles, i = {}, 0
    for peer in peers:
        if peer == "limit":
            styles[peer] = {"color": LIMIT, "linewidth": 4, "alpha": 0.7}
            continue
        dashed = {} if peer.startswith("rowpool/") else {"linestyle": (0, (4, 2))}
        styles[peer] = {"color": SERIES[i % len(SERIES)], "marker": MARKERS[i % len(MARKERS)], **dashed}
        i += 1
    return styles


def lines(curves, styles, prepare, mark=None):
    """curves: of each peer the points, as (x, y) in order."""
    _, below = legend_height(list(curves))
    tall, bottom = 230, FOOT + below
    height = TOP + tall + bottom
    figure = canvas(height)
    on = axes(figure, height, bottom, tall)
    handles = [on.plot(*zip(*points), **styles[peer])[0] for peer, points in curves.items()]
    prepare(on)
    if mark:
        mark(on)
    legend(figure, handles, list(curves))
    return figure


def bars(on, names, parts, colours):
    """Stacked from the left; parts: of each kind a value for each name. The first name is the topmost."""
    places = range(len(names))
    edges = [0.0] * len(names)
    for kind, values in parts.items():
        on.barh(places, values, left=edges, height=0.7, color=colours[kind])
        edges = [edge + value for edge, value in zip(edges, values)]
    on.set_yticks(places, names)
    on.invert_yaxis()
    on.grid(False, axis="y")
    on.tick_params(axis="y", length=0)


def swatches(colours):
    return [matplotlib.patches.Patch(color=colour) for colour in colours]


# ---- What is drawn of the results -----------------------------------------------------------------------------------


def unique(values):
    return list(dict.fromkeys(values))


def size_class(entry):
    """Rows of some widths do not fill the same number of bytes to the last."""
    return round(math.log2(entry["bytes"]) * 2)


def most_varied(entries, key, varies):
    """Those entries that are equal in the key and have the most values of what varies; of equals the largest."""
    kinds = Counter(key for key, _ in {(key(entry), entry[varies]) for entry in entries})
    best = max(kinds, key=lambda kind: (kinds[kind], kind))
    return [entry for entry in entries if key(entry) == best]


def curves_of(entries, x, y):
    """Of each peer the points; of several results for one point the first, which was measured beside the others'."""
    curves = {}
    for entry in sorted(entries, key=lambda entry: entry[x]):
        curves.setdefault(entry["peer"], {}).setdefault(entry[x], y(entry))
    order = unique(entry["peer"] for entry in entries)
    return {peer: list(curves[peer].items()) for peer in order}


def across(curves, first, show):
    """A table of curves: a line for each x."""
    by_peer = {peer: dict(points) for peer, points in curves.items()}
    xs = sorted({x for points in by_peer.values() for x in points})
    rows = [[str(x)] + [show(points[x]) if x in points else "" for points in by_peer.values()] for x in xs]
    return [first, *by_peer], rows


def span(curves):
    xs = [x for points in curves.values() for x, _ in points]
    return min(xs), max(xs)


def by_width(entries):
    """Those of one size, but all where that leaves a single width; and what they read, as a sentence."""
    alike = most_varied(entries, size_class, "width")
    if len({entry["width"] for entry in alike}) > 1:
        entries = alike
    sizes = [entry["bytes"] for entry in entries]
    return entries, f"Each run reads {' to '.join(unique([size(min(sizes)), size(max(sizes))]))}."


def width_plot(title, entries, styles):
    entries, reads = by_width(entries)
    curves = curves_of(entries, "width", rate)
    rates = [y for points in curves.values() for _, y in points]
    first, last = span(curves)

    def prepare(on):
        on.set_xscale("log", base=2)
        on.xaxis.set_major_locator(FixedLocator([4**i for i in range(17)]))
        on.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
        on.xaxis.set_minor_locator(NullLocator())
        on.set_xlim(first / 1.25, last * 1.25)
        if max(rates) > 50 * min(rates):
            on.set_yscale("log")
            on.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            on.yaxis.set_minor_formatter(NullFormatter())
        else:
            on.set_ylim(0, 1.06 * max(rates))
        on.set_xlabel("elements in a row")
        on.set_ylabel("GB/s", labelpad=1)

    what = f"GB of data read in a second, {counted(curves, 'peer')}, rows of {first} to {last} elements"
    notes = [f"{reads} Higher is better."]
    if "limit" in curves:
        notes.append("The broad grey line is the memory's limit: the bytes read and written, and nothing counted.")
    head, rows = across(curves, "elements in a row", digits)
    drawing = svg(lines(curves, styles, prepare), title, what)
    return Plot(drawing, what, notes, [head[0], *(f"{peer}, GB/s" for peer in head[1:])], rows)


Crossing = namedtuple("Crossing", "peer always bytes time")


def crossing(peer, points, host):
    """Where a peer begins to be faster than the host, and stays so; None: not in these results."""
    both = [(x, time, host[x]) for x, time in points if x in host]
    slower = [i for i, (_, time, hosts) in enumerate(both) if time >= hosts]
    if not both or slower and slower[-1] == len(both) - 1:
        return None
    if not slower:
        return Crossing(peer, True, both[0][0], both[0][1])
    (x0, time0, host0), (x1, time1, host1) = both[slower[-1]], both[slower[-1] + 1]
    behind, ahead = math.log(time0 / host0), math.log(host1 / time1)
    part = behind / (behind + ahead) if behind + ahead else 0
    return Crossing(peer, False, x0 * (x1 / x0) ** part, time0 * (time1 / time0) ** part)


def begins_to_pay(peer, found):
    if found is None:
        return f"{peer} does not pay up to the largest size measured: the host is as fast or faster there."
    if found.always:
        return f"{peer} is faster than the host at every size measured."
    return f"{peer} begins to pay at about {size(found.bytes)}: from there on it is faster than the host."


def size_plot(title, entries, styles):
    entries = most_varied(entries, lambda entry: -entry["width"], "bytes")
    curves = curves_of(entries, "bytes", lambda entry: entry["real_time"])
    host = dict(curves.get("rowpool/host", []))
    together = {entry["peer"] for entry in entries if "shares" in entry}
    devices = [peer for peer in curves if peer.startswith("rowpool/") and peer not in {"rowpool/host", *together}]
    found = {peer: crossing(peer, curves[peer], host) for peer in devices} if host else {}
    # Worker processes have their sentence; more marks would hide each other.
    marked = [at for at in found.values() if at and not at.always and "/fork" not in at.peer]
    first, last = span(curves)

    def prepare(on):
        on.set_xscale("log")
        on.set_yscale("log")
        on.xaxis.set_major_formatter(EngFormatter("B"))
        on.yaxis.set_major_formatter(EngFormatter("s"))
        on.xaxis.set_minor_locator(NullLocator())
        on.yaxis.set_minor_locator(NullLocator())
        on.set_xlim(first / 1.5, last * 1.5)
        on.set_xlabel("size of the data")

    def mark(on):
        for i, at in enumerate(marked):
            colour = styles[at.peer]["color"]
            on.axvline(at.bytes, color=colour, linewidth=1, linestyle=":")
            on.plot([at.bytes], [at.time / 1e9], "o", color=colour, markersize=10, fillstyle="none")
            left = at.bytes > math.sqrt(first * last)
            on.annotate(
                size(at.bytes), (at.bytes, 0.02 + 0.065 * i), xycoords=("data", "axes fraction"), color=colour,
                xytext=(-4 if left else 4, 0), textcoords="offset points", ha="right" if left else "left",
            )  # fmt: skip

    seconds = {peer: [(x, y / 1e9) for x, y in points] for peer, points in curves.items()}
    what = (
        f"time of a call, {counted(curves, 'peer')}, {size(first)} to {size(last)} of data; both scales are logarithmic"
    )
    notes = [f"Rows of {entries[0]['width']}. Lower is better."]
    if marked:
        notes.append("A ring and a dotted line mark where a device begins to be faster than the host.")
    notes += [begins_to_pay(peer, at) for peer, at in found.items()]
    if not host:
        notes.append("Where a device begins to pay cannot be told: rowpool/host is not among the peers.")
    head, rows = across(curves, "bytes", lambda time: digits(time / 1e3))
    drawing = svg(lines(seconds, styles, prepare, mark), title, what)
    return Plot(drawing, what, notes, [head[0], *(f"{peer}, µs" for peer in head[1:])], rows)


def shares_plot(title, entries, styles):
    entries = [entry for entry in entries if entry.get("shares")]
    if not entries:
        return None
    devices = unique(device for entry in entries for device in entry["shares"])
    colours = {device: SERIES[i % len(SERIES)] for i, device in enumerate(devices)}
    colours.update({d: styles[f"rowpool/{d}"]["color"] for d in devices if f"rowpool/{d}" in styles})
    names = [f"{entry['rows']} × {entry['width']}" for entry in entries]
    tall, (_, below) = 24 * len(names), legend_height(devices)
    height = TOP + LINE + tall + FOOT + below
    figure = canvas(height)
    on = axes(figure, height, FOOT + below, tall, 110, 70)
    parts = {device: [100 * entry["shares"].get(device, 0) for entry in entries] for device in devices}
    bars(on, names, parts, colours)
    on.set_xlim(0, 100)
    on.set_xlabel("rows, %")
    on.annotate("efficiency", (1, 1), (6, 4), "axes fraction", "offset points", annotation_clip=False)
    for i, entry in enumerate(entries):
        on.annotate(
            f"{entry['efficiency']:.2f}" if "efficiency" in entry else "", (100, i), (6, 0), textcoords="offset points",
            va="center", annotation_clip=False,
        )  # fmt: skip
    legend(figure, swatches(colours[device] for device in devices), devices)
    what = f"the part of the rows that each device answered, {counted(devices, 'device')}, {counted(entries, 'shape')}"
    notes = ["Efficiency is the rate together over the sum of the rates alone: 1 is ideal."]
    head = ["rows × width", "devices", *(f"{device}, %" for device in devices), "together, GB/s", "efficiency"]
    rows = [
        [name, entry["peer"].removeprefix("rowpool/")]
        + [digits(100 * entry["shares"][device]) if device in entry["shares"] else "" for device in devices]
        + [digits(rate(entry)), digits(entry["efficiency"]) if "efficiency" in entry else ""]
        for name, entry in zip(names, entries)
    ]
    return Plot(svg(figure, title, what), what, notes, head, rows)


def stages_plot(title, entries, styles):
    entries = [entry for entry in entries if any(name in entry for name in STAGES)]
    if not entries:
        return None
    entries, reads = by_width(entries)
    peers = unique(entry["peer"] for entry in entries)
    colours = dict(zip(STAGES, SERIES))
    bottom = FOOT + LINE
    tall = {peer: 18 * sum(entry["peer"] == peer for entry in entries) for peer in peers}
    height = sum(TOP + LINE + tall[peer] + bottom for peer in peers)
    figure, top = canvas(height), height
    for peer in peers:
        own = sorted((entry for entry in entries if entry["peer"] == peer), key=lambda entry: entry["width"])
        top -= TOP + LINE + tall[peer]
        on = axes(figure, height, top, tall[peer])
        parts = {stage: [entry.get(stage, 0) / 1e6 for entry in own] for stage in STAGES}
        bars(on, [str(entry["width"]) for entry in own], parts, colours)
        on.set_title(peer, loc="left", fontsize=12)
        on.set_xlabel("ms; a bar for each number of elements in a row")
        top -= bottom
    figure.legend(
        swatches(colours.values()), ["upload", "kernel", "read"], ncol=3, loc="lower center", borderaxespad=0.2,
        borderpad=0,
    )  # fmt: skip
    what = (
        f"milliseconds of each stage, stacked, {counted(peers, 'device')}, a bar for each number of elements in a row"
    )
    notes = [
        f"{reads} The device's own clock, in calls apart from those timed; "
        "a device that works in the host's memory has no upload."
    ]
    rows = [[entry["peer"], str(entry["width"]), *(microseconds(entry, name) for name in STAGES)] for entry in entries]
    return Plot(
        svg(figure, title, what), what, notes,
        ["peer", "elements in a row", "upload, µs", "kernel, µs", "read, µs"], rows,
    )  # fmt: skip


# Title, drawing, and what is said where there is nothing to draw.
PLOTS = [
    ("Throughput by row width", width_plot, ""),
    ("Time by size", size_plot, ""),
    ("Shares in co-execution", shares_plot, "No devices shared a map in this run: it takes two, or --balance."),
    ("Upload, kernel, read", stages_plot, "No peer in this run tells its stages: those named opencl/ do."),
]

# ---- The page -------------------------------------------------------------------------------------------------------

STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--faint:#57606a;--line:#d8dce1;--link:#0b62c4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#15181c;--faint:#a3acb6;--line:#3a4047;--link:#6cb2ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--paper);overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1.05rem;margin:0 0 .5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}
dt{color:var(--faint)}dd{margin:0;min-width:0;overflow-wrap:anywhere}
code{font:.9em ui-monospace,monospace}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:2.5rem;align-items:start}
section{min-width:0}figure{margin:0}figure svg{display:block;width:100%;max-width:34rem;height:auto}
figcaption{color:var(--faint);margin:.5rem 0}figcaption p,section>p{margin:.2rem 0}
summary{cursor:pointer;color:var(--link)}
.scroll{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--faint)}
th,td{padding:.2rem .7rem .2rem 0;border-bottom:1px solid var(--line);text-align:right;
vertical-align:top;white-space:nowrap}
th{font-weight:600}th:first-child,.words *{text-align:left}.words td{white-space:normal}
"""


def table(caption, head, rows, kind=""):
    """The first column heads the line. It scrolls by itself where it is too wide, and can be reached by keyboard."""
    name = escape(caption)
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest) + "</tr>\n"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}"><table{kind}><caption>{name}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def details(summary, *arguments):
    return f"<details><summary>{summary}</summary>\n{table(*arguments)}</details>\n"


def section(title, plot, missing):
    if not plot:
        return f"<section><h3>{escape(title)}</h3>\n<p>{escape(missing)}</p></section>\n"
    notes = "".join(f"<p>{escape(note)}</p>" for note in plot.notes)
    return (
        f"<section><h3>{escape(title)}</h3>\n<figure>{plot.svg}<figcaption>{notes}</figcaption></figure>\n"
        + details("Values", f"{title}: {plot.what}", plot.head, plot.rows)
        + "</section>\n"
    )


def plots_of(dtype, medians):
    entries = [entry for entry in medians if entry["dtype"] == dtype]
    styles = look(unique(entry["peer"] for entry in entries))
    sections = (section(title, make(f"{title}, {dtype}", entries, styles), missing) for title, make, missing in PLOTS)
    return f'<h2>{escape(dtype)}</h2>\n<div class="plots">\n{"".join(sections)}</div>\n'


def every_result(medians):
    head = ["peer", "type", "rows", "width", "bytes", "GB/s", "rows/s", "median, µs", "min, µs", "p95, µs"]
    head += ["first, µs", "CPU, µs", "upload, µs", "kernel, µs", "read, µs", "× serial", "limit, %", "overhead, %"]
    head += ["efficiency, %", "shares, %", "rounds, µs"]
    rows = [
        [entry["peer"], entry["dtype"], *(str(entry[name]) for name in COUNTS)]
        + [digits(rate(entry)), digits(entry["rows"] / entry["real_time"] * 1e9)]
        + [microseconds(entry, name) for name in TIMES + STAGES]
        + [digits(entry["ratio_to_serial"]) if "ratio_to_serial" in entry else ""]
        + [percent(entry, name) for name in FIGURES[1:]]
        + [", ".join(f"{device} {digits(100 * share)}" for device, share in entry.get("shares", {}).items())]
        + [" ".join(digits(time / 1e3) for time in entry["rounds"])]
        for entry in medians
    ]
    return details(f"All {len(rows)} medians, with their rounds", "All results", head, rows)


def report(context, medians):
    title = f"rowpool-bench: {context.get('processor', 'unknown processor')}"
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{f'<code>{escape(value)}</code>' if name == 'command' else escape(value)}</dd>\n"
        for name, value in context.items()
    )
    peers = unique((entry["peer"], entry["device"], entry["driver"]) for entry in medians)
    listed = table(
        "What was measured, and by which driver or compiler", ["peer", "device", "driver"], peers, ' class="words"'
    )
    plots = "".join(plots_of(dtype, medians) for dtype in unique(entry["dtype"] for entry in medians))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}{drawing_style()}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        f"<h2>Run</h2>\n<dl>\n{facts}</dl>\n"
        f"<h2>Peers</h2>\n{listed}"
        f"{plots}<h2>All results</h2>\n{every_result(medians)}</main>\n</body>\n</html>\n"
    )


def plot(_, medians):
    """The first plot as a file of its own, of the first element type."""
    entries = [entry for entry in medians if entry["dtype"] == medians[0]["dtype"]]
    title, make, _ = PLOTS[0]
    made = make(title, entries, look(unique(entry["peer"] for entry in entries)))
    paper = "svg{background:#fff}@media(prefers-color-scheme:dark){svg{background:#15181c}}"
    head, body = made.svg.split(">", 1)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{head}>\n<title>{escape(title)}</title>\n'
        f"<style>{paper}{drawing_style()}</style>{body}"
    )


def main(kind, name):
    try:
        context, medians = read(sys.stdin.buffer.read())
    except Refused as error:
        sys.exit(f"rowpool-bench: {name}: {error}")
    sys.stdout.buffer.write({"report": report, "plot": plot}[kind](context, medians).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
