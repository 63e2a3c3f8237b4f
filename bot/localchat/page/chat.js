"use strict";
/* The chat page: messages as DOM nodes, never as markup; everything from the server's own routes. */

const $ = (id) => document.getElementById(id);
const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};
const get = async (path) => (await fetch(path)).json();
const post = async (path, wish = {}) => {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wish) });
  return answer.json();
};

let me = 0;               // whose chat is shown
let standing = { people: [], bot: {}, online: false, outage: "off" };
let messages = new Map(); // message id -> {body, node}
let commands = [];
let replyTo = null;
let fresh = 0;            // arrived while scrolled up
let pinned = [];
let typing = null;

/* ---- text with entities ------------------------------------------------- */

const BLOCKS = ["pre", "blockquote", "expandable_blockquote"];

function rendered(text, entities) {
  const sorted = [...(entities || [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const part = document.createDocumentFragment();
  fill(part, text, 0, text.length, sorted);
  return part;
}

function fill(parent, text, start, end, entities) {
  let at = start;
  while (entities.length) {
    const [entity, ...rest] = entities;
    const from = Math.max(entity.offset, at), to = Math.min(entity.offset + entity.length, end);
    entities = rest;
    if (to <= from) continue;
    if (from > at) parent.append(text.slice(at, from));
    const node = wrapped(entity, text.slice(from, to));
    fill(node.inner || node, text, from, to, rest.filter((e) => e.offset < to));
    entities = rest.filter((e) => e.offset + e.length > to);
    parent.append(node);
    at = to;
    if (BLOCKS.includes(entity.type) && text[at] === "\n") at += 1;
  }
  if (at < end) parent.append(text.slice(at, end));
}

function wrapped(entity, piece) {
  switch (entity.type) {
    case "bold": return make("b");
    case "italic": return make("i");
    case "underline": return make("u");
    case "strikethrough": return make("s");
    case "code": { const node = make("code"); node.title = "Copy"; node.onclick = () => copy(piece); return node; }
    case "pre": { const node = make("pre"); if (entity.language) node.dataset.language = entity.language; node.tabIndex = 0; return node; }
    case "spoiler": return veil();
    case "blockquote": return make("blockquote");
    case "expandable_blockquote": { const node = make("blockquote", "fold"); node.onclick = () => node.classList.remove("fold"); return node; }
    case "text_link": return anchor(entity.url, true);
    case "url": return anchor(/^[a-z]+:\/\//i.test(piece) ? piece : "http:/" + "/" + piece, false);
    case "email": return anchor("mailto:" + piece, false);
    case "bot_command": { const node = make("button", "cmd"); node.onclick = () => send(piece); return node; }
    case "date_time": { const node = make("time"); node.title = new Date(entity.unix_time * 1000).toLocaleString(); return node; }
    default: return make("span", ["mention", "hashtag", "cashtag", "text_mention"].includes(entity.type) ? "cmd" : "");
  }
}

function veil() {
  const node = make("span", "veil");
  node.inner = make("span");
  node.append(node.inner);
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", "Hidden text");
  node.tabIndex = 0;
  const show = () => { node.classList.add("clear"); node.removeAttribute("aria-label"); };
  node.onclick = show;
  node.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") show(); };
  return node;
}

function anchor(url, hidden) {
  const node = make("a");
  if (/^(https?|mailto|tg):/i.test(url)) node.href = url;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
  if (hidden) node.onclick = async (event) => { event.preventDefault(); if (await ask(`Open ${url} ?`, true)) open(url, "_blank", "noopener"); };
  return node;
}

/* ---- one message ---------------------------------------------------------- */

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const gist = (body) => body.text || body.caption || (body.photo ? "Photo" : body.document ? body.document.file_name : "");
const size = (bytes) => bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;

function drawn(body) {
  const node = make("div", body.outgoing ? "msg" : "msg mine");
  node.dataset.id = body.message_id;
  node.dataset.date = body.date;
  const bubble = make("div", "bubble");
  if (body.reply_to_message) bubble.append(quoted(body.reply_to_message));
  const above = body.show_caption_above_media;
  const text = body.text ?? body.caption;
  if (text !== undefined && above) bubble.append(words(body, text));
  if (body.photo) bubble.append(photo(body));
  if (body.document) bubble.append(doc(body.document));
  if (text !== undefined && !above) bubble.append(words(body, text));
  else if (body.photo && !above) bubble.classList.add("bare");
  (bubble.querySelector(".body") || bubble).append(meta(body));
  const reply = make("button", "icon answer", "↩");
  reply.setAttribute("aria-label", "Reply");
  reply.onclick = () => answerTo(body);
  bubble.append(reply);
  bubble.ondblclick = (event) => { if (!event.target.closest("button, a, code, pre")) answerTo(body); };
  node.append(bubble);
  const rows = body.reply_markup?.inline_keyboard;
  if (rows?.length) { node.classList.add("has-keys"); node.append(keys(body, rows)); }
  return node;
}

function words(body, text) {
  const node = make("div", "body");
  node.append(rendered(text, body.text !== undefined ? body.entities : body.caption_entities));
  return node;
}

function meta(body) {
  const node = make("span", "meta");
  if (body.silent) { const mark = make("span", "", "🔕"); mark.title = "Sent without sound"; node.append(mark); }
  if (body.edit_date && !body.reply_markup) node.append("edited");
  const time = make("time", "", clock(body.date));
  time.dateTime = new Date(body.date * 1000).toISOString();
  time.title = new Date(body.date * 1000).toLocaleString();
  node.append(time);
  if (!body.outgoing) node.append("✓");
  return node;
}

function quoted(other) {
  const node = make("button", "re");
  const text = make("span", "text");
  text.append(make("b", "", other.from.is_bot ? standing.bot.first_name : other.from.first_name), make("span", "", gist(other).split("\n")[0]));
  node.append(make("span", "bar"), text);
  node.onclick = () => goTo(other.message_id);
  return node;
}

function photo(body) {
  const best = body.photo[body.photo.length - 1];
  const node = make("button", body.has_media_spoiler ? "photo veiled" : "photo");
  node.setAttribute("aria-label", body.has_media_spoiler ? "Hidden picture" : "Open picture");
  const image = make("img");
  image.src = "/chat/file/" + encodeURIComponent(best.file_id);
  image.width = best.width; image.height = best.height;
  image.alt = gist(body) || "Picture";
  image.onload = () => { if (nearEnd) toEnd(); };
  node.append(image);
  node.onclick = () => {
    if (node.classList.contains("veiled")) return node.classList.remove("veiled");
    $("viewer-img").src = image.src; $("viewer-img").alt = image.alt; $("viewer").showModal();
  };
  return node;
}

function doc(file) {
  const node = make("a", "doc");
  node.href = "/chat/file/" + encodeURIComponent(file.file_id);
  node.download = file.file_name;
  const what = make("span");
  what.append(make("b", "", file.file_name), make("small", "", size(file.file_size)));
  node.append(make("i", "", "↓"), what);
  return node;
}

function keys(body, rows) {
  const node = make("div", "keys");
  let number = 0;
  for (const row of rows) {
    const line = make("div");
    for (const button of row) line.append(key(body, button, number++));
    node.append(line);
  }
  return node;
}

function key(body, button, number) {
  const node = make("button", "key" + (button.style ? " " + button.style : ""), button.text);
  if (button.url) node.dataset.mark = "↗";
  else if (button.copy_text) node.dataset.mark = "⧉";
  else if (button.web_app) node.dataset.mark = "▣";
  node.onclick = () => pressed(node, body, button, number);
  return node;
}

const busy = new Map(); // "message:number" -> presses that wait

async function pressed(node, body, button, number) {
  if (button.copy_text) return copy(button.copy_text.text);
  if (button.url) { if (await ask(`Open ${button.url} ?`, true)) open(button.url, "_blank", "noopener"); return; }
  if (!button.callback_data) return toast("This kind of button works in Telegram only.");
  const name = `${body.message_id}:${number}:${button.callback_data}`;
  if (busy.has(name)) return;
  busy.set(name, true);
  spin(body.message_id);
  try {
    const { answer, error } = await post(`/chat/${me}/press`, { message: body.message_id, button: number, wait: 30 });
    if (error) toast(error);
    else if (answer?.url) open(answer.url, "_blank", "noopener");
    else if (answer?.text) answer.show_alert ? ask(answer.text, false) : toast(answer.text);
  } catch { toast("The local chat does not answer."); }
  busy.delete(name);
  spin(body.message_id);
}

function spin(id) {
  const entry = messages.get(id);
  if (!entry) return;
  const flat = (entry.body.reply_markup?.inline_keyboard || []).flat();
  entry.node.querySelectorAll(".keys .key").forEach((node, number) => {
    const waits = busy.has(`${id}:${number}:${flat[number]?.callback_data}`);
    node.classList.toggle("busy", waits);
    node.setAttribute("aria-busy", waits);
  });
}

/* ---- the list --------------------------------------------------------------- */

let nearEnd = true;
const scroll = $("scroll");
scroll.addEventListener("scroll", () => {
  nearEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
  if (nearEnd) seen();
  $("down").hidden = nearEnd;
}, { passive: true });
function toEnd() { scroll.scrollTop = scroll.scrollHeight; nearEnd = true; $("down").hidden = true; }
new ResizeObserver(() => { if (nearEnd) toEnd(); }).observe(scroll);

function seen() {
  fresh = 0;
  $("unread").hidden = true;
  if (!document.hidden) { document.title = standing.bot.first_name || "Local chat"; unreadMark && read(); }
}
let unreadMark = false;
async function read() { unreadMark = false; await post(`/chat/${me}/read`).catch(() => {}); }

function put(body) {
  const old = messages.get(body.message_id);
  const focused = old?.node.contains(document.activeElement) ? [...old.node.querySelectorAll("button")].indexOf(document.activeElement) : -1;
  const node = drawn(body);
  const wasNear = nearEnd;
  messages.set(body.message_id, { body, node });
  if (old) {
    const veils = [...old.node.querySelectorAll(".veil")].map((v) => v.classList.contains("clear"));
    old.node.replaceWith(node);
    if (old.body.text === body.text) node.querySelectorAll(".veil").forEach((v, i) => veils[i] && v.classList.add("clear"));
    if (focused >= 0) node.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  } else $("list").append(node);
  if (messages.size > 800) { const [id, oldest] = messages.entries().next().value; oldest.node.remove(); messages.delete(id); }
  spin(body.message_id);
  arrange();
  if (wasNear) toEnd();
}

function arrange() {
  const list = $("list");
  list.querySelectorAll(".day, .about").forEach((node) => node.remove());
  const nodes = [...list.querySelectorAll(".msg")];
  let day = "";
  nodes.forEach((node, i) => {
    const date = new Date(node.dataset.date * 1000);
    const here = date.toDateString();
    const before = nodes[i - 1], after = nodes[i + 1];
    const side = node.classList.contains("mine");
    const joins = (other) => other && other.classList.contains("mine") === side && Math.abs(other.dataset.date - node.dataset.date) < 300;
    node.classList.toggle("same", Boolean(joins(before)) && here === day);
    node.classList.toggle("last", !joins(after) && !node.classList.contains("has-keys"));
    if (here !== day) {
      day = here;
      node.before(make("div", "day", here === new Date().toDateString() ? "Today" : date.toLocaleDateString([], { day: "numeric", month: "long" })));
    }
  });
  const empty = !nodes.length;
  if (empty) {
    const about = standing.bot.description || `This is a chat with ${standing.bot.first_name || "the bot"} on your own machine.\nPress START to begin.`;
    list.append(make("div", "about", about));
  }
  $("start").hidden = !empty;
  $("write").hidden = empty;
}

function markUnread({ messages: bodies, read: upTo }) {
  const first = bodies.find((body) => body.outgoing && body.message_id > upTo);
  if (!first || !upTo) return;
  const line = make("div", "fresh", "Unread messages"), node = messages.get(first.message_id).node;
  node.before(line);
  if (node.offsetTop < scroll.scrollTop) { line.scrollIntoView({ block: "center" }); }
}

function goTo(id) {
  const entry = messages.get(id);
  if (!entry) return toast("This message is gone.");
  entry.node.scrollIntoView({ block: "center", behavior: "smooth" });
  entry.node.classList.add("flash");
  setTimeout(() => entry.node.classList.remove("flash"), 1500);
}

function showPinned(ids) {
  pinned = ids || [];
  const body = messages.get(pinned[pinned.length - 1])?.body;
  $("pinned").hidden = !body;
  if (body) $("pinned-text").textContent = gist(body).split("\n")[0];
}
$("pinned").onclick = () => goTo(pinned[pinned.length - 1]);

/* ---- writing ------------------------------------------------------------------ */

const box = $("box");
async function send(text) {
  text = text.trim();
  if (!text) return;
  const wish = { text };
  if (replyTo) wish.reply_to = replyTo.message_id;
  answerTo(null);
  try {
    const { error } = await post(`/chat/${me}/send`, wish);
    if (error) return toast(error);
    if (text === box.value.trim()) box.value = "";
  } catch { return toast("The local chat does not answer."); }
  grow();
  toEnd();
}
function grow() {
  box.style.height = "auto";
  if (box.scrollHeight) box.style.height = Math.min(box.scrollHeight, innerHeight * .4) + "px";  // 0 while START hides it
  $("send").disabled = !box.value.trim();
  $("slash").querySelector("span").hidden = Boolean(box.value);
  suggest();
}
box.addEventListener("input", grow);
box.addEventListener("keydown", (event) => {
  const open = !$("commands").hidden, chosen = $("commands").querySelector("[aria-selected=true]");
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (open && chosen && box.value.trim() !== "/" + chosen.dataset.name) return pick(chosen.dataset.name);
    if (open) hideCommands();
    send(box.value);
  } else if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault(); move(event.key === "ArrowDown" ? 1 : -1);
  } else if (open && event.key === "Tab" && chosen) {
    event.preventDefault(); box.value = `/${chosen.dataset.name} `; grow();
  } else if (event.key === "Escape") { hideCommands(); answerTo(null); }
});
$("send").onclick = () => { send(box.value); box.focus(); };
$("start").onclick = async () => { await send("/start"); box.focus(); };

function answerTo(body) {
  replyTo = body;
  $("reply").hidden = !body;
  if (!body) return;
  $("reply-name").textContent = "Reply to " + (body.outgoing ? standing.bot.first_name : body.from.first_name);
  $("reply-text").textContent = gist(body).split("\n")[0];
  box.focus();
}
$("reply-off").onclick = () => { answerTo(null); box.focus(); };

/* ---- commands -------------------------------------------------------------------- */

function suggest() {
  const typed = box.value.match(/^\/([a-z0-9_]*)$/i);
  if (!typed) return hideCommands();
  list(commands.filter((c) => c.command.startsWith(typed[1].toLowerCase())));
}
function list(found) {
  const panel = $("commands");
  panel.replaceChildren(...found.map((c, i) => {
    const item = make("li");
    item.dataset.name = c.command;
    item.id = "command-" + i;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", i === 0 && box.value !== "");
    item.append(make("b", "", "/" + c.command), make("span", "", c.description));
    item.onclick = () => pick(c.command);
    return item;
  }));
  panel.hidden = !found.length;
  $("slash").setAttribute("aria-expanded", !panel.hidden);
  if (found.length) box.setAttribute("aria-activedescendant", "command-0");
}
function move(by) {
  const items = [...$("commands").children];
  const at = items.findIndex((i) => i.getAttribute("aria-selected") === "true");
  const next = (at + by + items.length) % items.length;
  items.forEach((item, i) => item.setAttribute("aria-selected", i === next));
  items[next].scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", items[next].id);
}
function pick(name) { hideCommands(); box.value = ""; grow(); send("/" + name); box.focus(); }
function hideCommands() { $("commands").hidden = true; $("slash").setAttribute("aria-expanded", "false"); box.removeAttribute("aria-activedescendant"); }
$("slash").onclick = () => { if ($("commands").hidden) list(commands); else hideCommands(); box.focus(); };
async function loadCommands() {
  const { commands: found, menu_button: button } = await get(`/chat/${me}/commands`);
  commands = found;
  $("slash").hidden = !found.length || button.type === "default" && !found.length;
}

function showKeyboard(markup) {
  const panel = $("keyboard");
  panel.hidden = !markup;
  panel.replaceChildren(...(markup?.keyboard || []).map((row) => {
    const line = make("div");
    for (const item of row) { const node = make("button", "key", item.text); node.onclick = () => send(item.text); line.append(node); }
    return line;
  }));
}

/* ---- toasts, questions, menu --------------------------------------------------------- */

let toastTimer = 0;
function toast(text) {
  const node = $("toast");
  node.hidden = true; void node.offsetWidth;
  node.textContent = text; node.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { node.hidden = true; }, 2500 + 30 * text.length);
}
function ask(text, choice) {
  const dialog = $("alert");
  if (dialog.open) dialog.close("no");
  $("alert-text").textContent = text;
  $("alert-no").hidden = !choice;
  dialog.returnValue = "";
  dialog.showModal();
  $("alert-ok").focus();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "ok"), { once: true }));
}
$("alert-ok").onclick = () => $("alert").close("ok");
$("alert-no").onclick = () => $("alert").close("no");
$("viewer").onclick = () => $("viewer").close();
async function copy(text) { try { await navigator.clipboard.writeText(text); toast("Copied to the clipboard."); } catch { toast(text); } }

