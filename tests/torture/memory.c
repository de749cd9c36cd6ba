/* For tests only: opens an image with everything in it and reads it, again and again, while the n-th allocation fails:
 *
 *	memory-torture IMAGE…                the disks of one machine
 *	memory-torture -k SECRET IMAGE       an encrypted disk: the LUKS passphrase, or BitLocker's start-up key, is in that file
 *
 * for n = 1, 2, … until a reading needs no n allocations (past DENSE in growing steps). Each reading has to say that memory
 * ran out, or see what the undisturbed one saw; and give back all it took. The linker leads the allocations of our own
 * code here (--wrap), and libgcrypt asks for its own here; those inside other libraries are theirs. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "blk/cache.h"
#include "crypto/crypto.h"
#include "fs/fs.h"
#include "image/image.h"
#include "keys/keys.h"
#include "volume/bitlocker/bitlocker.h"
#include "volume/volume.h"
#include "wire/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <gcrypt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DENSE = 400,
	ENTRIES_MAX = 300,
	DEPTH_MAX = 8,
	FILE_BYTES_MAX = 200 << 10,
	CACHE_BYTES = 1 << 20,
	OTHERS_MAX = 16,
};

/* --- the allocator -------------------------------------------------------------------------------- */

/* Only the reading thread counts: what helper threads take depends on the hour. */
static _Thread_local bool counting;
static uint64_t taken, fail_at;
static int64_t live;
static bool failed;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void __real_free(void *p);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_asprintf(char **ret, const char *fmt, ...);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
/* What two of them become with _FORTIFY_SOURCE. */
int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap);
int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...);

static bool refuse(void)
{
	if (!counting || ++taken != fail_at)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

static void *count(void *p)
{
	if (p)
		(void)__atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
	return p;
}

void *__wrap_malloc(size_t n)
{
	return refuse() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (refuse())
		return NULL;
	return p ? __real_realloc(p, n) : count(__real_malloc(n));
}

char *__wrap_strdup(const char *s)
{
	return refuse() ? NULL : count(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t n)
{
	return refuse() ? NULL : count(__real_strndup(s, n));
}

void __wrap_free(void *p)
{
	if (p)
		(void)__atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
	__real_free(p);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	int n = refuse() ? -1 : __real_vasprintf(ret, fmt, ap);
	(void)count(n < 0 ? NULL : *ret);
	return n;
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	size_t all;
	return __builtin_mul_overflow(n, size, &all) ? NULL : __wrap_realloc(p, all);
}

int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap)
{
	(void)flag;
	return __wrap_vasprintf(ret, fmt, ap);
}

int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...)
{
	(void)flag;
	va_list ap;
	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

static void *gcrypt_malloc(size_t n)
{
	return refuse() ? NULL : __real_malloc(n);
}

static void *gcrypt_realloc(void *p, size_t n)
{
	return refuse() ? NULL : __real_realloc(p, n);
}

static int never_secure(const void *p)
{
	(void)p;
	return 0;
}

/* --- one reading ---------------------------------------------------------------------------------- */

struct seen {
	uint64_t hash;               /* FNV-1a over what was found */
	uint64_t errors;             /* over what was said to be wrong */
	unsigned entries, depth, said;
	int unlocking;               /* how that ended: an error code */
	struct fs *fs;
};

static uint64_t mix(uint64_t hash, const void *p, size_t len)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ b[i]) * 1099511628211u;
	return hash;
}

static void see(struct seen *s, const void *p, size_t len)
{
	s->hash = mix(s->hash, p, len);
}

static void say(struct seen *s, const char *text)
{
	s->errors = mix(s->errors, text, strlen(text));
	s->said++;
}

static void say_error(struct seen *s, struct err *e)
{
	if (e->code == 0 || e->msg[0] == '\0') {
		printf("a failure without a reason\n");
		exit(1);
	}
	say(s, e->msg);
	err_clear(e);
}

static int see_xattr(void *arg, const char *name, const void *value, size_t len)
{
	see(arg, name, strlen(name));
	see(arg, value, len);
	return 0;
}

static int see_stream(void *arg, const char *name, size_t name_len, uint64_t size)
{
	see(arg, name, name_len);
	see(arg, &size, sizeof(size));
	return 0;
}

static uint8_t contents[FILE_BYTES_MAX];

static void read_file(struct seen *s, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	if (fs_file_open(s->fs, id, NULL, &f, &e) < 0) {
		say_error(s, &e);
		return;
	}
	size_t len = (size_t)min_u64(f->size, FILE_BYTES_MAX);
	if (len > 0 && fs_file_read(f, 0, contents, len, &e) < 0)
		say_error(s, &e);
	else
		see(s, contents, len);
	fs_file_close(f);
}

