"""Draws the queries' figures as an SVG: bars of events/s and of events per CPU-second.

It brings its own background, and its colours follow the reader's light or dark, so it
can be read on any page.
"""

from xml.sax.saxutils import escape

import report

# The bare reader by turnstile's own client is so far ahead that the rest would be slivers.
SHOWN = ["turnstile", "flink", "duckdb", "drain"]
PANELS = [("events_per_s", "million events a second"),
          ("events_per_cpu_s", "million events per CPU-second")]

BAR, ROW, GROUP, HEAD, MARGIN = 11, 16, 44, 62, 20
LABELS, PANEL, VALUE, GAP = 130, 270, 44, 14
WIDTH = 2 * MARGIN + LABELS + len(PANELS) * (PANEL + VALUE) + GAP

STYLE = """
  .page { fill: #ffffff; stroke: #d0d7de } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .query { font-weight: 600 } .small { fill: #59636e } .axis { stroke: #d0d7de }
  .turnstile { fill: #0969da } .flink { fill: #bc4c00 } .duckdb { fill: #bf8700 } .drain { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc }
    .small { fill: #9198a1 } .axis { stroke: #3d444d }
    .turnstile { fill: #4493f8 } .flink { fill: #db6d28 } .duckdb { fill: #d29922 } .drain { fill: #656c76 }
  }
"""


def draw(results):
    queries = results["queries"]
    tallest = {key: max(of[key] for query in queries for _, of in shown(query)) or 1 for key, _ in PANELS}
    parts, y = [], HEAD
    for query in queries:
        parts += group(query, y, tallest)
        y += GROUP + ROW * len(shown(query))
    height = y + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">',
        "<title>turnstile beside its peers: events a second and per CPU-second</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        *heads(), *parts, foot(results, height), "</svg>", "",
    ])


def shown(query):
    return [(name, query["systems"][name]) for name in SHOWN if name in query["systems"]]


def left(panel):
    return MARGIN + LABELS + panel * (PANEL + VALUE + GAP)


def heads():
    for panel, (_, label) in enumerate(PANELS):
        yield text(left(panel), 32, label, "query")


def group(query, y, tallest):
    yield text(MARGIN, y + 12, query["title"] + report.codec_of(query), "query")
    for panel in range(len(PANELS)):
        x, bottom = left(panel), y + 22 + ROW * len(shown(query))
        yield f'<line class="axis" x1="{x}" x2="{x}" y1="{y + 19}" y2="{bottom}"/>'
    for row, (name, of) in enumerate(shown(query)):
        at = y + 22 + ROW * row
        yield text(MARGIN, at + 10, report.LABELS[name], "small")
        for panel, (key, _) in enumerate(PANELS):
            width = max(1, of[key] / tallest[key] * PANEL)
            x = left(panel)
            yield f'<rect class="{name}" x="{x}" y="{at}" width="{width:.1f}" height="{BAR}"/>'
            yield text(round(x + width + 5, 1), at + 10, report.millions(of[key]))


def foot(results, height):
    machine = results["machine"]
    said = f"{machine['cores']} cores of {machine['cpu']}, {machine['date']}; the broker on the same machine"
    return text(MARGIN, height - 14, said, "small")


def text(x, y, said, kind=None):
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{styled}>{escape(said)}</text>'