function menu() {
  const panel = $("menu"), mine = standing.people.find((p) => p.id === me);
  const item = (text, checked, act, className = "") => {
    const node = make("button", className, text);
    node.setAttribute("role", checked === null ? "menuitem" : "menuitemradio");
    if (checked !== null) node.setAttribute("aria-checked", checked);
    node.onclick = () => { shut(); act(); };
    return node;
  };
  const outage = (mode, text) => item(text, standing.outage === mode, () => post("/chat/outage", { mode }));
  panel.replaceChildren(
    ...(standing.people.length > 1 ? [make("h3", "people", "Write as"), ...standing.people.map((p) => item(p.first_name + (p.unread ? ` (${p.unread})` : ""), p.id === me, () => become(p.id), "people"))] : []),
    item(mine?.blocked ? "Unblock the bot" : "Block the bot", null, () => post(`/chat/${me}/block`, { blocked: !mine?.blocked })),
    make("h3", "", "Telegram is …"),
    outage("off", "working"), outage("drop", "unreachable"), outage("error", "answering 502"), outage("hang", "not answering"),
    item("Refuse messages for 10 s (429)", null, () => post("/chat/flood", { seconds: 10 })),
  );
}
function shut() { $("menu").hidden = true; $("more").setAttribute("aria-expanded", "false"); }
$("more").onclick = (event) => {
  event.stopPropagation();
  if (!$("menu").hidden) return shut();
  menu(); $("menu").hidden = false; $("more").setAttribute("aria-expanded", "true"); $("menu").querySelector("button").focus();
};
$("menu").onkeydown = (event) => {
  const items = [...$("menu").querySelectorAll("button")].filter((n) => n.offsetParent), at = items.indexOf(document.activeElement);
  if (event.key === "Escape") { shut(); $("more").focus(); }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); items[(at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length].focus(); }
};
document.addEventListener("click", (event) => { if (!$("menu").contains(event.target)) shut(); });
$("down").onclick = () => toEnd();

