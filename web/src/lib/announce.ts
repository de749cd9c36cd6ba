import { createStore } from './store';

/** What screen readers are told of: the text of the page's one polite live region. */
export const announcement = createStore('');

export function announce(text: string) {
	announcement.set(text);
}
