// Everything works without this; with it a few things are quicker. No library, no inline handlers.
"use strict";
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Without https a browser has no clipboard: what is to be copied is marked instead.
    const range = document.createRange();
    range.selectNodeContents(button.parentElement.querySelector("code"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return;
  }
  const words = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = words; }, 2000);
});
// A form that is on its way is not sent a second time.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 5000);
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
// Pages that say where their news are (data-live) are fetched anew when there are some, and what has
// changed in their parts (data-part) is put in place. Nobody is told while nobody looks.
const live = { source: null, url: null, timer: null, busy: false, again: false };
const wait = (seconds) => new Promise((over) => { setTimeout(over, 1000 * seconds); });
const livePart = () => document.querySelector("[data-live]");
function signLive(state) {
  const sign = document.querySelector("[data-live-sign]");
  if (!sign) return;
  sign.hidden = state === "lost";
  for (const hint of document.querySelectorAll("[data-live-not]")) hint.hidden = !sign.hidden;
}
function closeLive() {
  clearTimeout(live.timer);
  if (live.source) live.source.close();
  live.source = null;
}
function openLive() {
  closeLive();
  live.url = livePart()?.dataset.live;
  if (!live.url || document.hidden) return;
  live.source = new EventSource(live.url);
  live.source.onopen = () => signLive("on");
  live.source.onmessage = drawAnew;
  live.source.onerror = () => {
    if (live.source?.readyState !== EventSource.CLOSED) return;
    // Refused, not broken off: somebody else's turn, or signed out. Try again, and not soon.
    signLive("lost");
    live.timer = setTimeout(openLive, 30000);
  };
}
async function drawAnew() {
  if (live.busy) { live.again = true; return; }
  live.busy = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-KPay-Live": "1" }, redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    let changed = false;
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = fresh.getElementById(part.id);
      // A page that has become another one, such as one with the first wallet on it.
      if (!next && part.dataset.part === "other") { location.reload(); return; }
      if (!next) continue;
      if ("live" in next.dataset) part.dataset.live = next.dataset.live;
      if (part.innerHTML === next.innerHTML) continue;
      replacePart(part, next);
      changed = true;
    }
    const said = document.querySelector("[data-live-said]");
    if (changed && said) said.textContent = said.dataset.liveSaid;
  } catch {
    // The network is away, or the session is over: the page stays as it is.
    return;
  } finally {
    // What costs much to draw says how long it is drawn no second time.
    await wait(livePart()?.dataset.liveRest || 0);
    live.busy = false;
  }
  if (live.again) { live.again = false; setTimeout(drawAnew, 1000); return; }
  if (livePart()?.dataset.live !== live.url) openLive();
}
// What was opened stays open, where one was one stays, and what is new is marked for a moment.
function replacePart(part, next) {
  const before = new Map([...part.querySelectorAll("li[id]")].map((row) => [row.id, row.innerHTML]));
  const open = [...part.querySelectorAll("details[id][open]")].map((each) => each.id);
  const focus = part.contains(document.activeElement) ? document.activeElement : null;
  const place = focus?.id ? `[id="${focus.id}"]` : focus?.href ? `a[href="${focus.getAttribute("href")}"]` : null;
  part.replaceChildren(...document.adoptNode(next).childNodes);
  for (const id of open) { const each = document.getElementById(id); if (each) each.open = true; }
  if (place) part.querySelector(place)?.focus({ preventScroll: true });
  for (const row of part.querySelectorAll("li[id]")) {
    if (before.get(row.id) !== row.innerHTML) row.classList.add("tx-fresh");
  }
}
document.addEventListener("visibilitychange", () => { if (document.hidden) closeLive(); else openLive(); });
addEventListener("pagehide", closeLive);
addEventListener("pageshow", (event) => { if (event.persisted) openLive(); });
openLive();
// What a form comes to while it is typed: the server says it, by the rules that it moves money by.
for (const form of document.querySelectorAll("form[data-preview]")) {
  const left = new Set();
  let told = { errors: {} }, asked = 0, timer;
  for (const place of form.querySelectorAll("[data-error]:not([hidden])")) {
    told.errors[place.dataset.error] = place.textContent;
    left.add(place.dataset.error);
  }
  const mark = () => {
    for (const place of form.querySelectorAll("[data-error]")) {
      const field = form.elements[place.dataset.error];
      // Whoever is still typing is not told that it is not whole yet.
      const words = field === document.activeElement && !left.has(field.name) ? "" : told.errors[field.name] || "";
      if (place.textContent !== words) place.textContent = words;
      place.hidden = !words;
      if (words) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
    }
  };
  const ask = async () => {
    const number = ++asked;
    const body = new URLSearchParams(new FormData(form));
    body.set("part", "1");
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body });
      // Signed out meanwhile: the door opens, and leads back here.
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok || number !== asked) return;
      const said = await answer.json();
      if (number !== asked) return;
      told = said;
    } catch { return; }
    document.getElementById("comes-to").innerHTML = told.panel;
    form.querySelector("[data-unit]").textContent = told.unit;
    // Whoever listens hears the one sentence that matters, not the whole table for each letter.
    const said = form.querySelector("[data-said]");
    if (said.textContent !== told.said) said.textContent = told.said;
    mark();
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 200); });
  const all = form.querySelector("[data-take-all]");
  all.hidden = false;
  all.addEventListener("click", () => {
    form.elements.amount.value = form.elements.from.selectedOptions[0].dataset.all;
    ask();
  });
  form.addEventListener("focusout", (event) => { if (event.target.value) left.add(event.target.name); mark(); });
}
