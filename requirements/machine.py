"""Can this machine run the project? Asked before anything is downloaded, also of a Python that is too old."""

import platform
import re
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
GLIBC = (2, 28)  # of the Linux wheels of numpy, onnxruntime and scikit-learn
MACOS = 14  # of the macOS wheels of onnxruntime
UNUSABLE = re.compile('[:$`"\\\\\n]')  # in a path: Python makes no environment there, or scripts that do not start


def unsupported(folder):
    """Why this machine cannot run the project in that folder, in one sentence; None where it can."""
    return wrong_python() or wrong_system() or wrong_folder(folder)


def wrong_python():
    python = "%s is Python %d.%d" % (sys.executable, sys.version_info[0], sys.version_info[1])
    other = "Name another one: make PYTHON=python3.12 ..."
    if sys.version_info[:2] < OLDEST:
        return "%s, and %d.%d or newer is needed. %s" % ((python,) + OLDEST + (other,))
    if sys.version_info[:2] > NEWEST:
        newest = "%s, and some packages have no release for it yet; %d.%d is the newest. %s"
        return newest % ((python,) + NEWEST + (other,))
    return None


def wrong_system():
    system, machine = platform.system(), platform.machine().lower()
    if system == "Windows":
        return "Windows itself is not supported: use WSL (wsl --install), which is Linux"
    if system == "Darwin" and machine != "arm64":
        return "onnxruntime has no package for Intel Macs, nor for an Intel Python on an Apple one; macOS needs arm64"
    if system == "Darwin" and int(platform.mac_ver()[0].split(".")[0]) < MACOS:
        return "this is macOS %s, and onnxruntime needs %d or newer" % (platform.mac_ver()[0], MACOS)
    if system == "Linux" and machine not in ("x86_64", "aarch64"):
        return "this is Linux on %s, and onnxruntime has packages for x86_64 and aarch64 alone" % machine
    return wrong_libc() if system == "Linux" else None


def wrong_libc():
    libc, version = platform.libc_ver()
    if libc != "glibc":
        return "this Linux has no glibc (Alpine?), for which onnxruntime has no package; use Debian, Ubuntu or Fedora"
    if tuple(int(part) for part in version.split(".")[:2]) < GLIBC:
        return "this Linux has glibc %s, and the packages need %d.%d or newer" % ((version,) + GLIBC)
    return None


def wrong_folder(folder):
    if UNUSABLE.search(folder):
        return '%s: no environment can be made in a path that has : $ ` " or \\ in it; move the folder' % folder
    return None
