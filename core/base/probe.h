/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - places where a tracer may look in: user-space statically defined
 * tracing, as bpftrace, perf, gdb and SystemTap know it.
 *
 * A probe is one nop in the code and a note in the library that says where it
 * is and where its arguments are; it costs nothing else until somebody looks.
 * Without GLN_USDT, and in libglean-core, there are none. The table of probes
 * is in docs/guide/observe.md; a test holds it to the notes.
 */
#ifndef GLN_CORE_BASE_PROBE_H
#define GLN_CORE_BASE_PROBE_H

#if GLN_HOSTED && GLN_USDT
#include <sys/sdt.h>

/* What its macros are made of. The warning comes where they are used. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#define PROBE2(name, a, b)    DTRACE_PROBE2(glean, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(glean, name, a, b, c)
#else
/* Arguments are looked at all the same, so that none is unused. */
#define PROBE2(name, a, b)    ((void)(a), (void)(b))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
