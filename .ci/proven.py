"""python .ci/proven.py STORE DIGEST: ends with 1 where a model that was made elsewhere may not go out.

Its champion has to be the bundle of this digest, which proves itself as when it is served, and every gate passed.
"""

import json
import sys
from pathlib import Path

from pipeline.errors import BundleError
from pipeline.runtime import bundle_store, predictor


def main(store: str, digest: str) -> None:
    bundle = Path(store) / digest
    try:
        champion = bundle_store.champion(Path(store))
        if champion is None or champion.name != digest:
            sys.exit(f"error: the champion there is {champion and champion.name}, and {digest} was chosen")
        predictor.load(bundle)
    except BundleError as error:
        sys.exit(f"error: {error}")

    gates = json.loads((bundle / "record.json").read_bytes())["gates"]
    if refused := [gate["gate"] for gate in gates if not gate["passed"]]:
        sys.exit(f"error: {digest} did not pass {len(refused)} of its {len(gates)} gates: {', '.join(refused)}")
    if not gates:
        sys.exit(f"error: {digest} has no gates that it passed")


if __name__ == "__main__":
    main(*sys.argv[1:])
