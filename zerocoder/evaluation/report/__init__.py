"""Scores for people and programs: tables in the terminal, Markdown, LaTeX, JSON, and one page for a browser.

`make_sheet` works the numbers out, the other files draw them, `write_report` writes them all into a folder.
"""

from zerocoder.evaluation.names import METRICS
from zerocoder.evaluation.report.files import summary, write_report
from zerocoder.evaluation.report.sheet import Sheet, make_sheet
from zerocoder.evaluation.report.terminal import comparison_table, terminal_report

__all__ = ["METRICS", "Sheet", "comparison_table", "make_sheet", "summary", "terminal_report", "write_report"]
