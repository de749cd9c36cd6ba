#include "volume/layer.h"

const struct volume_layer *const volume_layers[] = {
	NULL,
};
