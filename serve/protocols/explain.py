"""The routes of explanations: Shapley values of one prediction by field, the largest contribution first.

The values themselves come from `pipeline.runtime.shapley`; this module turns them into responses.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from pipeline.runtime.arrays import Columns, to_columns
from pipeline.runtime.rolling_features import Table
from pipeline.runtime.shapley import ROWS, Between, explain, no_deadline
from serve import schemas
from serve.errors import RequestError, invalid_field
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import documented_responses, examples_body, schema_ref
from serve.protocols.bodies import only_json, platform_json, read_json
from serve.protocols.invocations import FORMS_TAKEN, instances_body

NOTHING = "no outcomes are known"
MOST = 100  # rows of one request: one explanation takes as long as some thousand predictions
DIGITS = 9  # of a contribution, enough for the rounded contributions to add up to the prediction
NO_ROWS = (0, 0.0, 0.0)  # of a key that the table does not have: rows, sum of outcomes, mean


def router(model: LoadedModel) -> APIRouter:
    """The routes, documented with the explanation of the first golden row and its standard errors."""
    routes = APIRouter()
    golden_row = model.predictor.golden.rows[0]
    example = explain_row(model, model.validator.row(json.dumps(golden_row).encode()), model.example)
    _, _, response_model = schemas.OF_TASK[model.task]

    @routes.post(
        "/explain",
        name="/explain",
        tags=["Predictions"],
        summary="Explain: how each field moved the prediction",
        description=about(example),
        response_model=response_model,
        responses=documented_responses({**example, **model.facts, "request_id": "a1"}),
        openapi_extra=examples_body(schema_ref(model.predictor.row_model), {"row": golden_row})
        | class_parameter(model),
    )
    def explain_record(call: CallParameter) -> Response:
        return explain_one(model, call)

    @routes.post(
        f"/v1/models/{model.name}:explain",
        name="/v1/models/{name}:explain",
        tags=["KServe V1"],
        summary="KServe V1: how each field moved the predictions",
        description=FORMS_TAKEN,
        responses=documented_responses({"explanations": [example], "metadata": model.metadata}),
        openapi_extra=instances_body(model),
    )
    def explain_instances(call: CallParameter) -> Response:
        return explain_many(model, call)

    return routes


def class_parameter(model: LoadedModel) -> dict[str, Any]:
    """The OpenAPI parameter that chooses the class to explain; nothing for a task without classes."""
    schema = {"type": "string", "enum": list(model.contract.classes)}
    parameter = {"name": "class", "in": "query", "description": "Default: the most probable.", "schema": schema}
    return {"parameters": [parameter]} if model.contract.classes else {}


def about(example: Mapping[str, Any]) -> str:
    """The OpenAPI description of /explain, with the standard errors of the example's contributions."""
    errors = [reason["standard_error"] for reason in example["contributions"]]
    how = "every coalition of fields" if example["exact"] else "two orders of the fields, one the reverse of the other,"
    return (
        "Shapley values: how much each field moved the prediction away from `base`, the mean prediction for "
        f"{ROWS} rows of the training. They add up to the prediction minus `base`. Computed from {how} for each of "
        "those rows. `standard_error` is that of each contribution; in this example it is "
        f"{sum(errors) / len(errors):.2g} on average and {max(errors):.2g} at most. "
        "It describes the model, and says nothing about causes."
    )


def explain_one(model: LoadedModel, call: Call) -> Response:
    """The explanation of one row, sent as to /predict. Raises RequestError for a row that breaks the contract."""
    only_json(call)
    row = model.validator.row(call.body)
    prediction = model.predict_unlogged(row, call)
    explanation = explain_row(model, row, prediction, call.check_deadline, class_of_query(model, call))
    if names := model.contract.no_and_yes:
        explanation["label"] = names[explanation["label"]]
    return JSONResponse({**explanation, **model.facts, "request_id": call.id})


