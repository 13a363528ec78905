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
