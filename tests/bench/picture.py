"""Draws what the benchmarks wrote: how far each goal is reached, and growth.

Plain SVG; its colours follow whether the reader's page is light or dark."""
import math
from xml.sax.saxutils import escape

WIDTH = 860
BAR = 20  # height of a row
LEFT = 330  # of the bars
CHART = (360, 190)

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .dim { fill: #6e7781 }
  .good { fill: #2da44e } .bad { fill: #cf222e }
  .goal { stroke: #24292f; stroke-width: 2 }
  .axis { stroke: #d0d7de } .back { fill: #ffffff }
  .line { fill: none; stroke: #0969da; stroke-width: 2 } .dot { fill: #0969da }
  .linear { stroke: #6e7781; stroke-dasharray: 4 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .dim { fill: #8b949e } .back { fill: #0d1117 }
    .good { fill: #3fb950 } .bad { fill: #f85149 } .goal { stroke: #e6edf3 }
    .axis { stroke: #30363d } .line { stroke: #58a6ff } .dot { fill: #58a6ff } .linear { stroke: #8b949e }
  }"""


def text(x, y, words, cls="", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{cls}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1, y1, x2, y2, cls):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def short(value):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:.3g}"


def bars(figures, top):
    """How much of its goal each figure reaches: past the line is better, whichever way it is judged."""
    parts = [text(20, top, "How far each goal is reached (the line is the goal; right of it is better)",
                  "title")]
    scale = (WIDTH - LEFT - 170) / 2  # twice the goal ends the bar
    y = top + 16
    begin = y
    for figure in figures:
        sign, limit = figure["goal"][:2], float(figure["goal"][2:])
        judged = figure["ratio"] if figure["ratio"] is not None else figure["value"]
        part = judged / limit if sign == ">=" else limit / judged if judged else math.inf
        parts.append(text(LEFT - 8, y + 13, figure["name"], anchor="end"))
        parts.append(f'<rect x="{LEFT}" y="{y + 3}" width="{min(part, 2) * scale:.1f}" height="{BAR - 6}"'
                     f' rx="3" class="{"good" if figure["met"] else "bad"}"/>')
        said = f"{judged:.2f} of its floor" if figure["ratio"] is not None else f"{short(judged)} {figure['unit']}"
        parts.append(text(LEFT + min(part, 2) * scale + 6, y + 13, f"{said} ({sign} {limit:g})", "dim"))
        y += BAR
    parts.append(line(LEFT + scale, begin, LEFT + scale, y, "goal"))
    return parts, y + 30


CURVES = (("read_per_s", "point reads a second", False), ("deploy_ms", "a deploy acknowledged, ms", False),
          ("idle_cpu_percent", "paneld at idle, % of a core", True), ("rss_mib", "memory, MiB", True),
          ("database_mb", "database, MB", True), ("start_ms", "start until the API answers, ms", True))


def curve(rows, key, title, may_grow, left, top):
    """One chart with logarithmic axes; the dashed line is what linear growth would be."""
    width, height = CHART
    points = [(row["instances"], max(row[key], 1e-3)) for row in rows]
    low_x, high_x = (math.floor(math.log10(points[0][0])), math.ceil(math.log10(points[-1][0])))
    low_y = math.floor(math.log10(min(y for _, y in points)))
    high_y = max(math.ceil(math.log10(max(y for _, y in points))), low_y + 2)

    def place(x, y):
        return (left + 50 + (math.log10(x) - low_x) / (high_x - low_x) * (width - 70),
                top + 24 + (high_y - math.log10(y)) / (high_y - low_y) * (height - 60))
    parts = [text(left + 50, top + 12, title, "title")]
    for power in range(low_y, high_y + 1):
        x, y = place(10 ** low_x, 10 ** power)
        parts += [line(x, y, left + width - 20, y, "axis"), text(x - 6, y + 4, short(10 ** power), "dim", "end")]
    for power in range(low_x, high_x + 1):
        x, y = place(10 ** power, 10 ** low_y)
        parts.append(text(x, y + 16, short(10 ** power), "dim", "middle"))
    if may_grow:
        # From the largest size backwards: what is above the line costs less than in proportion.
        last_x, last_y = points[-1]
        from_x = max(10 ** low_x, last_x * 10 ** low_y / last_y)
        parts.append(line(*place(from_x, last_y * from_x / last_x), *place(last_x, last_y), "linear"))
    spots = [place(x, y) for x, y in points]
    parts.append('<polyline class="line" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in spots) + '"/>')
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in spots]
    parts.append(text(spots[-1][0] - 6, spots[-1][1] - 8, short(float(f"{points[-1][1]:.3g}")), "", "end"))
    return parts


def draw(figures, rows):
    """figures: those with a goal, as in the JSON; rows: of the growth, or none. The SVG's text."""
    parts, y = bars(figures, 34)
    if rows:
        parts.append(text(20, y, "Growth, by number of instances (dashed: linear)", "title"))
        y += 14
        for number, (key, title, may_grow) in enumerate(CURVES):
            parts += curve(rows, key, title, may_grow, 20 + number % 2 * (CHART[0] + 50),
                           y + number // 2 * (CHART[1] + 10))
        y += (len(CURVES) + 1) // 2 * (CHART[1] + 10)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10:.0f}" width="{WIDTH}">',
        f"<style>{STYLE}\n</style>", '<rect class="back" width="100%" height="100%" rx="6"/>', *parts,
        "</svg>\n"])
