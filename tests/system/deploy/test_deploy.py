"""deploy/ by the platforms' own checks, as far as these work without an account. No call here reaches a cloud."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import boto3
import kubernetes_validate
import pytest
import yaml
from azure.ai.ml import load_online_deployment, load_online_endpoint
from botocore.stub import Stubber
from google.cloud import aiplatform

ROOT = Path(__file__).parent.parent.parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.34"  # the first where preStop.sleep is there for all


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def rendered() -> list[Any]:
    if shutil.which("kubectl") is None:
        pytest.fail("this test renders with kubectl: apt install kubernetes-client")
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes")]
    return list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def test_the_output_of_kustomize_is_valid_to_kubernetes_and_complete() -> None:
    made = rendered()
    for each in made:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
    assert {each["kind"] for each in made} == {
        "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"
    }  # fmt: skip
    (pod,) = [each["spec"]["template"]["spec"]["containers"][0] for each in made if each["kind"] == "Deployment"]
    assert pod["image"] == "ghcr.io/OWNER/REPOSITORY:latest"


def test_a_wrong_manifest_is_noticed() -> None:
    deployment = read("kubernetes/deployment.yaml")
    deployment["spec"]["replicas"] = "two"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ["kserve.yaml", "cloud-run.yaml"])
def test_the_pods_of_knatives_kinds_are_valid_pods(name: str) -> None:
    """Their kinds are no part of Kubernetes' schema; what is in them is."""
    spec = read(name)["spec"]
    spec = spec["predictor"] if name == "kserve.yaml" else spec["template"]["spec"]
    theirs = {"minReplicas", "maxReplicas", "containerConcurrency", "timeoutSeconds"}
    containers = [{"name": "server", **container} for container in spec["containers"]]
    pod = {**{key: value for key, value in spec.items() if key not in theirs}, "containers": containers}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}, KUBERNETES, strict=True
    )


def containers() -> list[Any]:
    return [
        read("kubernetes/deployment.yaml")["spec"]["template"]["spec"]["containers"][0],
        read("kserve.yaml")["spec"]["predictor"]["containers"][0],
        read("cloud-run.yaml")["spec"]["template"]["spec"]["containers"][0],
    ]


def test_probes_and_routes_are_those_that_the_server_has() -> None:
    routes = "".join(path.read_text() for path in (ROOT / "serve").rglob("*.py"))
    asked = {probe["httpGet"]["path"] for each in containers() for key, probe in each.items() if key.endswith("Probe")}
    config = read("azure/deployment.yml")["environment"]["inference_config"]
    asked |= {route["path"] for route in config.values()}
    assert {"/livez", "/readyz", "/invocations"} == asked
    assert all(f'"{path}"' in routes for path in asked)


def test_azures_loader_takes_the_endpoint_and_the_deployment() -> None:
    endpoint = load_online_endpoint(DEPLOY / "azure/endpoint.yml")
    deployment = load_online_deployment(DEPLOY / "azure/deployment.yml")
    assert deployment.endpoint_name == endpoint.name
    assert deployment.request_settings.max_concurrent_requests_per_instance == 100
    assert deployment.environment.inference_config["scoringRoute"]["path"] == "/invocations"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deploy_{name}", DEPLOY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sagemakers_calls_are_valid_to_botocore() -> None:
    client = boto3.client("sagemaker", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    made = {"ModelArn": "m" * 20, "EndpointConfigArn": "c" * 20, "EndpointArn": "e" * 20}
    with Stubber(client) as stub:
        for call, key in (
            ("create_model", "ModelArn"),
            ("create_endpoint_config", "EndpointConfigArn"),
            ("create_endpoint", "EndpointArn"),
        ):
            stub.add_response(call, {key: made[key]})
        role = "arn:aws:iam::123456789012:role/serving"
        script("sagemaker").deploy(client, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/flights:latest", role)
        stub.assert_no_pending_responses()


def test_vertexs_calls_are_those_of_the_official_sdk() -> None:
    with mock.patch.object(aiplatform.Model, "upload", autospec=True) as upload:
        upload.return_value = mock.create_autospec(aiplatform.Model, instance=True)
        script("vertex").deploy("europe-docker.pkg.dev/p/models/flights")
    said = upload.call_args.kwargs
    assert (said["serving_container_predict_route"], said["serving_container_health_route"]) == (
        "/invocations",
        "/readyz",
    )
    upload.return_value.deploy.assert_called_once()
