"""Every platform's body to the same rows, the same words for what is wrong, and an answer in the platform's own form."""

import gzip
import json
import zlib
from typing import Any

import httpx2
import numpy as np
import pytest

from pipeline.runtime import predictor
from tests.support.parcels import REQUIRED, Parcels

Row = dict[str, Any]
V2 = "/v2/models/parcels/infer"


def tensor(name: str, values: list[Any], datatype: str | None = None) -> Row:
    kinds = {"weight": "INT64", "temp": "FP64", "distance": "FP64"}
    return {"name": name, "shape": [len(values)], "datatype": datatype or kinds.get(name, "BYTES"), "data": values}


def as_tensors(rows: list[Row]) -> Row:
    return {"inputs": [tensor(name, [row.get(name) for row in rows]) for name in rows[0]]}


def ways(rows: list[Row]) -> dict[str, tuple[str, str, bytes, str]]:
    """The same rows as each protocol sends them: path, content type, body, and where a row stands in it."""
    names = list(rows[0])
    said: dict[str, tuple[str, Any, str]] = {
        "batch": ("/predict/batch", {"rows": rows}, "rows.0"),
        "instances": ("/invocations", {"instances": rows, "parameters": {}}, "instances.0"),
        "lists": ("/invocations", {"dataframe_split": {"columns": names, "data": [list(r.values()) for r in rows]}}, "dataframe_split.0"),
        "records": ("/invocations", {"dataframe_records": rows}, "dataframe_records.0"),
        "inputs": ("/invocations", {"inputs": {name: [row[name] for row in rows] for name in names}}, "inputs.0"),
        "kserve": ("/v1/models/parcels:predict", {"instances": rows}, "instances.0"),
        "vertex": ("/predict", {"instances": rows}, "instances.0"),
        "v2": (V2, as_tensors(rows), "inputs.0"),
    }  # fmt: skip
    found = {way: (path, "application/json", json.dumps(body).encode(), at) for way, (path, body, at) in said.items()}
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    return {**found, "lines": ("/invocations", "application/jsonlines", lines, "lines.0")}


def ask(server: httpx2.Client, way: tuple[str, str, bytes, str]) -> httpx2.Response:
    return server.post(way[0], content=way[2], headers={"content-type": way[1]})


def probabilities(answer: httpx2.Response) -> list[float]:
    said = answer.raise_for_status().json()
    if "outputs" in said:
        return next(list(out["data"]) for out in said["outputs"] if out["name"] == "probability")
    return [each["probability"] for each in said["predictions"]]


WAYS = list(ways([REQUIRED]))


@pytest.mark.parametrize("way", WAYS)
def test_every_protocol_gives_the_same_answers(server: httpx2.Client, parcels: Parcels, way: str) -> None:
    rows = [{**REQUIRED, "temp": temp} for temp in (30.0, None, 90.5)]
    expected = [server.post("/predict", json=row).raise_for_status().json()["probability"] for row in rows]
    assert probabilities(ask(server, ways(rows)[way])) == expected


WRONG: list[tuple[Row, str, str]] = [
    ({"weight": 18.5}, "weight", "Should be a whole number"),
    ({"weight": 5}, "weight", "Should be 20 or more"),
    ({"depot": "XXX"}, "depot", "Should be 'EST', 'NTH' or 'STH'"),
    (
        {"sent": "2013-02-30T10:00"},
        "sent",
        "Should be a date and time that exists, such as 2024-03-01T17:30, without an offset",
    ),
    ({"tmp": "1"}, "tmp", "There is no such field"),
    ({"carrier": None}, "carrier", "Should be a text"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("change", "field", "message"), WRONG)
def test_what_is_wrong_is_told_in_the_same_words_everywhere(
    server: httpx2.Client, way: str, change: Row, field: str, message: str
) -> None:
    asked = ways([{**REQUIRED, **change}])[way]
    answer = ask(server, asked)
    assert answer.status_code == 422
    (told,) = answer.json()["errors"]
    if way == "v2" and field == "weight" and change[field] == 18.5:
        assert told == {"field": "inputs.weight.0", "message": "Should be of INT64"}
    else:
        assert told == {"field": f"{asked[3]}.{field}", "message": message}
    assert answer.json()["error"] == answer.json()["message"]
    kind = "application/json" if asked[0].startswith(("/v1", "/v2")) else "application/problem+json"
    assert answer.headers["content-type"] == kind


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("v2", "lines", "lists", "inputs")])
def test_an_empty_batch_is_refused_everywhere(server: httpx2.Client, way: str) -> None:
    path, kind, _, at = ways([REQUIRED])[way]
    key = at.partition(".")[0]
    answer = server.post(path, content=json.dumps({key: []}).encode(), headers={"content-type": kind})
    assert answer.json()["errors"] == [{"field": key, "message": "Should have at least one row"}]


