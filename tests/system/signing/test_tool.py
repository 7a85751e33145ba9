"""OpenSSF Model Signing's own tool and our reader: each takes what is signed, and neither what was changed."""

import subprocess
from pathlib import Path

import pytest

from pipeline.errors import BundleError
from pipeline.runtime import signature
from tests.support import ROOT
from tests.support.signing import Keys
from tests.support.signing import bundle as bundle
from tests.support.signing import keys as keys

TOOL = ROOT / ".venv-release/bin/model_signing"


def sign(bundle: Path, keys: Keys) -> None:
    command = [
        str(TOOL),
        "sign",
        "key",
        str(bundle),
        "--private_key",
        str(keys.private),
        "--signature",
        f"{bundle}.sig",
    ]
    subprocess.run(command, check=True, capture_output=True)


def takes(bundle: Path, keys: Keys) -> bool:
    command = [
        str(TOOL),
        "verify",
        "key",
        str(bundle),
        "--public_key",
        str(keys.public),
        "--signature",
        f"{bundle}.sig",
    ]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_what_the_tool_signed_we_take(bundle: Path, keys: Keys) -> None:
    before = bundle.with_name("bundle.sig").read_bytes()
    sign(bundle, keys)
    assert bundle.with_name("bundle.sig").read_bytes() != before
    assert takes(bundle, keys)
    signature.verify(bundle, keys.public)


@pytest.mark.parametrize("what", ["changed", "added", "removed", "another key"])
def test_what_the_tool_refuses_we_refuse(bundle: Path, keys: Keys, tmp_path: Path, what: str) -> None:
    sign(bundle, keys)
    if what == "another key":
        (tmp_path / "other").mkdir()
        keys = Keys(tmp_path / "other")
    elif what == "removed":
        (bundle / "model.onnx").unlink()
    else:
        (bundle / ("model.onnx" if what == "changed" else "more.txt")).write_text("other")
    assert not takes(bundle, keys)
    with pytest.raises(BundleError):
        signature.verify(bundle, keys.public)
