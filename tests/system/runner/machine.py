"""A hosted runner as a container: Debian 13, a plain user who may use sudo, and a Docker engine without an image."""

import fcntl
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
IMAGE = "hosted-runner"
NETWORK = "emulated-runner" + os.environ.get("PYTEST_XDIST_WORKER", "")  # each process of the tests has its own
OURS = ["--network", NETWORK, "--label", NETWORK]  # of containers that a test may remove
USER = "runner"
WORKSPACE = f"/home/{USER}/project"
FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
SETTINGS = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_WORKSPACE": WORKSPACE,
    "RUNNER_OS": "Linux",
    "LANG": "C.UTF-8",
}
# `--privileged`, for a machine whose own rights lack one of it.
MAY_RUN_CONTAINERS = [
    "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined", "--device-cgroup-rule=a *:* rwm", "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup", "--sysctl=net.ipv6.conf.all.disable_ipv6=0",
]  # fmt: skip


def docker(*words: str, check: bool = True) -> str:
    """What a command of Docker prints."""
    ended = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if check and ended.returncode:
        raise RuntimeError(f"docker {shlex.join(words)}: {ended.stderr[-2000:]}")
    return ended.stdout


def build_image() -> None:
    """Build the image of all machines; two processes of the tests would build it twice."""
    with (Path(tempfile.gettempdir()) / f"{IMAGE}-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["docker", "build", "--quiet", "--network", "host", "--tag", IMAGE, HERE], check=True)


class Machine:
    """A runner for one leg of a job. Its folder /mnt is shared with the other jobs: artifacts and repositories."""

    def __init__(self, title: str, shared: Path, log: Path, pythons: Mapping[str, str]) -> None:
        self.title, self.log, self.pythons = title, log, pythons
        self.name = f"{NETWORK}-{log.stem}"
        self.path: list[str] = []
        self.environment: dict[str, str] = {}
        self.outputs: dict[str, str] = {}  # of the action that was played last
        mounted = [f"{home}:/opt/python/{version}:ro" for version, home in pythons.items()]
        volumes = [word for volume in [f"{shared}:/mnt", "/var/lib/docker", *mounted] for word in ("--volume", volume)]
        docker("run", "--detach", *MAY_RUN_CONTAINERS, *OURS, "--name", self.name, *volumes, IMAGE)
        self.bash("until docker info >/dev/null 2>&1; do sleep 0.2; done", user="root")

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)

    def step(self, script: str, environment: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """Run a step's script as GitHub does, and return its exit code and its outputs."""
        files = {name: f"/tmp/{name}" for name in FILES}
        self.bash(f"rm -f {' '.join(files.values())}; touch {' '.join(files.values())}")
        code = self.bash(script, {**environment, **files}, WORKSPACE)
        outputs = pairs(self.read(files["GITHUB_OUTPUT"]))
        self.environment |= pairs(self.read(files["GITHUB_ENV"]))
        self.path = [*self.read(files["GITHUB_PATH"]).split(), *self.path]
        self.note(self.read(files["GITHUB_STEP_SUMMARY"]))
        return code, outputs

    def bash(self, script: str, environment: Mapping[str, str] = {}, folder: str = "/", user: str = USER) -> int:
        """Run a script, show what it prints, and return its exit code."""
        path = ":".join([*self.path, "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
        given = {**SETTINGS, **self.environment, **environment, "PATH": path, "HOME": f"/home/{user}"}
        named = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        command = ["docker", "exec", "--user", user, "--workdir", folder, *named, self.name, "bash", "-e", "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                self.note(line)
        return process.returncode

    def read(self, path: str) -> str:
        return docker("exec", self.name, "cat", path)

    def note(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text)
        sys.stderr.write("".join(f"{self.title} | {line}" for line in text.splitlines(keepends=True)))
        sys.stderr.flush()


def pairs(lines: str) -> dict[str, str]:
    """Lines such as `name=value`. Values of several lines are not played."""
    return dict(line.split("=", 1) for line in lines.splitlines())


def pythons_here() -> dict[str, str]:
    """The Python that runs this, by its version, where it is a folder of its own that a container can be given."""
    home = Path(sys.base_prefix)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {} if home == Path("/usr") else {version: str(home)}
