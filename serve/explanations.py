"""Explanations as callers get them: what each field did to the answer, the most first."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline import memory
from pipeline.explain import Between, explain, nothing
from pipeline.schema import Columns, to_columns
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
    found = explained(served, row, served.once(row, call), call.still_wanted)
    return Reply(200, json.dumps({**found, **served.facts, "request_id": call.id}).encode())


def many(served: Served, call: Call) -> Reply:
    """KServe's: rows under `instances`, or in one of the other forms that predictions take."""
    sent, at = read_json(call, served.contract)
    if len(sent) > MOST:
        raise RequestError(413, f"{len(sent):,} rows are more than {MOST} to explain; send fewer at a time")
    rows = served.rows(sent, at, call)
    found = [explained(served, row, served.once(row, call), call.still_wanted) for row in rows]
    about = {"model_name": served.name, "model_version": served.version, **served.kind, "request_id": call.id}
    return Reply(200, json.dumps({"explanations": found, "metadata": about}).encode())


def words(served: Served, field: str, row: Mapping[str, Any], sent: Columns) -> dict[str, str]:
    """Of what is remembered a sentence that says of whom and when."""
    known, rule = served.predictor.memory, served.contract.memory
    if field not in served.contract.remembered or known is None or rule is None:
        return {}
    return {"words": memory.told(known, field, row, sent[rule.time][0], row.get(field))}


def explained(
    served: Served, row: Mapping[str, Any], answer: Mapping[str, float], between: Between = nothing
) -> dict[str, Any]:
    """The answer to a checked row, and its reasons; `between` may end the work."""
    sent = to_columns([row], served.contract)
    asked = served.predictor.completed(sent)  # what was remembered counts as the caller's own
    found = explain(served.predictor, asked, between)
    ordered = sorted(found.contributions, key=lambda field: -abs(found.contributions[field]))
    reasons = [
        {
            "field": field,
            "value": asked[field].item() if field in served.contract.remembered else row.get(field),
            "contribution": round(found.contributions[field], DIGITS),
            "standard_error": round(found.errors[field], DIGITS),
            **words(served, field, row, sent),
        }
        for field in ordered
    ]
    return {**answer, "base": round(found.base, DIGITS), "contributions": reasons, "exact": found.exact}
