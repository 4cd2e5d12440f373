# SPDX-License-Identifier: BSD-2-Clause
"""Colour and the progress bar: on a terminal only, and where wanted."""

import os
import pty
import re
import subprocess
import sys

from support import GUEST, check, clean_environment, finish, glean_path

GREEN = "\033[1;32m"
ERASE = "\r\033[K"
BAR_SHAPE = r"\r\x1b\[K    0 \[#*\.+\] +\d+% [\d.]+ [KMG]iB/s\r\x1b\[K"


def on_terminal(*args, **env):
    """The run's output as a terminal gets it, and what went elsewhere."""
    master, slave = pty.openpty()
    stream = env.pop("stream", "stdout")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams[stream] = slave
    job = subprocess.Popen([glean_path(), *GUEST, *args],
                           stdin=subprocess.DEVNULL,
                           env=clean_environment(**env), **streams)
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other side has closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    rest = b"".join(part for part in job.communicate() if part)
    check(job.returncode == 0, f"{args} on a terminal: exits 0", rest)
    return shown.decode(), rest.decode()


def main():
    shown, _ = on_terminal(TERM="xterm")
    check(GREEN in shown, "colour on a terminal", repr(shown))
    check(re.search(BAR_SHAPE, shown), "a bar on a terminal", repr(shown))

    for args, env in ((("--no-colour",), {"TERM": "xterm"}),
                      (("--no-color",), {"TERM": "xterm"}),
                      ((), {"TERM": "xterm", "NO_COLOR": "1"})):
        shown, _ = on_terminal(*args, **env)
        check("\033[" not in shown.replace(ERASE, ""),
              f"{args} {env}: no colour", repr(shown))
        check(re.search(BAR_SHAPE, shown), f"{args} {env}: the bar stays",
              repr(shown))

    shown, _ = on_terminal(TERM="xterm", NO_COLOR="")
    check(GREEN in shown, "an empty NO_COLOR says nothing", repr(shown))
    for env in ({"TERM": "dumb"}, {}):
        shown, _ = on_terminal(**env)
        check("\033" not in shown, f"{env}: no escapes on a dumb terminal",
              repr(shown))

    shown, rest = on_terminal("--json", TERM="xterm")
    check("\033" not in shown and shown.lstrip().startswith("{"),
          "JSON on a terminal has no colour", repr(shown))
    shown, rest = on_terminal("--json", TERM="xterm", stream="stderr")
    check(GREEN in shown and "\033" not in rest,
          "beside JSON the table on the terminal has", repr(shown))
    shown, rest = on_terminal("--quiet", TERM="xterm")
    check(shown == "" and rest == "", "--quiet is quiet there too",
          repr(shown))
    finish()


if sys.platform == "linux":
    main()
