const token = (name) => `rgb(var(--${name}) / <alpha-value>)`;

/** @type {import('tailwindcss').Config} */
export default {
	content: ['./index.html', './src/**/*.{ts,tsx}'],
	darkMode: ['selector', '[data-theme="dark"]'],
	theme: {
		extend: {
			colors: {
				page: token('page'),
				surface: token('surface'),
				raised: token('raised'),
				ink: token('ink'),
				muted: token('muted'),
				line: token('line'),
				control: token('control'),
				accent: token('accent'),
				'accent-ink': token('accent-ink'),
				'accent-soft': token('accent-soft'),
				danger: token('danger'),
				'danger-soft': token('danger-soft'),
				warn: token('warn'),
				'warn-soft': token('warn-soft'),
				good: token('good'),
				'good-soft': token('good-soft'),
				mark: token('mark'),
			},
			fontFamily: {
				sans: [
					'system-ui',
					'-apple-system',
					'Segoe UI',
					'Roboto',
					'Noto Sans',
					'Liberation Sans',
					'DejaVu Sans',
					'sans-serif',
				],
				mono: ['ui-monospace', 'SFMono-Regular', 'Menlo', 'Consolas', 'DejaVu Sans Mono', 'monospace'],
			},
		},
	},
	plugins: [],
};
