# SPDX-License-Identifier: Apache-2.0
"""guest.py - inside the emulated kernel: run the listed programs and hand on what they print.

    guest.py BUILD PLAN

PLAN holds a program a line: NAME SECONDS alone|beside COMMAND... Programs `beside` run three at a time, those
`alone` afterwards by themselves. Every line of output goes out as "NAME|line", and the end of a program as
"NAME>STATUS SECONDS"; the host counts. A program that takes too long is ended, with what it started.
"""
import concurrent.futures
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

LANES = 3  # tests mostly wait: three of them use two processors well
_out = threading.Lock()


def say(text):
    with _out:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def end_group(p):
    """SIGTERM, so that namespaces are taken down; then without asking."""
    for sig, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        try:
            os.killpg(p.pid, sig)
            p.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def last_words(name, status):
    """A program that a signal ended says nothing; the kernel may know why."""
    say("%s|ended by signal %d; the kernel's last lines:" % (name, -status))
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
    for line in log.stdout.splitlines()[-8:]:
        say("%s|  %s" % (name, line))


def run(name, seconds, argv):
    begin = time.monotonic()
    try:
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace", start_new_session=True)
    except OSError as e:
        say("%s|cannot start: %s" % (name, e))
        say("%s>127 0" % name)
        return
    timer = threading.Timer(seconds, lambda: (say("%s|stopped after %d s" % (name, seconds)), end_group(p)))
    timer.start()
    for line in p.stdout:
        say("%s|%s" % (name, line.rstrip("\n")))
    status = p.wait()
    timer.cancel()
    if status < 0:
        last_words(name, status)
    say("%s>%d %d" % (name, status, time.monotonic() - begin))


def warm(build):
    """Start once what every test starts: its first pages come slowly, over 9p, and no test should wait for them."""
    # Packets that wait for a processor: the default of 1000 is a fraction of a second's flows, and this machine is slow.
    with open("/proc/sys/net/core/netdev_max_backlog", "w", encoding="ascii") as f:
        f.write("20000")
    for argv in ([build + "/ripstop-agent", "--version"], [build + "/ripstop-cni"], [build + "/ripstop", "version", "--help"],
                 ["nft", "list", "tables"], ["ip", "netns", "add", "warm"], ["ip", "netns", "exec", "warm", "ip", "link"],
                 ["nsenter", "--net=/run/netns/warm", "ip", "link", "add", "a", "type", "veth", "peer", "b"],
                 ["ip", "netns", "del", "warm"], ["tc", "qdisc"], ["python3", "-c", "import json, socket, subprocess"]):
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=240,
                           check=False)
        except (OSError, subprocess.TimeoutExpired) as e:
            say("warming up: %s" % e)


def main():
    build, plan = sys.argv[1:]
    warm(build)
    beside, alone = [], []
    with open(plan, encoding="utf-8") as f:
        for line in f:
            name, seconds, how, command = line.rstrip("\n").split(" ", 3)
            argv = shlex.split(command)
            if argv[0].endswith(".py"):
                argv = ["python3", argv[0], "--build", build] + argv[1:]
            (alone if how == "alone" else beside).append((name, int(seconds), argv))
    for lot, workers in ((beside, LANES), (alone, 1)):
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda job: run(*job), lot):
                pass


if __name__ == "__main__":
    main()
