"""What a worker process is asked; in a module that a worker can import, with scikit-learn, which loads OpenMP."""

import sklearn.ensemble  # noqa: F401 -- reason: see above
from threadpoolctl import threadpool_info


def threads() -> set[int]:
    """How many threads OpenMP and BLAS may use."""
    return {pool["num_threads"] for pool in threadpool_info()}
