"""`make required`: fails unless every job in RESULTS succeeded. A job that was skipped did not."""

import os
import sys

results = os.environ.get("RESULTS", "").split()
if not results or set(results) != {"success"}:
    sys.exit(f"error: not every job succeeded: {' '.join(results) or 'RESULTS is empty'}")
print(f"all {len(results)} jobs succeeded")