/* ---- frame: bot, people, state --------------------------------------------------------- */

const initials = (name) => name.split(/\s+/).map((w) => [...w][0] || "").slice(0, 2).join("").toUpperCase();
function frame(next) {
  standing = { ...standing, ...next };
  const { bot, people, online, outage } = standing;
  $("name").textContent = bot.first_name;
  $("avatar").textContent = initials(bot.first_name);
  if (!typing) status(online ? "online" : "bot · not connected", online);
  const mine = people.find((p) => p.id === me);
  const trouble = outage !== "off" ? { drop: "Telegram is unreachable for the bot (switch in ⋮)", error: "Telegram answers the bot with 502 (switch in ⋮)", hang: "Telegram does not answer the bot (switch in ⋮)" }[outage] : mine?.blocked ? "You blocked this bot. Write something to unblock it." : "";
  $("outage").hidden = !trouble;
  $("outage").textContent = trouble;
  $("people").replaceChildren(...people.map((p, i) => {
    const item = make("li"), button = make("button"), text = make("span", "words");
    const face = make("span", "avatar", initials(p.first_name));
    face.dataset.hue = 1 + i % 4;
    text.append(make("b", "", p.first_name), make("small", "", p.username ? "@" + p.username : "id " + p.id));
    button.append(face, text);
    if (p.unread && p.id !== me) button.append(make("span", "count", String(p.unread)));
    button.setAttribute("aria-current", p.id === me);
    button.onclick = () => become(p.id);
    item.append(button);
    return item;
  }));
}
function status(text, on) { $("status").textContent = text; $("status").classList.toggle("on", Boolean(on)); }
const ACTIONS = { typing: "typing…", upload_photo: "sending a photo…", upload_document: "sending a file…" };
function acting(action) {
  clearTimeout(typing);
  typing = null;
  if (!action) return frame({});
  status(ACTIONS[action] || "busy…", true);
  typing = setTimeout(() => { typing = null; frame({}); }, 5000);
}

