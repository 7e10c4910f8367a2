// What the pages gain by a script; each works without it.

const live = document.querySelector("[data-live]");
if (live && "EventSource" in window) {
  const { follow } = await import("./live.js");
  follow(live);
}
