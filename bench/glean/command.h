/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - the subcommands of glean, and how it says how they went.
 */
#ifndef BENCH_GLEAN_COMMAND_H
#define BENCH_GLEAN_COMMAND_H

/** enum status - exit status of the command, as its help documents it. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,     /* it ran, and the result is not right */
	STATUS_USAGE = 2,      /* asked for what makes no sense */
	STATUS_CANNOT = 3,     /* this machine, or this user, cannot */
	STATUS_SIGNALLED = 128 /* and the signal's number */
};

/** Each takes its own name as argv[0] and returns the exit status. */
int command_run(int argc, char **argv);
int command_info(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_hpt(int argc, char **argv);

extern const char run_help[];
extern const char info_help[];
extern const char bench_help[];
extern const char hpt_help[];

#endif
