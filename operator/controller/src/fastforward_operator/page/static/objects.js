// All objects as a table, and one of them in full. In: state, the address. Out: the view `objects`.

import { byId, fill, h, mark, Portion, say, sync } from "./dom.js";
import { state } from "./state.js";
import { addressOf, ago, badge, breakable, conditionOf, counted, facts, keyOf, nameOf, verdictOf, verdictOfStatus, worstOf } from "./words.js";

const text = byId("objects-text");
const kind = byId("objects-kind");
const verdict = byId("objects-verdict");
const FILTERS = [[text, "text"], [kind, "kind"], [verdict, "verdict"]];
const rows = byId("objects-rows");
const details = byId("details");
const portion = new Portion(byId("objects-more"), 200, () => update());
/** What a row is looked for by. */
const searched = new WeakMap();
let opened = "";
let shown = "";

export function show(parts, query) {
  const wanted = parts.length === 3 ? keyOf({ kind: parts[0], namespace: parts[1], name: parts[2] }) : "";
  if (query.has("kind")) offer(query.get("kind"));
  for (const [input, name] of wanted ? [] : FILTERS) {
    const value = query.get(name) ?? "";
    if (input.value !== value) portion.reset();
    input.value = value;
  }
  const before = opened;
  opened = wanted;
  update();
  if (opened && opened !== before) byId("details-title").focus({ preventScroll: true });
  if (before && !opened) row(before)?.querySelector("a").focus();
}

/** Back to the list, whose filter stays. */
export function escape() {
  if (opened) location.hash = listAddress();
}

export function update() {
  offer(...new Set([...state.objects.values()].map((object) => object.kind)));
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...state.objects.values()].filter(
    (object) =>
      (!kind.value || object.kind === kind.value) &&
      (!verdict.value || verdictOf(object) === verdict.value) &&
      words.every((word) => textOf(object).includes(word)),
  );
  const all = counted(state.objects.size, "object");
  say(byId("objects-count"), found.length === state.objects.size ? all : `${found.length.toLocaleString("en")} of ${all}`);
  sync(rows, portion.of(found), keyOf, makeRow, updateRow);
  tell(state.objects.get(opened));
}

/** Kinds that can be chosen. */
function offer(...kinds) {
  const known = new Set([...kind.options].map((option) => option.value));
  for (const name of kinds.sort()) if (!known.has(name)) kind.append(h("option", { value: name }, name));
}

function textOf(object) {
  if (!searched.has(object)) {
    const said = object.conditions.flatMap((condition) => [condition.reason, condition.message]);
    searched.set(object, [object.kind, nameOf(object), ...object.hosts, ...said].join(" ").toLowerCase());
  }
  return searched.get(object);
}

function makeRow(object) {
  const link = h("a", { href: addressOf(object) }, nameOf(object));
  const cells = ["hosts", "", "", "", ""].map((name) => h("td", { class: name || null }));
  return h("tr", {}, h("td", {}, object.kind), h("th", { scope: "row" }, link), ...cells);
}

function updateRow(element, object) {
  const programmed = conditionOf(object, "Programmed");
  const worst = worstOf(object);
  const [, , hosts, word, reason, proxies, since] = element.children;
  const named = object.hosts.length > 3 ? `${object.hosts.slice(0, 3).join(", ")}, …` : object.hosts.join(", ");
  if (hosts.textContent !== named) fill(hosts, breakable(named));
  if (word.dataset.status !== programmed.status) {
    word.dataset.status = programmed.status;
    fill(word, badge(verdictOfStatus(programmed.status), programmed.status));
  }
  say(reason, worst.reason);
  say(proxies, `${object.proxies.ready}/${object.proxies.total}`);
  say(since, ago(programmed.lastTransitionTime));
  mark(element, "data-opened", String(keyOf(object) === opened));
}

function tell(object) {
  details.hidden = !opened;
  if (!opened) return;
  const said = JSON.stringify([opened, object ?? null, object?.conditions.map((condition) => ago(condition.lastTransitionTime))]);
  if (said === shown) return;
  shown = said;
  say(byId("details-title"), object ? `${object.kind} ${nameOf(object)}` : opened);
  if (!object) {
    fill(byId("details-body"), h("p", {}, state.answeredAt ? "There is no such object." : ""));
    return;
  }
  fill(
    byId("details-body"),
    facts([
      ["Written in", object.source ?? ""],
      ["Generation", String(object.generation)],
      ["Hosts", object.hosts.join(", ")],
      ["Proxies", `${object.proxies.ready} of ${object.proxies.total} have it`],
    ]),
    object.problems.length ? [h("h3", {}, "Problems"), h("ul", { class: "said" }, object.problems.map(problem))] : null,
    h("h3", {}, "Conditions"),
    h("ul", { class: "said" }, object.conditions.map((each) => condition(each, object.generation))),
    h("h3", {}, "Effective policies"),
    object.effective.length ? h("ul", { class: "said" }, object.effective.map(policy)) : h("p", { class: "soft" }, "None."),
  );
}

function problem({ condition: type, reason, field, message, at }) {
  const meaning = state.reasons[reason];
  return h(
    "li",
    {},
    h("p", {}, badge("wrong", reason), " ", h("code", {}, field || "the whole object"), at && ` (${at})`),
    h("p", {}, message),
    meaning && h("p", { class: "soft" }, `${type}: ${meaning}`),
  );
}

function condition({ type, status, reason, message, observedGeneration, lastTransitionTime }, generation) {
  const late = observedGeneration === generation ? "" : ` This is of generation ${observedGeneration}.`;
  const since = `for ${ago(lastTransitionTime)}`;
  return h(
    "li",
    {},
    h("p", {}, badge(verdictOfStatus(status), `${type} ${status}`), ` ${reason === type ? "" : reason} `, h("span", { class: "soft" }, since)),
    (message || late) && h("p", {}, `${message}${late}`),
  );
}

function policy(named) {
  const object = state.objects.get(named.split(" ").slice(0, 2).join(" "));
  return h("li", {}, object ? h("a", { href: addressOf(object) }, named) : named);
}

function row(key) {
  return [...rows.children].find((element) => element.dataset.key === key);
}

function listAddress() {
  const query = new URLSearchParams();
  for (const [input, name] of FILTERS) if (input.value) query.set(name, input.value);
  return `#/objects${query.size ? `?${query}` : ""}`;
}

for (const [input] of FILTERS) {
  input.addEventListener("input", () => {
    portion.reset();
    // The address says what is shown, so that it can be kept and handed on; it is no step of its own in the history.
    if (!opened) history.replaceState(null, "", listAddress());
    update();
  });
}
text.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  rows.querySelector("a")?.focus();
});
byId("details-close").addEventListener("click", escape);
rows.addEventListener("keydown", (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const other = step && event.target.closest("tr")?.[step];
  if (other) {
    event.preventDefault();
    other.querySelector("a").focus();
  }
});
