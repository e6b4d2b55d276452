// The next content is claimed for a short time once the text of this one is there. Its page, without its text, is
// kept here, and shown as soon as this one is sent; the answer says whether all went well.
"use strict";

const SPARE = 10; // seconds before a claim ends in which nothing is begun with it
let ahead; // its page, where it is, and until when it is this reviewer's
let before; // the page that was sent, until its answer has come
let onward; // sends or asks for what somebody wanted meanwhile
const fresh = () => ahead !== undefined && Date.now() < ahead.until;
const named = (place) => place.pathname.split("/").pop();

function keep(form, xhr) {
  const place = new URL(xhr.getResponseHeader("Content-Location"), xhr.responseURL);
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("main");
  page.querySelector("#lease").remove(); // the answer to the decision claims it for longer
  const until = Date.now() + (form.dataset.seconds - SPARE) * 1000;
  ahead = { place, page, until, claimed: xhr.getResponseHeader("Quorum-Until"), token: form.elements.form_token.value };
  if (!form.isConnected) giveBack();
}

function showAhead(xhr) {
  before = { page: find("main"), url: location.href, next: named(ahead.place), xhr };
  before.page.replaceWith(ahead.page);
  history.replaceState({ htmx: true }, "", before.url); // going back asks the server for it
  history.pushState({ htmx: true }, "", ahead.place);
  htmx.process(ahead.page);
  arrive(ahead.page);
  formsNameThisPlace();
  ahead = undefined;
  for (const kind of ["error", "timeout"]) xhr.addEventListener(kind, takeBack);
  xhr.addEventListener("abort", () => { before = undefined; });
  xhr.addEventListener("loadend", () => {
    stopWaiting();
    const goOn = onward;
    onward = undefined;
    if (xhr.status && find("#failed").hidden) goOn?.();
  });
}

// The forms of language and theme and of signing out stand outside of the part that was replaced.
function formsNameThisPlace() {
  for (const place of document.querySelectorAll(".foot [name=place]")) place.value = `review/${named(location)}`;
}

function takeBack() {
  find("main").replaceWith(before.page);
  history.replaceState({ htmx: true }, "", before.url);
  formsNameThisPlace();
  find("#failed").hidden = false;
  before = undefined;
  settle(find("main")); // a key that was meant for the page that went must not decide this one
  find("#content h2").focus();
}

// The answer: of the page that is shown already only what stands above the text is new.
function answered(detail, isPage) {
  const place = detail.xhr.getResponseHeader("Content-Location");
  const stays = place && named(new URL(place, detail.xhr.responseURL)) === before.next && find("#standing");
  const as = stays ? "#standing" : "#frame";
  Object.assign(detail, { target: find(as), selectOverride: as, swapOverride: "outerHTML", shouldSwap: isPage });
  if (!isPage) takeBack();
}

function giveBack() {
  if (ahead?.claimed && named(ahead.place) !== named(location)) {
    const place = new URL(`${named(ahead.place)}/give-back`, ahead.place);
    const body = new URLSearchParams({ form_token: ahead.token, until: ahead.claimed });
    fetch(place, { method: "POST", body, keepalive: true, headers: { "Quorum-Background": "1" } }).catch(() => {});
  }
  ahead = undefined;
}
addEventListener("pagehide", giveBack);
// Who signs out has no session when the page goes.
on("formdata", ({ target, formData }) => {
  if (!target.matches("[data-leaves]") || !ahead?.claimed) return;
  formData.set("ahead", named(ahead.place));
  formData.set("until", ahead.claimed);
  ahead = undefined;
});
on("htmx:configRequest", ({ detail: { elt, parameters } }) => {
  if (elt.matches("[data-onward]") && fresh()) parameters.next = named(ahead.place);
});

// What was sent is answered before anything else is sent or asked for, which would end its request.
on("htmx:confirm", (event) => {
  if (!before || event.detail.target.id !== "frame") return;
  event.preventDefault();
  onward = () => event.detail.issueRequest(true);
});
addEventListener("beforeunload", (event) => {
  if (before && before.xhr.readyState < XMLHttpRequest.DONE) event.preventDefault();
});
