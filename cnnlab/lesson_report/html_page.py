"""The report as one HTML file: it loads nothing, so it opens offline, and it prints on paper."""

import base64
import html

from markdown_it import MarkdownIt

from cnnlab.lesson_report.content import Entry, LessonReport
from cnnlab.lesson_report.figures import Figure
from cnnlab.lesson_report.run_table import HEADS, run_rows
from cnnlab.rendering import palette

STYLE = f"""
body {{ font: 1rem/1.5 "Liberation Sans", Arial, sans-serif; color: {palette.PAGE_TEXT}; background: {palette.WHITE};
  max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ margin-bottom: 0.2rem; }} h2 {{ margin-top: 2rem; border-bottom: 1px solid {palette.BORDER}; }}
.answer {{ border-left: 0.25rem solid {palette.ACCENT}; padding: 0.25rem 0.75rem; margin: 0.75rem 0;
  white-space: pre-wrap; }}
.evidence {{ background: {palette.SOFT_BACKGROUND}; padding: 0.5rem 0.75rem; margin: 0.5rem 0; break-inside: avoid; }}
.evidence p {{ margin: 0; }} .answer {{ break-inside: avoid; }}
figure {{ margin: 1rem 0; break-inside: avoid; }} figure img {{ max-width: 100%; image-rendering: pixelated; }}
figcaption, .meta {{ color: {palette.SOFT_TEXT}; font-size: 0.9rem; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; font-size: 0.9rem; }}
th, td {{ border: 1px solid {palette.BORDER}; padding: 0.25rem 0.5rem; text-align: left; }}
@page {{ margin: 2cm; }}
@media print {{ body {{ margin: 0; max-width: none; }} h2, section > p {{ break-after: avoid; }}
  .evidence {{ border: 1px solid {palette.BORDER}; }}
  .wide {{ overflow: visible; }} table {{ font-size: 0.62rem; }} th, td {{ padding: 0.15rem 0.3rem; }} }}
"""


def report_html(report: LessonReport) -> str:
    """The report as the text of an HTML file."""
    sections = "\n".join(entry_html(entry, previous) for entry, previous in _with_previous(report.entries))
    figures = "\n".join(map(figure_html, report.run_figures))
    title = html.escape(f"{report.title}: {report.author}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;'
        " style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        f"<h1>{html.escape(report.title)}</h1>\n"
        f'<p class="meta">{html.escape(f"{report.author}, {report.date}, {report.progress}")}</p>\n'
        f"{sections}\n<h2>Runs</h2>\n{runs_html(report)}\n{figures}\n{versions_html(report)}\n</body>\n</html>\n"
    )


def markdown_html(text: str) -> str:
    """Markdown as HTML; HTML in it is shown as text, and links and pictures of other servers do not load."""
    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text.replace(":material/", ":")))


def entry_html(entry: Entry, previous: str) -> str:
    """One answered step; its chapter's heading where it is the first of it."""
    heading = f"<h2>{html.escape(entry.heading)}</h2>\n" if entry.heading != previous else ""
    answers = "".join(f'<div class="answer">{html.escape(answer)}</div>\n' for answer in entry.answers)
    evidence = "".join(f'<div class="evidence">{markdown_html(sentence)}</div>\n' for sentence in entry.evidence)
    figures = "\n".join(map(figure_html, entry.figures))
    return f"{heading}<section>{markdown_html(entry.question)}{answers}{evidence}{figures}</section>"


def figure_html(figure: Figure) -> str:
    """A figure inside the file, as SVG."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(figure.svg.encode()).decode()}"
    caption = html.escape(figure.caption)
    return f'<figure><img src="{source}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def runs_html(report: LessonReport) -> str:
    """The table of the chosen runs."""
    if not report.runs:
        return "<p>No run was chosen or pinned.</p>"
    head = "".join(f"<th>{html.escape(title)}</th>" for title in HEADS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in run_rows(report.runs)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>'


def versions_html(report: LessonReport) -> str:
    """The versions of the programs."""
    listed = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    return f'<p class="meta">Made with {html.escape(listed)}.</p>'


def _with_previous(entries: tuple[Entry, ...]) -> list[tuple[Entry, str]]:
    return list(zip(entries, ["", *(entry.heading for entry in entries)], strict=False))
