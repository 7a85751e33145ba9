"""Keys, and bundles that are signed with them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.runtime import bundle_store, signature


class Keys:
    """A key pair as two PEM files."""

    def __init__(self, folder: Path, private: Any = None) -> None:
        self.made = private or ec.generate_private_key(ec.SECP256R1())
        self.private, self.public = folder / "private.pem", folder / "public.pem"
        pem, plain = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        self.private.write_bytes(
            self.made.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        self.public.write_bytes(self.made.public_key().public_bytes(pem, plain))

    def sign(self, bundle: Path) -> None:
        """As OpenSSF's tool does it."""
        sums = {path.name: bundle_store.sha256(path.read_bytes()) for path in bundle.iterdir()}
        resources = [{"algorithm": "sha256", "name": name, "digest": digest} for name, digest in sums.items()]
        forged(bundle, self, {"predicateType": signature.PREDICATE, "predicate": {"resources": resources}})


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path, keys: Keys) -> Path:
    """Three small files, signed."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("bundle.json", "model.onnx", "record.json"):
        (folder / name).write_text(name)
    keys.sign(folder)
    return folder


def forged(bundle: Path, keys: Keys, statement: Any, kind: str = signature.PAYLOAD) -> None:
    """A statement of our own, properly signed."""
    payload = json.dumps(statement).encode()
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signed = keys.made.sign(message, ec.ECDSA(hashes.SHA256()))
    encoded = [base64.b64encode(part).decode() for part in (payload, signed)]
    envelope = {"payloadType": kind, "payload": encoded[0], "signatures": [{"sig": encoded[1]}]}
    bundle.with_name(f"{bundle.name}.sig").write_text(json.dumps({"dsseEnvelope": envelope}))
