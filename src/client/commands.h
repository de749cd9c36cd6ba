/* The commands and what they share. Each command gives the exit status; it has said what went wrong. */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include "client/call.h"
#include "client/client.h"
#include "client/print.h"

enum { CLIENT_DISKS_MAX = 64 };

struct client_args {
	const char *vm, *repository, *status, *type, *format, *output;     /* NULL: not given */
	const char *passphrase_file, *recovery_key_file, *key_file;
	const char *volume;                                                /* digits */
	const char *disks[CLIENT_DISKS_MAX];                               /* digits, or the one word "all" */
	unsigned disk_count;
	bool json, lines, reuse, resume, force, scan, forget;
	char **operands;
	int count;
};

typedef int command_run(struct client *c, const struct client_args *a);

command_run cmd_backup_list, cmd_backup_show, cmd_backup_disks, cmd_backup_chain;
command_run cmd_vm_list, cmd_status;
command_run cmd_mount, cmd_mounts, cmd_unmount, cmd_volumes, cmd_unlock;
command_run cmd_ls, cmd_stat, cmd_search, cmd_get;
command_run cmd_repo_add, cmd_repo_list, cmd_repo_scan, cmd_repo_remove;

/* Makes the call; with --json its answer goes to standard output as it is, else it is parsed and printed by `print`. */
typedef int answer_print(const struct doc *d, const struct client_args *a);
int show(struct client *c, const struct client_args *a, const struct call *call, answer_print *print);
int show_get(struct client *c, const struct client_args *a, const struct buf *path, answer_print *print);
/* The error of a failed call, with what to do where the code has more to say than its sentence. */
int complain_call(const struct err *e, const struct doc *details);

/* Appends "/api/v1", then the format's text, in which each %s is percent-encoded as one path segment. */
void api_path(struct buf *to, const char *fmt, ...);

/* A path of the command line as the API takes it: valid UTF-8, other bytes escaped (base/utf8.h). What was copied out
 * of an answer, escapes and all, is understood too. */
void path_text(struct buf *to, const char *operand);

/* Mounts the disks of the arguments, or with `reuse` finds the mount there is. */
int open_mount(struct client *c, const char *backup_id, const struct client_args *a, bool reuse, struct doc **ret,
               struct doc **ret_details, struct err *e);

#endif
