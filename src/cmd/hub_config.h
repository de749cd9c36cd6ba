/* Options and configuration file of sendense-hub. docs/operations.md and man/sendense-hub.8 describe each key. */
#ifndef CMD_HUB_CONFIG_H
#define CMD_HUB_CONFIG_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>

struct hub_options {
	char config_file[PATH_MAX];      /* "" for none */
	char data_dir[PATH_MAX];
	char listen[256];
	char web_dir[PATH_MAX];          /* of the built page; "": looked for beside the program */
	char tls_cert[PATH_MAX], tls_key[PATH_MAX];
	char log_level[16];
	unsigned max_mounts, idle_timeout_s, cleanup_interval_s, worker_idle_s, worker_timeout_s;
	unsigned connections_max;
	bool help, version;
};

/* The command line's values win over the file's, the file's over the defaults. ERR_CONFIG names the option, or the file's
 * line, and what it may be. */
int hub_options_parse(int argc, char **argv, struct hub_options *ret, struct err *e);
void hub_options_usage(void);

#endif
