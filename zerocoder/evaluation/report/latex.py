"""The report as LaTeX for a paper: booktabs tables without further packages, to be taken in by `\\input`."""

from __future__ import annotations

import itertools

from zerocoder.evaluation.columns import COLUMNS
from zerocoder.evaluation.report.sheet import Cell, Sheet
from zerocoder.evaluation.report.wording import (
    INTERVALS_NOTE,
    NOTHING,
    PUBLISHED,
    difference,
    notes,
    percent,
    span,
    spread,
)

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "[": "{[}",  # after a row's end it would begin an optional argument
    "]": "{]}",
    "*": "{*}",  # and this would forbid a page break
    "±": "$\\pm$",
    "†": "\\dag{}",
    '"': "\\textquotedbl{}",
}
_HEADER = "% \\usepackage{booktabs} and, for quotation marks in names, \\usepackage[T1]{fontenc}\n"


def latex(sheet: Sheet) -> str:
    """The paper's table where there is something to put into it, then every benchmark with its intervals."""
    return _HEADER + "\n".join([*([_paper(sheet)] if sheet.has_columns else []), _benchmarks(sheet)])


def escaped(text: str) -> str:
    """`text` as LaTeX that prints it as it is. Control characters are left out: they are an error to pdflatex."""
    return "".join(_SPECIAL.get(c, c) for c in text if c.isprintable())


def _paper(sheet: Sheet) -> str:
    groups, rules, at = [], [], 2
    for group in dict.fromkeys(c.group for c in COLUMNS if c.group):
        width = sum(c.group == group for c in COLUMNS)
        groups.append(f"\\multicolumn{{{width}}}{{c}}{{{group}}}")
        rules.append(f"\\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    rows = [
        " & ".join(["", *groups, ""]) + " \\\\",
        "".join(rules),
        " & ".join(["Model", *(c.data for c in COLUMNS)]) + " \\\\",
        " & ".join(["", *(c.name for c in COLUMNS)]) + " \\\\",
        "\\midrule",
    ]
    for model, cells in zip(sheet.models, sheet.columns, strict=True):
        shown = [cells.get(c.key) for c in COLUMNS]
        rows.append(
            " & ".join([escaped(model), *(NOTHING if c is None else percent(c.value) for c in shown)]) + " \\\\"
        )
        if any(c is not None and c.interval for c in shown):
            rows.append(" & ".join(["", *(_small(spread(c.interval) if c else "") for c in shown)]) + " \\\\")
    for model, published in itertools.groupby(sheet.published, key=lambda row: row.model):
        rows += [
            "\\midrule",
            f"\\multicolumn{{{1 + len(COLUMNS)}}}{{l}}{{\\emph{{{escaped(f'{model} {PUBLISHED}')}}}}} \\\\",
        ]
        for row in published:
            values = [percent(row.values.get(c.key)) for c in COLUMNS]
            rows.append(" & ".join([f"\\quad {escaped(row.row)}", *values]) + " \\\\")
    return _float("l" + "r" * len(COLUMNS), rows, " ".join(notes(sheet)))


def _benchmarks(sheet: Sheet) -> str:
    models = [escaped(model) for model in sheet.models]
    header = ["Benchmark", "Metric", models[0], *(h for model in models[1:] for h in (model, "Difference"))]
    rows = [" & ".join(header) + " \\\\"]
    for section in sheet.sections:
        rows.append("\\midrule")
        name = escaped(section.benchmark)
        for line in section.lines:
            texts = [_shown(line.cells[0])]
            for cell in line.cells[1:]:
                texts += [_shown(cell), escaped(difference(cell))]
            rows.append(" & ".join([name, escaped(line.name), *texts]) + " \\\\")
            name = ""
    return _float("ll" + "r" * (len(header) - 2), rows, INTERVALS_NOTE)


def _shown(cell: Cell) -> str:
    return f"{percent(cell.value)} {_small(span(cell.interval))}".strip()


def _small(text: str) -> str:
    return f"{{\\scriptsize {escaped(text)}}}" if text else ""


def _float(columns: str, rows: list[str], caption: str) -> str:
    lines = ["\\begin{table}", "\\centering", "\\setlength{\\tabcolsep}{4pt}", f"\\begin{{tabular}}{{{columns}}}"]
    lines += ["\\toprule", *rows, "\\bottomrule", "\\end{tabular}", f"\\caption{{{escaped(caption)}}}", "\\end{table}"]
    return "\n".join(lines) + "\n"
