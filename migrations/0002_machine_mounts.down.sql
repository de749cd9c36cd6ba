DROP TABLE restore_mount_disks;
CREATE TABLE restore_mounts_1 (
	id VARCHAR(36) NOT NULL PRIMARY KEY,
	backup_disk_id BIGINT NOT NULL UNIQUE,
	engine VARCHAR(32) NOT NULL,
	mount_path TEXT,
	nbd_device VARCHAR(255) UNIQUE,
	filesystem_type VARCHAR(64),
	mount_mode VARCHAR(16) NOT NULL CHECK (mount_mode = 'read-only'),
	status VARCHAR(16) NOT NULL CHECK (status IN ('mounting', 'mounted', 'unmounting', 'failed', 'unmounted')),
	error_message TEXT,
	created_at BIGINT NOT NULL,
	last_accessed_at BIGINT,
	expires_at BIGINT,
	unmounted_at BIGINT,
	FOREIGN KEY (backup_disk_id) REFERENCES backup_disks (id) ON DELETE CASCADE
);
INSERT INTO restore_mounts_1
SELECT id, backup_disk_id, engine, mount_path, nbd_device, filesystem_type, mount_mode, status, error_message,
	created_at, last_accessed_at, expires_at, unmounted_at FROM restore_mounts WHERE backup_disk_id IS NOT NULL;
DROP TABLE restore_mounts;
ALTER TABLE restore_mounts_1 RENAME TO restore_mounts;
CREATE INDEX idx_mounts_created ON restore_mounts (created_at, id);
CREATE INDEX idx_mounts_status ON restore_mounts (status, created_at, id);
CREATE INDEX idx_mounts_expires ON restore_mounts (expires_at);
