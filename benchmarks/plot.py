"""Draws lines over logarithmic axes as SVG that reads on a light and on a dark page."""

import math
from statistics import median
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 44, 56, 56
# Colours that the colour-blind can distinguish, and strong enough on white and on black.
COLOURS = ("#0077bb", "#ee7733", "#009988", "#cc3311", "#aa4499")
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .grid { stroke: #8c959f; stroke-opacity: .3 }
  .axis { stroke: #57606a }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .axis { stroke: #9198a1 } }
"""


def lines(title, x_label, y_label, series):
    """A plot of named lines: name → [(x, [values])]; the line runs through medians, bars show the ranges."""
    points = [(x, value) for line in series.values() for x, values in line for value in values]
    xs = sorted({x for x, _ in points})
    bottom = 10 ** math.floor(math.log10(min(value for _, value in points)))
    top = 10 ** math.ceil(math.log10(max(value for _, value in points)))
    if top == bottom:
        top *= 10

    def across(x):
        span = math.log(xs[-1] / xs[0]) or 1
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(x / xs[0]) / span

    def up(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(value / bottom) / math.log(top / bottom)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
             f'aria-label="{escape(title)}">', f"<style>{STYLE}</style>",
             f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>']
    for x in xs:
        parts += [f'<line class="grid" x1="{across(x):.1f}" x2="{across(x):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
                  text(across(x), HEIGHT - BOTTOM + 18, f"{x:,}")]
    value = bottom
    while value <= top * 1.0001:
        parts += [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>',
                  text(LEFT - 8, up(value) + 4, f"{value:,.12g}", "end")]
        value *= 10
    parts += [f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
              text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label),
              f'<text text-anchor="middle" transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)">'
              f"{escape(y_label)}</text>"]
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{across(x):.1f} {up(median(values)):.1f}" for x, values in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, values in line:
            parts += [f'<line x1="{across(x):.1f}" x2="{across(x):.1f}" y1="{up(min(values)):.1f}" '
                      f'y2="{up(max(values)):.1f}" stroke="{colour}" stroke-width="5" stroke-opacity=".35"/>',
                      f'<circle cx="{across(x):.1f}" cy="{up(median(values)):.1f}" r="3.5" fill="{colour}"/>']
        at = LEFT + number * 124
        parts += [f'<rect x="{at}" y="32" width="14" height="4" fill="{colour}"/>', text(at + 20, 39, name, "start")]
    return "\n".join([*parts, "</svg>", ""])


def text(x, y, words, anchor="middle"):
    """A label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def grid(series, pattern, contestants):
    """The lines whose series are called after a pattern of name and number."""
    found = {}
    for label, name in contestants.items():
        prefix = pattern.format(name)
        points = sorted((int(key.removeprefix(prefix)), values) for key, values in series.items()
                        if key.startswith(prefix) and key.removeprefix(prefix).isdigit())
        if len(points) > 1:
            found[label] = points
    return found


def plots(series):
    """File name → SVG, for what was measured."""
    found = {}
    clients = grid(series, "{}-set-", {"SetLogin": "service", "redis SET": "redis", "axum + redb": "axum",
                                       "Bun + SQLite": "bun", "Go + bbolt": "go"})
    if clients:
        found["performance-clients.svg"] = lines(
            "Durable writes by the number of clients", "clients", "writes a second", clients)
    records = grid(series, "list-{}-", {"plain": "plain", "gzip": "gzip", "zstd": "zstd"})
    if records:
        found["performance-list.svg"] = lines(
            "Time of a whole list by the size of the register", "companies", "seconds", records)
    return found
