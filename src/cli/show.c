/* info, ls, stat: what is printed for people, or as the API's JSON. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "session/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JSON_FLUSH = 1 << 16, JSON_MAX = 16 << 20 };

static int warn(const struct chain *c)
{
	for (unsigned i = 0; i < c->opened.warning_count; i++)
		cli_say("warning: %s", c->opened.warnings[i]);
	return 0;
}

/* Prints what the buffer holds and empties it. */
static void flush_json(struct buf *b)
{
	(void)fwrite(b->data, 1, b->len, stdout);
	buf_reset(b);
}

/* What is printed must have arrived: a full disk or a closed pipe is a failure. */
static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_say("cannot write to standard output");
	return status ? status : CLI_SOME_FAILED;
}

static bool to_terminal(void)
{
	static int terminal = -1;
	if (terminal < 0)
		terminal = isatty(STDOUT_FILENO);
	return terminal;
}

/* A terminal is given nothing that a guest chose to act on it. */
static void print_name(const char *s, size_t len)
{
	if (!to_terminal()) {
		(void)fwrite(s, 1, len, stdout);
		return;
	}
	CLEANUP(buf_free) struct buf shown = BUF_INIT(16 * len + 16);
	name_shown(&shown, s, len);
	(void)fwrite(buf_str(&shown), 1, shown.len, stdout);
}

/* --- info ----------------------------------------------------------------------------------------- */

static void json_layer(struct json *j, const struct chain_layer *l)
{
	json_object(j);
	json_key(j, "file");
	json_name(j, l->path, strlen(l->path));
	json_key_string(j, "format", l->info.format);
	if (l->info.version)
		json_key_u64(j, "version", l->info.version);
	json_key_u64(j, "virtual_size", l->info.virtual_size);
	json_key_u64(j, "file_size", l->info.file_size);
	if (l->info.cluster_size)
		json_key_u64(j, "cluster_size", l->info.cluster_size);
	json_key(j, "backing_file");
	if (l->info.backing_name[0])
		json_name(j, l->info.backing_name, strlen(l->info.backing_name));
	else
		json_null(j);
	if (l->info.has_data_file)
		json_key_string(j, "data_file", l->info.data_file_name);
	json_key_bool(j, "dirty", l->info.dirty);
	json_key_bool(j, "encrypted", l->info.encrypted);
	json_object_end(j);
}

/* Its fields, into the object that is open. */
static void json_disk(struct json *j, const struct chain_disk *d)
{
	json_key_string(j, "format", d->layers[0].info.format);
	json_key_u64(j, "virtual_size", d->layers[0].info.virtual_size);
	json_key_u64(j, "layer_count", d->layer_count);
	json_key(j, "layers");
	json_array(j);
	for (unsigned i = 0; i < d->layer_count; i++)
		json_layer(j, &d->layers[i]);
	json_array_end(j);
}

/* The first disk's fields are those of the document; the list holds all of them. */
static void json_disks(struct json *j, const struct chain *c)
{
	json_disk(j, &c->disks[0]);
	json_key(j, "disks");
	json_array(j);
	for (unsigned i = 0; i < c->disk_count; i++) {
		json_object(j);
		json_key_u64(j, "disk_index", i);
		json_disk(j, &c->disks[i]);
		json_object_end(j);
	}
	json_array_end(j);
}

static void info_json(const struct chain *c, const struct wire_volume *volumes, unsigned count)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(JSON_MAX);
	struct json j = json_init(&b);
	json_object(&j);
	json_disks(&j, c);
	json_key(&j, "default_volume");
	if (c->opened.default_volume)
		json_u64(&j, c->opened.default_volume);
	else
		json_null(&j);
	json_key(&j, "volumes");
	json_array(&j);
	for (unsigned i = 0; i < count; i++)
		view_volume(&j, &volumes[i], volumes[i].disk, 0);
	json_array_end(&j);
	json_key(&j, "warnings");
	json_array(&j);
	for (unsigned i = 0; i < c->opened.warning_count; i++)
		json_string(&j, c->opened.warnings[i]);
	json_array_end(&j);
	json_object_end(&j);
	buf_addc(&b, '\n');
	flush_json(&b);
}

