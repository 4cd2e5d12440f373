# SPDX-License-Identifier: BSD-2-Clause
"""Kernels that lack a tracker, or forbid it: the next one, and why.

A seccomp filter plays the older or stricter kernel: one system call of the
command fails with the error that such a kernel gives.
"""

import ctypes
import errno
import json
import os
import struct

from support import GUEST, check, finish, glean, skip

# System call numbers: userfaultfd, ioctl.
CALLS = {"x86_64": (323, 16), "aarch64": (282, 29)}
PAGEMAP_SCAN = 0xc0606610

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, ERRNO = 0x7fff0000, 0x00050000

# Classic BPF: load a word of struct seccomp_data, jump if equal, return.
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
AT_NUMBER, AT_SECOND_ARGUMENT = 0, 24


def instruction(code, k, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, k)


def deny_call(number, error):
    """Let the call @number fail with @error."""
    return [instruction(LOAD, AT_NUMBER),
            instruction(IF_EQUAL, number, 0, 1),
            instruction(RETURN, ERRNO | error),
            instruction(RETURN, ALLOW)]


def deny_request(ioctl, request, error):
    """Let that one ioctl fail with @error."""
    return [instruction(LOAD, AT_NUMBER),
            instruction(IF_EQUAL, ioctl, 0, 3),
            instruction(LOAD, AT_SECOND_ARGUMENT),
            instruction(IF_EQUAL, request, 0, 1),
            instruction(RETURN, ERRNO | error),
            instruction(RETURN, ALLOW)]


def install(program):
    """A function that filters the process that calls it."""
    code = ctypes.create_string_buffer(b"".join(program))
    head = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def before():
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
                PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                ctypes.c_void_p(ctypes.addressof(head)), 0, 0):
            os._exit(77)
    before.keep = (code, head)
    return before


def check_without(what, program, refused, taken, why):
    """Without @refused, @taken is taken; @why is in the reason."""
    before = install(program)
    info = json.loads(glean("info", "--json", before=before).stdout)
    for tracker in info["trackers"]:
        works = tracker["name"] not in refused
        check(tracker["works"] == works and (works or why in
                                             tracker["reason"]),
              f"{what}: info says so", tracker)

    done = glean(*GUEST, "--json", before=before)
    result = json.loads(done.stdout)
    check(done.returncode == 0 and result["verified"] and
          result["tracker"] == taken, f"{what}: {taken} is taken", done)
    check(f"tracker   {result['tracker_reason']}\n" in done.stderr,
          f"{what}: the reason is printed", done.stderr)
    check(f"{refused[0]}: " in result["tracker_reason"],
          f"{what}: the reason names what was refused", result)

    for tracker in refused:
        done = glean(*GUEST, "--tracker", tracker, before=before)
        check(done.returncode == 3 and done.stdout == "" and
              done.stderr.startswith(f"glean run: --tracker: {tracker} ") and
              why in done.stderr and done.stderr.count("\n") == 1,
              f"{what}: {tracker} cannot be forced", done)


def main():
    machine = os.uname().machine
    if machine not in CALLS:
        skip(f"no system call numbers for {machine}")
    userfaultfd, ioctl = CALLS[machine]
    done = glean("--version", before=install(deny_call(userfaultfd,
                                                       errno.ENOSYS)))
    if done.returncode == 77:
        skip("this kernel does not let a process filter itself")
    done = glean("info", "--json")
    if not all(t["works"] for t in json.loads(done.stdout)["trackers"]):
        skip("not all trackers work here to begin with")

    check_without("no userfaultfd", deny_call(userfaultfd, errno.ENOSYS),
                  ["pagemap-scan", "uffd"], "mprotect",
                  "this kernel has no userfaultfd")
    check_without("no PAGEMAP_SCAN",
                  deny_request(ioctl, PAGEMAP_SCAN, errno.ENOTTY),
                  ["pagemap-scan"], "uffd", "PAGEMAP_SCAN")
    finish()


main()
