#include "volume/lvm/lvm.h"

const struct volume_layer *const volume_layers[] = {
	&volume_lvm_layer,
	NULL,
};
