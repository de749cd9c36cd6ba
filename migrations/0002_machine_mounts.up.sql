-- A mount may hold several disks of a backup. Such a one has no backup_disk_id, so that each of its disks can still have a mount
-- of its own; it has its backup, and its disks in restore_mount_disks.

CREATE TABLE restore_mounts_2 (
	id VARCHAR(36) NOT NULL PRIMARY KEY,
	backup_disk_id BIGINT UNIQUE,
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
	backup_job_id VARCHAR(255),
	CHECK ((backup_disk_id IS NULL) <> (backup_job_id IS NULL)),
	FOREIGN KEY (backup_disk_id) REFERENCES backup_disks (id) ON DELETE CASCADE,
	FOREIGN KEY (backup_job_id) REFERENCES backup_jobs (id) ON DELETE CASCADE
);
INSERT INTO restore_mounts_2 (id, backup_disk_id, engine, mount_path, nbd_device, filesystem_type, mount_mode, status, error_message,
	created_at, last_accessed_at, expires_at, unmounted_at)
SELECT id, backup_disk_id, engine, mount_path, nbd_device, filesystem_type, mount_mode, status, error_message,
	created_at, last_accessed_at, expires_at, unmounted_at FROM restore_mounts;
DROP TABLE restore_mounts;
ALTER TABLE restore_mounts_2 RENAME TO restore_mounts;
CREATE INDEX idx_mounts_created ON restore_mounts (created_at, id);
CREATE INDEX idx_mounts_status ON restore_mounts (status, created_at, id);
CREATE INDEX idx_mounts_expires ON restore_mounts (expires_at);
CREATE INDEX idx_mounts_job ON restore_mounts (backup_job_id);

-- missing: why the disk could not be opened when the mount was made; NULL: it was. It holds as long as the mount does, so that
-- the numbers of its volumes do.
CREATE TABLE restore_mount_disks (
	mount_id VARCHAR(36) NOT NULL,
	position INTEGER NOT NULL,
	backup_disk_id BIGINT NOT NULL,
	missing TEXT,
	PRIMARY KEY (mount_id, position),
	UNIQUE (backup_disk_id, mount_id),
	FOREIGN KEY (mount_id) REFERENCES restore_mounts (id) ON DELETE CASCADE,
	FOREIGN KEY (backup_disk_id) REFERENCES backup_disks (id) ON DELETE CASCADE
);
