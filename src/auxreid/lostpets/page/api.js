// What the server is asked.

/** A request that was refused, or that never arrived: then with the key of the page's own text. */
export class Refused extends Error {
  constructor(message, { status = 0, field = null, key = null } = {}) {
    super(message);
    Object.assign(this, { status, field, key });
  }
}

async function ask(method, path, { body, token, signal } = {}) {
  const form = body instanceof FormData;
  const headers = { Accept: "application/json" };
  if (body && !form) headers["Content-Type"] = "application/json";
  if (token) headers["X-Report-Token"] = token;
  let answer;
  try {
    answer = await fetch(`api/${path}`, { method, headers, signal, body: body && !form ? JSON.stringify(body) : body });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(String(error), { key: "error.offline" });
  }
  if (!answer.ok) throw await refusal(answer);
  return answer.status === 204 ? null : answer.json();
}

async function refusal(answer) {
  const said = await answer.json().catch(() => ({}));
  const status = answer.status;
  if (typeof said.error !== "string") return new Refused(`HTTP ${status}`, { status, key: "error.server" });
  return new Refused(said.error, { status, field: said.field });
}

/** A form of photographs and, as JSON, what else is said. */
function form(photos, name, said) {
  const body = new FormData();
  for (const photo of photos) body.append("photos", photo, "photo.jpg");
  if (said !== undefined) body.append(name, JSON.stringify(said));
  return body;
}

const of = (id) => encodeURIComponent(id);

export const about = () => ask("GET", "about");
export const look = (photos, crops, signal) => ask("POST", "look", { body: form(photos, "crops", crops), signal });
export const search = (photos, query) => ask("POST", "search", { body: form(photos, "query", query) });
export const similar = (photo) => ask("GET", `similar/${of(photo)}`);
export const feedback = (body) => ask("POST", "feedback", { body });
export const thumbnail = (photo) => `api/photos/${of(photo)}`;
export const large = (photo) => `${thumbnail(photo)}/large`;

export const post = (photos, report) => ask("POST", "reports", { body: form(photos, "report", report) });
export const report = (id) => ask("GET", `reports/${of(id)}`);
export const merge = (id, token, into) => ask("POST", `reports/${of(id)}/merge`, { token, body: { into } });
export const close = (id, token, reason) => ask("POST", `reports/${of(id)}/close`, { token, body: { reason } });
export const withdraw = (id, token) => ask("DELETE", `reports/${of(id)}`, { token });
export const write = (id, body) => ask("POST", `reports/${of(id)}/message`, { body });

export const save = (body) => ask("POST", "searches", { body });
export const saved = (id, token) => ask("GET", `searches/${of(id)}`, { token });
export const forget = (id, token) => ask("DELETE", `searches/${of(id)}`, { token });
export const feed = (id, token) => `api/searches/${of(id)}/feed.atom?token=${of(token)}`;
