"""What GitHub does with a workflow: jobs by their needs and conditions, legs of a matrix, steps and their outputs.

It reads the file itself, so that what is played is what is written there. What it cannot read is an error.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tests.system.runner.expressions import Functions, evaluate, filled

JOB_KEYS = {
    "name",
    "needs",
    "if",
    "runs-on",
    "timeout-minutes",
    "permissions",
    "strategy",
    "steps",
    "outputs",
    "env",
    "environment",
}
STEP_KEYS = {"name", "id", "if", "run", "uses", "with", "env"}
NOT_PLAYED = "not played"  # a leg that needs what this machine does not have; it does not stop the others
HERE = "ubuntu-24.04"  # the only machine that is emulated


@dataclass(frozen=True)
class Event:
    """What starts a workflow: its name, the ref that is checked out, and what GitHub tells about it."""

    name: str
    ref: str = "refs/heads/main"
    payload: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    repository: str = "octo/project"
    private: bool = False

    def github(self, sha: str) -> dict[str, Any]:
        """The context `github`."""
        event = {"repository": {"private": self.private}, **self.payload}
        return {
            "event_name": self.name,
            "event": event,
            "ref": self.ref,
            "ref_name": self.ref.split("/", 2)[2],
            "sha": sha,
            "repository": self.repository,
            "actor": "octocat",
            "token": "a-token",
            "run_id": "4711",
            "server_url": "https://github.com",
            "workflow": "CI",
        }


@dataclass
class Leg:
    """One run of a job: with the values of its matrix, its permissions, and what its steps have given so far."""

    job: str
    spec: Mapping[str, Any]
    matrix: Mapping[str, str]
    contexts: dict[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: bool = False

    @property
    def permissions(self) -> Mapping[str, str]:
        """What the job's token may do; that of a pull request from a fork may only read."""
        github = self.contexts["github"]
        pull_request = github["event"].get("pull_request")
        granted: Mapping[str, str] = self.spec["permissions"]
        if pull_request and pull_request["head"]["repo"]["full_name"] != github["repository"]:
            return dict.fromkeys(granted, "read")
        return granted

    @property
    def title(self) -> str:
        return f"{self.job} {' '.join(self.matrix.values())}".strip()

    def functions(self) -> Functions:
        return {
            "success": lambda: not self.failed,
            "failure": lambda: self.failed,
            "always": lambda: True,
            "join": join,
            "toJSON": json.dumps,
        }

    @property
    def outputs(self) -> dict[str, str]:
        """What the job hands on to those that need it."""
        return {name: self.text(value) for name, value in self.spec.get("outputs", {}).items()}

    def text(self, value: Any) -> str:
        return filled(str(value), {**self.contexts, "steps": self.steps}, self.functions())

    def wants(self, step: Mapping[str, Any]) -> bool:
        return bool(decided(step.get("if"), {**self.contexts, "steps": self.steps}, self.functions()))


Play = Callable[[Leg], str]  # runs the steps of a leg and returns its result
Played = tuple[str, dict[str, str]]  # the result of a leg, and its outputs


def read(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)  # as which YAML reads this key
    for name, job in workflow["jobs"].items():
        if unknown := set(job) - JOB_KEYS:
            raise ValueError(f"{path.name}, {name}: {', '.join(unknown)} cannot be played")
        for step in job["steps"]:
            if unknown := set(step) - STEP_KEYS:
                raise ValueError(f"{path.name}, {name}: {', '.join(unknown)} of a step cannot be played")
    return workflow


def starts(workflow: Mapping[str, Any], event: Event) -> bool:
    """Whether an event starts a workflow."""
    triggers: Mapping[str, Any] = workflow["on"]
    if event.name not in triggers:
        return False
    only = triggers[event.name] or {}
    if event.name != "push":
        return True
    kind, _, name = event.ref.removeprefix("refs/").partition("/")
    wanted = only.get({"heads": "branches", "tags": "tags"}[kind], [] if only else ["*"])
    return any(Path(name).match(pattern) for pattern in wanted)


