// Tokens of own reports and saved searches: while this page is open, and in the browser only where the person asks.

const KEPT = "pets.tokens";
const here = { reports: new Map(), searches: new Map() };

function kept() {
  try {
    return { reports: [], searches: [], ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return { reports: [], searches: [] };
  }
}

/** Own reports or searches: {id, token, name, kept, and what was found when it was opened}. */
export function owned(what) {
  const all = new Map(here[what]);
  for (const one of kept()[what]) all.set(one.id, { ...all.get(one.id), ...one, kept: true });
  return [...all.values()];
}

/** Know one while this page is open. */
export function know(what, one) {
  here[what].set(one.id, one);
  document.dispatchEvent(new CustomEvent("owned"));
}

/** Keep one in the browser, or no longer. Throws where the browser keeps nothing. */
export function keep(what, one, wanted) {
  const all = kept();
  const others = all[what].filter((other) => other.id !== one.id);
  if (!wanted && others.length === all[what].length) return;
  const { id, token, name } = one;
  localStorage.setItem(KEPT, JSON.stringify({ ...all, [what]: wanted ? [...others, { id, token, name }] : others }));
}

/** Know it no longer, and do not keep it. */
export function drop(what, id) {
  here[what].delete(id);
  keep(what, { id }, false);
  document.dispatchEvent(new CustomEvent("owned"));
}
