-- What exists: docs/catalog.md. Times are microseconds since 1970-01-01 UTC, NULL for "not yet".
-- Text keys are VARCHAR(255) so that they can be indexed everywhere; SQLite takes that as TEXT.

CREATE TABLE repositories (
	id VARCHAR(255) NOT NULL PRIMARY KEY,
	name VARCHAR(255) NOT NULL UNIQUE,
	type VARCHAR(16) NOT NULL CHECK (type IN ('local', 'nfs', 'cifs', 's3')),
	location TEXT NOT NULL,
	options TEXT NOT NULL,
	created_at BIGINT NOT NULL
);

CREATE TABLE vm_backup_contexts (
	context_id VARCHAR(255) NOT NULL PRIMARY KEY,
	vm_name VARCHAR(255) NOT NULL,
	repository_id VARCHAR(255) NOT NULL,
	source TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	FOREIGN KEY (repository_id) REFERENCES repositories (id) ON DELETE RESTRICT
);
CREATE INDEX idx_contexts_vm_name ON vm_backup_contexts (vm_name, context_id);
CREATE INDEX idx_contexts_repository ON vm_backup_contexts (repository_id, vm_name);

CREATE TABLE backup_jobs (
	id VARCHAR(255) NOT NULL PRIMARY KEY,
	vm_backup_context_id VARCHAR(255) NOT NULL,
	repository_id VARCHAR(255) NOT NULL,
	backup_type VARCHAR(16) NOT NULL CHECK (backup_type IN ('full', 'incremental')),
	status VARCHAR(16) NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
	parent_backup_id VARCHAR(255),
	change_id TEXT,
	total_bytes BIGINT NOT NULL,
	bytes_transferred BIGINT NOT NULL,
	transfer_speed_bps BIGINT NOT NULL,
	error_message TEXT,
	created_at BIGINT NOT NULL,
	started_at BIGINT,
	completed_at BIGINT,
	FOREIGN KEY (vm_backup_context_id) REFERENCES vm_backup_contexts (context_id) ON DELETE CASCADE,
	FOREIGN KEY (repository_id) REFERENCES repositories (id) ON DELETE RESTRICT
);
CREATE INDEX idx_jobs_created ON backup_jobs (created_at, id);
CREATE INDEX idx_jobs_context ON backup_jobs (vm_backup_context_id, created_at, id);
CREATE INDEX idx_jobs_repository ON backup_jobs (repository_id, created_at, id);
CREATE INDEX idx_jobs_status ON backup_jobs (status, created_at, id);
CREATE INDEX idx_jobs_type ON backup_jobs (backup_type, created_at, id);
CREATE INDEX idx_jobs_parent ON backup_jobs (parent_backup_id, created_at, id);

-- parent_*: the disk whose image backs this one. Mostly the same index of the parent backup; images made elsewhere may
-- stand on a base that several VMs share. Not a foreign key: a chain with a lost layer is still listed, and said to be so.
CREATE TABLE backup_disks (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	backup_job_id VARCHAR(255) NOT NULL,
	disk_index INTEGER NOT NULL,
	vmware_disk_key BIGINT NOT NULL,
	size_gb BIGINT NOT NULL,
	size_bytes BIGINT NOT NULL,
	stored_bytes BIGINT NOT NULL,
	qcow2_path TEXT NOT NULL,
	disk_change_id TEXT,
	status VARCHAR(16) NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
	parent_backup_id VARCHAR(255),
	parent_disk_index INTEGER,
	UNIQUE (backup_job_id, disk_index),
	FOREIGN KEY (backup_job_id) REFERENCES backup_jobs (id) ON DELETE CASCADE
);
CREATE INDEX idx_disks_parent ON backup_disks (parent_backup_id, parent_disk_index);
CREATE INDEX idx_disks_path ON backup_disks (qcow2_path);

CREATE TABLE restore_mounts (
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
CREATE INDEX idx_mounts_created ON restore_mounts (created_at, id);
CREATE INDEX idx_mounts_status ON restore_mounts (status, created_at, id);
CREATE INDEX idx_mounts_expires ON restore_mounts (expires_at);

CREATE TABLE counters (
	name VARCHAR(64) NOT NULL PRIMARY KEY,
	value BIGINT NOT NULL
);

CREATE TABLE settings (
	name VARCHAR(255) NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);
