"""Compare what was measured with its limit, both as docs/benchmarks.md writes them."""

import re

# Multiples of the seconds or the bytes that a unit stands for.
UNITS = {
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1e-3),
    "µs": ("seconds", 1e-6),
    "GB": ("bytes", 1e9),
    "MB": ("bytes", 1e6),
    "MiB": ("bytes", 2.0**20),
}
QUANTITY = re.compile(r"([\d,]*\.?\d+) (µs|ms|s|GB|MB|MiB)\b")
BOUND = re.compile(r"(.+) ([≥≤]) ([\d.]+)")


def is_missed(limit: str, measured: str) -> bool:
    """Whether a part of the limit does not hold.

    A part is a largest time or size, compared with the first measured one of its dimension; a bound such as `AUC ≥
    0.7`, compared with the number after that name; or a count of 0, with which the measured text has to begin.
    """
    return limit != "reported" and not all(holds(part, measured) for part in limit.split(", "))


def holds(part: str, measured: str) -> bool:
    """Whether one part of a limit holds. Raises ValueError where the measured text has nothing to compare."""
    bound = BOUND.fullmatch(part)
    if bound:
        name, sign, number = bound.groups()
        value = re.search(rf"{re.escape(name)} ([\d.]+)", measured)
        if value is None:
            raise ValueError(f"{part}: {measured!r} has no {name}")
        return float(value[1]) >= float(number) if sign == "≥" else float(value[1]) <= float(number)

    if part.startswith("0") and not QUANTITY.match(part):
        return measured.startswith("0 ")

    dimension, most = quantities(part)[0]
    values = [value for unit, value in quantities(measured) if unit == dimension]
    if not values:
        raise ValueError(f"{part}: {measured!r} has no {dimension}")
    return values[0] <= most


def quantities(text: str) -> list[tuple[str, float]]:
    """Every time and size of a text, each with its dimension: seconds or bytes."""
    found = []
    for number, unit in QUANTITY.findall(text):
        dimension, factor = UNITS[unit]
        found.append((dimension, float(number.replace(",", "")) * factor))
    return found
