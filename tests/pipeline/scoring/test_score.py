"""`make score`: the same answers as the server, what is rejected, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.runtime.dataset import DataFile
from pipeline.scoring import score
from pipeline.scoring.files import read_parquet
from tests.support import ROOT
from tests.support.command import Command, Ended
from tests.support.parcels import CONFIG, Parcels, settings
from tests.support.penguins import Penguins
from tests.support.penguins import overrides as of_penguins

SENT = ["carrier", "depot", "city", "sent", "weight", "distance", "temp"]


def words(parcels: Parcels, source: object, target: object, *more: str) -> list[str]:
    overrides = [word for override in settings(parcels.folder) for word in ("--set", override)]
    return ["score", str(CONFIG), *overrides, "--in", str(source), "--out", str(target), *more]


@pytest.fixture
def rows(parcels: Parcels) -> pd.DataFrame:
    """Three hundred rows as a caller has them; one distance in ten is missing."""
    frame = pd.read_csv(parcels.config.data.path, nrows=300)[SENT]
    frame["sent"] = frame["sent"].str.replace(" ", "T")
    frame["temp"] = frame["temp"].clip(upper=100)
    frame.loc[::10, "distance"] = None
    return frame


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.name.endswith(".parquet"):
        frame.to_parquet(path, index=False)
    elif path.name.endswith(".jsonl"):
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    return path


def read(path: Path) -> pd.DataFrame:
    if path.name.endswith(".parquet"):
        return pd.read_parquet(path)
    return pd.read_json(path, lines=True, precise_float=True) if path.name.endswith(".jsonl") else pd.read_csv(path)


def answers(server: httpx2.Client, frame: pd.DataFrame) -> list[float]:
    instances = json.loads(frame.to_json(orient="records"))
    response = server.post("/v1/models/parcels:predict", json={"instances": instances})
    assert response.status_code == 200, response.text
    return [row["probability"] for row in response.json()["predictions"]]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.jsonl"])
def test_the_answers_are_the_servers_and_the_columns_stay(
    parcels: Parcels, rows: pd.DataFrame, server: httpx2.Client, command: Command, tmp_path: Path, name: str
) -> None:
    source, target = write(rows.assign(id=range(300)), tmp_path / name), tmp_path / f"scored-{name}"
    ended = command(*words(parcels, source, target))
    assert (ended.code, ended.stderr) == (0, "")
    assert f"300 rows scored: {target}" in ended.stdout
    scored = read(target)
    assert list(scored) == [*SENT, "id", "probability", "label"]
    assert scored["id"].tolist() == list(range(300))
    assert scored["probability"].tolist() == answers(server, rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, target.name])


def test_times_of_parquet_are_those_of_text(
    parcels: Parcels, rows: pd.DataFrame, server: httpx2.Client, command: Command, tmp_path: Path
) -> None:
    source = write(rows.assign(sent=pd.to_datetime(rows["sent"])), tmp_path / "rows.parquet")
    assert command(*words(parcels, source, tmp_path / "out.parquet")).code == 0
    assert read(tmp_path / "out.parquet")["probability"].tolist() == answers(server, rows)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl"])
def test_rows_that_break_the_contract_go_to_a_file_with_their_reason(
    parcels: Parcels, rows: pd.DataFrame, command: Command, tmp_path: Path, name: str
) -> None:
    """The others are scored, and the exit code tells."""
    broken = rows.astype({"sent": object})
    broken.loc[3, "weight"] = 5000
    broken.loc[4, "sent"] = "2013-02-30T10:00"
    broken.loc[[4, 7], "carrier"] = [None, "much too long"]
    source, target = write(broken, tmp_path / name), tmp_path / f"scored-{name}"
    ended = command(*words(parcels, source, target))
    assert ended.code == 6
    assert "297 rows scored" in ended.stdout
    assert "3 rows break the contract" in ended.stdout
    assert len(read(target)) == 297
    lines = (tmp_path / f"scored-{name}.rejected.jsonl").read_text().splitlines()
    rejected = [json.loads(line) for line in lines]
    assert [row["row"] for row in rejected] == [4, 5, 8]
    assert rejected[0]["reason"].startswith("weight: Input should be less than or equal to 1000; found '5000")
    assert "carrier: is missing" in rejected[1]["reason"]
    assert "sent: Value error, Should be a date and time that exists" in rejected[1]["reason"]
    assert rejected[2]["reason"].startswith("carrier: ")
    assert str(rejected[2]["carrier"]) == "much too long"


def test_small_and_large_row_groups_are_read_in_chunks_of_some_size(tmp_path: Path) -> None:
    """Small ones together, large ones in pieces; no row is lost and none comes twice."""
    path = tmp_path / "rows.parquet"
    with pq.ParquetWriter(path, pa.schema({"id": pa.int64()})) as writer:
        for first, count in ((0, 3), (3, 4), (7, 30), (37, 2)):
            writer.write_table(pa.table({"id": range(first, first + count)}))
    chunks = [chunk["id"].to_pylist() for chunk in read_parquet(path, DataFile(), 10)]
    assert [number for chunk in chunks for number in chunk] == list(range(39))
    assert max(map(len, chunks)) == 10
    assert len(chunks) <= 5


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.jsonl"])
def test_a_file_without_rows_becomes_one(
    parcels: Parcels, rows: pd.DataFrame, command: Command, tmp_path: Path, name: str
) -> None:
    """A day on which nothing happens is no error."""
    ended = command(*words(parcels, write(rows[:0], tmp_path / name), tmp_path / f"out-{name}"))
    assert (ended.code, "0 rows scored" in ended.stdout) == (0, True)
    if not name.endswith("jsonl"):
        assert list(read(tmp_path / f"out-{name}")) == [*SENT, "probability", "label"]


def test_a_folder_becomes_a_folder_and_a_glob_too(
    parcels: Parcels, rows: pd.DataFrame, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    write(rows[:100], tmp_path / "in/a.csv")
    write(rows[100:], tmp_path / "in/b.parquet")
    assert "300 rows scored" in command(*words(parcels, tmp_path / "in", tmp_path / "out")).stdout
    assert [len(read(tmp_path / "out" / name)) for name in ("a.csv", "b.parquet")] == [100, 200]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.csv", "b.parquet"]
    assert "100 rows scored" in command(*words(parcels, tmp_path / "in/*.csv", tmp_path / "csv")).stdout
    assert os.listdir(tmp_path / "csv") == ["a.csv"]


def test_reasons_are_the_servers_strongest(
    parcels: Parcels, rows: pd.DataFrame, server: httpx2.Client, command: Command, tmp_path: Path
) -> None:
    source = write(rows[:2], tmp_path / "rows.jsonl")
    assert command(*words(parcels, source, tmp_path / "out.jsonl", "--explain")).code == 0
    scored = read(tmp_path / "out.jsonl")
    for number in range(2):
        row = json.loads(rows.iloc[[number]].to_json(orient="records"))[0]
        contributions = server.post("/explain", json=row).json()["contributions"]
        for place, expected in enumerate(contributions[:3], 1):
            field, value = scored[f"reason_{place}"][number].split()
            assert field == expected["field"]
            assert float(value) == pytest.approx(expected["contribution"], rel=1e-3)


def test_several_classes_have_a_probability_each(penguins: Penguins, command: Command, tmp_path: Path) -> None:
    source, target = ROOT / "data/penguins.csv", tmp_path / "out.csv"
    flags = ["--in", str(source), "--out", str(target)]
    ended = command("score", str(ROOT / "configs/penguins.yaml"), *of_penguins(penguins.folder), *flags)
    assert ended.code == 0, ended.stderr + ended.stdout
    scored = pd.read_csv(target)
    probabilities = scored.filter(like="probability_")
    assert probabilities.sum(axis=1).round(5).eq(1).all()
    assert (probabilities.idxmax(axis=1) == "probability_" + scored["label"]).all()


def test_another_bundle_is_named_by_its_digest_or_its_alias(
    parcels: Parcels, rows: pd.DataFrame, command: Command, tmp_path: Path
) -> None:
    source = write(rows, tmp_path / "rows.csv")
    for name, bundle in (("digest", parcels.bundle.name), ("alias", "models:/parcels@champion")):
        ended = command(*words(parcels, source, tmp_path / f"{name}.csv", "--bundle", bundle))
        assert ended.code == 0, ended.stderr
    assert (tmp_path / "digest.csv").read_bytes() == (tmp_path / "alias.csv").read_bytes()


@pytest.mark.parametrize(
    ("source", "target", "more", "says"),
    [
        ("none.csv", "out.csv", [], "none.csv: there is no such file"),
        ("rows.csv", "taken.csv", [], "taken.csv: exists already"),
        ("rows.csv", "out.parquet", [], "has another format than"),
        ("rows.xlsx", "out.xlsx", [], "should end with .csv, .parquet, .jsonl"),
        ("rows.csv", "out.csv", ["--bundle", "0" * 16], "has no bundle 0000000000000000"),
        ("rows.csv", "out.csv", ["--bundle", "models:/parcels@nobody"], "MLflow has no such version"),
        ("narrow.csv", "out.csv", [], "has no column depot, which every row needs; it has carrier"),
        ("twice.csv", "out.csv", [], "has the column 'city' twice"),
        ("long.csv", "out.csv", [], "long.csv: cannot be read: rows have more values than the first line has names"),
        ("longer.csv", "out.csv", [], "longer.csv: cannot be read: Error tokenizing data"),
        ("empty.csv", "out.csv", [], "empty.csv: cannot be read: No columns to parse from file"),
        ("lines.jsonl", "out.jsonl", [], "lines.jsonl: line 2 is no JSON"),
        ("noise.parquet", "out.parquet", [], "noise.parquet: cannot be read"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line_and_leaves_nothing(
    parcels: Parcels, rows: pd.DataFrame, command: Command, tmp_path: Path,
    source: str, target: str, more: list[str], says: str,
) -> None:  # fmt: skip
    write(rows, tmp_path / "rows.csv")
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    (tmp_path / "taken.csv").write_text("mine")
    write(rows[["carrier"]], tmp_path / "narrow.csv")
    (tmp_path / "empty.csv").write_text("")
    text = write(rows, tmp_path / "rows.csv").read_text()
    (tmp_path / "twice.csv").write_text(text.replace("depot,", "city,", 1))
    (tmp_path / "long.csv").write_text(text.replace("\n", ",\n").replace("temp,", "temp"))
    (tmp_path / "longer.csv").write_text(text + "1,2,3,4,5,6,7,8,9\n")
    (tmp_path / "lines.jsonl").write_text('{"carrier": "B6"}\n{"carrier"\n')
    (tmp_path / "noise.parquet").write_bytes(b"PAR1 and noise")
    before = sorted(os.listdir(tmp_path))
    ended = command(*words(parcels, tmp_path / source, tmp_path / target, *more))
    assert ended.code in (2, 3)
    assert ended.stderr.startswith("error: ")
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == before


def test_a_place_that_another_scoring_works_on_is_refused(
    parcels: Parcels, rows: pd.DataFrame, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left alone, and the other one ends well."""
    source, target = write(rows, tmp_path / "rows.csv"), tmp_path / "out.csv"
    honest = score.score_file
    ended: list[Ended] = []

    def score_file(*arguments: object, **more: object) -> object:
        monkeypatch.setattr(score, "score_file", honest)
        ended.append(command(*words(parcels, source, target)))
        return honest(*arguments, **more)

    monkeypatch.setattr(score, "score_file", score_file)
    assert command(*words(parcels, source, target)).code == 0
    assert ended[0].code == 2
    assert "another scoring is at work on it" in ended[0].stderr
    assert len(read(target)) == 300


def test_after_a_kill_it_goes_on_where_it_was(parcels: Parcels, rows: pd.DataFrame, tmp_path: Path) -> None:
    """Until the end nothing is seen; another scoring into the same place is refused; the result is the same."""
    many = pd.concat([rows] * 1000, ignore_index=True)
    source, target, work = write(many, tmp_path / "rows.csv"), tmp_path / "out.csv", tmp_path / ".out.csv.unfinished"
    command = [sys.executable, "-m", "pipeline", *words(parcels, source, target)]
    with subprocess.Popen([*command, "--set", "train.workers=1"], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while not list(work.glob("000000/*.json")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    (first,) = {path.stat().st_mtime_ns for path in work.glob("000000/000000.json")}

    ended = subprocess.run([*command, "--explain"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, target.exists()) == (2, False)
    assert "is of another scoring that did not end" in ended.stderr
    assert (work / "000000/000000.json").stat().st_mtime_ns == first

    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert not work.exists()
    whole = [*command[:-1], str(tmp_path / "whole.csv")]
    subprocess.run(whole, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert target.read_bytes() == (tmp_path / "whole.csv").read_bytes()
