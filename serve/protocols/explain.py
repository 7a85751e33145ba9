"""Explanations as callers get them: what each field did to the answer, the most first."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from pipeline.runtime.arrays import Columns, to_columns
from pipeline.runtime.rolling_features import Table
from pipeline.runtime.shapley import ROWS, Between, explain, no_deadline
from serve import schemas
from serve.errors import RequestError
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import documented_responses, examples_body, schema_ref
from serve.protocols.bodies import only_json, read_json
from serve.protocols.invocations import FORMS_TAKEN, instances_body

NOTHING = "nothing is known"
MOST = 100  # rows of one request: each takes as long as some thousand predictions
DIGITS = 9  # of a contribution: many of them still add up to the answer


def router(served: LoadedModel) -> APIRouter:
    """Documented with the reasons for the first golden row, and how far they can be off."""
    routes, given = APIRouter(), served.predictor.golden.rows[0]
    shown = explain_row(served, served.row(json.dumps(given).encode()), served.example)
    _, _, explanation = schemas.OF_TASK[served.task]

    @routes.post(
        "/explain",
        name="/explain",
        tags=["Predictions"],
        summary="What each field did to the answer",
        description=about(shown),
        response_model=explanation,
        responses=documented_responses({**shown, **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(schema_ref(served.predictor.row_model), {"row": given}),
    )
    def explain(call: CallParameter) -> Response:
        return explain_one(served, call)

    @routes.post(
        f"/v1/models/{served.name}:explain",
        name="/v1/models/{name}:explain",
        tags=["KServe V1"],
        summary="KServe V1: what each field did to the answers",
        description=FORMS_TAKEN,
        responses=documented_responses({"explanations": [shown], "metadata": served.metadata}),
        openapi_extra=instances_body(served),
    )
    def explain_instances(call: CallParameter) -> Response:
        return explain_many(served, call)

    return routes


def about(shown: Mapping[str, Any]) -> str:
    errors = [reason["standard_error"] for reason in shown["contributions"]]
    how = "every coalition of fields" if shown["exact"] else "two orders of the fields, one the reverse of the other,"
    return (
        f"Shapley values: how much each field moved the answer away from `base`, the mean answer to {ROWS} rows of the "
        f"training. They add up to the answer minus `base`. Asked: {how} for each of those rows. `standard_error` is "
        f"that of each contribution; in this example it is {sum(errors) / len(errors):.2g} on average and "
        f"{max(errors):.2g} at most. What the model looked at, not what causes what."
    )


def explain_one(served: LoadedModel, call: Call) -> Response:
    """One record, as to /predict."""
    only_json(call)
    row = served.row(call.body)
    found = explain_row(served, row, served.predict_unlogged(row, call), call.check_deadline)
    return JSONResponse({**found, **served.facts, "request_id": call.id})


def explain_many(served: LoadedModel, call: Call) -> Response:
    """KServe's: rows under `instances`, or in one of the other forms that predictions take."""
    sent, at = read_json(call, served.contract)
    if len(sent) > MOST:
        raise RequestError(413, f"{len(sent):,} rows are more than {MOST} to explain; send fewer at a time")
    rows = served.rows(sent, at, call)
    found = [explain_row(served, row, served.predict_unlogged(row, call), call.check_deadline) for row in rows]
    return JSONResponse({"explanations": found, "metadata": {**served.metadata, "request_id": call.id}})


def rolling_feature_text(served: LoadedModel, field: str, row: Mapping[str, Any], sent: Columns) -> dict[str, str]:
    """Of what is remembered a sentence that says of whom and when."""
    known, rule = served.predictor.rolling, served.contract.timing
    if field not in served.contract.rolling or known is None or rule is None:
        return {}
    return {"text": rolling_value_text(known, field, row, sent[rule.time][0], row.get(field))}


def rolling_value_text(known: Table, name: str, row: Mapping[str, Any], time: Any, sent: float | None) -> str:
    """A remembered value in words: what the caller said or, where that is nothing, what the table knows."""
    rule, cells = known.features[name]
    key = tuple(row[by] for by in rule.by)
    rows, total, _ = cells.get(key, (0, 0.0, 0.0)) if time >= known.start else (0, 0.0, 0.0)
    if sent is None and not rows:
        return f"{NOTHING}, so the usual {known.prior * 100:.0f} % is taken"
    value = total / rows if sent is None else sent
    shown = {"share": f"{value * 100:.0f} %", "mean": f"{value:.3g}"}
    said = rule.text.format(**shown, **dict(zip(rule.by, key, strict=True)))
    return said if sent is not None else f"{said} ({rows:,} known on {known.day})"


def explain_row(
    served: LoadedModel, row: Mapping[str, Any], answer: Mapping[str, float], between: Between = no_deadline
) -> dict[str, Any]:
    """The answer to a checked row, and its reasons; `between` may end the work."""
    sent = to_columns([row], served.contract)
    asked = served.predictor.with_rolling_features(sent)  # what was remembered counts as the caller's own
    found = explain(served.predictor, asked, between)
    ordered = sorted(found.contributions, key=lambda field: -abs(found.contributions[field]))
    reasons = [
        {
            "field": field,
            "value": asked[field].item() if field in served.contract.rolling else row.get(field),
            "contribution": round(found.contributions[field], DIGITS),
            "standard_error": round(found.errors[field], DIGITS),
            **rolling_feature_text(served, field, row, sent),
        }
        for field in ordered
    ]
    return {**answer, "base": round(found.base, DIGITS), "contributions": reasons, "exact": found.exact}
