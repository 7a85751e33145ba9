"""The bodies of the platforms: MLflow's, SageMaker's, Vertex AI's and KServe's to rows, and answers to theirs.

One handler reads them all: JSON under `instances`, `inputs`, `dataframe_records` or `dataframe_split`, CSV with a
header, and JSON Lines. What a row may hold is decided elsewhere, for all of them alike.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic_core import from_json

from pipeline.schema import Contract
from serve import answers
from serve.calls import Call, TheCall
from serve.docs import KEY_ASKED, examples_body, object_of, ref, responses
from serve.errors import FieldError, RequestError, refusal
from serve.served import Served
from serve.settings import Settings

KEYS = ("instances", "inputs", "dataframe_records", "dataframe_split")
BOOLEANS = {"true": True, "false": False}  # as CSV says them


FORMS_TAKEN = "Also `dataframe_split`, columns under `inputs`, rows as lists, CSV with a header, and JSON Lines."


def router(served: Served, settings: Settings) -> APIRouter:
    """The routes for people, and those of the platforms that send rows."""
    routes = APIRouter()
    row, golden = ref(served.predictor.row_model), served.predictor.golden.rows[:3]
    one, many, _ = answers.ESTIMATES if served.threshold is None else answers.JUDGEMENTS
    listed = object_of({"rows": {"type": "array", "items": row, "minItems": 1}}) | {"additionalProperties": False}

    @routes.post(
        "/predict",
        name="/predict",
        tags=["Predictions"],
        summary=served.contract.question,
        response_model=one,
        responses=responses({**served.example, **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(row, {f"row {n}": values for n, values in enumerate(golden, 1)}),
    )
    def predict_one(call: TheCall) -> Response:
        """One row."""
        return predict(served, call)

    @routes.post(
        "/predict/batch",
        name="/predict/batch",
        tags=["Predictions"],
        summary="The same for many rows",
        response_model=many,
        responses=responses({"predictions": [served.example], **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(listed, {"rows": {"rows": golden}}),
    )
    def predict_batch(call: TheCall) -> Response:
        """Many rows."""
        return batch(served, call)

    def rows(call: TheCall) -> Response:
        return invoke(served, call)

    platforms = [
        ("/invocations", "/invocations", "MLflow and SageMaker", "MLflow, SageMaker"),
        (f"/v1/models/{served.name}:predict", "/v1/models/{name}:predict", "KServe V1", "KServe V1, Vertex AI"),
    ]
    vertex = settings.predict_route
    if vertex and vertex not in ("/predict", "/predict/batch", *(path for path, *_ in platforms)):
        platforms.append((vertex, "predict_route", "Vertex AI", "Vertex AI, by AIP_PREDICT_ROUTE"))
    for path, name, tag, summary in platforms:
        routes.post(
            path,
            name=name,
            tags=[tag],
            summary=summary,
            description=FORMS_TAKEN,
            responses=responses({"predictions": [served.example], "metadata": served.metadata}),
            openapi_extra=instances_body(served),
        )(rows)

    @routes.get("/v1/models", name="/v1/models", tags=["KServe V1"], summary="Which there are", responses=KEY_ASKED)
    async def models() -> JSONResponse:
        return JSONResponse({"models": [served.name]})

    transform: Any = {"tags": ["MLflow and SageMaker"], "summary": "For SageMaker's batch transform"}

    @routes.get("/execution-parameters", name="/execution-parameters", responses=KEY_ASKED, **transform)
    async def execution_parameters() -> JSONResponse:
        """How the pieces of a large file should be sent."""
        megabytes = min(6, max(1, settings.max_body_bytes // 10**6))
        return JSONResponse(
            {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": megabytes}
        )

    return routes


def instances_body(served: Served) -> dict[str, Any]:
    """The body of a platform, as far as OpenAPI can say it: a part of what is taken."""
    listed = {"type": "array", "minItems": 1, "items": ref(served.predictor.row_model)}
    forms = [object_of({key: listed}, without=KEYS) for key in ("instances", "dataframe_records", "inputs")]
    row = served.predictor.golden.rows[0]
    examples = {
        "instances": {"instances": [row]},
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "inputs": {"inputs": {column: [value] for column, value in row.items()}},
    }
    return examples_body({"oneOf": forms}, examples)


def predict(served: Served, call: Call) -> Response:
    """One record, as a person sends it; a body with `instances` is a platform's, whose local default is this route."""
    platforms = b'"instances"' in call.body and "instances" not in served.contract.request
    if platforms and "instances" in parsed(call.body):
        return invoke(served, call)
    only_json(call)
    (answer,) = as_objects(served.told([served.row(call.body)], call))
    return json_response(answer[:-1].encode() + served.tail + call.id.encode() + b'"}')


def batch(served: Served, call: Call) -> Response:
    """Many records under `rows`."""
    only_json(call)
    body = parsed(call.body)
    wrong = [
        FieldError(field=str(key)[:100], message="Extra inputs are not permitted") for key in body if key != "rows"
    ]
    if "rows" not in body:
        wrong.append(FieldError(field="rows", message="Field required"))
    elif not isinstance(body["rows"], list):
        wrong.append(FieldError(field="rows", message="Input should be a valid list"))
    if wrong:
        raise refusal(wrong)
    listed = ",".join(as_objects(served.told(served.rows(body["rows"], "rows", call), call))).encode()
    return json_response(b'{"predictions":[' + listed + b"]" + served.tail + call.id.encode() + b'"}')


