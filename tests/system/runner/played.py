"""A workflow, played on machines of this machine: what each step prints, how long it takes, and how each job ends."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import ROOT
from tests.system.runner import actions
from tests.system.runner.expressions import as_text
from tests.system.runner.machine import IMAGE, NETWORK, OURS, Machine, build_image, docker, pythons_here
from tests.system.runner.workflow import NOT_PLAYED, Event, Leg, is_here, read, run, starts

SET_UP = ("actions/checkout", "actions/setup-python", ".ci/uv")  # of a job's machine
LEAST = 3  # seconds of a step that the table of minutes has
LAST = 20  # lines of a failed leg that a test shows
ELSEWHERE = {
    "make audit": ("the database of known vulnerabilities is on the network", "true"),
    "make lock UPGRADE=1": (
        "what is newest is on the network",
        "sed --in-place '0,/^\\([a-z0-9-]*\\)==[0-9.]*/s//\\1==99.0/' requirements/dev.txt",
    ),
    ".ci/sign-keyless": (
        "who signs without a key shows a token of GitHub to sigstore.dev",
        'store=models/$(.ci/model) && touch "$store/$(cat "$store/champion").sig"',
    ),
}  # by command: why it is not played, and what stands in its place


@dataclass
class GitHub:
    """One repository: its commits, the artifacts and registry that its runs share, and what `gh` answers."""

    folder: Path
    machines: int = int(os.environ.get("MACHINES", "2"))  # that run side by side; 1 to measure minutes
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    not_played: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def push(self, repository: str, source: Path) -> str:
        """Push what is committed in `source` to main of a repository, and return the commit."""
        bare = self.folder / "github" / repository
        if not bare.exists():
            subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", bare], check=True)
            subprocess.run(["git", "-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
        subprocess.run(["git", "-C", source, "push", "--quiet", "--force", bare, "HEAD:refs/heads/main"], check=True)
        subprocess.run(["chmod", "-R", "a+rwX", bare], check=True)
        return subprocess.check_output(["git", "-C", source, "rev-parse", "HEAD"], text=True).strip()

    def play(
        self,
        path: Path,
        event: Event,
        sha: str,
        scenario: list[dict[str, Any]],
        only: set[str] | None = None,
        models: Path | None = None,
        others: Mapping[str, str] = {},
    ) -> dict[str, str]:
        """Play the workflow for an event: the result of each job. `gh` answers what the scenario has.

        Jobs that `only` does not name end as `others` has it, or successfully; then `models` are what the job `train`
        has made.
        """
        workflow = read(path)
        assert starts(workflow, event), f"{path.name} does not start on {event.name} of {event.ref}"
        (self.folder / "gh/scenario.json").write_text(json.dumps(scenario))
        (self.folder / "gh/calls").write_text("")
        (self.folder / "gh/refused").write_text("")
        (self.folder / "gh/body").write_text("")
        for name in ("calls", "refused", "body"):
            (self.folder / "gh" / name).chmod(0o666)
        for name in ("artifacts", "logs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        (self.folder / "artifacts").chmod(0o777)
        if models:
            shutil.copytree(models, self.folder / "artifacts/models")
        self.seconds.clear()
        self.failed.clear()
        return run(workflow, event, sha, self.play_leg, only, others, self.machines)

    def minutes(self) -> str:
        """A table of what was played last: the minutes of each step of each leg."""
        lines = ["| job | step | minutes |", "|---|---|---|"]
        for (leg, command), seconds in self.seconds.items():
            if seconds >= LEAST:
                lines.append(f"| {leg} | `{command}` | {seconds / 60:.1f} |")
        lines.append(f"| all | | {sum(self.seconds.values()) / 60:.1f} |")
        return "\n".join([*lines, *(f"\nNot played here: {name}" for name in self.not_played), ""])

    def published(self, repository: str) -> set[str]:
        """The tags of a repository's image in the registry."""
        listed = docker("exec", f"{NETWORK}-ghcr.io", "curl", "--silent", "--user", "octocat:a-token",
                        f"http://localhost/v2/{repository}/tags/list")  # fmt: skip
        return set(json.loads(listed).get("tags", []))

    def refused(self) -> list[str]:
        return (self.folder / "gh/refused").read_text().splitlines()

    def calls(self) -> list[str]:
        return (self.folder / "gh/calls").read_text().splitlines()

    def body(self) -> str:
        """The text of the issue or pull request that `gh` was given last."""
        return (self.folder / "gh/body").read_text(encoding="utf-8")

    def log(self, leg: str) -> str:
        return (self.folder / "logs" / f"{leg}.log").read_text(encoding="utf-8")

    def ends(self) -> str:
        """The last lines of each leg that failed in the last play."""
        logs = {title: self.log(title.replace(" ", "-")).splitlines() for title in self.failed}
        return "".join(f"\n{title} ended with\n" + "\n".join(lines[-LAST:]) for title, lines in logs.items())

    def play_leg(self, leg: Leg) -> str:
        title = leg.title.replace(" ", "-")
        if not is_here(leg.spec):
            self.not_played.append(leg.title)
            return NOT_PLAYED
        machine = Machine(leg.title, self.folder, self.folder / "logs" / f"{title}.log", pythons_here())
        try:
            for step in leg.spec["steps"]:
                if leg.wants(step):
                    self.play_step(machine, leg, step)
            if url := leg.spec.get("environment", {}).get("url"):
                machine.note(f"\n[{leg.title}] its environment is at {leg.text(url)}\n")
        except actions.NotHereError as missing:
            machine.note(f"{leg.title}: not played, as {missing} is not on this machine\n")
            self.not_played.append(leg.title)
            return NOT_PLAYED
        finally:
            machine.remove()
        if leg.failed:
            self.failed.append(leg.title)
        return "failure" if leg.failed else "success"

    def play_step(self, machine: Machine, leg: Leg, step: dict[str, Any]) -> None:
        command = step.get("run", "")
        machine.note(f"\n[{leg.title}] {command or step['uses'].split('@')[0]}\n")
        began = time.monotonic()
        outputs: dict[str, str] = {}
        if command:
            why, command = ELSEWHERE.get(command, ("", command))
            if why:
                machine.note(f"not played: {why}\n")
            code, outputs = machine.step(command, environment_of(leg, step))
        else:
            given = {name: leg.text(as_text(value)) for name, value in step.get("with", {}).items()}
            machine.outputs.clear()
            code = actions.play(machine, leg, step["uses"], given)
            outputs = dict(machine.outputs)
        leg.failed |= code != 0
        leg.steps[step.get("id", "")] = {"outputs": outputs}
        self.seconds[leg.title, command] = time.monotonic() - began
        if code:
            machine.note(f"[{leg.title}] exit code {code}\n")


