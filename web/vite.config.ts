import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
	plugins: [react()],
	resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
	build: {
		target: 'es2022',
		// The hub's Content-Security-Policy allows files of its own only: nothing may be inlined.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		chunkSizeWarningLimit: 700,
	},
	server: { proxy: { '/api': process.env['SENDENSE_URL'] ?? 'http://127.0.0.1:8082' } },
	test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
