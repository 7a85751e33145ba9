"""Score a Parquet file by the registered champion through MLflow's pyfunc: what `make score` is compared with.

`python bench/score_with_mlflow.py flights IN.parquet OUT.parquet`
"""

import sys

import mlflow
import pandas as pd


def main(model: str, source: str, target: str) -> None:
    frame = pd.read_parquet(source)
    predictions = mlflow.pyfunc.load_model(f"models:/{model}@champion").predict(frame)
    frame.join(predictions).to_parquet(target, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
