/* VMDK descriptors, as text and inside a file: no name that leads out of the folder comes through. */
#include "image/vmdk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct image_extent *x)
{
	if (x->sectors == 0 || x->name[0] == '\0' || strchr(x->name, '/') || strcmp(x->name, "..") == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmdk_descriptor d;
	struct err e = ERR_INIT;
	if (vmdk_descriptor_parse((const char *)data, size, &d, &e) == 0) {
		for (unsigned i = 0; i < d.count; i++)
			check(&d.extents[i]);
		vmdk_descriptor_free(&d);
	}
	int fd = memfd_create("vmdk", MFD_CLOEXEC);
	if (fd < 0)
		abort();
	/* Every foreign header: they are looked at by one function. */
	for (enum image_format f = IMAGE_AUTO; f <= IMAGE_QCOW1 && write(fd, data, f == IMAGE_AUTO ? size : 0) >= 0; f++) {
		struct image_layer *l;
		e = ERR_INIT;
		if (f == IMAGE_RAW || f == IMAGE_QCOW2 || image_layer_open(fd, f, &l, &e) < 0)
			continue;
		for (unsigned i = 0; image_layer_extent(l, i); i++)
			check(image_layer_extent(l, i));
		image_layer_close(l);
	}
	(void)close(fd);
	return 0;
}
