"""What the weekly and monthly workflows say, one issue, and one pull request; and what is published where it can be."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.project.conftest import Script
from tests.support import ROOT

CALL = re.compile(r'(?:\.ci|\$0"\))/([\w-]+)')
GH = 'case "$*" in "api "*) echo {issues} ;; "issue list "*) echo {open} ;; esac'


@pytest.mark.parametrize(
    ("results", "issues", "open_issue", "does"),
    [
        (["success", "failure"], "true", "", "issue create"),
        (["success", "failure"], "true", "12", "issue edit 12"),
        (["success", "success"], "true", "12", "issue close 12"),
        (["success", "success"], "true", "", ""),
        (["success", "failure"], "false", "", ""),
    ],
)
def test_what_the_weekly_jobs_find_is_one_issue(
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    results: list[str],
    issues: str,
    open_issue: str,
    does: str,
) -> None:
    """It is opened, updated, and closed by the first week that finds nothing; a fork may have no issues."""
    needs = {name: {"result": result} for name, result in zip(["newest", "macos"], results, strict=True)}
    monkeypatch.setenv("NEEDS", json.dumps(needs))
    ended = script("weekly-issue", GH.format(issues=issues, open=open_issue))
    assert ended.returncode == 0, ended.stderr
    changes = [
        line for line in (tmp_path / "said").read_text().splitlines() if " issue " in line and " list " not in line
    ]
    assert [line.startswith(f"gh {does}") for line in changes] == ([True] if does else [])
    if "failure" in results and issues == "true":
        text = (tmp_path / "weekly.md").read_text()
        assert text == "Failed: macos. The logs: https://github.example/me/mine/actions/runs/17\n"


def test_newer_locks_become_one_pull_request(script: Script, tmp_path: Path) -> None:
    """With the packages that changed; none is opened where none did."""
    git = tmp_path / "bin/git"
    git.unlink()
    run = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(tmp_path)]
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements/dev.txt"
    lock.write_text("numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa\npandas==3.0.1 \\\n")
    for words in (["init", "--quiet"], ["add", "requirements"], ["commit", "--quiet", "--message", "locks"]):
        subprocess.run([*run, *words], check=True)
    assert script("propose-locks", "").stdout == "no newer versions\n"
    assert not (tmp_path / "said").exists()

    lock.write_text(lock.read_text().replace("2.4.6", "2.4.7").replace("sha256:aa", "sha256:bb"))
    pushes = tmp_path / "bin/git"
    real = subprocess.check_output(["bash", "-c", "command -v git"], text=True).strip()
    pushes.write_text(f'#!/usr/bin/env bash\n[ "$1" = push ] && echo "git $*" >>said || exec {real} "$@"\n')
    pushes.chmod(0o755)
    ended = script("propose-locks", "")
    assert ended.returncode == 0, ended.stderr
    asked = (tmp_path / "said").read_text()
    assert "git push --force https://github.example/me/mine locks" in asked
    assert "gh pr create --repo me/mine --head locks" in asked
    assert "```diff\n- numpy==2.4.6\n+ numpy==2.4.7\n```\n" in (tmp_path / "proposal.md").read_text()


@pytest.mark.parametrize(("pulls", "name"), [("exit 0", "name=ghcr.io/me/mine:latest\n"), ("exit 1", "")])
def test_an_image_that_is_not_published_yet_is_not_scanned(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulls: str, name: str
) -> None:
    (tmp_path / "bin/docker").write_text(f"#!/usr/bin/env bash\n{pulls}\n")
    (tmp_path / "bin/docker").chmod(0o755)
    (tmp_path / "output").touch()
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("REGISTRY_IMAGE", "ghcr.io/Me/Mine")
    assert script("published-image", "").returncode == 0
    assert (tmp_path / "output").read_text() == name


@pytest.mark.parametrize(
    ("gh", "code", "output"),
    [
        ("echo workflow", 0, "ready=true\n"),
        ("echo legacy", 0, "ready=false\n"),
        ("echo '{}'; echo 'gh: Not Found (HTTP 404)' >&2; exit 1", 0, "ready=false\n"),
        ("echo 'gh: Resource not accessible by integration (HTTP 403)' >&2; exit 1", 1, ""),
    ],
    ids=["on", "from-a-branch", "off", "not-permitted"],
)
def test_the_site_is_published_where_pages_is_switched_on(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gh: str, code: int, output: str
) -> None:
    """A fork has it switched off: its run is green and says what to do."""
    (tmp_path / "output").touch()
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    ended = script("pages", gh)
    assert (ended.returncode, (tmp_path / "output").read_text()) == (code, output)
    assert ("Settings, Pages, Source: GitHub Actions" in ended.stdout) == (output == "ready=false\n")
    assert ("HTTP 403" in ended.stderr) == bool(code)


@pytest.mark.parametrize(("newest", "tags"), [("abc", ["abc", "latest"]), ("def", ["abc"])])
def test_latest_is_never_older_than_main(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: str, tags: list[str]
) -> None:
    """Of two runs of main the older may end last."""
    docker = 'echo "$*" >>pushed; [ "$1 $2" != "image inspect" ] || echo ghcr.io/me/mine@sha256:12'
    (tmp_path / "bin/docker").write_text(f"#!/usr/bin/env bash\n{docker}\n")
    (tmp_path / "bin/docker").chmod(0o755)
    for name, value in (
        ("GITHUB_SHA", "abc"),
        ("REGISTRY_IMAGE", "ghcr.io/Me/Mine"),
        ("GITHUB_OUTPUT", str(tmp_path / "output")),
    ):
        monkeypatch.setenv(name, value)
    ended = script("push", f"echo {newest}")
    assert ended.returncode == 0, ended.stderr
    pushed = [line for line in (tmp_path / "pushed").read_text().splitlines() if line.startswith("push ")]
    assert pushed == [f"push ghcr.io/me/mine:{tag}" for tag in tags]
    assert (tmp_path / "output").read_text() == "name=ghcr.io/me/mine\ndigest=sha256:12\n"


VERIFIES = "--signer-workflow me/mine/.github/workflows/ci.yml --source-ref refs/heads/main --source-digest abc"


@pytest.mark.parametrize(
    ("private", "code", "message"), [("true", 0, "a private repository has no attestations"), ("false", 1, VERIFIES)]
)
def test_a_release_verifies_who_built_the_image(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: str, code: int, message: str
) -> None:
    """By workflow, branch and commit; an image of anybody else ends the release before it has its tag."""
    docker = 'echo "$*" >>pushed; [ "$1 $2" != "image inspect" ] || echo ghcr.io/me/mine@sha256:12'
    (tmp_path / "bin/docker").write_text(f"#!/usr/bin/env bash\n{docker}\n")
    (tmp_path / "bin/docker").chmod(0o755)
    (tmp_path / "said").touch()
    values = {"GITHUB_SHA": "abc", "GITHUB_REF_NAME": "v1", "REGISTRY_IMAGE": "ghcr.io/Me/Mine", "PRIVATE": private}
    for name, value in {**values, "GITHUB_OUTPUT": str(tmp_path / "output")}.items():
        monkeypatch.setenv(name, value)
    ended = script("retag", "exit 1")
    assert ended.returncode == code, ended.stderr
    assert message in ended.stdout + (tmp_path / "said").read_text()
    assert (tmp_path / "pushed").exists() == (code == 0)


def test_no_script_is_left_that_nothing_calls() -> None:
    """Workflows and the Makefile call scripts as `.ci/name`, scripts each other by their own folder."""
    scripts = {
        path for path in (ROOT / ".ci").iterdir() if path.is_file() and not path.suffix and os.access(path, os.X_OK)
    }
    callers = [*(ROOT / ".github/workflows").glob("*.yml"), ROOT / "Makefile", *scripts]
    called = {name for path in callers for name in CALL.findall(path.read_text())}
    assert {path.name for path in scripts} - called == {"run"}
