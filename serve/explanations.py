"""Explanations as callers get them: what each field did to the answer, the most first."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.explain import Between, explain, nothing
from pipeline.schema import to_columns
from serve.calls import Call, Reply
from serve.errors import RequestError
from serve.protocols import only_json, read_json
from serve.served import Served

MOST = 100  # rows of one request: each takes as long as some thousand predictions
DIGITS = 9  # of a contribution: many of them still add up to the answer


def one(served: Served, call: Call) -> Reply:
    """One record, as to /predict."""
    only_json(call)
    row = served.row(call.body)
    found = explained(served, row, first(served.told([row], call)), call.still_wanted)
    return Reply(200, json.dumps({**found, **served.facts, "request_id": call.id}).encode())


def many(served: Served, call: Call) -> Reply:
    """KServe's: rows under `instances`, or in one of the other forms that predictions take."""
    sent, at = read_json(call, served.contract)
    if len(sent) > MOST:
        raise RequestError(413, f"{len(sent):,} rows are more than {MOST} to explain; send fewer at a time")
    rows = served.rows(sent, at, call)
    found = [explained(served, row, first(served.told([row], call)), call.still_wanted) for row in rows]
    about = {"model_name": served.name, "model_version": served.version, **served.kind, "request_id": call.id}
    return Reply(200, json.dumps({"explanations": found, "metadata": about}).encode())


def first(told: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: values[0] for name, values in told.items()}


def explained(
    served: Served, row: Mapping[str, Any], answer: Mapping[str, float], between: Between = nothing
) -> dict[str, Any]:
    """The answer to a checked row, and its reasons; `between` may end the work."""
    found = explain(served.predictor, to_columns([row], served.contract), between)
    ordered = sorted(found.contributions, key=lambda field: -abs(found.contributions[field]))
    reasons = [
        {
            "field": field,
            "value": row.get(field),
            "contribution": round(found.contributions[field], DIGITS),
            "standard_error": round(found.errors[field], DIGITS),
        }
        for field in ordered
    ]
    return {**answer, "base": round(found.base, DIGITS), "contributions": reasons, "exact": found.exact}
