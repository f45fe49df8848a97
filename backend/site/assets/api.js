// The three public routes of backend/openapi.yaml that this page uses, and what their refusals mean here.

const TIMEOUT_MS = 20_000;
const PEEK_TIMEOUT_MS = 8_000; // somebody has pressed Download and waits

/** Why a link cannot be shown. `kind` is a key of view.js's sentences; `retryAfter` is in seconds. */
export class Refusal extends Error {
  constructor(kind, retryAfter = 0) {
    super(kind);
    this.kind = kind;
    this.retryAfter = retryAfter;
  }

  /** Worth trying again without anybody doing anything. */
  get passing() {
    return this.kind === "unreachable" || this.kind === "busy";
  }
}

/** The token of a share page's path (`/s/TOKEN`), or null. */
export function tokenOf(path) {
  return /^\/s\/([A-Za-z0-9_-]{1,128})\/?$/.exec(path)?.[1] ?? null;
}

export function pageAddress(token, folder) {
  return `/s/${encodeURIComponent(token)}` + query({ folder });
}

export function contentAddress(token, node) {
  return `/p/${encodeURIComponent(token)}/content` + query({ node });
}

/** One LinkView. Throws a Refusal, or an AbortError when `signal` says so. */
export async function viewLink(token, { folder, page, signal } = {}) {
  const response = await call(`/p/${encodeURIComponent(token)}` + query({ folder, page }), { signal });
  if (!response.ok) throw await refusal(response, Boolean(folder));
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("unreachable"); // a proxy or a sign-in page of the network answered instead
  }
}

/** Counts one look at the page. Nobody waits for it and nothing depends on it. */
export function countView(token) {
  call(`/p/${encodeURIComponent(token)}/views`, { method: "POST", keepalive: true }).catch(() => {});
}

/** Whether a download would start now. Never counted. An answer that says nothing of the file counts as yes. */
export async function peek(address) {
  try {
    const response = await call(address, { method: "HEAD", limit: PEEK_TIMEOUT_MS });
    return response.ok || ![400, 403, 404, 409, 410, 429, 503].includes(response.status);
  } catch {
    return false;
  }
}

async function call(address, { signal, limit = TIMEOUT_MS, ...options }) {
  // By hand, and not by AbortSignal.any: links are opened on phones of every age.
  const own = new AbortController();
  const stop = () => own.abort();
  setTimeout(stop, limit); // never cleared: it also limits the reading of the body, and after that it does nothing
  signal?.addEventListener("abort", stop);
  try {
    return await fetch(address, {
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      headers: { accept: "application/json, application/problem+json" },
      ...options,
      signal: own.signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("unreachable");
  }
}

const BY_STATUS = { 400: "not-found", 404: "not-found", 410: "content-deleted", 429: "busy" };
const SHOWN_KINDS = ["not-found", "link-revoked", "link-expired", "content-deleted", "account-disabled", "busy"];

// The gateway in front answers 404, 429 and 503 itself, without a problem document: then the status must do.
async function refusal(response, inFolder) {
  const problem = await response.json().catch(() => null);
  const named = String(problem?.type ?? "").replace("urn:satchel:problem:", "");
  const kind = SHOWN_KINDS.includes(named) ? named : (BY_STATUS[response.status] ?? "unreachable");
  const retryAfter = Number(response.headers.get("retry-after")) || 0;
  return new Refusal(inFolder && kind === "not-found" ? "folder-gone" : kind, Math.min(retryAfter, 600));
}

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