static void human_size(char *to, size_t size, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	unsigned u = 0;
	while (v >= 1024 && u < 6) {
		v /= 1024;
		u++;
	}
	(void)snprintf(to, size, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
}

static void info_disk(const struct chain_disk *d)
{
	char size[32];
	const struct wire_layer *top = &d->layers[0].info;
	human_size(size, sizeof(size), top->virtual_size);
	(void)printf("format:       %s", top->format);
	if (top->version)
		(void)printf(" version %u, clusters of %u bytes", top->version, top->cluster_size);
	(void)printf("\nvirtual size: %s (%" PRIu64 " bytes)\nlayers:       %u\n", size, top->virtual_size, d->layer_count);
	for (unsigned i = 0; i < d->layer_count; i++) {
		(void)printf("  %3u  %-5s  ", i + 1, d->layers[i].info.format);
		print_name(d->layers[i].path, strlen(d->layers[i].path));
		(void)putchar('\n');
	}
}

static void info_text(const struct chain *c, const struct wire_volume *volumes, unsigned count)
{
	char size[32];
	for (unsigned i = 0; i < c->disk_count; i++) {
		if (c->disk_count > 1)
			(void)printf("disk:         %u\n", i);
		info_disk(&c->disks[i]);
	}
	(void)printf("volumes:      %u\n", count);
	bool many = c->disk_count > 1;
	if (count)
		(void)printf("  %3s  %s%-9s  %-12s  %10s  %-20s  %s\n", "N", many ? "DISK  " : "", "KIND", "FILESYSTEM", "SIZE", "LABEL",
		             "");
	for (unsigned i = 0; i < count; i++) {
		const struct wire_volume *v = &volumes[i];
		human_size(size, sizeof(size), v->size);
		(void)printf("  %3u  ", v->number);
		if (many)
			(void)printf("%4u  ", v->disk);
		(void)printf("%-9s  %-12s  %10s  ", v->kind, v->type[0] ? v->type : "-", size);
		const char *label = v->label[0] ? v->label : v->name[0] ? v->name : "-";
		print_name(label, strlen(label));
		(void)printf("%*s  %s\n", strlen(label) < 20 ? (int)(20 - strlen(label)) : 0, "",
		             v->is_default ? "default" : v->supported ? "" : v->reason);
	}
}

int cli_info(const struct image_args *a)
{
	struct err e = ERR_INIT;
	struct chain c;
	if (chain_open(&a->chain, &c, &e) < 0)
		return cli_fail(&e);
	CLEANUP(free_ptr) struct wire_volume *volumes = NULL;
	unsigned count = 0;
	int status = CLI_OK;
	if (session_volumes(c.session, &volumes, &count, &e) < 0)
		status = cli_fail(&e);
	else if (a->json)
		info_json(&c, volumes, count);
	else
		info_text(&c, volumes, count);
	if (!a->json)
		(void)warn(&c);
	chain_close(&c);
	return finish_output(status);
}

/* --- ls ------------------------------------------------------------------------------------------- */

struct ls {
	const struct image_args *args;
	struct chain chain;
	struct buf json_buf;
	struct json json;
	bool some_failed;
	bool printed;
};

static void print_long(const struct wire_entry *en)
{
	char mode[11], when[CLOCK_RFC3339_MAX];
	view_mode(mode, en);
	if (!(en->flags & ENTRY_HAS_MTIME) || clock_rfc3339(when, en->mtime.sec, en->mtime.nsec) == 0)
		(void)snprintf(when, sizeof(when), "-");
	(void)printf("%s %3" PRIu64 " %5u %5u ", mode, en->nlink, en->uid, en->gid);
	if (en->kind == ENTRY_BLOCK || en->kind == ENTRY_CHAR)
		(void)printf("%6u,%6u ", en->rdev_major, en->rdev_minor);
	else
		(void)printf("%13" PRIu64 " ", en->size);
	(void)printf("%-30s ", when);
}

/* dir: without slashes at the end; NULL: the entry is what was asked for. */
static void print_entry(struct ls *l, const char *dir, size_t dir_len, const struct wire_entry *en)
{
	if (en->flags & ENTRY_BROKEN)
		l->some_failed = true;
	if (l->args->json) {
		view_entry(&l->json, dir, dir_len, en);
		if (l->json_buf.len > JSON_FLUSH)
			flush_json(&l->json_buf);
		return;
	}
	if (l->args->lines && !(en->flags & ENTRY_BROKEN))
		print_long(en);
	print_name(en->name, en->name_len);
	if (l->args->lines && en->kind == ENTRY_SYMLINK && !(en->flags & ENTRY_BROKEN)) {
		(void)fputs(" -> ", stdout);
		print_name(en->target, en->target_len);
	}
	(void)putchar('\n');
	if (en->flags & ENTRY_BROKEN)
		cli_say("%.*s%s%.*s: %.*s [%s]", (int)dir_len, dir ? dir : "", dir ? "/" : "", (int)en->name_len, en->name,
		        (int)en->error_len, en->error_msg, err_code_name(en->error_code));
}

/* A path that is not a directory is listed as itself, as ls does. */
static int list_file(struct ls *l, struct err *e)
{
	struct session_stat st;
	struct session_path at = {.volume = l->args->volume, .path = l->args->path, .len = strlen(l->args->path)};
	int r = session_stat(l->chain.session, at, false, false, &st, e);
	if (r < 0)
		return r;
	struct wire_entry en = st.entry;
	if (l->args->json) {
		en.name = l->args->path;
		en.name_len = strlen(l->args->path);
	}
	print_entry(l, NULL, 0, &en);
	session_stat_free(&st);
	return 0;
}

static void heading(struct ls *l, const struct tree_directory *d)
{
	if (l->args->json || !l->args->recursive)
		return;
	if (l->printed)
		(void)putchar('\n');
	l->printed = true;
	print_name(d->path, d->len);
	(void)fputs(":\n", stdout);
}

/* Depth first: the subdirectories of a directory come before its sisters. One that cannot be read does not end the listing. */
static int list_all(struct ls *l, struct err *e)
{
	struct session_list_options opt = {.sort = WIRE_SORT_NAME, .below = l->args->recursive};
	struct session_path at = {.volume = l->args->volume, .path = l->args->path, .len = strlen(l->args->path)};
	CLEANUP(tree_reader_close_p) struct tree_reader *rd = NULL;
	int r = tree_reader_open(l->chain.session, at, &opt, &rd, e);
	if (r < 0)
		return r;
	struct tree_directory d;
	while ((r = tree_reader_directory(rd, &d, e)) == 1) {
		heading(l, &d);
		if (d.why.code < 0) {
			cli_say("%.*s: %s [%s]", (int)d.len, d.path, d.why.msg, err_code_name(d.why.code));
			l->some_failed = true;
		}
		struct wire_entry en;
		while ((r = tree_reader_next(rd, &en, e)) == 1)
			print_entry(l, d.path, d.base_len, &en);
		if (r < 0)
			return r;
	}
	if (r != ERR_NOT_DIRECTORY)
		return r;
	err_clear(e);
	return list_file(l, e);
}

int cli_ls(const struct image_args *a)
{
	struct err e = ERR_INIT;
	struct ls l = {.args = a, .json_buf = BUF_INIT(JSON_MAX)};
	if (chain_open(&a->chain, &l.chain, &e) < 0)
		return cli_fail(&e);
	(void)warn(&l.chain);
	l.json = json_init(&l.json_buf);
	if (a->json) {
		json_object(&l.json);
		json_key_u64(&l.json, "volume", a->volume ? a->volume : l.chain.opened.default_volume);
		json_key(&l.json, "path");
		json_name(&l.json, a->path, strlen(a->path));
		json_key(&l.json, "files");
		json_array(&l.json);
	}
	int status = list_all(&l, &e) < 0 ? cli_fail(&e) : l.some_failed ? CLI_SOME_FAILED : CLI_OK;
	/* A listing that failed is no JSON document: half of one must not pass for the whole. */
	if (a->json && (status == CLI_OK || status == CLI_SOME_FAILED)) {
		json_array_end(&l.json);
		json_object_end(&l.json);
		buf_addc(&l.json_buf, '\n');
		flush_json(&l.json_buf);
	}
	buf_free(&l.json_buf);
	chain_close(&l.chain);
	return finish_output(status);
}

/* --- stat ----------------------------------------------------------------------------------------- */

static void stat_time(const char *name, const struct wire_time *t, bool known)
{
	char when[CLOCK_RFC3339_MAX];
	if (known && clock_rfc3339(when, t->sec, t->nsec) > 0)
		(void)printf("%-10s %s\n", name, when);
}

static void stat_text(const struct image_args *a, const struct session_stat *st)
{
	const struct wire_entry *en = &st->entry;
	char mode[11];
	view_mode(mode, en);
	(void)fputs("path:      ", stdout);
	print_name(a->path, strlen(a->path));
	(void)printf("\ntype:      %s\nsize:      %" PRIu64 "\nallocated: %" PRIu64 "\nmode:      %04o (%s)\n",
	             wire_entry_kind_name(en->kind), en->size, en->allocated, en->mode, mode);
	(void)printf("owner:     uid %u, gid %u\nlinks:     %" PRIu64 "\ninode:     %" PRIu64 "\nvolume:    %u\n", en->uid,
	             en->gid, en->nlink, en->ino, st->volume);
	stat_time("modified:", &en->mtime, en->flags & ENTRY_HAS_MTIME);
	stat_time("accessed:", &en->atime, en->flags & ENTRY_HAS_ATIME);
	stat_time("changed:", &en->ctime, en->flags & ENTRY_HAS_CTIME);
	stat_time("created:", &en->btime, en->flags & ENTRY_HAS_BTIME);
	if (en->kind == ENTRY_SYMLINK) {
		(void)fputs("target:    ", stdout);
		print_name(en->target, en->target_len);
		(void)putchar('\n');
	}
	if (en->kind == ENTRY_BLOCK || en->kind == ENTRY_CHAR)
		(void)printf("device:    %u, %u\n", en->rdev_major, en->rdev_minor);
	if (en->flags & ENTRY_HAS_ATTRS)
		(void)printf("dos:       0x%08x\n", en->dos_attrs);
	for (unsigned i = 0; i < st->xattr_count; i++)
		(void)printf("xattr:     %s (%zu bytes)\n", st->xattrs[i].name, st->xattrs[i].full_len);
	for (unsigned i = 0; i < st->stream_count; i++) {
		(void)fputs("stream:    ", stdout);
		print_name(st->streams[i].name, st->streams[i].name_len);
		(void)printf(" (%" PRIu64 " bytes)\n", st->streams[i].size);
	}
}

int cli_stat(const struct image_args *a)
{
	struct err e = ERR_INIT;
	struct chain c;
	if (chain_open(&a->chain, &c, &e) < 0)
		return cli_fail(&e);
	(void)warn(&c);
	struct session_path at = {.volume = a->volume, .path = a->path, .len = strlen(a->path)};
	struct session_stat *st = malloc(sizeof(*st));
	int status = CLI_OK;
	if (!st || session_stat(c.session, at, false, true, st, &e) < 0) {
		if (!st)
			(void)err_no_memory(&e, "image");
		status = cli_fail(&e);
	} else if (a->json) {
		CLEANUP(buf_free) struct buf b = BUF_INIT(JSON_MAX);
		struct json j = json_init(&b);
		view_stat(&j, a->path, strlen(a->path), st);
		buf_addc(&b, '\n');
		flush_json(&b);
		session_stat_free(st);
	} else {
		stat_text(a, st);
		session_stat_free(st);
	}
	free(st);
	chain_close(&c);
	return finish_output(status);
}