@pytest.mark.parametrize("sent", ["true", "1e999", '"1"', "[1]"])
def test_what_is_no_number_is_refused_for_a_number_everywhere(server: httpx2.Client, sent: str) -> None:
    for way, (path, kind, body, _) in ways([{**REQUIRED, "temp": 77.25}]).items():
        answer = server.post(path, content=body.replace(b"77.25", sent.encode()), headers={"content-type": kind})
        assert answer.status_code == 422, (way, answer.text)


def test_nan_and_null_and_nothing_are_the_same_missing_value(server: httpx2.Client) -> None:
    (expected,) = probabilities(server.post("/invocations", json={"instances": [REQUIRED]}))
    for path, kind, body, _ in ways([{**REQUIRED, "temp": 77.25}]).values():
        for sent in (b"NaN", b"null"):
            answer = server.post(path, content=body.replace(b"77.25", sent), headers={"content-type": kind})
            assert probabilities(answer) == [expected]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"instances": [REQUIRED], "inputs": [REQUIRED]}, "body"),
        ({"instances": 3}, "instances"),
        ({"instances": [1]}, "instances.0"),
        ({"instances": [["B6"]]}, "instances.0"),
        ({"inputs": {"carrier": ["B6"], "city": []}}, "inputs"),
        ({"inputs": {"carrier": "B6"}}, "inputs"),
        ({"dataframe_split": [1]}, "dataframe_split"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "dataframe_split.columns"),
        ({"dataframe_split": {"columns": ["carrier"], "data": [["B6", 1]]}}, "dataframe_split.0"),
    ],
)
def test_a_body_of_the_wrong_form_says_what_would_be_right(server: httpx2.Client, body: Row, field: str) -> None:
    answer = server.post("/invocations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_rows_without_names_are_read_in_the_order_of_the_contract(server: httpx2.Client, parcels: Parcels) -> None:
    row = predictor.load(parcels.bundle).golden.rows[0]
    (expected,) = probabilities(server.post("/invocations", json={"instances": [row]}))
    listed = [row.get(name) for name in parcels.config.request]
    assert probabilities(server.post("/invocations", json={"instances": [listed]})) == [expected]


# --- CSV and JSON Lines ---------------------------------------------------------------------------------------------


def csv(server: httpx2.Client, text: str, **headers: str) -> httpx2.Response:
    return server.post("/invocations", content=text.encode(), headers={"content-type": "text/csv", **headers})


HEADER = ",".join(REQUIRED)
LINE = ",".join(map(str, REQUIRED.values()))


def test_csv_has_a_header_and_empty_cells_are_missing(server: httpx2.Client) -> None:
    (expected,) = probabilities(server.post("/invocations", json={"instances": [REQUIRED]}))
    assert probabilities(csv(server, f"{HEADER},temp\r\n{LINE},\r\n")) == [expected]
    assert probabilities(csv(server, f"\ufeff{HEADER}\n{LINE}\n\n{LINE}")) == [expected] * 2


@pytest.mark.parametrize(
    ("text", "status", "field"),
    [
        ("", 422, "rows"),
        ("\n\n", 422, "rows"),
        (HEADER, 422, "rows"),
        (LINE, 422, "header"),
        (f"{HEADER},carrier\n{LINE},AA", 422, "header.carrier"),
        (f"{HEADER}\nB6,NTH", 422, "rows.0"),
        (f"{HEADER}\n{LINE},7", 422, "rows.0"),
        (f"{HEADER},temp\n{LINE},warm", 422, "rows.0.temp"),
        (f"{HEADER},temp\n{LINE},7_5", 422, "rows.0.temp"),
        (f'{HEADER}\n"{LINE}', 400, None),
    ],
)
def test_csv_that_is_not_what_it_should_be_is_refused(
    server: httpx2.Client, text: str, status: int, field: str | None
) -> None:
    answer = csv(server, text)
    assert answer.status_code == status
    assert [each["field"] for each in answer.json()["errors"]] == ([field] if field else [])


def test_a_line_that_is_no_json_is_told_by_its_number(server: httpx2.Client) -> None:
    headers = {"content-type": "application/jsonlines"}
    for line, status, field in ((b"{", 400, "lines.1 is not JSON"), (b"[1]", 422, "1 invalid value: lines.1")):
        body = json.dumps(REQUIRED).encode() + b"\n\n" + line
        answer = server.post("/invocations", content=body, headers=headers)
        assert (answer.status_code, answer.json()["detail"].startswith(field)) == (status, True), answer.text


def test_bytes_that_are_no_text_are_no_csv(server: httpx2.Client) -> None:
    answer = server.post("/invocations", content=b"\xff\xfe", headers={"content-type": "text/csv"})
    assert answer.status_code == 400


def test_who_accepts_csv_or_lines_alone_gets_them(server: httpx2.Client) -> None:
    (expected,) = probabilities(server.post("/invocations", json={"instances": [REQUIRED]}))
    as_csv = csv(server, f"{HEADER}\n{LINE}", accept="text/csv")
    assert (as_csv.headers["content-type"], as_csv.text) == ("text/csv; charset=utf-8", f"{expected},1\n")
    lines = csv(server, f"{HEADER}\n{LINE}\n{LINE}", accept="application/jsonlines").text.splitlines()
    assert [json.loads(line)["probability"] for line in lines] == [expected] * 2


def test_the_first_type_that_the_server_has_is_answered(server: httpx2.Client) -> None:
    """A type with a higher weight comes first."""
    both = csv(server, f"{HEADER}\n{LINE}", accept="image/png, text/csv, application/json")
    assert both.headers["content-type"] == "text/csv; charset=utf-8"
    weighed = csv(server, f"{HEADER}\n{LINE}", accept="text/csv;q=0.2, application/x-ndjson, */*;q=0.1")
    assert weighed.headers["content-type"] == "application/jsonlines"


def test_ndjson_is_json_lines_and_arrays_of_numpy_are_refused(server: httpx2.Client) -> None:
    content = f"{json.dumps(REQUIRED)}\n{json.dumps(REQUIRED)}".encode()
    lines = server.post("/invocations", content=content, headers={"content-type": "application/x-ndjson"})
    assert len(probabilities(lines)) == 2
    array = server.post("/invocations", content=content, headers={"content-type": "application/x-npy"})
    assert (array.status_code, "send application/json, text/csv" in array.json()["detail"]) == (415, True)


def test_a_missing_or_odd_content_type_is_json(server: httpx2.Client) -> None:
    """Another kind of file is refused."""
    body = json.dumps({"instances": [REQUIRED]}).encode()
    for said in ({}, {"content-type": "application/octet-stream"}, {"content-type": "application/json; charset=utf-8"}):
        assert server.post("/invocations", content=body, headers=said).status_code == 200
    for other in ("text/plain", "application/vnd.apache.parquet"):
        assert server.post("/invocations", content=body, headers={"content-type": other}).status_code == 415


# --- compressed -----------------------------------------------------------------------------------------------------

BODY = json.dumps({"instances": [REQUIRED]}).encode()


def raw_deflate(body: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(body) + squeezer.flush()


def packed(server: httpx2.Client, content: bytes, encoding: str) -> httpx2.Response:
    return server.post("/invocations", content=content, headers={"content-encoding": encoding})


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (gzip.compress(BODY), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
        (gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]), "gzip"),
        (BODY, "identity"),
    ],
)
def test_compressed_bodies_are_inflated(server: httpx2.Client, content: bytes, encoding: str) -> None:
    assert packed(server, content, encoding).status_code == 200


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (gzip.compress(bytes(200 * 2**20)), "gzip", 413),
        (zlib.compress(bytes(200 * 2**20)), "deflate", 413),
        (gzip.compress(BODY)[:-3], "gzip", 400),
        (gzip.compress(BODY) + b"more", "gzip", 400),
        (BODY, "gzip", 400),
        (BODY, "br", 415),
    ],
)
def test_bombs_and_broken_streams_are_refused(
    server: httpx2.Client, content: bytes, encoding: str, status: int
) -> None:
    assert packed(server, content, encoding).status_code == status