def environment_of(leg: Leg, step: dict[str, Any]) -> dict[str, str]:
    """The variables of a step: GitHub's own, those of the workflow, of the job and of the step."""
    github = leg.contexts["github"]
    own = {
        "GITHUB_REPOSITORY": github["repository"],
        "GITHUB_SHA": github["sha"],
        "GITHUB_REF": github["ref"],
        "GITHUB_REF_NAME": github["ref_name"],
        "GITHUB_RUN_ID": github["run_id"],
        "GITHUB_EVENT_NAME": github["event_name"],
    }
    stated = {**leg.contexts["env"], **leg.spec.get("env", {}), **step.get("env", {})}
    return {
        **own,
        **{name: leg.text(as_text(value)) for name, value in stated.items()},
        "RUNNER_PERMISSIONS": json.dumps(leg.permissions),
    }


@contextmanager
def hosted(folder: Path) -> Iterator[GitHub]:
    """Machines on a network with a registry that has the base images; an end leaves nothing behind."""
    for name in ("github", "artifacts", "logs", "gh", "pages"):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(0o777)
    folder.chmod(0o755)
    build_image()
    remove_all()
    docker("network", "create", NETWORK)
    try:
        registry("registry", "--publish", "127.0.0.1::5000", "--env", "REGISTRY_HTTP_ADDR=0.0.0.0:5000")
        registry(
            "ghcr.io", *(f"--env=REGISTRY_AUTH_HTPASSWD_{name}" for name in ("REALM=here", "PATH=/etc/registry/users"))
        )
        address = docker("port", f"{NETWORK}-registry", "5000").split()[0]
        for image in bases():
            offer(image, address)
        yield GitHub(folder)
    finally:
        remove_all()


def clone(folder: Path) -> None:
    """Clone what is committed here."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)


def cut(
    folder: Path, workflow: str, name: str, steps: Mapping[str, str], before: str = "", leg: str | None = None
) -> None:
    """Leave of a job the set-up of its machine and some steps: by command or action, with a shorter command or as they are.

    `before` is run before them. A step of them that fails stops no other. Of a matrix the legs are left that have the
    word `leg`.
    """
    path = folder / ".github/workflows" / workflow
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    job = content["jobs"][name]
    named = [(step.get("run") or step["uses"].partition("@")[0], step) for step in job["steps"]]
    if missing := set(steps) - {title for title, _ in named}:
        raise ValueError(f"{workflow}, {name}: there is no step {', '.join(missing)}")

    left = [step for title, step in named if title in SET_UP]
    if before:
        left.append({"run": before})
    for title, step in named:
        if title in steps:
            shorter = {"run": steps[title]} if steps[title] else {}
            left.append({"if": "success() || failure()", **step, **shorter})
    job["steps"] = left

    if leg:
        matrix = job["strategy"]["matrix"]
        job["strategy"]["matrix"] = {axis: [value for value in matrix[axis] if leg in value.split()] for axis in matrix}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def commit(folder: Path) -> None:
    identity = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "a change"], cwd=folder, check=True)


def bases() -> list[str]:
    """The images that Dockerfile and compose.yaml pull, by name."""
    python = re.findall(rf"^FROM (\S+){actions.DIGEST}", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    pulled = [service["image"] for service in services if "build" not in service and "profiles" not in service]
    return python + [re.sub(actions.DIGEST, "", image) for image in pulled]


def offer(image: str, address: str) -> None:
    """Put an image into the registry: this machine's own, or where it can pull none, one of another version."""
    name = image.partition(":")[0]
    here = docker("images", "--format", "{{.Repository}}:{{.Tag}}", name).split()
    if image not in here:
        docker("pull", "--quiet", image, check=not here)
        here = docker("images", "--format", "{{.Repository}}:{{.Tag}}", name).split()
    pushed = f"{address}/{image if '/' in image else f'library/{image}'}"
    docker("tag", image if image in here else here[0], pushed)
    docker("push", "--quiet", pushed)
    docker("rmi", pushed)


def registry(name: str, *options: str) -> None:
    docker("run", "--detach", *OURS, "--network-alias", name, "--name", f"{NETWORK}-{name}", *options,
           IMAGE, "docker-registry", "serve", "/etc/registry/registry.yml")  # fmt: skip


def remove_all() -> None:
    names = docker("ps", "--all", "--filter", f"label={NETWORK}", "--format", "{{.Names}}").split()
    if names:
        docker("rm", "--force", "--volumes", *names)
    docker("network", "rm", NETWORK, check=False)
