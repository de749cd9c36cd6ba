#include "client/commands.h"

#include "base/utf8.h"

#include <curl/curl.h>
#include <getopt.h>
#include <string.h>

struct command {
	const char *group, *name;        /* group NULL: a word of its own */
	command_run *run;
	const char *options;             /* letters of long_options it knows, beside the ones for all */
	int min, max;                    /* operands */
	const char *usage;
};

enum { ANY = 1 << 20 };

static const struct command commands[] = {
	{"backup", "list", cmd_backup_list, "vrst", 0, 0,
	 "backup list [--vm NAME] [--repo ID] [--status S] [--type full|incremental]"},
	{"backup", "show", cmd_backup_show, "", 1, 1, "backup show BACKUP_ID"},
	{"backup", "disks", cmd_backup_disks, "", 1, 1, "backup disks BACKUP_ID"},
	{"backup", "chain", cmd_backup_chain, "", 1, 2, "backup chain VM_CONTEXT_ID|VM_NAME [DISK]"},
	{NULL, "mount", cmd_mount, "du", 1, 1, "mount [--disk all|N …] [--reuse] BACKUP_ID"},
	{NULL, "mounts", cmd_mounts, "", 0, 0, "mounts"},
	{NULL, "unmount", cmd_unmount, "", 1, 1, "unmount MOUNT_ID"},
	{NULL, "volumes", cmd_volumes, "", 1, 1, "volumes MOUNT_ID"},
	{NULL, "unlock", cmd_unlock, "npRk", 1, 1,
	 "unlock --volume N --passphrase-file FILE|--recovery-key-file FILE|--key-file FILE MOUNT_ID"},
	{NULL, "ls", cmd_ls, "ln", 2, 2, "ls [-l] [--volume N] MOUNT_ID PATH"},
	{NULL, "stat", cmd_stat, "n", 2, 2, "stat [--volume N] MOUNT_ID PATH"},
	{NULL, "get", cmd_get, "nfocFd", 1, ANY,
	 "get [--volume N] [--format zip|tar.gz|tar.zst|tar] [-o FILE|DIR|-] [--continue] [--force]\n"
	 "                    MOUNT_ID PATH… | [--disk all|N …] BACKUP_ID:PATH…"},
	{NULL, "search", cmd_search, "ln", 2, 3, "search [-l] [--volume N] MOUNT_ID TEXT [PATH]"},
	{"repo", "add", cmd_repo_add, "tS", 2, 2, "repo add [--type local|nfs|cifs] [--scan] NAME LOCATION"},
	{"repo", "list", cmd_repo_list, "", 0, 0, "repo list"},
	{"repo", "scan", cmd_repo_scan, "", 1, 1, "repo scan NAME|ID"},
	{"repo", "remove", cmd_repo_remove, "g", 1, 1, "repo remove [--forget] NAME|ID"},
	{"vm", "list", cmd_vm_list, "", 0, 0, "vm list"},
	{NULL, "status", cmd_status, "", 0, 0, "status"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct option long_options[] = {
	{"vm", required_argument, NULL, 'v'},
	{"repo", required_argument, NULL, 'r'},
	{"status", required_argument, NULL, 's'},
	{"type", required_argument, NULL, 't'},
	{"disk", required_argument, NULL, 'd'},
	{"reuse", no_argument, NULL, 'u'},
	{"long", no_argument, NULL, 'l'},
	{"volume", required_argument, NULL, 'n'},
	{"format", required_argument, NULL, 'f'},
	{"output", required_argument, NULL, 'o'},
	{"continue", no_argument, NULL, 'c'},
	{"force", no_argument, NULL, 'F'},
	{"scan", no_argument, NULL, 'S'},
	{"forget", no_argument, NULL, 'g'},
	{"passphrase-file", required_argument, NULL, 'p'},
	{"recovery-key-file", required_argument, NULL, 'R'},
	{"key-file", required_argument, NULL, 'k'},
	{"json", no_argument, NULL, 'j'},
	{"url", required_argument, NULL, 'U'},
	{"token-file", required_argument, NULL, 'T'},
	{"data-dir", required_argument, NULL, 'D'},
	{"cacert", required_argument, NULL, 'C'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static const char for_all[] = "jUTDChV";

struct parsed {
	struct client_args args;
	struct locate_options hub;
	const char *cacert;
	char letters[64];                /* of the options given */
	bool help, version;
};

static void print_usage(FILE *to)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		(void)fprintf(to, "%s sendense %s\n", i == 0 ? "usage:" : "      ", commands[i].usage);
	(void)fputs("       sendense image …    files out of image files, without a hub: see sendense image --help\n"
	            "All of them: [--json] [--url URL] [--token-file FILE] [--data-dir DIR] [--cacert FILE] [--help] "
	            "[--version]\n"
	            "The hub is found by --url, $SENDENSE_URL, or in its data directory; see sendense(1).\n"
	            "Exit status: 0 all well, 1 some entries failed, 2 usage, 3 not found, 4 failed otherwise.\n",
	            to);
}

static int usage_error(const struct command *c, const char *what, const char *arg)
{
	complain("%s%s%s: %s%s", c->group ? c->group : "", c->group ? " " : "", c->name, what, arg ? arg : "");
	(void)fprintf(stderr, "usage: sendense %s\n", c->usage);
	return CLIENT_USAGE;
}

/* --- options -------------------------------------------------------------------------------------- */

static const char *option_name(int letter)
{
	for (unsigned i = 0; long_options[i].name; i++)
		if (long_options[i].val == letter)
			return long_options[i].name;
	return "";
}

static void take_option(struct parsed *p, int letter, const char *value)
{
	struct client_args *a = &p->args;
	const char **const texts[] = {
		['v'] = &a->vm,              ['r'] = &a->repository,        ['s'] = &a->status,
		['t'] = &a->type,            ['n'] = &a->volume,            ['f'] = &a->format,
		['o'] = &a->output,          ['p'] = &a->passphrase_file,   ['R'] = &a->recovery_key_file,
		['k'] = &a->key_file,        ['U'] = &p->hub.url,           ['T'] = &p->hub.token_file,
		['D'] = &p->hub.data_dir,    ['C'] = &p->cacert,
	};
	bool *const flags[] = {
		['u'] = &a->reuse, ['l'] = &a->lines, ['c'] = &a->resume, ['F'] = &a->force,
		['S'] = &a->scan,  ['j'] = &a->json,  ['h'] = &p->help,   ['V'] = &p->version,
		['g'] = &a->forget,
	};
	size_t at = (size_t)letter;
	if (at < sizeof(texts) / sizeof(texts[0]) && texts[at])
		*texts[at] = value;
	else if (at < sizeof(flags) / sizeof(flags[0]) && flags[at])
		*flags[at] = true;
	/* One more than there may be is noticed by check_disks. */
	if (letter == 'd' && a->disk_count++ < CLIENT_DISKS_MAX)
		a->disks[a->disk_count - 1] = value;
	if (!strchr(p->letters, letter) && strlen(p->letters) + 1 < sizeof(p->letters))
		p->letters[strlen(p->letters)] = (char)letter;
}

/* 0, or the exit status. Leaves the operands at argv[optind]. */
static int parse_options(int argc, char **argv, struct parsed *p)
{
	int o;
	optind = 1;
	while ((o = getopt_long(argc, argv, ":lo:h", long_options, NULL)) != -1) {
		if (o == '?' || o == ':') {
			complain(o == '?' ? "there is no option %s; see sendense --help"
			                  : "the option %s lacks its value",
			         argv[optind - 1]);
			return CLIENT_USAGE;
		}
		take_option(p, o, optarg);
	}
	return 0;
}

/* Digits of a number up to nine places: an index, a volume. */
static bool is_number(const char *s)
{
	size_t n = strlen(s);
	return n > 0 && n <= 9 && strspn(s, "0123456789") == n && (n == 1 || s[0] != '0');
}

static bool is_one_of(const char *s, const char *const *words)
{
	while (*words && strcmp(s, *words) != 0)
		words++;
	return *words != NULL;
}

static int check_disks(const struct command *c, const struct client_args *a)
{
	if (a->disk_count > CLIENT_DISKS_MAX)
		return usage_error(c, "too many --disk", NULL);
	for (unsigned i = 0; i < a->disk_count; i++) {
		bool all = strcmp(a->disks[i], "all") == 0;
		if (!all && !is_number(a->disks[i]))
			return usage_error(c, "--disk takes a number from 0, or \"all\", not ", a->disks[i]);
		if (all && a->disk_count > 1)
			return usage_error(c, "--disk all is all of them: no other --disk goes with it", NULL);
	}
	return 0;
}

static int check_values(const struct command *c, const struct client_args *a)
{
	static const char *const formats[] = {"zip", "tar.gz", "tar.zst", "tar", NULL};
	static const char *const backups[] = {"full", "incremental", NULL};
	static const char *const repositories[] = {"local", "nfs", "cifs", NULL};
	static const char *const statuses[] = {"pending", "running", "completed", "failed", "cancelled", NULL};
	bool repo = c->group && strcmp(c->group, "repo") == 0;
	if (a->volume && (!is_number(a->volume) || a->volume[0] == '0'))
		return usage_error(c, "--volume takes a number from 1, not ", a->volume);
	if (a->format && !is_one_of(a->format, formats))
		return usage_error(c, "--format is zip, tar.gz, tar.zst or tar, not ", a->format);
	if (a->type && !is_one_of(a->type, repo ? repositories : backups))
		return usage_error(c,
		                   repo ? "--type is local, nfs or cifs, not " : "--type is full or incremental, not ",
		                   a->type);
	if (a->status && !is_one_of(a->status, statuses))
		return usage_error(c, "--status is pending, running, completed, failed or cancelled, not ", a->status);
	if (a->output && !a->output[0])
		return usage_error(c, "-o takes the name of a file or folder", NULL);
	return 0;
}

/* --- operands ------------------------------------------------------------------------------------- */

static const struct command *find_command(char **words, int count)
{
	for (unsigned i = 0; i < COMMANDS && count > 0; i++) {
		const struct command *c = &commands[i];
		if (!c->group && strcmp(words[0], c->name) == 0)
			return c;
		if (c->group && count > 1 && strcmp(words[0], c->group) == 0 && strcmp(words[1], c->name) == 0)
			return c;
	}
	return NULL;
}

static int no_command(char **words, int count)
{
	if (count == 0) {
		print_usage(stderr);
		return CLIENT_USAGE;
	}
	const char *group = NULL;
	for (unsigned i = 0; i < COMMANDS; i++)
		if (commands[i].group && strcmp(words[0], commands[i].group) == 0)
			group = commands[i].group;
	if (group && count == 1)
		complain("\"%s\" is one of several commands:", group);
	else
		complain("there is no command \"%s%s%s\"; see sendense --help", words[0], group ? " " : "", group ? words[1] : "");
	for (unsigned i = 0; group && i < COMMANDS; i++)
		if (commands[i].group && strcmp(commands[i].group, group) == 0)
			(void)fprintf(stderr, "       sendense %s\n", commands[i].usage);
	return CLIENT_USAGE;
}

static int check_operands(const struct command *c, const struct client_args *a)
{
	static const char *const with_path[] = {"ls", "stat", NULL};
	if (a->count < c->min)
		return usage_error(c, "something is missing", NULL);
	if (a->count > c->max)
		return usage_error(c, "too many arguments: ", a->operands[c->max]);
	const char *path = "/";
	if (is_one_of(c->name, with_path))
		path = a->operands[1];
	else if (c->run == cmd_search && a->count > 2)
		path = a->operands[2];
	if (path[0] != '/')
		return usage_error(c, "a path inside a volume starts with \"/\", not ", path);
	if (c->run == cmd_repo_add && a->operands[1][0] != '/')
		return usage_error(c, "LOCATION is the absolute path of a folder on the hub's machine, not ",
		                   a->operands[1]);
	if (c->run == cmd_backup_chain && a->count > 1 && !is_number(a->operands[1]))
		return usage_error(c, "DISK is a number from 0, not ", a->operands[1]);
	if (c->run == cmd_unlock && (!a->volume || !!a->passphrase_file + !!a->recovery_key_file + !!a->key_file != 1))
		return usage_error(c, "it takes --volume and one of --passphrase-file, --recovery-key-file and --key-file", NULL);
	for (int i = 0; i < a->count; i++)
		if (!a->operands[i][0])
			return usage_error(c, "an argument is empty", NULL);
	return 0;
}

static char *put_name(struct buf *room, const char *text)
{
	size_t at = room->len;
	path_text(room, text);
	buf_addc(room, '\0');
	return (char *)room->data + at;
}

/* VMs and backups may have the names of folders and files, which are bytes: the hub knows them as it shows them. room: where they
 * are then, and stay. */
static bool take_names(struct parsed *p, struct buf *room)
{
	struct client_args *a = &p->args;
	size_t bytes = a->vm ? strlen(a->vm) : 0;
	for (int i = 0; i < a->count; i++)
		bytes += strlen(a->operands[i]);
	*room = BUF_INIT(NAME_ESCAPE_GROWTH * bytes + (size_t)a->count + 1);
	if (!buf_reserve(room, room->max))
		return false;
	if (a->vm)
		a->vm = put_name(room, a->vm);
	for (int i = 0; i < a->count; i++)
		a->operands[i] = put_name(room, a->operands[i]);
	return !room->failed;
}

static int run(const struct command *c, const struct parsed *p)
{
	struct err e = ERR_INIT;
	struct location at;
	struct client *client = NULL;
	int r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : err_no_memory(&e, "client");
	if (r == 0)
		r = locate_hub(&p->hub, &at, &e);
	if (r == 0)
		r = client_open(&at, p->cacert, &client, &e);
	int status = r < 0 ? complain_err(&e) : c->run(client, &p->args);
	client_close(client);
	explicit_bzero(&at, sizeof(at));
	curl_global_cleanup();
	return finish_output(status);
}

int client_main(int argc, char **argv)
{
	struct parsed p = {0};
	int status = parse_options(argc, argv, &p);
	if (status != 0)
		return status;
	if (p.version) {
		(void)puts("sendense " SENDENSE_VERSION);
		return finish_output(CLIENT_OK);
	}
	char **words = argv + optind;
	int count = argc - optind;
	const struct command *c = find_command(words, count);
	if (p.help) {
		if (c)
			(void)printf("usage: sendense %s\n", c->usage);
		else
			print_usage(stdout);
		return finish_output(CLIENT_OK);
	}
	if (!c)
		return no_command(words, count);
	for (const char *l = p.letters; *l; l++)
		if (!strchr(for_all, *l) && !strchr(c->options, *l))
			return usage_error(c, "it does not know --", option_name(*l));
	p.args.operands = words + (c->group ? 2 : 1);
	p.args.count = count - (c->group ? 2 : 1);
	status = check_operands(c, &p.args);
	if (status == 0)
		status = check_disks(c, &p.args);
	if (status == 0)
		status = check_values(c, &p.args);
	CLEANUP(buf_free) struct buf names = BUF_INIT(0);
	/* LOCATION is a path of the hub's machine. */
	if (status == 0 && c->run != cmd_repo_add && !take_names(&p, &names)) {
		complain("not enough memory");
		status = CLIENT_FAILED;
	}
	return status != 0 ? status : run(c, &p);
}
