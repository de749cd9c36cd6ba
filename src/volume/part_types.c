/* Partition types: the GUIDs of the UEFI specification and of the systems that made them up, and the type bytes of
 * the MBR. */
#include "volume/table.h"

#include <string.h>

static const struct part_type {
	const char *type;
	const char *name;
} part_types[] = {
	{"0x01", "FAT12"},
	{"0x04", "FAT16 <32M"},
	{"0x05", "Extended"},
	{"0x06", "FAT16"},
	{"0x07", "HPFS/NTFS/exFAT"},
	{"0x0b", "W95 FAT32"},
	{"0x0c", "W95 FAT32 (LBA)"},
	{"0x0e", "W95 FAT16 (LBA)"},
	{"0x0f", "W95 Ext'd (LBA)"},
	{"0x11", "Hidden FAT12"},
	{"0x12", "Compaq diagnostics"},
	{"0x14", "Hidden FAT16 <32M"},
	{"0x16", "Hidden FAT16"},
	{"0x17", "Hidden HPFS/NTFS"},
	{"0x1b", "Hidden W95 FAT32"},
	{"0x1c", "Hidden W95 FAT32 (LBA)"},
	{"0x1e", "Hidden W95 FAT16 (LBA)"},
	{"0x27", "Hidden NTFS WinRE"},
	{"0x39", "Plan 9"},
	{"0x3c", "PartitionMagic recovery"},
	{"0x41", "PPC PReP Boot"},
	{"0x42", "Windows dynamic disk (LDM)"},
	{"0x63", "GNU HURD or SysV"},
	{"0x80", "Old Minix"},
	{"0x81", "Minix / old Linux"},
	{"0x82", "Linux swap / Solaris"},
	{"0x83", "Linux"},
	{"0x84", "OS/2 hidden or Intel hibernation"},
	{"0x85", "Linux extended"},
	{"0x86", "NTFS volume set"},
	{"0x87", "NTFS volume set"},
	{"0x88", "Linux plaintext"},
	{"0x8e", "Linux LVM"},
	{"0xa0", "IBM Thinkpad hibernation"},
	{"0xa5", "FreeBSD"},
	{"0xa6", "OpenBSD"},
	{"0xa8", "Darwin UFS"},
	{"0xa9", "NetBSD"},
	{"0xab", "Darwin boot"},
	{"0xaf", "HFS / HFS+"},
	{"0xbe", "Solaris boot"},
	{"0xbf", "Solaris"},
	{"0xda", "Non-FS data"},
	{"0xde", "Dell Utility"},
	{"0xea", "Linux extended boot"},
	{"0xeb", "BeOS fs"},
	{"0xee", "GPT"},
	{"0xef", "EFI (FAT-12/16/32)"},
	{"0xfb", "VMware VMFS"},
	{"0xfc", "VMware VMKCORE"},
	{"0xfd", "Linux raid autodetect"},
	{"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI System"},
	{"024dee41-33e7-11d3-9d69-0008c781f39f", "MBR partition scheme"},
	{"21686148-6449-6e6f-744e-656564454649", "BIOS boot"},
	{"e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"},
	{"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"},
	{"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "Microsoft LDM metadata"},
	{"af9b60a0-1431-4f62-bc68-3311714a69ad", "Microsoft LDM data"},
	{"de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery environment"},
	{"e75caf8f-f680-4cee-afa3-b001e56efc2d", "Microsoft Storage Spaces"},
	{"0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux filesystem"},
	{"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"},
	{"e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"},
	{"a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"},
	{"8da63339-0007-60c0-c436-083ac8230908", "Linux reserved"},
	{"933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home"},
	{"3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "Linux server data"},
	{"4d21b016-b534-45c2-a9fb-5c16e091fd2d", "Linux variable data"},
	{"7ec6f557-3bc5-4aca-b293-16ef5df639d1", "Linux temporary data"},
	{"bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux extended boot"},
	{"44479540-f297-41b2-9af7-d131d5f0458a", "Linux root (x86)"},
	{"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)"},
	{"69dad710-2ce4-4e3c-b16c-21a1d49abed3", "Linux root (ARM)"},
	{"b921b045-1df0-41c3-af44-4c6f280d3fae", "Linux root (ARM-64)"},
	{"72ec70a6-cf74-40e6-bd49-4bda08e8f224", "Linux root (RISC-V-64)"},
	{"c31c45e6-3f39-412e-80fb-4809c4980599", "Linux root (PPC64LE)"},
	{"5eead9a9-fe09-4a1e-a1d7-520d00531306", "Linux root (S390X)"},
	{"8484680c-9521-48c6-9c11-b0720656f69e", "Linux /usr (x86-64)"},
	{"b0e01050-ee5f-4390-949a-9101b17104e9", "Linux /usr (ARM-64)"},
	{"2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", "Linux root verity (x86-64)"},
	{"df3300ce-d69f-4c92-978c-9bfb0f38d820", "Linux root verity (ARM-64)"},
	{"77ff5f63-e7b6-4633-acf4-1565b864c0e6", "Linux /usr verity (x86-64)"},
	{"9e1a2d38-c612-4316-aa26-8b49521e5a8b", "PowerPC PReP boot"},
	{"37affc90-ef7d-4e96-91c3-2d7ae055b174", "IBM General Parallel Fs"},
	{"75894c1e-3aeb-11d3-b7c1-7b03a0000000", "HP-UX data"},
	{"e2a1e728-32e3-11d6-a682-7b03a0000000", "HP-UX service"},
	{"516e7cb4-6ecf-11d6-8ff8-00022d09712b", "FreeBSD data"},
	{"83bd6b9d-7f41-11dc-be0b-001560b84f0f", "FreeBSD boot"},
	{"516e7cb5-6ecf-11d6-8ff8-00022d09712b", "FreeBSD swap"},
	{"516e7cb6-6ecf-11d6-8ff8-00022d09712b", "FreeBSD UFS"},
	{"516e7cba-6ecf-11d6-8ff8-00022d09712b", "FreeBSD ZFS"},
	{"516e7cb8-6ecf-11d6-8ff8-00022d09712b", "FreeBSD Vinum"},
	{"48465300-0000-11aa-aa11-00306543ecac", "Apple HFS/HFS+"},
	{"55465300-0000-11aa-aa11-00306543ecac", "Apple UFS"},
	{"52414944-0000-11aa-aa11-00306543ecac", "Apple RAID"},
	{"426f6f74-0000-11aa-aa11-00306543ecac", "Apple boot"},
	{"7c3457ef-0000-11aa-aa11-00306543ecac", "Apple APFS"},
	{"53746f72-6167-11aa-aa11-00306543ecac", "Apple Core storage"},
	{"6a82cb45-1dd2-11b2-99a6-080020736631", "Solaris boot"},
	{"6a85cf4d-1dd2-11b2-99a6-080020736631", "Solaris root"},
	{"6a898cc3-1dd2-11b2-99a6-080020736631", "Solaris /usr & Apple ZFS"},
	{"6a87c46f-1dd2-11b2-99a6-080020736631", "Solaris swap"},
	{"49f48d32-b10e-11dc-b99b-0019d1879648", "NetBSD swap"},
	{"49f48d5a-b10e-11dc-b99b-0019d1879648", "NetBSD FFS"},
	{"49f48d82-b10e-11dc-b99b-0019d1879648", "NetBSD LFS"},
	{"49f48daa-b10e-11dc-b99b-0019d1879648", "NetBSD RAID"},
	{"824cc7a0-36a8-11e3-890a-952519ad3f61", "OpenBSD data"},
	{"aa31e02a-400f-11db-9590-000c2911d1b8", "VMware VMFS"},
	{"9d275380-40ad-11db-bf97-000c2911d1b8", "VMware Diagnostic"},
	{"381cfccc-7288-11e0-92ee-000c2911d0b2", "VMware Virtual SAN"},
	{"9198effc-31c0-11db-8f78-000c2911d1b8", "VMware Reserved"},
	{"fe3a2a5d-4f32-41a7-b725-accc3285a309", "ChromeOS kernel"},
	{"3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec", "ChromeOS root fs"},
	{"2e0a753d-9e48-43b0-8337-b15192cb1b5e", "ChromeOS reserved"},
	{"4fbd7e29-9d25-41b8-afd0-062c0ceff05d", "Ceph OSD"},
	{"45b0969e-9b03-4f30-b4c6-b4b80ceff106", "Ceph Journal"},
	{"cef5a9ad-73bc-4601-89f3-cdeeeee321a1", "QNX6 file system"},
	{"c91818f9-8025-47af-89d2-f030d7000c2c", "Plan 9 partition"},
	{"ca7d7ccb-63ed-4c53-861c-1742536059cc", "LUKS"},
};

const char *part_type_name(const char *type)
{
	for (size_t i = 0; i < sizeof(part_types) / sizeof(*part_types); i++) {
		if (strcmp(part_types[i].type, type) == 0)
			return part_types[i].name;
	}
	return "";
}

const char *part_type_no_files(const char *type)
{
	static const struct part_type types[] = {
		{"21686148-6449-6e6f-744e-656564454649", "it holds the boot loader of a BIOS system"},
		{"e3c9e316-0b5c-4db8-817d-f92df00215ae", "Windows keeps it in reserve"},
		{"9e1a2d38-c612-4316-aa26-8b49521e5a8b", "it holds the boot loader of a PowerPC system"},
		{"0x41", "it holds the boot loader of a PowerPC system"},
		{"9d275380-40ad-11db-bf97-000c2911d1b8", "it takes memory dumps of a VMware host"},
		{"0xfc", "it takes memory dumps of a VMware host"},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(types[i].type, type) == 0)
			return types[i].name;
	}
	return NULL;
}

bool part_type_is_ldm(const char *type)
{
	return strcmp(type, "0x42") == 0 || strcmp(type, "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3") == 0 ||
	       strcmp(type, "af9b60a0-1431-4f62-bc68-3311714a69ad") == 0;
}
