// The next content is claimed for a short time once the text of this one is there. Its page, without its text, is
// kept here, and shown as soon as this one is sent; the answer says whether all went well.
"use strict";

const SPARE = 10; // seconds before a claim ends in which nothing is begun with it
let ahead; // its page, where it is, and until when it is this reviewer's
let before; // the page that was sent, until its answer has come
const fresh = () => ahead !== undefined && Date.now() < ahead.until;
const named = (place) => place.pathname.split("/").pop();

function keep(form, xhr) {
  const place = new URL(xhr.getResponseHeader("Content-Location"), xhr.responseURL);
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("main");
  const until = Date.now() + (form.dataset.seconds - SPARE) * 1000;
  ahead = { place, page, until, claimed: xhr.getResponseHeader("Quorum-Until"), token: form.elements.form_token.value };
  if (!form.isConnected) giveBack();
}

function showAhead(xhr) {
  before = { page: find("main"), url: location.href, next: named(ahead.place) };
  before.page.replaceWith(ahead.page);
  history.pushState({ htmx: true }, "", ahead.place);
  htmx.process(ahead.page);
  arrive(ahead.page);
  ahead = undefined;
  for (const kind of ["error", "timeout"]) xhr.addEventListener(kind, takeBack);
  xhr.addEventListener("abort", () => { before = undefined; });
  xhr.addEventListener("loadend", stopWaiting);
}

function takeBack() {
  find("main").replaceWith(before.page);
  history.replaceState({ htmx: true }, "", before.url);
  find("#failed").hidden = false;
  before = undefined;
}

// The answer: of the page that is shown already only what stands above the text is new.
function answered(detail, isPage) {
  const place = detail.xhr.getResponseHeader("Content-Location");
  const as = place && named(new URL(place, detail.xhr.responseURL)) === before.next ? "#standing" : "#frame";
  Object.assign(detail, { target: find(as), selectOverride: as, swapOverride: "outerHTML", shouldSwap: isPage });
  if (!isPage) takeBack();
}

function giveBack() {
  if (ahead && named(ahead.place) !== named(location)) {
    const place = new URL(`${named(ahead.place)}/give-back`, ahead.place);
    const body = new URLSearchParams({ form_token: ahead.token, until: ahead.claimed });
    fetch(place, { method: "POST", body, keepalive: true, headers: { "Quorum-Background": "1" } }).catch(() => {});
  }
  ahead = undefined;
}
addEventListener("pagehide", giveBack);
on("htmx:configRequest", ({ detail: { elt, parameters } }) => {
  if (elt.matches("[data-onward]") && fresh()) parameters.next = named(ahead.place);
});