struct folder {
	struct seen *seen;
	struct fs_id ids[ENTRIES_MAX];
	unsigned count;
};

static int see_entry(void *arg, const struct fs_dirent *de)
{
	struct folder *f = arg;
	see(f->seen, de->name, de->name_len);
	if (de->broken)
		say(f->seen, de->broken->msg);
	else if (f->count < ENTRIES_MAX)
		f->ids[f->count++] = de->id;
	return 0;
}

static void read_object(struct seen *s, struct fs_id id);

static void read_folder(struct seen *s, struct fs_id id)
{
	static struct folder folders[DEPTH_MAX];
	struct folder *f = &folders[s->depth];
	struct err e = ERR_INIT;
	f->seen = s;
	f->count = 0;
	if (fs_readdir(s->fs, id, 0, see_entry, f, &e) < 0)
		say_error(s, &e);
	s->depth++;
	for (unsigned i = 0; i < f->count && s->entries < ENTRIES_MAX && s->depth < DEPTH_MAX; i++) {
		s->entries++;
		read_object(s, f->ids[i]);
	}
	s->depth--;
}

static void read_object(struct seen *s, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_stat st;
	if (fs_stat(s->fs, id, &st, &e) < 0) {
		say_error(s, &e);
		return;
	}
	see(s, &st.size, sizeof(st.size));
	if (fs_xattrs(s->fs, id, see_xattr, s, &e) < 0)
		say_error(s, &e);
	if (fs_streams(s->fs, id, see_stream, s, &e) < 0)
		say_error(s, &e);
	if (st.type == FS_FILE) {
		read_file(s, id);
	} else if (st.type == FS_SYMLINK) {
		struct buf target = BUF_INIT(FS_LINK_MAX);
		if (fs_readlink(s->fs, id, &target, &e) < 0)
			say_error(s, &e);
		see(s, target.data, target.len);
		buf_free(&target);
	} else if (st.type == FS_DIRECTORY) {
		read_folder(s, id);
	}
}

static int probe(void *arg, struct blk *b, struct volume_content *ret, struct err *e)
{
	(void)arg;
	const struct fs_driver *driver;
	struct fs_ident ident;
	int r = fs_probe(b, &driver, &ident, e);
	if (r < 0 || !driver)
		return r < 0 ? r : 0;
	*ret = (struct volume_content){.supported = true};
	(void)snprintf(ret->type, sizeof(ret->type), "%s", ident.type);
	return 1;
}

/* The volumes of the same kind, of which the driver picks what belongs to v. */
static int open_fs(const struct volume_set *set, const struct volume *v, struct fs **ret, struct err *e)
{
	struct blk *cache = NULL, *others[OTHERS_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < set->count && count < OTHERS_MAX; i++)
		if (&set->volumes[i] != v && set->volumes[i].blk && strcmp(set->volumes[i].content.type, v->content.type) == 0)
			others[count++] = set->volumes[i].blk;
	int r = blk_cache_open(v->blk, CACHE_BYTES, &cache, e);
	if (r == 0)
		r = fs_open_with(cache, NULL, others, count, ret, e);
	blk_unref(cache);
	return r;
}

static void read_volume(struct seen *s, const struct volume_set *set, const struct volume *v)
{
	struct err e = ERR_INIT;
	see(s, v->name, strlen(v->name));
	see(s, &v->size, sizeof(v->size));
	see(s, v->content.type, strlen(v->content.type));
	if (v->reason[0])
		say(s, v->reason);
	if (!v->content.supported || !v->blk)
		return;
	if (open_fs(set, v, &s->fs, &e) < 0) {
		say_error(s, &e);
		return;
	}
	for (unsigned i = 0; i < s->fs->warning_count; i++)
		say(s, s->fs->warnings[i]);
	read_object(s, fs_root(s->fs));
	fs_close(s->fs);
}

static int open_disk(int fd, struct blk **ret, struct err *e)
{
	struct image_layer *layer;
	int r = image_layer_open(fd, IMAGE_AUTO, &layer, e);
	return r < 0 ? r : image_chain_open(&layer, 1, ret, e);
}

enum { DISKS_MAX = 8 };

static int fds[DISKS_MAX];
static unsigned disk_count;

/* --- encrypted disks ------------------------------------------------------------------------------ */

static uint8_t secret_bytes[KEYHELPER_SECRET_MAX];
static struct keys_secret secret;
/* LUKS' is found once: that is libcryptsetup's work. */
static uint8_t luks_key[KEYS_MASTER_MAX];
static size_t luks_key_len;

