"""Was this bundle signed with that key, and is it still what was signed? OpenSSF Model Signing's format, read only.

The signature lies beside the bundle as `<digest>.sig`: a Sigstore bundle with a DSSE envelope over an in-toto statement
that lists every file with its SHA-256. Only key-based signatures are read here (ECDSA on P-256). Light, but for
`cryptography`, which is an extra: requirements/signed.txt.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import BundleError, ConfigError, PipelineError
from pipeline.runtime import bundle_store

PAYLOAD = "application/vnd.in-toto+json"
PREDICATE = "https://model_signing/signature/v1.0"


def verify(folder: Path, key: Path) -> None:
    """Raises BundleError where the bundle is not signed by the key, or is not what was signed; ConfigError where the
    key cannot be read.
    """
    place = folder.parent / f"{folder.name}.sig"
    try:
        envelope = json.loads(place.read_bytes())["dsseEnvelope"]
        payload, signature = (base64.b64decode(part, validate=True) for part in (
            envelope["payload"], envelope["signatures"][0]["sig"],
        ))  # fmt: skip
        kind = str(envelope["payloadType"])
    except FileNotFoundError:
        raise BundleError(f"{folder}: is not signed: there is no {place}") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BundleError(f"{place}: cannot be read as a signature: {type(error).__name__}") from None
    if not signed_by(key, b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload), signature):
        raise BundleError(f"{place}: is no signature by the key {key}")
    if wrong := file_damage(folder, statement(place, kind, payload)):
        raise BundleError(f"{folder}: {wrong} since it was signed")


def signed_by(key: Path, message: bytes, signature: bytes) -> bool:
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
    """The SHA-256 of every signed file by its name."""
    try:
        said: dict[str, Any] = json.loads(payload)
        resources = said["predicate"]["resources"]
        sums = {str(part["name"]): str(part["digest"]) for part in resources if part["algorithm"] == "sha256"}
        complete = kind == PAYLOAD and said["predicateType"] == PREDICATE and len(sums) == len(resources)
    except (ValueError, LookupError, TypeError):
        complete = False
    if not complete:
        raise BundleError(f"{place}: signs something else than a model's files")
    return sums


def file_damage(folder: Path, sums: dict[str, str]) -> str | None:
    """What is wrong with the files, or None."""
    if outside := sorted(name for name in sums if Path(name).name != name or name == ".."):
        return f"{outside[0]} leaves the folder: nothing of it can be trusted"
    there = {path.name for path in folder.iterdir()}
    if added := sorted(there - set(sums)):
        return f"{added[0]} was added"
    if gone := sorted(set(sums) - there):
        return f"{gone[0]} was removed"
    changed = [name for name, digest in sums.items() if bundle_store.sha256((folder / name).read_bytes()) != digest]
    return f"{sorted(changed)[0]} was changed" if changed else None


def main(place: str, key: str) -> None:
    """`python -m pipeline.runtime.signature PLACE KEY`: a bundle, or the champion of a store."""
    try:
        folder = bundle_store.resolve(Path(place))
        verify(folder, Path(key))
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{folder} is what was signed by {key}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