def explain_many(model: LoadedModel, call: Call) -> Response:
    """The explanations of many rows: KServe's `instances`, or another JSON form that predictions take.

    Raises RequestError for more than `MOST` rows, and for rows that break the contract.
    """
    platform_json(call)
    sent, at = read_json(call, model.contract, model.limits)
    if len(sent) > MOST:
        raise RequestError(413, f"{len(sent):,} rows are more than {MOST} to explain; send fewer at a time")

    explained = class_of_query(model, call)
    explanations = []
    for row in model.validator.rows(sent, at, call):
        prediction = model.predict_unlogged(row, call)
        explanations.append(explain_row(model, row, prediction, call.check_deadline, explained))
    return JSONResponse({"explanations": explanations, "metadata": {**model.metadata, "request_id": call.id}})


def class_of_query(model: LoadedModel, call: Call) -> str | None:
    """The class of `?class=`; None without one. Raises RequestError (422) for one that the model does not know."""
    asked = parse_qs(call.query.decode("latin-1")).get("class", [])
    if not asked or asked[-1] in model.contract.classes:
        return asked[-1] if asked else None
    known = ", ".join(model.contract.classes) or "none, the task has no classes"
    raise invalid_field("class", f"There is no such class. Known: {known}")


def rolling_feature_text(model: LoadedModel, field: str, row: Mapping[str, Any], sent: Columns) -> dict[str, str]:
    """The entry `text` for a rolling feature: a sentence with its key, its value and its day. Empty for other fields.

    `sent` is the row as columns, before rolling features are filled in.
    """
    table = model.predictor.rolling
    rule = model.contract.timing
    if field not in model.contract.rolling or table is None or rule is None:
        return {}
    return {"text": rolling_value_text(table, field, row, sent[rule.time][0], row.get(field))}


def rolling_value_text(table: Table, name: str, row: Mapping[str, Any], time: Any, sent: float | None) -> str:
    """A sentence on the rolling feature `name` of a row, with the value that the caller sent, else the table's value.

    Where the table has no rows of this key either, the sentence says so. The table has nothing for
    rows before its start.
    """
    rule, cells = table.features[name]
    key = tuple(row[by] for by in rule.by)
    rows, total, _ = cells.get(key, NO_ROWS) if time >= table.start else NO_ROWS
    if sent is None and not rows:
        usual = f"{table.prior[name] * 100:.0f} %" if "{share}" in rule.text else f"{table.prior[name]:.3g}"
        return f"{NOTHING}, so the average of {usual} is used"

    value = total / rows if sent is None else sent
    values = dict(zip(rule.by, key, strict=True))
    values |= {"share": f"{value * 100:.0f} %", "mean": f"{value:.3g}"}  # also where a column has one of these names
    sentence = rule.text.format(**values)
    return sentence if sent is not None else f"{sentence} ({rows:,} known on {table.day})"


def explain_row(
    model: LoadedModel,
    row: Mapping[str, Any],
    prediction: Mapping[str, Any],
    between: Between = no_deadline,
    explained: str | None = None,
) -> dict[str, Any]:
    """The prediction of a validated row with its contributions, the largest first.

    Of several classes, the probability of the class `explained` is explained, by default of the most probable one.
    `between` is called before each call of the model; an exception that it raises ends the work.
    """
    sent = to_columns([row], model.contract)
    filled = model.predictor.with_rolling_features(sent)  # a looked-up rolling feature is explained like a sent one
    classes = model.contract.classes
    name = explained or prediction["label"] if classes else None
    number = classes.index(name) if name else None
    explanation = explain(model.predictor, filled, between, number)
    ordered = sorted(explanation.contributions, key=lambda field: -abs(explanation.contributions[field]))

    reasons = []
    for field in ordered:
        value = filled[field].item() if field in model.contract.rolling else row.get(field)
        reason = {
            "field": field,
            "value": value,
            "contribution": round(explanation.contributions[field], DIGITS),
            "standard_error": round(explanation.errors[field], DIGITS),
            **rolling_feature_text(model, field, row, sent),
        }
        reasons.append(reason)

    base = round(explanation.base, DIGITS)
    of_class = {"explained": name} if name else {}
    return {**prediction, **of_class, "base": base, "contributions": reasons, "exact": explanation.exact}
