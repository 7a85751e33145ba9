"""The platforms' own clients against a real server: Triton's, SageMaker's, and schemathesis over what is documented.

They have an environment of their own; the server runs in the project's.
"""

import asyncio
import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import botocore.session
import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from botocore.config import Config
from botocore.exceptions import ClientError
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="session")
def expected(address: str, rows: list[dict[str, Any]]) -> list[float]:
    said = httpx2.post(f"http://{address}/predict/batch", json={"rows": rows}).raise_for_status().json()
    return [each["probability"] for each in said["predictions"]]


# --- Triton's -------------------------------------------------------------------------------------------------------

NUMBERS = {"FP64": np.float64, "INT64": np.int64}


def inputs(made_by: Any, about: dict[str, Any], rows: list[dict[str, Any]], *, binary: bool) -> list[Any]:
    tensors = []
    for column in about["inputs"]:
        name, kind = column["name"], column["datatype"]
        if not any(name in row for row in rows):
            continue  # optional, and left out
        tensor = made_by.InferInput(name, [len(rows), 1], kind)
        values = [[row.get(name, np.nan)] for row in rows]
        array = np.array(values, NUMBERS.get(kind, object))
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return tensors


WAYS = list(product([True, False], [None, True, False], [None, "gzip", "deflate"]))


@pytest.mark.parametrize(("binary_in", "binary_out", "packed"), WAYS)
def test_tritons_client_gets_our_answers_in_every_way_it_can_ask(
    address: str,
    rows: list[dict[str, Any]],
    expected: list[float],
    binary_in: bool,
    binary_out: bool | None,
    packed: str | None,
) -> None:
    client = triton.InferenceServerClient(address)
    about = client.get_model_metadata("parcels")
    wanted = None
    if binary_out is not None:
        wanted = [triton.InferRequestedOutput("probability", binary_data=binary_out)]
    sent = inputs(triton, about, rows, binary=binary_in)
    answer = client.infer(
        "parcels", sent, outputs=wanted, request_id="t-1", request_compression_algorithm=packed,
        response_compression_algorithm="gzip",
    )  # fmt: skip
    assert answer.as_numpy("probability").tolist() == expected
    assert answer.get_response()["id"] == "t-1"


def test_tritons_client_finds_the_server_the_model_and_its_version(address: str) -> None:
    client = triton.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("parcels")
    (version,) = client.get_model_metadata("parcels")["versions"]
    assert client.is_model_ready("parcels", version)
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]


def test_tritons_asynchronous_client_gets_the_same(
    address: str, rows: list[dict[str, Any]], expected: list[float]
) -> None:
    async def ask() -> list[float]:
        async with triton_aio.InferenceServerClient(address) as client:
            about = await client.get_model_metadata("parcels")
            answer = await client.infer("parcels", inputs(triton_aio, about, rows, binary=True))
            return list(answer.as_numpy("probability").tolist())

    assert asyncio.run(ask()) == expected


def test_tritons_client_is_told_what_was_wrong(address: str) -> None:
    client = triton.InferenceServerClient(address)
    tensor = triton.InferInput("carrier", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["B6"], object))
    with pytest.raises(InferenceServerException, match=r"depot.*This field is required") as refused:
        client.infer("parcels", [tensor])
    assert refused.value.status() == "422"


# --- SageMaker's ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sagemaker(address: str) -> Any:
    """botocore's runtime client, its path rewritten to the one that SageMaker calls in the container."""
    client = botocore.session.Session().create_client(
        "sagemaker-runtime", "eu-west-1", endpoint_url=f"http://{address}", aws_access_key_id="a",
        aws_secret_access_key="b", config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip

    def rewritten(request: Any, **_: Any) -> None:
        request.url = f"http://{address}/invocations"

    client.meta.events.register("before-send.sagemaker-runtime.*", rewritten)
    return client


def test_sagemakers_client_gets_our_answers_as_json_csv_and_lines(
    sagemaker: Any, rows: list[dict[str, Any]], expected: list[float]
) -> None:
    body = json.dumps({"instances": rows})
    plain = json.loads(sagemaker.invoke_endpoint(EndpointName="e", Body=body)["Body"].read())
    assert [each["probability"] for each in plain["predictions"]] == expected
    named = sagemaker.invoke_endpoint(EndpointName="e", Body=body, InferenceId="i-1", ContentType="application/json")
    assert json.loads(named["Body"].read())["metadata"]["request_id"] == "i-1"
    names = list(dict.fromkeys(name for row in rows for name in row))
    csv = "\n".join([",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)])
    said = sagemaker.invoke_endpoint(EndpointName="e", Body=csv, ContentType="text/csv", Accept="text/csv")
    assert [float(line.split(",")[0]) for line in said["Body"].read().decode().splitlines()] == expected
    lines = "\n".join(map(json.dumps, rows))
    said = sagemaker.invoke_endpoint(EndpointName="e", Body=lines, ContentType="application/jsonlines")
    assert [each["probability"] for each in json.loads(said["Body"].read())["predictions"]] == expected


def test_sagemakers_client_is_told_what_was_wrong(sagemaker: Any) -> None:
    with pytest.raises(ClientError, match=r"instances.0.carrier: This field is required"):
        sagemaker.invoke_endpoint(EndpointName="e", Body='{"instances": [{}]}')


# --- schemathesis ---------------------------------------------------------------------------------------------------


def test_what_is_documented_is_what_is_answered(address: str, tmp_path: Path) -> None:
    """Every check that schemathesis has, on whatever it thinks of."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"http://{address}/openapi.json"]
    checked = subprocess.run(
        [*command, "--checks", "all", "--seed", "1", "--no-color"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