def run(
    workflow: Mapping[str, Any],
    event: Event,
    sha: str,
    play: Play,
    only: set[str] | None = None,
    others: Mapping[str, str] = {},
    machines: int = 1,
) -> dict[str, str]:
    """Play a workflow's jobs and return the result of each. Legs run side by side on as many machines as there are.

    Jobs that `only` does not name have the result that `others` gives, or count as successful.
    """
    results: dict[str, str] = {}
    outputs: dict[str, dict[str, str]] = {}
    waiting = dict(workflow["jobs"])
    playing: dict[str, list[Future[Played]]] = {}
    with ThreadPoolExecutor(machines) as pool:
        while waiting or playing:
            for name in [name for name, job in waiting.items() if set(needs_of(job)) <= set(results)]:
                job = waiting.pop(name)
                contexts = contexts_of(workflow, job, event, sha, results, outputs)
                if not decided(job.get("if"), contexts, of_needs([results[need] for need in needs_of(job)])):
                    results[name] = "skipped"
                elif only is not None and name not in only:
                    results[name] = others.get(name, "success")
                else:
                    playing[name] = [pool.submit(played, play, leg) for leg in legs(name, job, contexts)]

            if waiting and not playing and not any(set(needs_of(job)) <= set(results) for job in waiting.values()):
                raise ValueError(f"these jobs wait for each other: {', '.join(waiting)}")
            unfinished = [leg for started in playing.values() for leg in started if not leg.done()]
            wait(unfinished, return_when=FIRST_COMPLETED)
            for name in [name for name, started in playing.items() if all(leg.done() for leg in started)]:
                ended = [leg.result() for leg in playing.pop(name)]
                results[name] = together([result for result, _ in ended])
                outputs[name] = ended[-1][1]
    return results


def played(play: Play, leg: Leg) -> Played:
    result = play(leg)
    return result, leg.outputs


def contexts_of(
    workflow: Mapping[str, Any],
    job: Mapping[str, Any],
    event: Event,
    sha: str,
    results: Mapping[str, str],
    outputs: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """What the expressions of a job may name."""
    return {
        "github": event.github(sha),
        "needs": {need: {"result": results[need], "outputs": outputs.get(need, {})} for need in needs_of(job)},
        "env": workflow.get("env", {}),
        "inputs": event.inputs,
    }


def needs_of(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


def of_needs(results: list[str]) -> Functions:
    """The functions of a job's condition. A job that is skipped is no success."""
    return {
        "success": lambda: all(result == "success" for result in results),
        "failure": lambda: "failure" in results,
        "always": lambda: True,
        "join": join,
    }


def decided(condition: Any, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """Whether a condition holds. One that asks for no status holds only where everything before succeeded."""
    text = "success()" if condition is None else str(condition).removeprefix("${{").removesuffix("}}")
    asks = any(f"{status}()" in text for status in ("success", "failure", "always", "cancelled"))
    return evaluate(text if asks else f"success() && ({text})", contexts, functions)


def is_here(job: Mapping[str, Any]) -> bool:
    """Whether a job runs on the machine that is emulated: not on another system or processor."""
    return bool(job["runs-on"] == HERE)


def legs(name: str, job: Mapping[str, Any], contexts: dict[str, Any]) -> Iterator[Leg]:
    axes: dict[str, list[str]] = job.get("strategy", {}).get("matrix", {})
    for values in product(*axes.values()):
        matrix = dict(zip(axes, values, strict=True))
        yield Leg(name, job, matrix, {**contexts, "matrix": matrix})


def together(results: list[str]) -> str:
    """The result of a job of several legs."""
    played = [result for result in results if result != NOT_PLAYED]
    return "success" if all(result == "success" for result in played) else "failure"


def join(values: list[str], separator: str = ",") -> str:
    return separator.join(values)
