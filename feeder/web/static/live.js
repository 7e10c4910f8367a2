// Keeps a part of a page as the log has it now: the server says that something has changed, and the
// page is fetched anew. What is the same stays, with its focus and what is unfolded.

const AGAIN = 60_000; // ms until a refused stream is asked for again
const TOGETHER = 300; // ms in which several changes are fetched as one

const GONE = "The feeder does not answer; trying again.";

export function follow(part) {
  let source, timer, again;
  let isFetching = false, isStale = false;

  async function refresh() {
    if (isFetching) { isStale = true; return; }
    isFetching = true;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.ok) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const fresh = page.getElementById(part.id);
        if (fresh) announce(replace(part, fresh));
      }
    } catch {
      // The server is gone for a moment; the stream comes back with it, and asks again.
    }
    isFetching = false;
    if (isStale) { isStale = false; soon(); }
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, TOGETHER);
  }

  function open() {
    clearTimeout(again);
    source?.close();
    source = new EventSource("/live");
    source.addEventListener("log", soon);
    source.addEventListener("open", () => tell(GONE, ""));
    source.addEventListener("error", () => {
      tell("", GONE);
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN);
    });
  }

  function close() {
    clearTimeout(again);
    source?.close();
  }

  // A browser has few connections to a server: pages that nobody sees hold none.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  if (!document.hidden) open();
}

// Makes `old` like `fresh`; elements are told apart by their ids. Gives the new visits' words.
function replace(old, fresh) {
  const known = new Set(visits(old).map((visit) => visit.id));
  const focus = place(old);
  merge(old, fresh);
  if (focus) {
    const holder = document.getElementById(focus.id);
    const found = holder && focusable(holder)[focus.index];
    if (found && found !== document.activeElement) found.focus({ preventScroll: true });
  }
  const news = visits(old).filter((visit) => !known.has(visit.id));
  for (const visit of news) visit.classList.add("new");
  return news.map((visit) => visit.dataset.said);
}

function visits(part) {
  return [...part.querySelectorAll("[data-news] > [data-said]")];
}

function merge(old, fresh) {
  const wanted = [...fresh.children].map((child) => {
    const known = document.getElementById(child.id);
    if (!known || known.tagName !== child.tagName) return document.importNode(child, true);
    if (child.matches("#split, #came, ul.visits, details")) {
      merge(known, child);
      return known;
    }
    known.classList.remove("new");
    return known.isEqualNode(child) ? known : document.importNode(child, true);
  });
  // Only what moved is moved: an element that is taken out loses its focus.
  const stays = new Set(wanted);
  for (const child of [...old.children]) if (!stays.has(child)) child.remove();
  let at = old.firstElementChild;
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling;
    else old.insertBefore(child, at);
  }
}

function place(part) {
  const active = document.activeElement;
  if (!part.contains(active)) return null;
  const holder = active.closest("[id]");
  return { id: holder.id, index: focusable(holder).indexOf(active) };
}

function focusable(holder) {
  const inside = [...holder.querySelectorAll("a[href], button, summary, input, select")];
  return holder.matches("a[href], button, summary") ? [holder, ...inside] : inside;
}

// Says that the server is gone, to eyes and ears; and takes back what it said, nothing else.
function tell(before, after) {
  const lost = document.getElementById("lost");
  if (lost.textContent !== before) return;
  lost.textContent = after;
  lost.classList.toggle("notice", Boolean(after));
}

function announce(news) {
  if (!news.length) return;
  const said = news.slice(0, 3).join(", ");
  const more = news.length > 3 ? `, and ${news.length - 3} more` : "";
  document.getElementById("news").textContent = `New: ${said}${more}`;
}
