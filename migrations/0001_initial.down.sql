DROP TABLE settings;
DROP TABLE counters;
DROP TABLE restore_mounts;
DROP TABLE backup_disks;
DROP TABLE backup_jobs;
DROP TABLE vm_backup_contexts;
DROP TABLE repositories;
