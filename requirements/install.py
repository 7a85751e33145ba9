"""python3 requirements/install.py SET: put one locked set of packages, and this project, into .venv.

The sets of SEPARATE go to an environment of their own, .venv-SET. None of them is imported beside the project, but for
those of WITH_PROJECT.

This script runs before anything is installed, so it imports nothing but the standard library, and old Pythons can read
it, so that it can refuse them. A lock names every package with its hashes. So nothing is resolved (`--no-deps`), and
`pip check` shows that nothing is missing. The script uses uv where uv is on the path, and pip otherwise.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

from machine import unsupported
from progress import watched

SEPARATE = ("checks", "clients", "deploy", "docs", "notebook", "peers", "release")
WITH_PROJECT = ("notebook",)
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# MB to download, and MB on disk together with the smaller sets, on Linux x86-64 and Python 3.11. tests/system/setup
# measures those of dev.
SIZES = {
    "serve": (57, 246),
    "signed": (62, 263),
    "train": (236, 1022),
    "lint": (279, 1151),
    "dev": (281, 1167),
    "mutation": (285, 1191),
    "dask": (285, 1190),
    "lightgbm": (285, 1184),
    "checks": (28, 143),
    "clients": (224, 921),
    "deploy": (76, 542),
    "docs": (33, 184),
    "notebook": (272, 1188),
    "peers": (91, 492),
    "release": (27, 135),
}
# Messages of pip and uv about a network that failed; any other failure would happen again. Where an index names no
# version at all, it was not read; a file with another hash is often incomplete.
NETWORK = re.compile(
    "Connection(Error| aborted| broken| reset| refused)|NewConnectionError|Read timed out|ReadTimeout|IncompleteRead"
    "|Temporary failure|Network is unreachable|Max retries exceeded|error sending request|operation timed out"
    "|dns error|Failed to fetch|THESE PACKAGES DO NOT MATCH|from versions: none"
)
PAUSES = (2, 10)  # seconds before the second and the third try


def main(name):
    refused = unsupported(ROOT)
    if refused:
        sys.exit("error: " + refused)
    try:
        set_up(name)
    except OSError as error:
        sys.exit("error: %s: %s" % (error.filename, error.strerror))


def set_up(name):
    """Install exactly the packages of a set's locks into its environment, one process at a time."""
    venv = os.path.join(ROOT, ".venv-" + name if name in SEPARATE else ".venv")
    sets = ["build", name] if has_project(name) else [name]  # the tools that build this project are pinned too
    stamp = os.path.join(venv, "." + name)
    locks = [os.path.join(ROOT, "requirements", part + ".txt") for part in sets]

    with one_at_a_time(venv + ".lock") as lock:
        if up_to_date(venv, stamp, locks):
            return  # another make has just done it

        before = remove_unusable(venv, lock)
        mark(lock, "unfinished")
        try:
            install(venv, name, locks, before, lock)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; the next make begins it anew\n")
            sys.exit(130)
        except SystemExit:
            if before:
                mark(lock, "")  # pip has restored the packages from before
            raise
        mark(lock, "")


def has_project(name):
    """Whether this project is installed beside the packages of a set."""
    return name not in SEPARATE or name in WITH_PROJECT