def invoke(served: Served, call: Call) -> Response:
    """Whatever a platform sends; the answer is CSV or JSON Lines where that alone is accepted."""
    kind = media_type(call.headers.get(b"content-type", b""))
    reader = READERS.get(kind)
    if reader is None and (kind.startswith("text/") or kind.endswith("parquet")):
        raise RequestError(415, f"The content type is {kind[:100]!r}; send {', '.join(READERS)}")
    sent, at = (reader or read_json)(call, served.contract)  # botocore says octet-stream where nobody chose a type
    told = served.told(served.rows(sent, at, call), call)
    accepted = media_type(call.headers.get(b"accept", b""))
    if accepted == "text/csv":
        lines = [",".join(map(str, answer)) for answer in zip(*told.values(), strict=True)]
        return Response("\n".join([*lines, ""]), media_type="text/csv")
    objects = as_objects(told)
    if accepted in ("application/jsonlines", "application/x-jsonlines"):
        return Response("\n".join([*objects, ""]), media_type="application/jsonlines")
    about = {**served.metadata, "request_id": call.id}
    listed = ",".join(objects).encode()
    return json_response(b'{"predictions":[' + listed + b'],"metadata":' + json.dumps(about).encode() + b"}")


def json_response(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def as_objects(told: dict[str, list[float]]) -> list[str]:
    """Each answer as JSON, which for names and finite numbers is what Python writes."""
    form = "{" + ",".join(f'"{name}":%r' for name in told) + "}"
    return [form % answer for answer in zip(*told.values(), strict=True)]


def media_type(header: bytes) -> str:
    return header.partition(b";")[0].strip().lower().decode("latin-1")


def only_json(call: Call) -> None:
    said = call.headers.get(b"content-type", b"")
    if said != b"application/json" and "json" not in (kind := media_type(said)):
        raise RequestError(415, f"The content type is {kind[:100] or 'nothing'!r}; send application/json")


def parsed(body: bytes) -> dict[str, Any]:
    """An object of JSON, NaN included. Raises RequestError where it is none."""
    try:
        found = from_json(body)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise refusal([FieldError(field="body", message="Input should be an object")])
    return found


def read_json(call: Call, contract: Contract) -> tuple[list[Any], str]:
    body = parsed(call.body)
    present = [key for key in KEYS if key in body]
    if len(present) != 1:
        found = ", ".join(present) or "none of them"
        raise refusal([FieldError(field="body", message=f"Should have one of {', '.join(KEYS)}; found {found}")])
    (key,) = present
    return FORMS[key](body[key], key, contract), key


def records(value: Any, at: str, contract: Contract) -> list[Any]:
    """Rows as objects, as lists in the order of the contract, or one list per column."""
    if isinstance(value, dict):
        return transposed(value, at)
    if not isinstance(value, list):
        raise refusal([FieldError(field=at, message="Input should be a list of rows, or an object of columns")])
    return positional(value, list(contract.request), at) if value and isinstance(value[0], list) else value


def split(value: Any, at: str, contract: Contract) -> list[Any]:
    """Pandas' split form: the names of the columns once, and then lists."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise refusal([FieldError(field=at, message="Input should be an object with columns and data")])
    columns = value.get("columns", list(contract.request))
    if not isinstance(columns, list) or len(set(map(str, columns))) != len(columns):
        raise refusal([FieldError(field=f"{at}.columns", message="Input should be a list of different names")])
    return positional(value["data"], list(map(str, columns)), at)


def positional(rows: list[Any], names: list[str], at: str) -> list[dict[str, Any]]:
    short = [n for n, row in enumerate(rows) if not isinstance(row, list) or len(row) != len(names)]
    if short:
        text = f"Input should be a list of {len(names)} values: {', '.join(names)}"
        raise refusal([FieldError(field=f"{at}.{n}", message=text[:300]) for n in short])
    return [dict(zip(names, row, strict=True)) for row in rows]


def transposed(columns: dict[str, Any], at: str) -> list[dict[str, Any]]:
    lengths = {len(values) if isinstance(values, list) else -1 for values in columns.values()}
    if len(lengths) != 1 or -1 in lengths:
        raise refusal([FieldError(field=at, message="Columns should be lists of the same length")])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_lines(call: Call, _: Contract) -> tuple[list[Any], str]:
    rows = []
    for number, line in enumerate(filter(bytes.strip, call.body.splitlines())):
        try:
            rows.append(from_json(line))
        except ValueError as error:
            raise RequestError(400, f"lines.{number} is not JSON: {error}") from None
    return rows, "lines"


def read_csv(call: Call, contract: Contract) -> tuple[list[Any], str]:
    """CSV with the names of the columns in its first line; an empty cell is a missing value."""
    try:
        lines = list(csv.reader(io.StringIO(call.body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(400, f"The body is not CSV: {error}") from None
    filled = [line for line in lines if line]
    if not filled:
        return [], "rows"
    names, *rows = filled
    kinds = [contract.request[name].kind if name in contract.request else "category" for name in names]
    typed = [[cell(text, kind) for text, kind in zip(row, kinds, strict=False)] + row[len(kinds) :] for row in rows]
    return positional(typed, names, "rows"), "rows"


def cell(text: str, kind: str) -> Any:
    """What the text stands for; one that stands for nothing of its kind is left, for the contract to refuse."""
    if text == "":
        return None
    if kind in ("number", "integer"):
        try:
            return text if "_" in text else float(text)  # Python reads 1_000 as a number; nobody else does
        except ValueError:
            return text
    return BOOLEANS.get(text.lower(), text) if kind == "boolean" else text


Form = Callable[[Any, str, Contract], list[Any]]
FORMS: dict[str, Form] = {
    "instances": records,
    "inputs": records,
    "dataframe_records": records,
    "dataframe_split": split,
}
Reader = Callable[[Call, Contract], tuple[Sequence[Any], str]]
READERS: dict[str, Reader] = {
    "application/json": read_json,
    "text/csv": read_csv,
    "application/jsonlines": read_lines,
    "application/x-jsonlines": read_lines,
}
