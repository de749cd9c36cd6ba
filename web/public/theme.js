// Before the first paint: the theme chosen last, or the system's.
(() => {
	let chosen = null;
	try {
		chosen = localStorage.getItem('theme');
	} catch {
		/* storage may be switched off: then the system decides */
	}
	const dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
	document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
