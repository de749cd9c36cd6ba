import { createStore } from './store';

export type Theme = 'light' | 'dark';

export const theme = createStore<Theme>('light');

function apply(value: Theme) {
	document.documentElement.dataset['theme'] = value;
	theme.set(value);
}

/** theme.js has chosen before the first paint; from here on the system's changes and the switch count. */
export function followTheme() {
	theme.set(document.documentElement.dataset['theme'] === 'dark' ? 'dark' : 'light');
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (e) => {
		if (!localStorage.getItem('theme')) apply(e.matches ? 'dark' : 'light');
	});
}

export function switchTheme() {
	const next = theme.get() === 'dark' ? 'light' : 'dark';
	localStorage.setItem('theme', next);
	apply(next);
}
