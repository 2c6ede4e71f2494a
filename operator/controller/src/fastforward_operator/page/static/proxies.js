// Who is connected, and what each of them acknowledged, waits for and refused. In: state. Out: the view `proxies`.

import { byId, fill, h, say, sync } from "./dom.js";
import { state } from "./state.js";
import { badge, counted, facts, span } from "./words.js";

const text = byId("proxies-text");
const STATES = { live: "good", joining: "waiting", lagging: "wrong" };
const WORDS = {
  live: "It has all that it was told, or is about to.",
  joining: "It has not acknowledged everything yet, and is not counted before that.",
  lagging: "It has not answered for a while: nobody waits for it.",
};

export function show() {
  update();
}

export function update() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = state.nodes
    .filter((node) => words.every((word) => `${node.node} ${node.kind} ${node.state} ${node.edge}`.toLowerCase().includes(word)))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const all = counted(state.nodes.length, "node");
  say(byId("proxies-count"), found.length === state.nodes.length ? all : `${found.length} of ${all}`);
  byId("proxies-none").hidden = state.nodes.length > 0;
  sync(byId("nodes"), found, nameOf, makeNode, updateNode);
}

function nameOf(node) {
  return `${node.kind} ${node.edge} ${node.node}`;
}

function makeNode(node) {
  const heads = ["Type", "Acknowledged", "Unacknowledged", "Waiting", "Refused"];
  const titles = heads.map((title, place) => h("th", { scope: "col", class: place ? "number" : null }, title));
  return h(
    "article",
    { class: "node" },
    h("h2", {}, node.node, " ", h("span", { class: "state" })),
    h("div", { class: "about" }),
    h(
      "div",
      { class: "wide" },
      h("table", {}, h("caption", {}, `Resources of ${node.node}, by type`), h("thead", {}, h("tr", {}, titles)), h("tbody")),
    ),
    h("ul", { class: "said" }),
  );
}

function updateNode(element, node) {
  const label = element.querySelector(".state");
  if (label.dataset.state !== node.state) {
    label.dataset.state = node.state;
    fill(label, badge(STATES[node.state] ?? "plain", node.state));
  }
  fill(
    element.querySelector(".about"),
    facts([
      ["What it is", { envoy: "proxy", decision: "decision service" }[node.kind] ?? node.kind],
      ["Edge", node.edge],
      ["Version", node.version],
      ["Connected for", span(node.connectedSeconds)],
      ["Oldest without an answer", node.oldestUnacknowledgedSeconds > 0 ? span(node.oldestUnacknowledgedSeconds) : ""],
      ["State", WORDS[node.state] ?? node.state],
    ]),
  );
  const types = Object.entries(node.types).sort(([a], [b]) => (a < b ? -1 : 1));
  sync(element.querySelector("tbody"), types, ([type]) => type, makeType, updateType);
  const refusals = types.flatMap(([type, { refused }]) => Object.entries(refused).map(([name, words]) => ({ type, name, ...words })));
  sync(element.querySelector("ul"), refusals, ({ type, name, version }) => `${type} ${name} ${version}`, makeRefusal, (item, { message }) =>
    say(item.lastElementChild, message),
  );
}

function makeType([type]) {
  return h("tr", {}, h("th", { scope: "row" }, type), ...["", "", "", ""].map(() => h("td", { class: "number" })));
}

function updateType(row, [, { holds, unacknowledged, waiting, refused }]) {
  const without = Object.keys(refused).length;
  const numbers = [Math.max(0, holds - unacknowledged - without), unacknowledged, waiting, without];
  numbers.forEach((number, place) => say(row.children[place + 1], number.toLocaleString("en")));
}

function makeRefusal({ type, name }) {
  return h("li", {}, h("p", {}, badge("wrong", "refused"), " ", h("code", {}, `${type} ${name}`)), h("p"));
}

text.addEventListener("input", update);
