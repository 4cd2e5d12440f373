/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - the glean command: finds the subcommand and leaves the rest to it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <glean/vm.h>

#include "bench/glean/command.h"
#include "bench/glean/options.h"

static const char glean_help[] =
	"usage: glean COMMAND [OPTIONS]\n"
	"\n"
	"Tell a hypervisor which pages of a guest were written since it last\n"
	"asked, and lose none.\n"
	"\n"
	"Commands\n"
	"  run        copy a guest of real memory while it is written, and\n"
	"             verify every byte of the copy\n"
	"  info       tell what glean finds on this machine\n"
	"  bench      measure glean against its rivals\n"
	"  hpt        size a guest's hashed page table, or tell how one is\n"
	"             filled\n"
	"  help       this text; with a command, that command's help\n"
	"\n"
	"Options\n"
	"  --version  print the version\n"
	"  --help     this text\n"
	"\n"
	"Exit status\n"
	"  0    it was done, and what it was to show is so\n"
	"  1    it ran, and what it was to show is not so, or something failed\n"
	"  2    the command line is wrong; one line says what would be right\n"
	"  3    this machine or this user cannot do it; one line says why\n"
	"  130  interrupted (128 and the number of the signal)\n";

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", command_run, run_help},
	{"info", command_info, info_help},
	{"bench", command_bench, bench_help},
	{"hpt", command_hpt, hpt_help},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	complain(NULL,
		 "'%s' is not a command: give run, info, bench, hpt or help",
		 name);
	return NULL;
}

static int help(int argc, char **argv)
{
	const char *text = glean_help;

	if (argc > 2) {
		complain("help", "unexpected argument '%s': give one command",
			 argv[2]);
		return STATUS_USAGE;
	}
	if (argc == 2 && strcmp(argv[1], "help")) {
		const struct command *command = find_command(argv[1]);

		if (!command)
			return STATUS_USAGE;
		text = command->help;
	}
	fputs(text, stdout);
	return STATUS_OK;
}

static int dispatch(int argc, char **argv)
{
	if (argc < 2) {
		complain(NULL,
			 "no command: give run, info, bench, hpt or help");
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("glean %s\n", gln_version());
		return STATUS_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(1, argv);
	if (!strcmp(argv[1], "help"))
		return help(argc - 1, argv + 1);
	if (argv[1][0] == '-') {
		complain(NULL, "unknown option '%s': see 'glean help'",
			 argv[1]);
		return STATUS_USAGE;
	}

	const struct command *command = find_command(argv[1]);

	return command ? command->run(argc - 1, argv + 1) : STATUS_USAGE;
}

int main(int argc, char **argv)
{
	const int status = dispatch(argc, argv);

	/* An answer that nobody received is no answer. */
	if ((fflush(stdout) || ferror(stdout)) && status == STATUS_OK) {
		complain(NULL, "standard output cannot be written: %s",
			 strerror(errno));
		return STATUS_FAILED;
	}
	return status;
}