async function become(person) {
  me = person;
  held = [];
  history.replaceState(null, "", "#" + person);
  answerTo(null); acting("");
  messages = new Map();
  $("list").replaceChildren();
  frame({});
  await load();
  box.focus();
}

let loads = 0;    // under way
let held = [];    // what happened meanwhile: the answer may be older than it

async function load() {
  const wanted = me;
  let found;
  loads += 1;
  try { [found] = await Promise.all([get(`/chat/${me}/messages`), loadCommands()]); } catch { return lost(); } finally { loads -= 1; }
  if (wanted !== me) return;
  messages = new Map();
  const part = document.createDocumentFragment();
  for (const body of found.messages) { const node = drawn(body); messages.set(body.message_id, { body, node }); part.append(node); }
  $("list").replaceChildren(part);
  frame({});
  arrange(); showPinned(found.pinned); showKeyboard(found.keyboard); toEnd(); grow();
  markUnread(found);
  if (!loads) { const late = held; held = []; late.forEach(happened); }
  if (!document.hidden) await read();
}

/* ---- live ------------------------------------------------------------------------------- */

function lost() { status("local chat not reached…", false); }
const refresh = () => get("/chat/state").then(frame, lost);

function listen() {
  const source = new EventSource("/chat/events");
  source.onopen = () => { if (me) load(); }; // only now nothing can slip in between
  source.onerror = lost;
  source.onmessage = ({ data }) => happened(JSON.parse(data));
}

