"""A command that takes minutes, and how far it is."""

import os
import re
import subprocess
import sys
import time

ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")  # settings that would lead past the environment


def watched(command, folder, log, lock):
    """Run it in a folder, its output in a file, and show how far it is: each second on a terminal, else now and then.

    The command holds the lock too: where this process is killed, the next one waits until pip has ended.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment["PYTHONUNBUFFERED"] = "1"
    terminal = sys.stdout.isatty()
    began = shown = time.time()
    width = 0
    with open(log, "ab") as file:
        start = file.tell()
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            pass_fds=(lock.fileno(),),
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    pass
                if terminal or time.time() - shown > 15:
                    line = "  %4d s  %s" % (time.time() - began, doing(read(log, start)))
                    print("\r" + line.ljust(width) if terminal else line, end="" if terminal else "\n", flush=True)
                    shown, width = time.time(), len(line)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if terminal and width:
        print("\r" + " " * width, end="\r", flush=True)
    return code, read(log, start)


def read(log, start):
    with open(log, "rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def doing(output):
    """How far pip or uv is, by what it has written until now."""
    collected = re.findall(r"^(?:Collecting |Processing \S*/)(\w[\w.]*(?:-[A-Za-z][\w.]*)*)", output, re.MULTILINE)
    if re.search("^Installing collected packages", output, re.MULTILINE):
        return "installing %d packages" % len(collected)
    if collected:
        return "downloading: %d packages, now %s" % (len(collected), collected[-1])
    return "working"
