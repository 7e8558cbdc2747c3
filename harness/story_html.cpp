// The story as one self-contained page: a timeline with lanes for client, kernel, connection and
// blocks, through which a reader can step back and forth.
#include "harness/story.hpp"

namespace harness {
namespace {

constexpr const char* head = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Replay</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { --ink:#1c2430; --soft:#667085; --line:#d9dee7; --paper:#fbfcfe; --now:#fff3c4; --bad:#b42318;
  --client:#0b7285; --kernel:#6741d9; --connection:#1864ab; --blocks:#2b8a3e; }
* { box-sizing:border-box } body { margin:0; height:100vh; display:flex; flex-direction:column; font:14px/1.45 system-ui,sans-serif; color:var(--ink); background:var(--paper) }
header { border-bottom:1px solid var(--line); padding:10px 18px }
h1 { font-size:16px; margin:0 0 4px } .verdict { margin:0 0 8px; color:var(--soft) } .verdict.broken { color:var(--bad) }
.verdict b { color:inherit } .meaning { margin:-4px 0 8px; color:var(--soft) } .meaning:empty { display:none }
.evidence { margin:0 0 8px; padding:6px 10px; background:#fff; border:1px solid var(--line); border-left:3px solid var(--bad); border-radius:4px; font-size:12.5px; white-space:pre-wrap } .evidence:empty { display:none }
tr.other td { color:#98a2b3 } tr.other td .who { font-weight:400 } .again { color:var(--kernel); font-weight:600 } .meaning a { color:var(--bad); cursor:pointer; text-decoration:underline dotted } button { font:inherit; padding:3px 11px; border:1px solid var(--line); background:#fff; border-radius:6px; cursor:pointer }
button:hover { border-color:var(--soft) } .controls { display:flex; gap:6px; align-items:center; flex-wrap:wrap }
.controls input[type=range] { flex:1; min-width:140px } .controls .at { min-width:13em; color:var(--soft); text-align:right }
main { flex:1; min-height:0; display:grid; grid-template-columns:minmax(0,1fr) 330px } .scroll { overflow:auto; min-height:0 } table { border-collapse:collapse; width:100%; table-layout:fixed }
thead th { position:sticky; top:0; background:var(--paper); text-align:left; font-weight:600; padding:5px 8px; border-bottom:2px solid var(--line); z-index:1 }
th.client { color:var(--client) } th.kernel { color:var(--kernel) } th.connection { color:var(--connection) } th.blocks { color:var(--blocks) }
td { vertical-align:top; padding:2px 8px; border-bottom:1px solid #eef1f6; overflow-wrap:anywhere } td.n, td.t { color:var(--soft); text-align:right; white-space:nowrap; font-variant-numeric:tabular-nums }
th.n { width:3.4em; text-align:right } th.t { width:6.4em; text-align:right } tr { cursor:pointer } tr.later { opacity:.33 } tr.now { background:var(--now); opacity:1 }
tr.unkind td { color:var(--bad) } tr.broken td { background:#fde8e6 } td .who { font-weight:600 } td.client { border-left:3px solid #cdeef3 } td.kernel { border-left:3px solid #e3dbfb } td.connection { border-left:3px solid #d3e6f8 } td.blocks { border-left:3px solid #d6f0dc }
.chip { display:inline-block; padding:0 7px; margin:0 3px 2px 0; border-radius:9px; font-size:12px; background:#e6f4ea; color:#1d6b30 } .chip.gone { background:#eceff3; color:var(--soft) } .chip.lent { background:#e7ecfb; color:#28479b } .chip.culprit { outline:2px solid var(--bad) }
aside { border-left:1px solid var(--line); padding:12px 14px; overflow:auto; min-height:0 }
aside h2 { font-size:13px; margin:0 0 6px } .block { border:1px solid var(--line); border-radius:8px; padding:6px 9px; margin-bottom:7px; background:#fff } .block.culprit { border-color:var(--bad) }
.block .owner { color:var(--soft) } .block pre { margin:4px 0 0; white-space:pre-wrap; overflow-wrap:anywhere; font-size:11.5px; color:#39424e } .none { color:var(--soft) }
th.client, th.kernel { width:19% } th.blocks { width:24% }
@media (max-width:900px) { main { grid-template-columns:1fr; grid-template-rows:minmax(0,2fr) minmax(0,1fr) } aside { border-left:0; border-top:1px solid var(--line) } }
</style></head><body>
<header><h1 id="title"></h1><p class="verdict" id="verdict"></p><p class="meaning" id="meaning"></p><pre class="evidence" id="evidence"></pre><p class="meaning" id="unkind"></p><div class="controls">
<button id="first" title="Home">&#124;&#9664;</button><button id="back" title="Left arrow">&#9664; back</button>
<button id="on" title="Right arrow">on &#9654;</button><button id="last" title="End">&#9654;&#124;</button>
<button id="bad" title="b">where it broke</button><button id="fault" title="f">last fault</button><input type="range" id="range" min="1" aria-label="step"><span class="at" id="at"></span></div></header>
<main><div class="scroll"><table><thead><tr><th class="n">step</th><th class="t">ms</th><th class="client">client</th><th class="kernel">kernel</th><th class="connection">connection</th><th class="blocks">blocks</th></tr></thead><tbody id="steps"></tbody></table></div>
<aside><h2 id="live-title"></h2><div id="live"></div></aside></main>
<script id="story" type="application/json">)html";

constexpr const char* tail = R"html(</script>
<script>
"use strict";
const story = JSON.parse(document.getElementById("story").textContent);
const el = id => document.getElementById(id);
const steps = story.steps, count = steps.length, verdict = story.verdict, broken = verdict.message !== "";
let brokenAt = count;
if (broken) { const at = steps.findIndex(s => s.broken); if (at >= 0) brokenAt = at + 1; }
function add(parent, tag, text, cls) { const e = document.createElement(tag); if (text) e.textContent = text; if (cls) e.className = cls; parent.appendChild(e); return e; }
el("title").textContent = story.subject + ": " + count + " steps";
if (broken) { el("verdict").className = "verdict broken"; add(el("verdict"), "b", (verdict.oracle === "none" ? "ended" : "oracle " + verdict.oracle) + (verdict.rule ? ", rule " + verdict.rule : "") + ": "); el("verdict").append(verdict.message);
  el("meaning").textContent = (verdict.oracle === "none" ? "" : "What must hold: " + verdict.meaning + ".") + (verdict.rule ? " " + verdict.rule + " is explained in docs/libuv-rules.md." : ""); }
if (broken) {
  const culprit = story.blocks.find(b => b.culprit), lines = story.evidence.slice();
  if (story.callers.length) lines.push("the program went wrong in " + story.callers[0], ...story.callers.slice(1).map(c => "  called by " + c));
  if (culprit) lines.push("the life of block #" + culprit.id + ", " + culprit.size + " bytes", ...culprit.life.map(l => "  " + l));
  el("evidence").textContent = lines.join("\n");
}
else { el("verdict").textContent = "Nothing was found."; el("bad").hidden = true; }
const changes = new Map();
function change(at, text, cls) { if (!changes.has(at)) changes.set(at, []); changes.get(at).push([text, cls]); }
for (const b of story.blocks) {
  const mark = b.culprit ? " culprit" : "";
  b.owners.forEach((o, i) => { if (i > 0 || o.owner !== "the server") change(o.from, "#" + b.id + " \u2192 " + o.owner.replace(/^libuv, as /, "libuv: "), (o.owner === "the server" ? "" : "lent") + mark); });
  change(b.made, "+#" + b.id + " " + b.size + " B", mark);
  if (b.freed !== null) change(b.freed, "\u2212#" + b.id, "gone" + mark);
}
const rows = steps.map((s, i) => {
  const row = add(el("steps"), "tr", "", (s.unkind ? "unkind " : "") + (story.client && s.client && s.client !== story.client && !s.unkind ? "other " : "") + (broken && i + 1 === brokenAt ? "broken" : ""));
  add(row, "td", String(s.step), "n"); add(row, "td", s.ms.toFixed(3), "t");
  for (const lane of ["client", "kernel", "connection"]) {
    const cell = add(row, "td", "", lane);
    if (s.lane !== lane) continue;
    cell.style.paddingLeft = (8 + 12 * s.depth) + "px";
    if (s.who) { add(cell, "span", s.who + " ", "who"); }
    cell.append(s.words);
    if (s.again) add(cell, "span", s.again, "again");
  }
  const cell = add(row, "td", "", "blocks");
  for (const [text, cls] of changes.get(s.step) || []) add(cell, "span", text, "chip " + cls);
  row.hidden = s.folded;
  row.addEventListener("click", () => go(i + 1));
  return row;
});
const unkind = steps.map((s, i) => [s, i + 1]).filter(([s, i]) => s.unkind && i < brokenAt);
if (unkind.length) {
  el("unkind").append("What went wrong around the server before: ");
  for (const [s, i] of unkind.slice(-6)) { const a = add(el("unkind"), "a", s.words.replace(/^unkind: /, "") + " (step " + s.step + ")"); a.onclick = () => go(i); el("unkind").append("; "); }
  el("unkind").lastChild.textContent = ".";
}
el("range").max = String(Math.max(count, 1));
let now = 1;
function go(to) {
  const way = to < now ? -1 : 1;
  now = Math.min(Math.max(to, 1), count);
  while (steps[now - 1] && steps[now - 1].folded && steps[now - 1 + way]) now += way;
  rows.forEach((row, i) => { row.classList.toggle("later", i + 1 > now); row.classList.toggle("now", i + 1 === now); });
  if (rows[now - 1]) rows[now - 1].scrollIntoView({ block: "center" });
  el("range").value = String(now); el("at").textContent = "step " + (steps[now - 1] ? steps[now - 1].step : 0) + " of " + (count ? steps[count - 1].step : 0);
  const step = steps[now - 1] ? steps[now - 1].step : 0;
  const live = story.blocks.filter(b => b.made <= step && (b.freed === null || b.freed > step || b.culprit));
  el("live-title").textContent = live.length + (live.length === 1 ? " block" : " blocks") + " after this step";
  el("live").replaceChildren();
  if (live.length === 0) add(el("live"), "p", "None.", "none");
  live.sort((a, b) => Number(b.culprit) - Number(a.culprit) || b.id - a.id);
  for (const b of live) {
    const box = add(el("live"), "div", "", "block" + (b.culprit ? " culprit" : ""));
    add(box, "div", "#" + b.id + ", " + b.size + " bytes, made in step " + b.made + " (" + b.maker + ")");
    const owner = b.owners.filter(o => o.from <= step).pop();
    const gone = b.freed !== null && b.freed <= step;
    add(box, "div", gone ? "freed in step " + b.freed : "belongs to " + (owner ? owner.owner : "the server"), "owner");
    add(box, "pre", b.life.join("\n"));
  }
}
el("first").onclick = () => go(1); el("back").onclick = () => go(now - 1);
el("on").onclick = () => go(now + 1); el("last").onclick = () => go(count); el("bad").onclick = () => go(brokenAt);
const lastFault = () => { const before = unkind.filter(([, i]) => i < now).pop() || unkind[unkind.length - 1]; if (before) go(before[1]); };
el("fault").onclick = lastFault; el("fault").hidden = unkind.length === 0;
el("range").oninput = e => go(Number(e.target.value));
document.addEventListener("keydown", e => {
  const keys = { ArrowLeft: () => go(now - 1), ArrowUp: () => go(now - 1), ArrowRight: () => go(now + 1), ArrowDown: () => go(now + 1), Home: () => go(1), End: () => go(count), b: () => go(brokenAt), f: lastFault };
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});
const asked = /^#step-(\d+)$/.exec(location.hash);
go(asked ? steps.filter(s => s.step < Number(asked[1])).length + 1 : broken ? brokenAt : count);
</script></body></html>
)html";

}  // namespace

std::string story_html(const Story& story) { return head + story_json(story) + tail; }

}  // namespace harness
