#include "hub_config.h"

#include "base/cleanup.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LISTEN "127.0.0.1:8082"

struct key {
	const char *name;
	char *text;                      /* or */
	size_t size;
	unsigned *number;
	unsigned min, max;
};

enum { KEYS = 12 };

static void describe(struct hub_options *o, struct key keys[KEYS])
{
	const struct key list[KEYS] = {
		{"data_dir", o->data_dir, sizeof(o->data_dir), NULL, 0, 0},
		{"listen", o->listen, sizeof(o->listen), NULL, 0, 0},
		{"web_dir", o->web_dir, sizeof(o->web_dir), NULL, 0, 0},
		{"tls_cert", o->tls_cert, sizeof(o->tls_cert), NULL, 0, 0},
		{"tls_key", o->tls_key, sizeof(o->tls_key), NULL, 0, 0},
		{"log_level", o->log_level, sizeof(o->log_level), NULL, 0, 0},
		{"max_mounts", NULL, 0, &o->max_mounts, 1, 100000},
		{"idle_timeout_seconds", NULL, 0, &o->idle_timeout_s, 1, 30 * 86400},
		{"cleanup_interval_seconds", NULL, 0, &o->cleanup_interval_s, 1, 86400},
		{"worker_idle_seconds", NULL, 0, &o->worker_idle_s, 1, 86400},
		{"worker_timeout_seconds", NULL, 0, &o->worker_timeout_s, 1, 3600},
		{"connections_max", NULL, 0, &o->connections_max, 1, 100000},
	};
	memcpy(keys, list, sizeof(list));
}

static int set_key(const struct key *k, const char *value, const char *where, struct err *e)
{
	if (value[0] == '\0')
		return err_set(e, ERR_CONFIG, "config", "%s: %s has no value", where, k->name);
	if (k->text) {
		if (strlen(value) >= k->size)
			return err_set(e, ERR_CONFIG, "config", "%s: the value of %s is too long", where, k->name);
		(void)snprintf(k->text, k->size, "%s", value);
		return 0;
	}
	char *end;
	errno = 0;
	unsigned long v = strtoul(value, &end, 10);
	if (errno != 0 || end == value || *end || value[0] == '-' || v < k->min || v > k->max)
		return err_set(e, ERR_CONFIG, "config", "%s: %s takes a number from %u to %u, not \"%.40s\"", where, k->name, k->min,
		               k->max, value);
	*k->number = (unsigned)v;
	return 0;
}

