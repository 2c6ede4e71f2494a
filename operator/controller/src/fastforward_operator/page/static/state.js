// What the operator says, asked again every two seconds. In: the API. Out: `state`, and a call of those who listen after
// each answer and each failure. Used by main and the views. Of objects only what changed is asked for.

import { keyOf } from "./words.js";

const EVERY_MS = 2000;
const DEADLINE_MS = 10000;
const COMPLETE_EVERY_MS = 60000;

export const state = {
  /** By `KIND NAMESPACE/NAME`, in that order. */
  objects: new Map(),
  nodes: [],
  ready: "",
  health: "",
  blind: [],
  /** Meaning by reason. */
  reasons: {},
  /** When the last answer came; null before any. */
  answeredAt: null,
  /** Whether the last question had no good answer, and what was wrong with it if there was any. */
  isDown: false,
  why: "",
};

/** Nobody answered, or not in time. */
export class Unanswered extends Error {}

let since = "";
let completeAt = 0;
let wake = () => {};

/** Asks for ever; `changed` is called after each answer and failure. */
export async function follow(changed) {
  document.addEventListener("visibilitychange", () => wake());
  for (;;) {
    // Nobody looks at a hidden page: it leaves the operator alone.
    if (!document.hidden) {
      await ask();
      try {
        changed();
      } catch (error) {
        // A view that fails must not keep the others from what comes next.
        console.error(error);
      }
    }
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, EVERY_MS);
    });
  }
}

/** A JSON answer; throws with what went wrong in words. */
export async function get(path, options = {}) {
  const asked = { cache: "no-store", signal: AbortSignal.timeout(DEADLINE_MS), ...options };
  const response = await fetch(path, asked).catch((error) => {
    throw new Unanswered("The operator does not answer.", { cause: error });
  });
  if (response.status === 304) return null;
  const body = await response.json().catch(() => null);
  const isProbe = body !== null && response.status === 503 && "status" in body && !("detail" in body);
  if (response.ok || isProbe) return { body, tag: response.headers.get("etag") };
  throw new Error(body?.detail ?? `The operator answered ${response.status} to ${path.split("?")[0]}.`);
}

async function ask() {
  try {
    if (Date.now() - completeAt > COMPLETE_EVERY_MS) since = "";
    const [objects, nodes, ready, health] = await Promise.all([
      get(`/v1/objects?since=${encodeURIComponent(since)}`),
      get("/v1/proxies"),
      get("/readyz"),
      get("/healthz"),
    ]);
    if (Object.keys(state.reasons).length === 0) state.reasons = (await get("/v1/reasons")).body.reasons;
    take(objects.body);
    state.nodes = nodes.body.proxies;
    state.ready = ready.body.status;
    state.health = health.body.status;
    state.blind = health.body.kinds ?? [];
    state.answeredAt = new Date();
    state.isDown = false;
  } catch (error) {
    state.isDown = true;
    state.why = error instanceof Unanswered ? "" : error.message;
    if (!(error instanceof Unanswered)) console.error(error);
  }
}

function take(told) {
  const objects = told.complete ? new Map() : state.objects;
  for (const gone of told.gone) objects.delete(keyOf(gone));
  const before = objects.size;
  for (const object of told.objects) objects.set(keyOf(object), object);
  // Also of a complete answer: rows keep their places however an object came.
  state.objects = objects.size > before ? new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1))) : objects;
  if (told.complete) completeAt = Date.now();
  since = told.since;
}