/* The key of the data, from the header at the start of the disk, and what is inside. */
static int unlock(struct volume_set *set, unsigned number, struct err *e)
{
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	uint8_t key[KEYS_MASTER_MAX];
	size_t len = 0;
	int r = volume_set_key_areas(set, number, areas, e);
	if (r >= 0)
		r = keys_bitlocker(fds[0], &secret, key, &len, e);
	if (r < 0)
		return r;
	return r > 0 ? volume_set_unlock(set, number, key, len, e) : volume_set_unlock(set, number, luks_key, luks_key_len, e);
}

static void unlock_all(struct seen *s, struct volume_set *set)
{
	for (unsigned i = 0; secret.len > 0 && i < set->count; i++) {
		struct err e = ERR_INIT;
		if (!set->volumes[i].locked || unlock(set, set->volumes[i].number, &e) >= 0)
			continue;
		s->unlocking = e.code;
		say_error(s, &e);
	}
}

static bool take_secret(const char *path)
{
	struct err e = ERR_INIT;
	FILE *f = fopen(path, "re");
	secret = (struct keys_secret){.kind = KEYHELPER_FILE, .bytes = secret_bytes};
	secret.len = f ? fread(secret_bytes, 1, sizeof(secret_bytes), f) : 0;
	if (f)
		(void)fclose(f);
	keys_warm_up();
	uint8_t key[KEYS_MASTER_MAX];
	size_t len;
	int r = keys_bitlocker(fds[0], &secret, key, &len, &e);
	if (r == 0)
		r = keys_luks(fds[0], &secret, luks_key, &luks_key_len, &e);
	if (r < 0)
		printf("no key: %s\n", e.msg);
	return r >= 0;
}

/* --- again and again ------------------------------------------------------------------------------ */

static struct seen read_all(void)
{
	struct seen s = {.hash = 14695981039346656037u, .errors = 14695981039346656037u};
	struct err e = ERR_INIT;
	struct blk *disks[DISKS_MAX] = {0};
	struct volume_set *set = NULL;
	int r = 0;
	for (unsigned i = 0; i < disk_count && r == 0; i++)
		r = open_disk(fds[i], &disks[i], &e);
	if (r == 0)
		r = volume_discover(disks, disk_count, probe, NULL, &set, &e);
	if (r < 0)
		say_error(&s, &e);
	if (set)
		unlock_all(&s, set);
	for (unsigned i = 0; set && i < set->warning_count; i++)
		say(&s, set->warnings[i]);
	for (unsigned i = 0; set && i < set->count; i++)
		read_volume(&s, set, &set->volumes[i]);
	volume_set_free(set);
	for (unsigned i = 0; i < disk_count; i++)
		blk_unref(disks[i]);
	return s;
}

static struct seen measured(uint64_t n)
{
	taken = 0;
	fail_at = n;
	failed = false;
	live = 0;
	counting = true;
	struct seen s = read_all();
	counting = false;
	return s;
}

/* False where the n-th allocation failing did harm. */
static bool check(const struct seen *want, const struct seen *got, uint64_t n)
{
	if (live != 0)
		printf("allocation %" PRIu64 " failed: %" PRId64 " allocations were never given back\n", n, live);
	bool silent = got->errors == want->errors && got->hash != want->hash;
	if (silent)
		printf("allocation %" PRIu64 " failed, and something is missing without a word\n", n);
	bool misnamed = got->unlocking != 0 && got->unlocking != ERR_NO_MEMORY;
	if (misnamed)
		printf("allocation %" PRIu64 " failed, and unlocking says %s\n", n, err_code_name(got->unlocking));
	return live == 0 && !silent && !misnamed;
}

int main(int argc, char **argv)
{
	int first = argc > 3 && strcmp(argv[1], "-k") == 0 ? 3 : 1;
	if (argc <= first || argc - first > DISKS_MAX)
		return 2;
	gcry_set_allocation_handler(gcrypt_malloc, gcrypt_malloc, never_secure, gcrypt_realloc, __real_free);
	crypto_init();
	for (int i = first; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 2;
		fds[disk_count++] = fd;
	}
	if (first > 1 && !take_secret(argv[2]))
		return 2;
	/* The first reading may allocate once for all; the second is what the others are held against. */
	(void)measured(0);
	struct seen want = measured(0);
	uint64_t all = taken, done = 0, harmed = 0;
	if (live != 0)
		printf("%" PRId64 " allocations of an undisturbed reading were never given back\n", live);
	harmed += live != 0;
	for (uint64_t n = 1; n <= all && harmed < 20; n += n < DENSE ? 1 : 1 + n / DENSE, done++) {
		struct seen got = measured(n);
		if (failed)
			harmed += !check(&want, &got, n);
	}
	printf("%u entries, %" PRIu64 " of %" PRIu64 " allocations failed in turn, %" PRIu64 " did harm\n", want.entries, done,
	       all, harmed);
	while (disk_count > 0)
		(void)close(fds[--disk_count]);
	return harmed > 0 || want.entries == 0 || want.unlocking != 0;
}
