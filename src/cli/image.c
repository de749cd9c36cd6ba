#include "cli/cli.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
	const char *name;
	int (*run)(const struct image_args *a);
	const char *options;             /* which of "jvlRf" it knows */
	int path;                        /* 0: none, 1: needed, -1: optional */
	const char *usage;
};

static const struct command commands[] = {
	{"info", cli_info, "j", 0, "info [--json] IMAGES"},
	{"ls", cli_ls, "jvlR", 1, "ls [-l] [-R] [--json] [--volume N] IMAGES PATH"},
	{"stat", cli_stat, "jv", 1, "stat [--json] [--volume N] IMAGES PATH"},
	{"cat", cli_cat, "v", 1, "cat [--volume N] IMAGES PATH"},
	{"tar", cli_tar, "vf", 1, "tar [--volume N] [--format tar|tar.gz|tar.zst|zip] IMAGES PATH"},
	{"manifest", cli_manifest, "v", -1, "manifest [--volume N] IMAGES [PATH]"},
	{"dump", cli_dump, "v", 0, "dump [--volume N] IMAGES"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *to)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		(void)fprintf(to, "%s sendense image %s\n", i == 0 ? "usage:" : "      ", commands[i].usage);
	(void)fprintf(to, "IMAGES is IMAGE, or --disk FILE for each disk of a machine that has several.\n"
	                  "Backing files are followed beneath the image's own folder, and beneath DIR with --allow-backing DIR.\n"
	                  "Encrypted volumes are unlocked with --passphrase-file FILE, --recovery-key-file FILE (BitLocker) or\n"
	                  "--key-file FILE (BitLocker: .BEK); - is standard input.\n"
	                  "Exit status: 0 all well, 1 some entries failed, 2 usage, 3 no such path, 4 image unreadable.\n");
}

static int usage_error(const struct command *c, const char *what, const char *arg)
{
	(void)fprintf(stderr, "sendense: image %s: %s%s\nusage: sendense image %s\n", c->name, what, arg ? arg : "", c->usage);
	return CLI_USAGE;
}

void cli_say(const char *fmt, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(256 << 10);
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	CLEANUP(buf_free) struct buf shown = BUF_INIT(16 * text.len + 16);
	name_shown(&shown, buf_str(&text), text.len);
	(void)fprintf(stderr, "sendense: %s\n", buf_str(&shown));
}

int cli_fail(const struct err *e)
{
	cli_say("%s [%s]", e->msg, err_code_name(e->code));
	if (e->code == ERR_VOLUME_LOCKED)
		cli_say("its key is given with --passphrase-file, --recovery-key-file or --key-file");
	switch (e->code) {
	case ERR_PATH_INVALID:
	case ERR_INVALID:
		return CLI_USAGE;
	case ERR_NOT_FOUND:
	case ERR_NOT_DIRECTORY:
	case ERR_LINK_LOOP:
	case ERR_VOLUME_NOT_FOUND:
		return CLI_NO_SUCH_PATH;
	case ERR_IS_DIRECTORY:
	case ERR_NOT_FILE:
	case ERR_FILE_CORRUPT:
	case ERR_FILE_ENCRYPTED:
	case ERR_FILE_OFFLINE:
	case ERR_FILE_UNSUPPORTED:
		return CLI_SOME_FAILED;
	default:
		return CLI_UNREADABLE;
	}
}

static bool parse_volume(const char *text, uint32_t *ret)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end || text[0] == '-' || v == 0 || v > 100000)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"long", no_argument, NULL, 'l'},
	{"recursive", no_argument, NULL, 'R'},
	{"volume", required_argument, NULL, 'v'},
	{"format", required_argument, NULL, 'f'},
	{"allow-backing", required_argument, NULL, 'a'},
	{"passphrase-file", required_argument, NULL, 'p'},
	{"recovery-key-file", required_argument, NULL, 'r'},
	{"key-file", required_argument, NULL, 'k'},
	{"disk", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* At place `at` among the disks. */
static int take_image(const struct command *c, struct image_args *a, unsigned at, const char *file)
{
	struct chain_options *o = &a->chain;
	if (o->image_count == CLI_DISKS_MAX)
		return usage_error(c, "too many disks", NULL);
	memmove(&o->images[at + 1], &o->images[at], (o->image_count - at) * sizeof(o->images[0]));
	o->images[at] = file;
	o->image_count++;
	return 0;
}

/* IMAGE, which may be left out where --disk names all, and PATH. */
static int take_operands(const struct command *c, int count, char **operands, struct image_args *a)
{
	int most = c->path == 0 ? 0 : 1;
	if (count > 0 && (a->chain.image_count == 0 || count > most)) {
		int status = take_image(c, a, 0, operands[0]);
		if (status != 0)
			return status;
		operands++;
		count--;
	}
	if (a->chain.image_count == 0)
		return usage_error(c, "which image?", NULL);
	if (count < 1 && c->path == 1)
		return usage_error(c, "which path inside the image? \"/\" is its root", NULL);
	if (count > most)
		return usage_error(c, "too many arguments: ", operands[most]);
	a->path = count > 0 ? operands[0] : "/";
	if (a->path[0] != '/')
		return usage_error(c, "a path inside an image starts with \"/\", not ", a->path);
	return 0;
}

/* 0, or the exit status. */
static int take_option(const struct command *c, int o, struct image_args *a)
{
	if (!strchr("aprkdh?:", o) && !strchr(c->options, o))
		return usage_error(c, "it does not know that option", NULL);
	switch (o) {
	case 'j':
		a->json = true;
		return 0;
	case 'l':
		a->lines = true;
		return 0;
	case 'R':
		a->recursive = true;
		return 0;
	case 'v':
		return parse_volume(optarg, &a->volume) ? 0 : usage_error(c, "--volume takes a number from 1, not ", optarg);
	case 'f':
		a->format = optarg;
		return 0;
	case 'a':
		if (a->chain.allow_count == CLI_ALLOW_MAX)
			return usage_error(c, "too many --allow-backing", NULL);
		a->chain.allow[a->chain.allow_count++] = optarg;
		return 0;
	case 'p':
	case 'r':
	case 'k':
		if (a->chain.key_count == CLI_KEYS_MAX)
			return usage_error(c, "too many keys", NULL);
		a->chain.keys[a->chain.key_count++] = (struct chain_key){
			.file = optarg,
			.kind = o == 'p' ? SESSION_KEY_PASSPHRASE : o == 'r' ? SESSION_KEY_RECOVERY : SESSION_KEY_FILE,
		};
		return 0;
	case 'd':
		return take_image(c, a, a->chain.image_count, optarg);
	case ':':
		return usage_error(c, "an option lacks its value", NULL);
	default:
		return usage_error(c, "unknown option", NULL);
	}
}

static int run(const struct command *c, int argc, char **argv)
{
	struct image_args a = {.format = "tar"};
	int o;
	optind = 1;
	while ((o = getopt_long(argc, argv, ":lRh", long_options, NULL)) != -1) {
		if (o == 'h') {
			print_usage(stdout);
			return CLI_OK;
		}
		int status = take_option(c, o, &a);
		if (status != 0)
			return status;
	}
	int status = take_operands(c, argc - optind, argv + optind, &a);
	return status != 0 ? status : c->run(&a);
}

int cli_image(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
		print_usage(stdout);
		return CLI_OK;
	}
	for (unsigned i = 0; argc >= 2 && i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return run(&commands[i], argc - 1, argv + 1);
	if (argc >= 2)
		(void)fprintf(stderr, "sendense: there is no command \"image %s\"\n", argv[1]);
	print_usage(stderr);
	return CLI_USAGE;
}