@contextlib.contextmanager
def one_at_a_time(path):
    """The open lock file, locked. The system frees the lock when every process that holds the file has ended."""
    import fcntl  # not on Windows, which was refused earlier

    with open(path, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Waiting for another set-up of %s" % os.path.basename(path)[: -len(".lock")], flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def mark(lock, state):
    """Write the state into the lock file, for the next process: "unfinished" until the end of the set-up."""
    lock.truncate(0)
    lock.write(state)
    lock.flush()


def up_to_date(venv, stamp, locks):
    """Whether the set was installed from these locks and this script, into an environment made in this folder."""
    inputs = locks + [os.path.join(ROOT, "pyproject.toml"), os.path.abspath(__file__)]
    if not os.path.exists(stamp) or place(venv) != os.fsencode(ROOT):
        return False
    return all(os.path.getmtime(stamp) >= os.path.getmtime(path) for path in inputs)


def place(venv):
    """The folder in which an environment was made, as bytes; None where another tool made it.

    The scripts of an environment name that folder, so they fail after the folder was moved.
    """
    try:
        with open(os.path.join(venv, ".at"), "rb") as file:
            return file.read()
    except OSError:
        return None


def remove_unusable(venv, lock):
    """Remove an environment that cannot be used, and print why. Returns whether a usable environment is left."""
    python = os.path.join(venv, "bin", "python")
    lock.seek(0)
    if not os.path.lexists(venv):
        return False
    if lock.read():
        why = "its set-up was cut short"
    elif place(venv) not in (None, os.fsencode(ROOT)):
        why = "the folder was moved"
    elif not os.path.exists(python):
        why = "its Python is gone"
    elif not shutil.which("uv") and subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL):
        why = "it has no pip"
    else:
        return True

    print("Making %s anew: %s" % (os.path.basename(venv), why), flush=True)
    if os.path.islink(venv) or not os.path.isdir(venv):
        os.remove(venv)  # the target of a link belongs to somebody else
    else:
        shutil.rmtree(venv)
    return False


def install(venv, name, locks, before, lock):
    """Install all locks and the project, and check the result.

    An environment from `before` may contain packages that no lock names any more. If they do not fit, the environment
    is made anew.
    """
    began = time.time()
    uv = shutil.which("uv")
    python = os.path.join(venv, "bin", "python")
    if before:
        print("Adding requirements/%s.txt to %s" % (name, os.path.basename(venv)), flush=True)
    else:
        size = "%d packages, about %d MB to download, %d MB on disk" % ((count(locks),) + SIZES[name])
        print("Setting up %s: %s" % (venv, size), flush=True)
        create(venv, uv)

    for path in locks:
        packages(uv, python, venv, lock, ["--no-deps", "--require-hashes", "-r", path])
    if has_project(name):
        packages(uv, python, venv, lock, ["--no-deps", "-e", "."])

    check = [uv, "pip", "check", "--python", python] if uv else [python, "-m", "pip", "check"]
    checked = subprocess.run(check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)
    if checked.returncode and before and b"not installed" not in checked.stdout:
        print("Making %s anew: it holds packages that do not fit any more" % os.path.basename(venv), flush=True)
        shutil.rmtree(venv)
        install(venv, name, locks, False, lock)
        return
    if checked.returncode:
        sys.stderr.write(checked.stdout.decode(errors="replace"))
        sys.exit("error: requirements/%s.txt does not hold all that its packages need: run make lock" % name)

    with open(os.path.join(venv, ".at"), "wb") as file:
        file.write(os.fsencode(ROOT))
    open(os.path.join(venv, "." + name), "w").close()
    print("Set up in %d s" % (time.time() - began), flush=True)


def count(locks):
    """The number of packages in the locks; some of them are for other systems and are not installed here."""
    names = set()
    for lock in locks:
        with open(lock, encoding="utf-8") as file:
            names.update(re.findall(r"^([\w.-]+)==", file.read(), re.MULTILINE))
    return len(names)


def create(venv, uv):
    python = getattr(sys, "_base_executable", None) or sys.executable  # not that of the environment being made anew
    command = [uv, "venv", "--quiet", "--python", python] if uv else [python, "-m", "venv"]
    if subprocess.call(command + [venv]) != 0:
        shutil.rmtree(venv, ignore_errors=True)
        sys.exit("error: the virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv")


def packages(uv, python, venv, lock, arguments):
    """Install packages, and try again where the network failed. Exits with the last lines of output on failure."""
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--use-pep517"]
    command = [uv, "pip", "install", "--compile-bytecode", "--python", python] if uv else pip
    command += ["--no-build-isolation"] + arguments

    for pause in PAUSES + (None,):
        code, output = watched(command, ROOT, os.path.join(venv, "install.log"), lock)
        if code == 0:
            return
        if pause is None or not NETWORK.search(output):
            break
        print("  the network failed; trying again in %d s" % pause, flush=True)
        time.sleep(pause)

    sys.stderr.write("\n".join(output.splitlines()[-12:]) + "\n")
    sys.exit("error: the packages could not be installed; the lines above say why")


if __name__ == "__main__":
    main(sys.argv[1])