# --- tensors --------------------------------------------------------------------------------------------------------


def binary(values: list[Any], datatype: str) -> bytes:
    if datatype == "BYTES":
        return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in values)
    return np.array(values, {"INT64": "<i8", "FP32": "<f4", "INT16": "<i2"}[datatype]).tobytes()


def send_binary(server: httpx2.Client, changes: dict[str, Row] | None = None, **more: Any) -> httpx2.Response:
    """The required row as binary tensors, some of their headers changed."""
    inputs, behind = [], b""
    for name, value in REQUIRED.items():
        datatype = "INT16" if name == "weight" else "BYTES"
        raw = binary([value], datatype)
        head = {"name": name, "shape": [1, 1], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
        inputs.append({**head, **(changes or {}).get(name, {})})
        behind += raw
    head_bytes = json.dumps({"id": "x/1", "inputs": inputs, **more.pop("head", {})}).encode()
    headers = {"inference-header-content-length": str(len(head_bytes)), **more.pop("headers", {})}
    return server.post(V2, content=head_bytes + behind + more.pop("behind", b""), headers=headers)


def test_binary_tensors_are_read_and_written(server: httpx2.Client) -> None:
    (expected,) = probabilities(server.post("/invocations", json={"instances": [REQUIRED]}))
    plain = send_binary(server).raise_for_status()
    assert (plain.json()["id"], probabilities(plain)) == ("x/1", [expected])
    said = send_binary(server, head={"parameters": {"binary_data_output": True}}).raise_for_status()
    at = int(said.headers["inference-header-content-length"])
    outputs = json.loads(said.content[:at])["outputs"]
    assert [out["parameters"]["binary_data_size"] for out in outputs] == [8, 8]
    assert np.frombuffer(said.content[at : at + 8], "<f8")[0] == expected
    assert np.frombuffer(said.content[at + 8 :], "<i8")[0] == 1


def test_only_the_outputs_that_are_asked_for_come_back_each_in_its_form(server: httpx2.Client) -> None:
    wanted = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probability"}]
    said = server.post(V2, json={**as_tensors([REQUIRED]), "outputs": wanted[1:]}).json()
    assert [out["name"] for out in said["outputs"]] == ["probability"]
    both = server.post(V2, json={**as_tensors([REQUIRED]), "outputs": wanted})
    head = json.loads(both.content[: int(both.headers["inference-header-content-length"])])
    assert ["data" in out for out in head["outputs"]] == [False, True]
    refused = server.post(V2, json={**as_tensors([REQUIRED]), "outputs": [{"name": "class"}]})
    assert refused.json()["errors"][0]["message"] == "There is no such output. Known: probability, label"
    assert server.post(V2, json={**as_tensors([REQUIRED]), "outputs": [1]}).status_code == 422


@pytest.mark.parametrize(
    ("changes", "more", "status"),
    [
        ({"carrier": {"parameters": {"binary_data_size": 10**6}}}, {}, 422),
        ({"carrier": {"parameters": {"binary_data_size": -1}}}, {}, 422),
        ({"carrier": {"parameters": {"binary_data_size": 3}}}, {}, 422),
        ({"weight": {"datatype": "FP32"}}, {}, 422),
        ({"carrier": {"shape": [2]}}, {}, 422),
        ({}, {"behind": b"more"}, 400),
        ({}, {"headers": {"inference-header-content-length": "99999"}}, 400),
        ({}, {"headers": {"inference-header-content-length": "-1"}}, 400),
        ({}, {"headers": {"inference-header-content-length": "9" * 5000}}, 400),
        ({"carrier": {"name": "depot"}}, {}, 422),
    ],
)
def test_a_binary_body_that_is_not_what_it_says_is_refused(
    server: httpx2.Client, changes: dict[str, Row], more: Row, status: int
) -> None:
    assert send_binary(server, changes, **more).status_code == status


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [3],
        [{"name": "carrier"}],
        [{**tensor("carrier", ["B6"]), "shape": [1, 2]}],
        [{**tensor("carrier", ["B6"]), "shape": [True]}],
        [{**tensor("carrier", ["B6"]), "shape": [2]}],
        [{**tensor("carrier", ["B6"]), "datatype": "TEXT"}],
        [{**tensor("carrier", ["B6"]), "datatype": ["BYTES"]}],
        [{**tensor("carrier", ["B6"]), "parameters": {"binary_data_size": True}}],
        [{"name": "carrier", "shape": [1], "datatype": "BYTES"}],
        [tensor("carrier", ["B6"]), tensor("city", ["ROM", "OSL"])],
        [tensor("carrier", [6])],
        [tensor("temp", ["x"])],
    ],
)
def test_tensors_of_the_wrong_form_are_refused(server: httpx2.Client, inputs: list[Any]) -> None:
    answer = server.post(V2, json={"inputs": inputs})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("inputs")


def test_the_protocols_descriptions_say_what_there_is(server: httpx2.Client, parcels: Parcels) -> None:
    assert server.get("/v2").json()["extensions"] == server.get("/v2/").json()["extensions"] == ["binary_tensor_data"]
    about = server.get("/v2/models/parcels").json()
    assert about == server.get(f"/v2/models/parcels/versions/{parcels.bundle.name}").json()
    assert about["versions"] == [parcels.bundle.name]
    assert about["inputs"][0] == {"name": "carrier", "datatype": "BYTES", "shape": [-1]}
    assert server.get("/v1/models").json() == {"models": ["parcels"]}
    for path in ("/ping", "/health", "/v2/health/ready", "/v2/models/parcels/ready", "/v1/models/parcels", "/readyz"):
        assert server.get(path).json()["ready"] is True
    assert server.get("/v2/health/live").json() == server.get("/livez").json() == {"live": True}
    assert server.get("/execution-parameters").json()["MaxPayloadInMB"] == 6
    assert server.get("/").json()["status"] == "alive"
    for path in ("/v1/models/other:predict", "/v2/models/other/infer", "/v2/models/parcels/versions/1/infer"):
        answer = server.post(path, json={"instances": [REQUIRED]})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
