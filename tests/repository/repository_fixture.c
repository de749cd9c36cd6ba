#include "repository_fixture.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/sendense-repository-XXXXXX");
	if (!mkdtemp(f->dir) || repository_open("local", f->dir, &f->r, &e) < 0)
		return -1;
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	repository_close(f->r);
	(void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

void put_file(const struct fixture *f, const char *path, const char *text)
{
	char full[8192];
	(void)snprintf(full, sizeof(full), "%s/%s", f->dir, path);
	for (char *p = full + strlen(f->dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(full, 0755);
		*p = '/';
	}
	FILE *file = fopen(full, "w");
	if (!file)
		fail_msg("cannot write %s", full);
	(void)fputs(text, file);
	(void)fclose(file);
}

int fake_inspect(void *arg, int fd, const char *name, struct scan_image_info *ret, struct err *e)
{
	(void)arg, (void)name;
	char text[4096] = "", word[16] = "", rest[SCAN_NAME_MAX] = "";
	unsigned long long size = 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		return err_set(e, ERR_IO, "test", "unreadable");
	if (strncmp(text, "die", 3) == 0)
		return err_set(e, ERR_CANCELLED, "test", "enough");
	if (strncmp(text, "kill", 4) == 0)
		return err_set(e, ERR_WORKER_DIED, "test", "the worker died");
	if (sscanf(text, "%15s %llu %1023[^|]", word, &size, rest) < 2)
		return err_set(e, ERR_IMAGE_UNREADABLE, "test", "not an image");
	ret->virtual_size = size;
	(void)snprintf(ret->format, sizeof(ret->format), "qcow2");
	ret->has_data_file = strcmp(word, "data") == 0;
	(void)snprintf(ret->has_data_file ? ret->data_file_name : ret->backing_name, SCAN_NAME_MAX, "%s", rest);
	return 0;
}
