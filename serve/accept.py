"""The accept header: which of the media types that a route can answer with the client prefers."""

TYPES = 20  # of one header that are read


def preferred(header: bytes, offered: tuple[str, ...]) -> str:
    """The offered type that the client prefers most; the first of `offered` where it accepts none, or any.

    Weights are those of RFC 9110: `text/csv;q=0.5`. Of types with the same weight the first in the header counts.
    """
    best = offered[0]
    best_weight = 0.0
    for part in header.decode("latin-1").lower().split(",")[:TYPES]:
        kind, *parameters = part.split(";")
        accepted = matching(kind.strip(), offered)
        weight = quality(parameters)
        if accepted and weight > best_weight:
            best = accepted
            best_weight = weight
    return best


def matching(kind: str, offered: tuple[str, ...]) -> str | None:
    """The first offered type that a type or a range such as `text/*` names; None where there is none."""
    if kind == "*/*":
        return offered[0]
    if kind.endswith("/*"):
        return next((offer for offer in offered if offer.startswith(kind[:-1])), None)
    return kind if kind in offered else None


def quality(parameters: list[str]) -> float:
    """The weight among the parameters of a type: 1 without one, 0 for one that is no number."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
