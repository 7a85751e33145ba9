"""Every way in which a bundle can be another than the signed one. tests/system/signing asks OpenSSF's own tool as well."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from pipeline.errors import BundleError, ConfigError
from pipeline.runtime import bundle_store, signature
from tests.support.parcels import Parcels
from tests.support.server import other_bundle, serving, started, wait_for
from tests.support.signing import Keys, forged
from tests.support.signing import bundle as bundle
from tests.support.signing import keys as keys


def test_what_was_signed_is_recognised(bundle: Path, keys: Keys) -> None:
    signature.verify(bundle, keys.public)


def test_a_bundle_without_a_signature_is_not_signed(bundle: Path, keys: Keys) -> None:
    bundle.with_name("bundle.sig").unlink()
    with pytest.raises(BundleError, match="is not signed: there is no"):
        signature.verify(bundle, keys.public)


def test_another_keys_signature_is_none(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(BundleError, match="is no signature by the key"):
        signature.verify(bundle, Keys(tmp_path / "other").public)


@pytest.mark.parametrize("what", ["changed", "added", "removed"])
def test_a_file_that_is_not_what_was_signed_is_named(bundle: Path, keys: Keys, what: str) -> None:
    if what == "removed":
        (bundle / "model.onnx").unlink()
    else:
        (bundle / ("model.onnx" if what == "changed" else "more.txt")).write_text("other")
    with pytest.raises(BundleError, match=rf"(model.onnx|more.txt) was {what} since it was signed"):
        signature.verify(bundle, keys.public)


def stated(names: list[str], **changes: str) -> dict[str, Any]:
    part = {"algorithm": "sha256", "digest": "0" * 64, **changes}
    return {
        "predicateType": signature.PREDICATE,
        "predicate": {"resources": [{**part, "name": name} for name in names]},
    }


@pytest.mark.parametrize("name", ["../bundle.sig", "/etc/passwd", "a/b", ".."])
def test_a_name_that_leaves_the_folder_is_refused(bundle: Path, keys: Keys, name: str) -> None:
    forged(bundle, keys, stated([name]))
    with pytest.raises(BundleError, match="leaves the folder"):
        signature.verify(bundle, keys.public)


@pytest.mark.parametrize(
    "statement",
    [
        [],
        {"predicateType": "https://slsa.dev/provenance/v1", "predicate": stated([])["predicate"]},
        stated(["a", "a"]),
        stated(["a"], algorithm="blake2b"),
        {"predicateType": signature.PREDICATE, "predicate": 3},
    ],
)
def test_a_signature_of_something_else_is_refused(bundle: Path, keys: Keys, statement: Any) -> None:
    forged(bundle, keys, statement)
    with pytest.raises(BundleError, match="signs something else than a model's files"):
        signature.verify(bundle, keys.public)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"dsseEnvelope": {"payload": "%", "signatures": [{"sig": ""}]}}'])
def test_a_file_that_is_no_signature_is_told_so(bundle: Path, keys: Keys, content: str) -> None:
    bundle.with_name("bundle.sig").write_text(content)
    with pytest.raises(BundleError, match="cannot be read as a signature"):
        signature.verify(bundle, keys.public)


def test_a_key_that_is_none_or_of_another_kind_is_told_so(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no key")
    with pytest.raises(ConfigError, match="cannot be read as a public key"):
        signature.verify(bundle, tmp_path / "no.pem")
    (tmp_path / "ed").mkdir()
    with pytest.raises(ConfigError, match="is no key on an elliptic curve"):
        signature.verify(bundle, Keys(tmp_path / "ed", ed25519.Ed25519PrivateKey.generate()).public)


def test_without_the_extra_it_says_what_to_install(bundle: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigError, match="install requirements/signed.txt"):
        signature.verify(bundle, keys.public)


def test_a_server_with_a_key_takes_on_nothing_but_what_is_signed(parcels: Parcels, tmp_path: Path, keys: Keys) -> None:
    """It serves what is signed."""
    place = Path(shutil.copytree(parcels.store, tmp_path / "store"))
    key = {"MODEL_PUBLIC_KEY": str(keys.public)}
    refused = started(place, **key)
    assert refused.returncode == 3
    assert "is not signed" in refused.stderr
    champion = bundle_store.resolve(place)
    keys.sign(champion)
    with serving(place, RELOAD_SECONDS="0.05", **key) as client:
        assert client.get("/readyz").json()["version"] == champion.name
        other = other_bundle(champion, place)
        bundle_store.point(place, other.name)
        wait_for(client, 'model_reloads_total{outcome="refused"} 1.0')
        assert client.get("/readyz").json()["version"] == champion.name
        keys.sign(other)
        bundle_store.point(place, other.name)
        wait_for(client, 'model_reloads_total{outcome="taken"} 1.0')
        assert client.get("/readyz").json()["version"] == other.name


def test_the_command_ends_with_0_or_3(bundle: Path, keys: Keys) -> None:
    command = [sys.executable, "-m", "pipeline.runtime.signature", str(bundle), str(keys.public)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.endswith(
        f"signed by {keys.public}\n"
    )
    (bundle / "model.onnx").write_text("other")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (3, False)
    assert "model.onnx was changed since it was signed" in ended.stderr
