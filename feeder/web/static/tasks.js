// What the pages on which something is done gain by a script: answers without a reload, keys,
// photos dropped and pasted. Each form and link works without it.

const place = (page) => page.querySelector("[data-place]") ?? page.querySelector("main");

// What was done is said aloud, too, though the focus goes on to what is asked next.
const voice = document.createElement("div");
voice.className = "hidden";
voice.setAttribute("aria-live", "polite");
document.body.append(voice);

// A form or link with `data-swap` brings its page's place here instead of the whole page.
async function swap(address, options = {}) {
  const here = place(document);
  if (here.classList.contains("busy")) return; // one tap is one answer
  here.classList.add("busy");
  try {
    const answer = await fetch(address, { ...options, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = place(page);
    if (!answer.ok || !there) return complain(page);
    here.replaceWith(document.adoptNode(there));
    if (answer.redirected || !options.method) history.replaceState(null, "", answer.url);
    wake(there);
    voice.textContent = there.querySelector("#done p")?.textContent ?? "";
    const asked = there.querySelector("[data-focus]");
    asked?.focus({ preventScroll: true });
    if (asked) scrollTo(0, 0);
  } catch {
    complain(null);
  } finally {
    here.classList.remove("busy");
  }
}

// What went wrong stands where an answer would; nothing that was typed is lost.
function complain(page) {
  const alert = page?.querySelector("main [role=alert]");
  const said = [...((alert ?? page?.querySelector("main"))?.querySelectorAll("p") ?? [])].map((one) => one.textContent.trim());
  const notice = document.createElement("div");
  notice.className = "notice warn";
  notice.setAttribute("role", "alert");
  for (const text of said.length ? said : ["The feeder does not answer. Is it running?"]) {
    const line = document.createElement("p");
    line.textContent = text;
    notice.append(line);
  }
  const done = document.querySelector("#done");
  if (done) done.replaceChildren(notice);
  else place(document).prepend(notice);
  notice.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-swap")) return;
  event.preventDefault();
  const button = event.submitter;
  const body = new URLSearchParams(new FormData(form, button));
  if (form.dataset.wait && button) {
    button.textContent = form.dataset.wait;
    button.disabled = true;
  }
  swap(form.action, { method: "POST", body });
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  swap(link.href);
});

// Keys, as in the terminal. They can be turned off: some people speak to their computer.
const off = () => localStorage.getItem("keys") === "off";

document.addEventListener("keydown", (event) => {
  const card = document.querySelector("[data-keys]");
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (event.key === "Escape" && typing && card) typing.blur();
  if (!document.querySelector("#review") || typing || off()) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  const whole = card?.querySelector("[name=whole]");
  if (whole && "onu".includes(key)) whole.checked = event.shiftKey;
  const found = key === "o" ? card?.querySelector("#other")
    : document.querySelector(`#review [aria-keyshortcuts="${CSS.escape(key)}"]`);
  if (!found) return;
  event.preventDefault();
  if (key === "o") found.focus();
  else found.click();
});

document.addEventListener("click", (event) => {
  const toggle = event.target.closest("[data-keys-toggle]");
  if (!toggle) return;
  localStorage.setItem("keys", off() ? "on" : "off");
  toggle.setAttribute("aria-pressed", String(!off()));
});

// Photos: chosen, dropped or pasted, looked at one after the other.
async function look(form, files) {
  const found = document.querySelector("#found");
  found.replaceChildren();
  const waiting = document.createElement("p");
  waiting.className = "quiet";
  found.append(waiting);
  for (const [number, file] of [...files].entries()) {
    waiting.textContent = `Looking at ${number + 1} of ${files.length}…`;
    const body = new FormData(form);
    body.delete("picture");
    body.append("picture", file, file.name);
    waiting.before(await looked(form, file, body));
  }
  waiting.remove();
}

async function looked(form, file, body) {
  if (file.size > Number(form.dataset.maxBytes)) {
    return refusal(file, `the file has more than the ${Number(form.dataset.maxBytes) / 1e6} MB allowed`);
  }
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const card = page.querySelector(".look");
    if (!card) return refusal(file, page.querySelector("main p")?.textContent ?? `the feeder answered ${answer.status}`);
    document.adoptNode(card);
    if (card.querySelector(".verdict")) await preview(card, file);
    return card;
  } catch {
    return refusal(file, "the feeder does not answer");
  }
}

function refusal(file, why) {
  const card = document.createElement("article");
  card.className = "card look";
  const title = card.appendChild(document.createElement("h2"));
  title.textContent = file.name;
  const line = card.appendChild(document.createElement("p"));
  line.className = "bad";
  line.setAttribute("role", "alert");
  line.textContent = `Not looked at: ${why}.`;
  return card;
}

// Drawn from the file itself: nothing is loaded from anywhere.
async function preview(card, file) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return; // a browser may know fewer formats than the feeder
  }
  const scale = Math.min(1, 480 / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", file.name);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  card.querySelector("h2").after(canvas);
}

const identify = document.querySelector("[data-identify]");
if (identify) {
  identify.addEventListener("submit", (event) => {
    const files = [...identify.querySelectorAll("[type=file]")].flatMap((one) => [...one.files]);
    if (!files.length) return; // the feeder's own answer says so
    event.preventDefault();
    look(identify, files);
  });
  identify.addEventListener("change", (event) => {
    if (event.target.type === "file" && event.target.files.length) look(identify, event.target.files);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    look(identify, files);
  });
  for (const name of ["dragover", "drop", "dragleave"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      identify.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) look(identify, event.dataTransfer.files);
    });
  }
}

// What a page that was just shown wants: keys said, the next picture on its way, another look.
function wake(root) {
  for (const one of root.querySelectorAll(".keys[hidden], [data-script][hidden]")) one.hidden = false;
  for (const one of root.querySelectorAll("[data-keys-toggle]")) one.setAttribute("aria-pressed", String(!off()));
  const next = root.querySelector("[data-next]")?.dataset.next;
  if (next) new Image().src = `/media/${next}/picture.jpg`;
  const again = root.dataset?.again;
  if (again) setTimeout(() => root.isConnected && swap(again), 1000);
}

wake(place(document));
