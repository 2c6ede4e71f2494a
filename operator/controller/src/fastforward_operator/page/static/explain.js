// What becomes of a request. In: a form, or the query of the address. Out: the view `explain`. What is typed goes to the
// operator alone, headers and token in a header of the question: they are in no address and no history.

import { byId, fill, h } from "./dom.js";
import { get, state } from "./state.js";
import { addressOf, badge, facts } from "./words.js";

const MOST = 7500;
const MOST_ENDPOINTS = 8;
const DEADLINE_MS = 55000;
const VERDICTS = { passed: "good", answered: "good", refused: "wrong", shadowed: "waiting", skipped: "plain" };
const UNNAMED = { method: "GET", scheme: "http", host: "", path: "/", headers: "", address: "127.0.0.1", listener: "" };
const input = (name) => byId(`q-${name}`);
let asked = 0;

export function show(_, query) {
  const isQuestion = query.has("host");
  for (const [name, value] of Object.entries(UNNAMED)) {
    // What a question does not name is not that of the one before; the token stays, for no address can name one.
    if (isQuestion || query.has(name)) input(name).value = query.get(name) ?? value;
  }
  if (isQuestion) answer();
}

export function update() {}

byId("question").addEventListener("submit", (event) => {
  event.preventDefault();
  answer();
});

async function answer() {
  const number = ++asked;
  const box = byId("answer");
  fill(box, h("p", { class: "soft" }, "Asking…"));
  try {
    const told = await get(`/v1/explain?${question()}`, {
      headers: { "ff-explain-headers": headerLines() },
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    // A later question has another answer.
    if (number === asked) fill(box, explanation(told.body));
  } catch (error) {
    if (number === asked) fill(box, h("p", {}, badge("wrong", "no explanation"), ` ${error.message}`));
  }
}

function question() {
  const path = input("path").value.trim();
  const host = input("host").value.trim();
  return new URLSearchParams({
    method: input("method").value.trim(),
    url: `${input("scheme").value}://${host}${path.startsWith("/") || path.startsWith("?") ? path : `/${path}`}`,
    address: input("address").value.trim(),
    listener: input("listener").value.trim(),
  });
}

function headerLines() {
  const lines = input("headers").value.split("\n").map((line) => line.trim()).filter(Boolean);
  const token = input("token").value.trim();
  if (token) lines.push(`authorization: Bearer ${token}`);
  // A header takes ASCII alone.
  const written = JSON.stringify(lines).replace(/[^ -~]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
  if (written.length > MOST) throw new Error(`Headers and token are longer than ${MOST} characters together: ask \`ff explain request\`.`);
  return written;
}

function explanation({ explanation: told, notes }) {
  const refused = told.verdict === "refused";
  const verdict = refused
    ? `refused with ${told.status}: ${told.title} (${told.reason})`
    : `allowed, ${told.becomes}`;
  return [
    h("h2", {}, badge(refused ? "wrong" : "good", verdict)),
    notes.map((note) => h("p", { class: "soft" }, note)),
    told.remedy && h("p", { class: "remedy" }, h("strong", {}, "Remedy: "), told.remedy),
    facts([
      ["Route", named(["Route", "HTTPRoute", "GRPCRoute"], told.route)],
      ["Rule", told.rule],
      ["Tenant", told.tenant],
      ["Subject", told.subject],
      ["Shard", told.shard],
      ["Upstream", told.upstreams.map(upstream)],
      ["Zones", told.upstreams.filter((each) => each.zones).map(zones)],
      ["It sees", told.upstreamRequest ? seen(told.upstreamRequest) : ""],
      ["Answer", Object.entries(told.responseHeaders).map(headerLine)],
      ["In the shadow", told.wouldRefuse.map(({ object, reason }) => `${object} (${reason})`).join(", ")],
    ]),
    h("h2", {}, "Stages"),
    h("ol", { class: "stages" }, told.stages.map(stage)),
  ];
}

function upstream({ upstream: name, share }, place) {
  return [place ? ", " : "", name ? named(["Upstream"], name) : "none (500)", ` ${Math.round(share * 100)}%`];
}

function zones({ upstream: name, zones: { minimum, zones: listed } }) {
  if (!listed.length) return `No zone has an endpoint of ${name}. `;
  const short = minimum === 1 ? "no healthy endpoint" : `fewer than ${minimum} healthy endpoints`;
  return [
    listed.map(zone(minimum)),
    h("div", { class: "soft" }, `Of ${name} a proxy of another zone, or of none, asks all of them, as does one whose own zone has ${short}.`),
  ];
}

function zone(minimum) {
  return ({ zone: name, endpoints, keeps }) => {
    const meaning = keeps ? ", which proxies of this zone ask alone" : name ? `, too few for proxies of this zone: ${minimum} would do` : "";
    const more = endpoints.length > MOST_ENDPOINTS ? ` and ${endpoints.length - MOST_ENDPOINTS} more` : "";
    return h("div", {}, `${name ? `zone ${name}` : "no zone"}: ${endpoints.slice(0, MOST_ENDPOINTS).join(", ")}${more}${meaning}`);
  };
}

function seen({ method, host, path, headers }) {
  return [h("div", { class: "code" }, `${method} ${path}`), h("div", { class: "code" }, `host: ${host}`), Object.entries(headers).map(headerLine)];
}

function headerLine([name, value]) {
  return h("div", { class: "code" }, `${name}: ${value}`);
}

function named(kinds, name) {
  const object = name && kinds.map((kind) => state.objects.get(`${kind} ${name}`)).find(Boolean);
  return object ? h("a", { href: addressOf(object) }, name) : name;
}

function stage({ stage: name, verdict, placement, why, findings, nearMisses }) {
  return h(
    "li",
    {},
    h("strong", {}, name),
    " ",
    badge(VERDICTS[verdict] ?? "plain", verdict),
    placement && h("span", { class: "soft" }, ` ${placement}: ${why}`),
    h("ul", {}, findings.map(finding), nearMisses.map(nearMiss)),
  );
}

function finding({ object, field, detail }) {
  const about = [object, field].filter(Boolean).join(" ");
  return h("li", {}, about && h("code", {}, about), about && ": ", detail);
}

function nearMiss({ object, field, expected, got }) {
  return h("li", {}, badge("waiting", "near miss"), " ", h("code", {}, `${object} ${field}`), `: wanted ${expected}, got ${got || "nothing"}`);
}
