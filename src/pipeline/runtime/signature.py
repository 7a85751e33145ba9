"""Verify a bundle's signature in the format of OpenSSF Model Signing: the right key, and unchanged files.

The signature is the file `<digest>.sig` beside the bundle: a Sigstore bundle with a DSSE envelope over an in-toto
statement, which lists every file with its SHA-256. Only key-based signatures (ECDSA on P-256) are supported, and this
module never signs. It needs `cryptography`, which is an optional requirement: requirements/signed.txt.
"""

import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BundleError, ConfigError, PipelineError
from pipeline.runtime import bundle_store, regular_file

PAYLOAD = "application/vnd.in-toto+json"
PREDICATE = "https://model_signing/signature/v1.0"
MAX_BYTES = 2**20  # of a signature; one of ours has a few kilobytes


def verify(folder: Path, key: Path, files: Mapping[str, bytes] | None = None) -> None:
    """Verify that the key signed the bundle and that no file has changed since.

    `files` has the content of its files by name, if they have been read already.

    Raises BundleError where the signature is missing, unreadable or by another key, or where a file was changed, added
    or removed. Raises ConfigError where the key cannot be read or `cryptography` is not installed.
    """
    place = folder.parent / f"{folder.name}.sig"
    try:
        envelope = json.loads(regular_file.read(place, MAX_BYTES))["dsseEnvelope"]
        encoded_payload = envelope["payload"]
        encoded_signature = envelope["signatures"][0]["sig"]
        payload = base64.b64decode(encoded_payload, validate=True)
        signature = base64.b64decode(encoded_signature, validate=True)
        kind = str(envelope["payloadType"])
    except FileNotFoundError:
        raise BundleError(f"{folder}: is not signed: there is no {place}") from None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise BundleError(f"{place}: cannot be read as a signature: {type(error).__name__}") from None

    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    if not signed_by(key, message, signature):
        raise BundleError(f"{place}: is no signature by the key {key}")
    if damage := file_damage(folder, files, statement(place, kind, payload)):
        raise BundleError(f"{folder}: {damage} since it was signed")


def signed_by(key: Path, message: bytes, signature: bytes) -> bool:
    """Whether the signature of the message is by this public key (PEM).

    Raises ConfigError where the key cannot be read or is not on an elliptic curve, or `cryptography` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError:
        raise ConfigError("signatures need `cryptography`: install requirements/signed.txt") from None

    try:
        public = serialization.load_pem_public_key(key.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: cannot be read as a public key: {error}") from None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ConfigError(
            f"{key}: is no key on an elliptic curve; make one with `openssl ecparam -name prime256v1 -genkey`"
        )

    try:
        public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def statement(place: Path, kind: str, payload: bytes) -> dict[str, str]:
    """Return the SHA-256 of every signed file by its name.

    Raises BundleError where the payload is not a complete Model Signing statement with SHA-256 hashes.
    """
    try:
        stated: dict[str, Any] = json.loads(payload)
        resources = stated["predicate"]["resources"]
        sums = {str(part["name"]): str(part["digest"]) for part in resources if part["algorithm"] == "sha256"}
        complete = kind == PAYLOAD and stated["predicateType"] == PREDICATE and len(sums) == len(resources)
    except (ValueError, LookupError, TypeError, RecursionError):
        complete = False

    if not complete:
        raise BundleError(f"{place}: signs something else than a model's files")
    return sums


def file_damage(folder: Path, files: Mapping[str, bytes] | None, sums: Mapping[str, str]) -> str | None:
    """Describe the first difference between the bundle's files and the signed ones, or return None."""
    if outside := sorted(name for name in sums if Path(name).name != name or name == ".."):
        return f"{outside[0]} leaves the folder: nothing of it can be trusted"

    there = set(os.listdir(folder)) if files is None else set(files)
    if added := sorted(there - set(sums)):
        return f"{added[0]} was added"
    if removed := sorted(set(sums) - there):
        return f"{removed[0]} was removed"

    for name, digest in sorted(sums.items()):
        try:
            content = bundle_store.read_part(folder, name) if files is None else files[name]
        except ValueError as fault:
            return f"{fault}: it was changed"
        if bundle_store.sha256(content) != digest:
            return f"{name} was changed"
    return None


def main(place: str, key: str) -> None:
    """Run `python -m pipeline.runtime.signature PLACE KEY`, where PLACE is a bundle or a store with a champion.

    Ends with the error's exit code where the signature is not valid.
    """
    try:
        folder = bundle_store.resolve(Path(place))
        verify(folder, Path(key))
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{folder} is what was signed by {key}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
