/* VMDK descriptors: what is taken, and what is refused before anybody opens a file. */
#include "test.h"

#include "image/vmdk.h"

#define HEAD "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"x\"\n"

static int parse(const char *text, struct vmdk_descriptor *ret, struct err *e)
{
	*e = ERR_INIT;
	return vmdk_descriptor_parse(text, strlen(text), ret, e);
}

static void fails(const char *text, int code)
{
	struct vmdk_descriptor d;
	struct err e;
	assert_int_equal(parse(text, &d, &e), code);
}

static void takes(void **state)
{
	(void)state;
	struct vmdk_descriptor d;
	struct err e;
	assert_ok(parse(HEAD "\n\nRW 100 SPARSE \"a b.vmdk\"\r\nRDONLY 7 flat \"c.vmdk\" 64  \n  RW 3 VMFS \"d.vmdk\"\n"
	                     "ddb.adapterType = \"ide\"\n", &d, &e), &e);
	assert_int_equal(d.count, 3);
	assert_int_equal(d.sectors, 110);
	assert_false(d.has_parent);
	assert_string_equal(d.extents[0].name, "a b.vmdk");
	assert_int_equal(d.extents[0].kind, IMAGE_EXTENT_SPARSE);
	assert_int_equal(d.extents[1].kind, IMAGE_EXTENT_FLAT);
	assert_int_equal(d.extents[1].first, 64);
	assert_int_equal(d.extents[2].kind, IMAGE_EXTENT_FLAT);
	vmdk_descriptor_free(&d);
	assert_ok(parse("parentCID = 1234ABCD\nparentFileNameHint=\"/vmfs/base.vmdk\"\nRW 1 VMFSSPARSE \"x-delta.vmdk\"\n", &d, &e), &e);
	assert_true(d.has_parent);
	assert_string_equal(d.parent, "/vmfs/base.vmdk");
	vmdk_descriptor_free(&d);
	/* What follows a NUL is padding. */
	struct vmdk_descriptor cut;
	static const char padded[] = "RW 1 FLAT \"x\" 0\n\0RW 1 FLAT \"/etc/shadow\" 0\n";
	e = ERR_INIT;
	assert_ok(vmdk_descriptor_parse(padded, sizeof(padded), &cut, &e), &e);
	assert_int_equal(cut.count, 1);
	vmdk_descriptor_free(&cut);
}

static void refuses_names(void **state)
{
	(void)state;
	fails("RW 1 FLAT \"/etc/shadow\" 0\n", ERR_IMAGE_BACKING_REFUSED);
	fails("RW 1 FLAT \"../x.vmdk\" 0\n", ERR_IMAGE_BACKING_REFUSED);
	fails("RW 1 FLAT \"a\\b.vmdk\" 0\n", ERR_IMAGE_BACKING_REFUSED);
	fails("RW 1 FLAT \"..\" 0\n", ERR_IMAGE_CORRUPT);
	fails("RW 1 FLAT \"\" 0\n", ERR_IMAGE_CORRUPT);
	fails("RW 1 FLAT \"a\x01\" 0\n", ERR_IMAGE_CORRUPT);
}

static void refuses_lines(void **state)
{
	(void)state;
	fails("", ERR_IMAGE_CORRUPT);
	fails(HEAD, ERR_IMAGE_CORRUPT);
	fails("RW 0 FLAT \"x\" 0\n", ERR_IMAGE_CORRUPT);
	fails("RW -1 FLAT \"x\" 0\n", ERR_IMAGE_CORRUPT);
	fails("RW 99999999999999999999 FLAT \"x\" 0\n", ERR_IMAGE_CORRUPT);
	fails("RW 1 FLAT x 0\n", ERR_IMAGE_CORRUPT);
	fails("RW 1 FLAT \"x 0\n", ERR_IMAGE_CORRUPT);
	fails("RW 1 SPARSE \"x\" 5\n", ERR_IMAGE_CORRUPT);
	fails("RW 1 ZERO\n", ERR_IMAGE_UNSUPPORTED);
	fails("RW 1 VMFSRDM \"x\"\n", ERR_IMAGE_UNSUPPORTED);
	fails("NOACCESS 1 FLAT \"x\" 0\n", ERR_IMAGE_UNSUPPORTED);
	fails("RW 1099511627776 FLAT \"x\" 0\nRW 1 FLAT \"y\" 0\n", ERR_LIMIT);
}

static void has_limits(void **state)
{
	(void)state;
	static char text[VMDK_DESCRIPTOR_MAX + 2];
	size_t n = 0;
	for (unsigned i = 0; i <= IMAGE_EXTENTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "RW 1 FLAT \"x%u\" 0\n", i);
	fails(text, ERR_LIMIT);
	memset(text, ' ', sizeof(text) - 1);
	fails(text, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes), cmocka_unit_test(refuses_names), cmocka_unit_test(refuses_lines), cmocka_unit_test(has_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
