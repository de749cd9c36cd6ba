import {
	CornerDownRight,
	CircleAlert,
	Cpu,
	File,
	FileArchive,
	FileAudio,
	FileCode,
	FileImage,
	FileSpreadsheet,
	FileText,
	FileVideo,
	Folder,
	type LucideIcon,
} from 'lucide-react';
import type { Schemas } from '@/api/client';
import { extension } from './kinds';

const BY_EXTENSION: [LucideIcon, string][] = [
	[FileText, 'txt log md pdf doc docx odt rtf conf cfg ini'],
	[FileSpreadsheet, 'csv xls xlsx ods'],
	[FileImage, 'png jpg jpeg gif webp bmp ico svg raw tif tiff'],
	[FileAudio, 'mp3 ogg oga wav flac m4a'],
	[FileVideo, 'mp4 webm ogv mov mkv avi'],
	[FileArchive, 'zip gz tar xz zst 7z bz2 rar iso img'],
	[FileCode, 'html htm css js ts c h py sh json xml yml yaml sql bat pl php'],
];
const ICONS = new Map(BY_EXTENSION.flatMap(([icon, list]) => list.split(' ').map((e) => [e, icon] as const)));

export function FileIcon({ entry }: { entry: Schemas['FileEntry'] }) {
	const look = 'size-5 shrink-0';
	if (entry.error) return <CircleAlert className={`${look} text-danger`} aria-hidden />;
	if (entry.type === 'directory') return <Folder className={`${look} fill-accent/20 text-accent`} aria-hidden />;
	if (entry.type === 'symlink') return <CornerDownRight className={`${look} text-muted`} aria-hidden />;
	if (entry.type !== 'file') return <Cpu className={`${look} text-muted`} aria-hidden />;
	const Icon = ICONS.get(extension(entry.name)) ?? File;
	return <Icon className={`${look} text-muted`} aria-hidden />;
}
