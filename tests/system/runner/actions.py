"""Stand-ins for the actions that workflows use. Each knows the inputs that it can play, and refuses any other."""

import shlex
from collections.abc import Callable, Mapping

from tests.system.runner.machine import WORKSPACE, Machine
from tests.system.runner.workflow import Leg

Given = Mapping[str, str]
Action = Callable[[Machine, Leg, Given], int]
REGISTRY = "http://ghcr.io"
ONLY_READS = """#!/bin/sh
if [ "$1" = push ]; then echo "denied: permission_denied: write_package" >&2; exit 1; fi
exec /usr/bin/docker "$@"
"""
DIGEST = "@sha256:[0-9a-f]{64}"  # of a base image, which only the image's own registry has
BY_NAME = f"""
  sed --in-place --regexp-extended 's/{DIGEST}//' Dockerfile compose.yaml
  git update-index --assume-unchanged Dockerfile compose.yaml
"""


class NotHereError(Exception):
    """What an action asks for is not on this machine."""


def play(machine: Machine, leg: Leg, uses: str, given: Given) -> int:
    """Play an action and return its exit code. Raises ValueError for an action or an input that is not known."""
    name, _, commit = uses.partition("@")
    if name not in ACTIONS or len(commit) != 40:
        raise ValueError(f"{leg.title}: {uses} is not played, or not pinned")
    inputs, action = ACTIONS[name]
    if unknown := set(given) - inputs:
        raise ValueError(f"{leg.title}: {name} has no input {', '.join(unknown)} here")
    return action(machine, leg, given)


def checkout(machine: Machine, leg: Leg, given: Given) -> int:
    """One commit without its history, unless fetch-depth is 0. Nothing of the token stays.

    The registry here has other base images than the one that the digests are of. So the jobs that build images find
    them by name alone; what is committed stays as it is, and so does every file that the job `test` reads.
    """
    if leg.permissions.get("contents") not in ("read", "write"):
        raise ValueError(f"{leg.title}: needs contents: read")
    github = leg.contexts["github"]
    branch = github["ref_name"].replace("/", "-")
    depth = "--tags '+refs/heads/*:refs/remotes/origin/*'" if given.get("fetch-depth") == "0" else "--no-tags --depth 1"
    if given.get("persist-credentials") != "false":
        raise ValueError(f"{leg.title}: the token would stay in .git")
    script = f"""
      set -eu; git init --quiet . && git remote add origin https://github.com/{github["repository"]}
      git fetch --quiet origin {depth} && git fetch --quiet --no-tags {"" if "tags" in depth else "--depth 1"} origin {github["sha"]}
      git checkout --quiet -B {shlex.quote(branch)} {github["sha"]}
    """
    if github["ref"].startswith("refs/tags/"):
        script = script.replace(f"-B {shlex.quote(branch)}", "--detach")
    return machine.bash(script if leg.job == "test" else script + BY_NAME, folder=WORKSPACE)


def setup_python(machine: Machine, leg: Leg, given: Given) -> int:
    """The Python of this name on the path: Debian's, or one that this machine has beside it."""
    version = given["python-version"]
    if version in machine.pythons:
        machine.path.insert(0, f"/opt/python/{version}/bin")
        machine.bash(f"echo /opt/python/{version}/lib >/etc/ld.so.conf.d/python.conf && ldconfig", user="root")
    elif machine.bash(f"python3 --version | grep --quiet 'Python {version}[.]'"):
        raise NotHereError(f"Python {version}")
    return 0


def upload_artifact(machine: Machine, leg: Leg, given: Given) -> int:
    """A file, or what is in a folder, but nothing hidden. A name is given once in a run."""
    name, path = given["name"], given["path"]
    place = f"/mnt/artifacts/{name}"
    if given.get("if-no-files-found") != "error":
        raise ValueError(f"{leg.title}: nothing to upload would go unnoticed")
    files = f"{path.rstrip('/')}/." if path.endswith("/") else path
    script = f"""
      if [ -z "$(find {path.rstrip("/")} -type f ! -name '.*' -print -quit 2>/dev/null)" ]; then
        echo "Error: No files were found with the provided path: {path}"; exit 1
      fi
      if [ -e {place} ]; then echo "Error: an artifact with this name already exists: {name}"; exit 1; fi
      mkdir -p {place} && cp -a {files} {place}/ && find {place} -mindepth 1 -name '.*' -prune -exec rm -r {{}} +
    """
    return machine.bash(script, folder=WORKSPACE)


def download_artifact(machine: Machine, leg: Leg, given: Given) -> int:
    place = f"/mnt/artifacts/{given['name']}"
    script = f"""
      if [ ! -e {place} ]; then echo "Error: Artifact not found for name: {given["name"]}"; exit 1; fi
      mkdir -p {given["path"]} && cp -a {place}/. {given["path"]}
    """
    return machine.bash(script, folder=WORKSPACE)


