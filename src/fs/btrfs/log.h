/* The log tree of btrfs: what fsync(2) wrote since the last commit.
 *
 * Recovery is a rewriting of the subvolume's tree by the log's items. Here it writes into overlays in memory
 * (struct btrfs_overlay), which stand before the trees for every reader; the image is not touched.
 */
#ifndef FS_BTRFS_LOG_H
#define FS_BTRFS_LOG_H

#include "fs/btrfs/btrfs.h"

/* Replays when there is a log. What cannot be replayed is left out as a whole and said with fs_warn(). */
int btrfs_log_replay(struct btrfs_fs *x, struct err *e);
void btrfs_log_drop(struct btrfs_fs *x);

#endif