function happened(event) {
  if (event.type === "state") return event.people ? frame(event) : refresh();
  if (event.type === "commands") return loadCommands().catch(lost);
  if (event.person !== me) { if (event.type === "message") refresh(); return; }
  if (loads) return held.push(event);
  if (event.type === "message") {
    put(event.message);
    if (event.message.outgoing) arrived(event.message);
  } else if (event.type === "edit") put(event.message);
  else if (event.type === "delete") { messages.get(event.message_id)?.node.remove(); messages.delete(event.message_id); arrange(); showPinned(pinned.filter((m) => m !== event.message_id)); }
  else if (event.type === "action") acting(event.action);
  else if (event.type === "pinned") showPinned(event.pinned);
  else if (event.type === "keyboard") showKeyboard(event.keyboard);
}

function arrived(body) {
  unreadMark = true;
  if (document.hidden || !nearEnd) {
    fresh += 1;
    if (!nearEnd) { $("unread").textContent = fresh; $("unread").hidden = false; $("down").hidden = false; }
    if (document.hidden && !body.silent) document.title = `(${fresh}) ${standing.bot.first_name}`;
  } else read();
}
document.addEventListener("visibilitychange", () => { if (!document.hidden && nearEnd) seen(); });
addEventListener("hashchange", () => { const id = Number(location.hash.slice(1)); if (id && id !== me && standing.people.some((p) => p.id === id)) become(id); });

(async function begin() {
  frame(await get("/chat/state"));
  document.title = standing.bot.first_name;
  const asked = Number(location.hash.slice(1));
  me = (standing.people.find((p) => p.id === asked) || standing.people[0] || { id: 0 }).id;
  listen();
  if (matchMedia("(hover: hover)").matches) box.focus();
})();