def upload_pages_artifact(machine: Machine, leg: Leg, given: Given) -> int:
    """A site for deploy-pages: a page at its root, and neither links nor files that Pages may not read."""
    path = given["path"]
    script = f"""
      if [ ! -s {path}/index.html ]; then echo "Error: {path} has no index.html"; exit 1; fi
      bad=$(find {path} -type l -o ! -perm -0004 -o -links +1 -type f)
      if [ -n "$bad" ]; then echo "Error: links, or not to be read by all: $bad"; exit 1; fi
      mkdir -p /mnt/artifacts/github-pages && cp -a {path}/. /mnt/artifacts/github-pages/
    """
    return machine.bash(script, folder=WORKSPACE)


def deploy_pages(machine: Machine, leg: Leg, given: Given) -> int:
    """Publishes the site that a job of this run has uploaded, and gives its address."""
    needs(leg, "pages", "write")
    needs(leg, "id-token", "write")
    if leg.spec.get("environment", {}).get("name") != "github-pages":
        raise ValueError(f"{leg.title}: Pages are deployed to the environment github-pages alone")
    script = """
      if [ ! -e /mnt/artifacts/github-pages ]; then echo "Error: No artifacts named github-pages were found"; exit 1; fi
      find /mnt/pages -mindepth 1 -delete && cp -r /mnt/artifacts/github-pages/. /mnt/pages/
    """
    owner, _, name = leg.contexts["github"]["repository"].partition("/")
    machine.outputs["page_url"] = f"https://{owner}.github.io/{name}/"
    return machine.bash(script)


def begin_codeql(machine: Machine, leg: Leg, given: Given) -> int:
    needs(leg, "security-events", "write")
    if unknown := set(given["languages"].split(",")) - {"actions", "python"}:
        raise ValueError(f"{leg.title}: CodeQL reads no {', '.join(unknown)}")
    return machine.bash(f"touch /tmp/codeql-{given['languages']}")


def analyze(machine: Machine, leg: Leg, given: Given) -> int:
    """Not an analysis, whose program and queries are on the network. It has to be begun, and may be shown."""
    needs(leg, "security-events", "write")
    machine.note("not played: the queries of CodeQL, which are on the network\n")
    return machine.bash("ls /tmp/codeql-* >/dev/null")


def login(machine: Machine, leg: Leg, given: Given) -> int:
    """A token that may only read packages logs in too, and is refused by the registry at the first push."""
    if leg.permissions.get("packages") not in ("read", "write"):
        raise ValueError(f"{leg.title}: needs packages: read")
    if given["password"] != leg.contexts["github"]["token"]:
        return 1
    if leg.permissions["packages"] == "read":
        machine.bash(
            f"cat >/usr/local/bin/docker <<'END' && chmod +x /usr/local/bin/docker\n{ONLY_READS}END", user="root"
        )
    words = f"--username {given['username']} --password-stdin {given['registry']}"
    return machine.bash(f"docker login {words} <<<{shlex.quote(given['password'])}")


def attest(machine: Machine, leg: Leg, given: Given) -> int:
    """What is attested has to be in the registry under this digest; GitHub takes none of a private repository."""
    for right in ("id-token", "attestations", "packages"):
        needs(leg, right, "write")
    if leg.contexts["github"]["event"]["repository"]["private"]:
        machine.note("Error: Feature not available for user-owned private repositories.\n")
        return 1
    name = given["subject-name"].removeprefix("ghcr.io/")
    accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    found = f"curl --silent --fail --output /dev/null --user octocat:a-token --header {shlex.quote(accept)}"
    script = f"{found} {REGISTRY}/v2/{name}/manifests/{given['subject-digest']}"
    if path := given.get("sbom-path"):
        script += f" && test -s {path}"
    return machine.bash(script, folder=WORKSPACE)


def scan(machine: Machine, leg: Leg, given: Given) -> int:
    """Not a scan: its database is on the network. The image has to be there."""
    machine.note("not played: vulnerabilities of the image, whose database is on the network\n")
    return machine.bash(f"docker image inspect {given['image']} >/dev/null")


def actionlint(machine: Machine, leg: Leg, given: Given) -> int:
    machine.note("not played: actionlint, which is no Python package\n")
    return 0


def needs(leg: Leg, right: str, level: str) -> None:
    if leg.permissions.get(right) != level:
        raise ValueError(f"{leg.title}: needs {right}: {level}")


ACTIONS: dict[str, tuple[set[str], Action]] = {
    "actions/checkout": ({"persist-credentials", "fetch-depth"}, checkout),
    "actions/setup-python": ({"python-version"}, setup_python),
    "actions/upload-artifact": ({"name", "path", "if-no-files-found", "retention-days"}, upload_artifact),
    "actions/download-artifact": ({"name", "path"}, download_artifact),
    "actions/upload-pages-artifact": ({"path"}, upload_pages_artifact),
    "actions/deploy-pages": (set(), deploy_pages),
    "github/codeql-action/init": ({"languages"}, begin_codeql),
    "github/codeql-action/analyze": (set(), analyze),
    "docker/login-action": ({"registry", "username", "password"}, login),
    "actions/attest-build-provenance": ({"subject-name", "subject-digest", "push-to-registry"}, attest),
    "actions/attest-sbom": ({"subject-name", "subject-digest", "sbom-path", "push-to-registry"}, attest),
    "anchore/scan-action": ({"image", "severity-cutoff", "only-fixed"}, scan),
    "raven-actions/actionlint": (set(), actionlint),
}
