import js from '@eslint/js';
import hooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import ts from 'typescript-eslint';

export default ts.config(
	{ ignores: ['dist', 'src/api/schema.d.ts', 'test-output'] },
	js.configs.recommended,
	...ts.configs.strict,
	{
		files: ['src/**/*.{ts,tsx}'],
		plugins: { 'react-hooks': hooks },
		rules: hooks.configs.recommended.rules,
		languageOptions: { globals: globals.browser },
	},
	{
		files: ['test/**', 'bench/**', '*.config.*', 'public/**'],
		languageOptions: { globals: { ...globals.node, ...globals.browser } },
	},
);
