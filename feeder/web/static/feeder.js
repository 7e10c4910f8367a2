// What the pages gain by a script; each works without it.

// The strip of pages may be wider than a phone: the page one is on is to be seen in it.
const here = document.querySelector("header.top a[aria-current]");
here?.closest("ul").scrollTo({ left: here.offsetLeft - (innerWidth - here.offsetWidth) / 2 });

const live = document.querySelector("[data-live]");
if (live && "EventSource" in window) {
  const { follow } = await import("./live.js");
  follow(live);
}