static int set_by_name(const struct key keys[KEYS], const char *name, const char *value, const char *where, struct err *e)
{
	for (unsigned i = 0; i < KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return set_key(&keys[i], value, where, e);
	return err_set(e, ERR_CONFIG, "config", "%s: there is no setting \"%.40s\"", where, name);
}

static char *trim(char *s)
{
	s += strspn(s, " \t\r\n");
	size_t n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		s[--n] = '\0';
	return s;
}

static void close_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

/* Lines "key = value"; "#" starts a comment line. */
static int read_file(const char *path, const struct key keys[KEYS], struct err *e)
{
	CLEANUP(close_file) FILE *f = fopen(path, "re");
	if (!f)
		return err_set_errno(e, ERR_CONFIG, errno, "config", "cannot read the configuration file %s", path);
	char line[PATH_MAX + 64];
	for (unsigned n = 1; fgets(line, sizeof(line), f); n++) {
		char where[PATH_MAX + 32];
		(void)snprintf(where, sizeof(where), "%s, line %u", path, n);
		char *name = trim(line);
		if (*name == '\0' || *name == '#')
			continue;
		char *eq = strchr(name, '=');
		if (!eq)
			return err_set(e, ERR_CONFIG, "config", "%s: expected \"key = value\"", where);
		*eq = '\0';
		int r = set_by_name(keys, trim(name), trim(eq + 1), where, e);
		if (r < 0)
			return r;
	}
	/* Not the settings alone that came before the error: half a configuration may be an open door. */
	if (ferror(f))
		return err_set_errno(e, ERR_CONFIG, errno, "config", "cannot read the configuration file %s", path);
	return 0;
}

static int default_data_dir(struct hub_options *o, struct err *e)
{
	const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	if (xdg && xdg[0] == '/') {
		(void)snprintf(o->data_dir, sizeof(o->data_dir), "%s/sendense", xdg);
		return 0;
	}
	const struct passwd *pw = home && home[0] == '/' ? NULL : getpwuid(getuid());
	if (pw)
		home = pw->pw_dir;
	if (!home || home[0] != '/')
		return err_set(e, ERR_CONFIG, "config", "there is no home directory: name a data directory with --data-dir");
	(void)snprintf(o->data_dir, sizeof(o->data_dir), "%s/.local/share/sendense", home);
	return 0;
}

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"data-dir", required_argument, NULL, 'd'},
	{"listen", required_argument, NULL, 'l'},
	{"tls-cert", required_argument, NULL, 'C'},
	{"tls-key", required_argument, NULL, 'K'},
	{"web-dir", required_argument, NULL, 'w'},
	{"max-mounts", required_argument, NULL, 'm'},
	{"log-level", required_argument, NULL, 'L'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static const char *key_of(int option)
{
	switch (option) {
	case 'd':
		return "data_dir";
	case 'l':
		return "listen";
	case 'C':
		return "tls_cert";
	case 'K':
		return "tls_key";
	case 'w':
		return "web_dir";
	case 'm':
		return "max_mounts";
	default:
		return "log_level";
	}
}

/* One pass over the command line; `apply` false: only the configuration file's name is of interest. */
static int parse_line(int argc, char **argv, struct hub_options *o, const struct key keys[KEYS], bool apply, struct err *e)
{
	int opt;
	optind = 1;
	while ((opt = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		int r = 0;
		if (opt == 'c' && optarg[0] == '\0')
			r = err_set(e, ERR_CONFIG, "config", "--config needs the name of a file");
		else if (opt == 'c')
			(void)snprintf(o->config_file, sizeof(o->config_file), "%s", optarg);
		else if (opt == 'h')
			o->help = true;
		else if (opt == 'V')
			o->version = true;
		else if (opt == '?' || opt == ':')
			r = err_set(e, ERR_CONFIG, "config", opt == '?' ? "unknown option %s" : "option %s lacks its value",
			            argv[optind - 1]);
		else if (apply)
			r = set_by_name(keys, key_of(opt), optarg, "command line", e);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return err_set(e, ERR_CONFIG, "config", "unexpected argument \"%s\"", argv[optind]);
	return 0;
}

int hub_options_parse(int argc, char **argv, struct hub_options *ret, struct err *e)
{
	struct hub_options o = {.listen = DEFAULT_LISTEN, .log_level = "info"};
	struct key keys[KEYS];
	describe(&o, keys);
	int r = parse_line(argc, argv, &o, keys, false, e);
	if (r == 0 && o.config_file[0])
		r = read_file(o.config_file, keys, e);
	if (r == 0)
		r = parse_line(argc, argv, &o, keys, true, e);
	if (r == 0 && o.data_dir[0] == '\0')
		r = default_data_dir(&o, e);
	if (r == 0)
		*ret = o;
	return r;
}

void hub_options_usage(void)
{
	(void)printf("usage: sendense-hub [--config FILE] [--data-dir DIR] [--listen ADDR:PORT]\n"
	             "                    [--tls-cert FILE --tls-key FILE] [--web-dir DIR] [--max-mounts N]\n"
	             "                    [--log-level LEVEL]\n"
	             "\n"
	             "Serves the restore API and the web page; by default on " DEFAULT_LISTEN ", with its data in\n"
	             "$XDG_DATA_HOME/sendense or ~/.local/share/sendense. Any address but loopback needs TLS.\n"
	             "The administrator's token is in DATA-DIR/admin.token. See sendense-hub(8).\n");
}
