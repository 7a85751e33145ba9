"""Prints the comparison of training and serving: a table of the columns, and what to do. It decides nothing."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.monitoring.skew import ColumnSkew, SkewResult

WIDE = 130  # characters in a line of the table, on any screen


def show(result: SkewResult, file: str, out: Console) -> None:
    days = result.first if result.first == result.last else f"{result.first} to {result.last}"
    text = f"{result.rows:,} of {result.logged:,} logged rows, {days}, are in the data."
    if result.ambiguous:
        text += f" {result.ambiguous:,} rows of the data share their key and are left out."
    out.print(text, highlight=False, soft_wrap=True)

    Console(file=out.file, width=max(out.width, WIDE)).print(columns_table(result))
    if result.tables:
        out.print(tables_sentence(result), highlight=False, soft_wrap=True)
    out.print(verdict_sentence(result), highlight=False, soft_wrap=True)
    out.print(f"Written: {file}", highlight=False, soft_wrap=True)


def columns_table(result: SkewResult) -> Table:
    """A line for each compared column, those that are skewed first and with a star."""
    table = Table(box=None, pad_edge=False)
    table.add_column("live against later", justify="left", no_wrap=True)
    for heading in ("rows", "differ", "missing live", "missing later", "other value", "median difference"):
        table.add_column(heading, justify="right", no_wrap=True)

    skewed = result.skewed
    for column in result.columns:
        is_skewed = column in skewed
        counts = (column.missing_live, column.missing_later, column.different)
        shares = [percent(count / column.rows) for count in counts]
        mark = " *" if is_skewed else ""
        cells = [column.column + mark, f"{column.rows:,}", percent(column.share), *shares, difference(column)]
        table.add_row(*map(escape, cells), style="bold red" if is_skewed else None)
    return table


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def difference(column: ColumnSkew) -> str:
    """The median difference in the column's unit and in standard deviations."""
    if column.median_difference is None:
        return ""
    unit = f" {column.unit}" if column.unit else ""
    deviations = "" if column.deviations is None else f" ({column.deviations:.2g} sd)"
    return f"{column.median_difference:.3g}{unit}{deviations}"


def tables_sentence(result: SkewResult) -> str:
    """Whether the server looked rolling features up in the table that training uses."""
    tables = result.tables
    if tables is None or not tables.rows:
        return "rolling features: the server looked up none for these rows."
    older = tables.older / tables.rows
    newer = tables.newer / tables.rows
    text = (
        f"rolling features: {percent(older)} of {tables.rows:,} rows were answered from an older table than training "
        f"uses, {percent(newer)} from a newer one."
    )
    if older > result.max_skew:
        text += " Run `make refresh` before the first predictions of a day."
    return text


def verdict_sentence(result: SkewResult) -> str:
    """The skewed columns, what that means and what to do."""
    limit = f"{result.max_skew * 100:g} %"
    names = ", ".join(column.column for column in result.skewed)
    if not names:
        return f"[green]no skew[/]: no column differs in more than {limit} of the rows (monitor.max_skew)."
    return (
        f"[bold red]skewed[/]: {escape(names)}, in more than {limit} of the rows (monitor.max_skew). Such a column is "
        "filled later, or otherwise, than at prediction time: declare it `known: after`, or take the value that is "
        "known by then."
    )
