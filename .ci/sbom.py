"""`make sbom`: bills of materials in CycloneDX: of the image's Python packages, and of the model with its card."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker, default_environment

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "reports/sbom"
PYTHON = "3.13"  # of the image


def main(model: str) -> None:
    """Write and validate both bills."""
    models = ROOT / "models" / model
    if not (models / "champion").exists():
        sys.exit(f"error: there is no champion of {model}: run make train first")
    bundle = models / (models / "champion").read_text(encoding="utf-8").strip()
    PLACE.mkdir(parents=True, exist_ok=True)

    (PLACE / "requirements.txt").write_text(in_image((ROOT / "requirements/serve.txt").read_text(encoding="utf-8")))
    packages = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(PLACE / "requirements.txt")]
    output = ["--output-reproducible", "--spec-version", "1.6", "--output-file", str(PLACE / "image.cdx.json")]
    subprocess.run([*packages, "--pyproject", "pyproject.toml", *output], cwd=ROOT, check=True)

    files = {path.name: path.read_bytes() for path in bundle.iterdir()}
    bill = of_model(bundle.name, files, json.loads(files["bundle.json"]), json.loads(files["record.json"]))
    (PLACE / "model.cdx.json").write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    for path in sorted(PLACE.glob("*.cdx.json")):
        if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text(encoding="utf-8")):
            sys.exit(f"error: {path.name} is not valid CycloneDX 1.6: {error}")
        print(path.relative_to(ROOT))


def in_image(lock: str) -> str:
    """The part of a lock that the image installs; the lock covers every system and Python."""
    image = {**default_environment(), "python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    image |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython"}

    blocks = []
    for block in re.split(r"\n(?=\S)", lock.strip()):
        _, _, marker = block.split("\\")[0].partition(";")
        if not marker.strip() or Marker(marker.strip()).evaluate(image):
            blocks.append(block)
    return "\n".join([*blocks, ""])


def of_model(digest: str, files: dict[str, bytes], manifest: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """The bill of the model: a component for the model with its card, and one for each data file."""
    contract = manifest["contract"]
    sums = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
    licence = record["data"].get("licence")
    data = [data_file(name, content, licence) for name, content in record["data"]["files"].items()]
    facts = {"training run": record["run_id"], "commit": record["commit"], "trained on": f"{record['trained_on']} rows"}

    component = {
        "type": "machine-learning-model",
        "bom-ref": digest,
        "name": contract["name"],
        "version": digest,
        "hashes": [{"alg": "SHA-256", "content": sums["model.onnx"]}],
        "licenses": [{"license": {"id": "MIT"}}],
        "properties": [{"name": name, "value": str(value)} for name, value in facts.items()],
        "modelCard": card(contract, manifest["metrics"], record, [part["bom-ref"] for part in data]),
    }

    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    return {**head, "metadata": {"component": component}, "components": data}


def data_file(name: str, digest: str, licence: str | None) -> dict[str, Any]:
    """A data file as a component, with its SHA-256."""
    licences = {"licenses": [{"license": {"id": licence}}]} if licence else {}
    return {
        "type": "data",
        "bom-ref": name,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        **licences,
    }


def card(contract: dict[str, Any], metrics: dict[str, Any], record: dict[str, Any], data: list[str]) -> dict[str, Any]:
    """CycloneDX's model card: the model's inputs and data, its metrics on the holdout, and its purpose."""
    known = {name: column for name, column in contract["columns"].items() if column["known"] == "before"}
    output = {"binary": "probability", "multiclass": "probability of each class", "regression": "number"}[
        contract["task"]
    ]

    parameters = {
        "approach": {"type": "supervised"},
        "task": contract["task"],
        "modelArchitecture": record["candidate"],
        "datasets": [{"ref": name} for name in data],
        "inputs": [{"format": f"{name}: {column['kind']}"} for name, column in known.items()],
        "outputs": [{"format": output}],
    }
    performance = [metric(record, name, interval) for name, interval in metrics.items()]
    declared = record.get("card", {})
    uses = [contract["question"], declared.get("intended_use")]
    limits = ["It was evaluated on rows like those of its training.", "What it gives as reasons are no causes."]
    titles = {"conditional_on": "Conditional on", "not_for": "Not for", "limits": "Limits"}
    limits += [f"{title}: {declared[name]}" for name, title in titles.items() if name in declared]
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": performance},
        "considerations": {"useCases": [*filter(None, uses)], "technicalLimitations": limits},
    }


def metric(record: dict[str, Any], name: str, interval: dict[str, float | None]) -> dict[str, Any]:
    """A metric on the holdout with the bounds of its interval, as CycloneDX writes it."""
    bounds = {"lowerBound": str(interval["low"]), "upperBound": str(interval["high"])}
    return {"type": name, "value": str(interval["value"]), "slice": record["holdout"], "confidenceInterval": bounds}


if __name__ == "__main__":
    main(sys.argv[1])
