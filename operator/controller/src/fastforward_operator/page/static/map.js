// Which host leads by whose rules to which upstreams. In: the API's map, asked for while it is shown. Out: the view `map`.
// A fold is filled when it is opened, and by portions: ten thousand rules never stand on the page at once.

import { byId, fill, h, Portion, say, sync } from "./dom.js";
import { get, state, Unanswered } from "./state.js";
import { addressOf, badge, counted } from "./words.js";

const EVERY_MS = 4000;
const OPEN_MOST = 5;
const text = byId("map-text");
const portion = new Portion(byId("hosts-more"), 100, () => render());
let hosts = [];
let tag = "";
let askedAt = 0;
let openedFor = null;

export function show() {
  askedAt = 0;
  if (state.answeredAt) update();
}

export async function update() {
  if (Date.now() - askedAt < EVERY_MS || state.isDown) return;
  askedAt = Date.now();
  try {
    const told = await get("/v1/map", tag ? { headers: { "if-none-match": `"${tag}"` } } : {});
    if (told !== null) {
      tag = told.tag?.replaceAll('"', "") ?? "";
      hosts = told.body.hosts.map(prepare);
      render();
    }
  } catch (error) {
    askedAt = 0;
    // That nobody answers is said above all views.
    if (!(error instanceof Unanswered)) say(byId("map-count"), error.message);
  }
}

/** With what each rule is looked for by. */
function prepare(host) {
  const head = [host.host, host.edge].join(" ").toLowerCase();
  const tenants = host.tenants.map(({ tenant, rules }) => ({
    tenant,
    rules: rules.map((rule, before) => ({ ...rule, place: before + 1, searched: searched(head, tenant, rule) })),
  }));
  return { ...host, key: `${host.host} ${host.edge} ${host.port}`, head, tenants };
}

function searched(head, tenant, rule) {
  const upstreams = rule.upstreams.map(({ upstream }) => upstream);
  return [head, tenant, rule.route, rule.rule, rule.match, rule.leads, ...upstreams, ...rule.policies].join(" ").toLowerCase();
}

function filtered(words) {
  if (words.length === 0) return hosts;
  const fits = (where) => words.every((word) => where.includes(word));
  return hosts
    .map((host) => ({ ...host, tenants: host.tenants.map((each) => ({ ...each, rules: each.rules.filter((rule) => fits(rule.searched)) })) }))
    .filter((host) => fits(host.head) || host.tenants.some(({ rules }) => rules.length));
}

function countOf(host) {
  return host.tenants.reduce((sum, { rules }) => sum + rules.length, 0);
}

function render() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = filtered(words);
  const rules = found.reduce((sum, host) => sum + countOf(host), 0);
  say(byId("map-count"), `${counted(found.length, "host")}, ${counted(rules, "rule")}`);
  sync(byId("hosts"), portion.of(found), (host) => host.key, makeHost, updateHost);
  // Few hosts are opened at once, but only for a new filter: what a reader has closed stays closed.
  if (openedFor !== text.value && hosts.length) {
    openedFor = text.value;
    if (found.length <= OPEN_MOST) for (const fold of byId("hosts").children) fold.open = true;
  }
}

function makeHost() {
  const fold = h("details", {}, h("summary"), h("div", { class: "inside" }));
  fold.addEventListener("toggle", () => fold.open && inside(fold));
  return fold;
}

function updateHost(fold, host) {
  const rules = countOf(host);
  const tenants = host.tenants.filter(({ tenant }) => tenant).length;
  const where = host.port ? `Gateway ${host.edge}, port ${host.port}` : `Edge ${host.edge}`;
  const about = [where, counted(rules, "rule"), tenants ? counted(tenants, "tenant") : ""].filter(Boolean).join(", ");
  const summary = fold.firstElementChild;
  if (summary.dataset.about !== about) {
    summary.dataset.about = about;
    fill(summary, h("strong", {}, host.host), " ", h("span", { class: "soft" }, about));
  }
  fold.host = host;
  if (fold.open) inside(fold);
}

/** The rules of a host, a table for each tenant. */
function inside(fold) {
  const { host } = fold;
  const body = fold.lastElementChild;
  const tenants = host.tenants.filter(({ rules }) => rules.length);
  if (tenants.length === 0) {
    fill(body, h("p", { class: "soft" }, "No rule of it is in use: requests are answered 404."));
    return;
  }
  for (const child of [...body.children]) if (!child.dataset.key) child.remove();
  sync(body, tenants, ({ tenant }) => `tenant ${tenant}`, makeTenant, (element, each) => {
    element.each = each;
    rulesOf(element);
  });
}

function makeTenant({ tenant }) {
  const titles = ["Place", "Rule", "Match", "Leads to", "Policies"].map((title) => h("th", { scope: "col" }, title));
  const more = h("button", { type: "button", class: "more", hidden: true });
  const caption = h("caption", {}, tenant ? `Of tenant ${tenant}` : "For everybody");
  const table = h("table", {}, caption, h("thead", {}, h("tr", {}, titles)), h("tbody"));
  const element = h("div", { class: "wide" }, table, more);
  element.portion = new Portion(more, 200, () => rulesOf(element));
  return element;
}

function rulesOf(element) {
  const { each, portion: part } = element;
  const key = ({ place, route, rule, match }) => `${place} ${route} ${rule} ${match}`;
  sync(element.querySelector("tbody"), part.of(each.rules), key, () => h("tr"), (row, rule) => updateRule(row, rule));
}

function updateRule(row, rule) {
  const said = JSON.stringify(rule);
  if (row.dataset.said === said) return;
  row.dataset.said = said;
  fill(
    row,
    h("td", {}, String(rule.place)),
    h("th", { scope: "row" }, link(["Route", "HTTPRoute", "GRPCRoute"], rule.route), rule.rule ? ` ${rule.rule}` : ""),
    h("td", {}, h("code", {}, rule.match), " ", question(rule)),
    h("td", {}, rule.leads, rule.leads && rule.upstreams.length ? " to " : "", upstreams(rule)),
    h("td", {}, rule.policies.join(", "), rule.hop ? [rule.policies.length ? " " : "", badge("plain", "decision hop")] : ""),
  );
}

function upstreams(rule) {
  return rule.upstreams.map(({ upstream, share }, place) => {
    const part = share < 1 ? ` ${(share * 100).toLocaleString("en", { maximumFractionDigits: 1 })}%` : "";
    return [place ? ", " : "", upstream ? link(["Upstream"], upstream) : "nowhere (500)", part];
  });
}

function link(kinds, name) {
  const object = kinds.map((kind) => state.objects.get(`${kind} ${name}`)).find(Boolean);
  return object ? h("a", { href: addressOf(object) }, name) : name;
}

/** To the view that explains such a request, where one can be made of the rule. */
function question({ example }) {
  if (!example) return "";
  const said = `Explain ${example.path} on ${example.host}`;
  return h("a", { href: `#/explain?${new URLSearchParams(example)}`, "aria-label": said }, "explain");
}

text.addEventListener("input", () => {
  portion.reset();
  render();
});
