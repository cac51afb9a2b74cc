/** Where the token is kept for reloads of this tab. It goes with the tab. */
const TOKEN_KEY = 'kbus-token';

/** Takes the token out of the address, if there is one: nobody must read it over a shoulder. Gives whether there was. */
export function takeToken(): boolean {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get('token');
  if (given === null) return false;
  sessionStorage.setItem(TOKEN_KEY, given);
  fragment.delete('token');
  const rest = fragment.toString();
  history.replaceState(null, '', rest === '' ? location.pathname : `#${rest}`);
  return true;
}

/** The token of this tab, or ''. */
export function token(): string {
  return sessionStorage.getItem(TOKEN_KEY) ?? '';
}
