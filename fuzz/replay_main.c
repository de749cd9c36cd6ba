/* Replays a corpus folder through a fuzz target: one TAP case a file. A crash fails the run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED_MAX = 16 << 20 };

static int replay(const char *dir, const char *name)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -1;
	FILE *f = fopen(path, "rb");
	if (!f)
		return -1;
	uint8_t *data = malloc(SEED_MAX);
	size_t size = data ? fread(data, 1, SEED_MAX, f) : 0;
	/* An exact-size copy, so that a sanitizer sees a read one past the end. */
	uint8_t *exact = malloc(size ? size : 1);
	int r = -1;
	if (data && exact && !ferror(f)) {
		memcpy(exact, data, size);
		r = LLVMFuzzerTestOneInput(exact, size);
	}
	free(exact);
	free(data);
	(void)fclose(f);
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	struct dirent **list = NULL;
	int count = scandir(argv[1], &list, NULL, alphasort);
	int n = 0, bad = 0;
	for (int i = 0; i < count; i++) {
		if (list[i]->d_name[0] != '.') {
			int r = replay(argv[1], list[i]->d_name);
			printf("%sok %d - %s\n", r == 0 ? "" : "not ", ++n, list[i]->d_name);
			bad += r != 0;
		}
		free(list[i]);
	}
	free(list);
	if (n == 0) {
		printf("not ok 1 - the corpus folder holds no seed\n");
		n = bad = 1;
	}
	printf("1..%d\n", n);
	return bad ? 1 : 0;
}
