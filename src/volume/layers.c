#include "volume/bitlocker/bitlocker.h"
#include "volume/ldm/ldm.h"
#include "volume/luks/luks.h"
#include "volume/lvm/lvm.h"
#include "volume/md/md.h"

const struct volume_layer *const volume_layers[] = {
	&volume_md_layer,
	&volume_ldm_layer,
	&volume_lvm_layer,
	&volume_luks_layer,
	&volume_bitlocker_layer,
	NULL,
};
