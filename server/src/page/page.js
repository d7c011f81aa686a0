// The page of a Tideline service. It talks to /status and /data only.

const $ = (id) => document.getElementById(id);

function on(id, type, work) {
  $(id).addEventListener(type, (event) => {
    if (type === "submit") event.preventDefault();
    work(event);
  });
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter(Boolean));
  return element;
}

const announce = (message) => ($("announce").textContent = message);

/** Runs `work` unless it still runs for this button. (A really disabled button would lose the focus.) */
async function busy(button, work) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  await work().finally(() => (button.ariaDisabled = null));
}

// ---- JSON as text --------------------------------------------------------------------------------------------------
// Numbers here may have 38 digits, which JSON.parse would round. So documents stay a list of tokens, spelled as the
// service spelled them; JSON.parse only judges whether a text is JSON, and reads strings.

const tokensOf = (text) => text.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g) ?? [];
const opens = (token) => token === "{" || token === "[";
const closes = (token) => token === "}" || token === "]";

/** What an object or array holds, as pairs of key (undefined in an array) and tokens. */
function childrenOf(tokens) {
  const children = [];
  let depth = 0, start = 1, key;
  tokens.forEach((token, at) => {
    depth += opens(token) - closes(token);
    if (depth === 1 && token === ":") {
      key = JSON.parse(tokens[at - 1]);
      start = at + 1;
    } else if (depth === 0 || (depth === 1 && token === ",")) {
      if (at > start) children.push([key, tokens.slice(start, at)]);
      start = at + 1;
    }
  });
  return children;
}

/** The tokens with line breaks and indentation between them. */
function pretty(tokens) {
  let depth = 0;
  return tokens.flatMap((token, at) => {
    const last = tokens[at - 1];
    if (closes(token)) depth--;
    const breaks = closes(token) ? !opens(last) : opens(last) || last === ",";
    const gap = breaks ? ["\n" + "  ".repeat(depth)] : last === ":" ? [" "] : [];
    if (opens(token)) depth++;
    return [...gap, token];
  });
}

/** Coloured spans for tokens (or the pieces of `pretty`). A huge text stays plain, to stay quick. */
function painted(pieces) {
  if (pieces.length > 40_000) return pieces.join("");
  const fragment = document.createDocumentFragment();
  pieces.forEach((piece, at) => {
    const kind = piece[0] === '"' ? (pieces[at + 1] === ":" ? "key" : "string")
      : /^[-\d]/.test(piece) ? "number" : /^\w/.test(piece) ? "word" : piece === "," ? "comma" : "sign";
    fragment.append(make("span", { className: `j-${kind}`, textContent: piece }));
  });
  return fragment;
}

/** The id of a document as URLs have it; undefined where the tokens are no document. */
function idOf(tokens) {
  const id = opens(tokens[0]) ? new Map(childrenOf(tokens)).get("id")?.join("") : undefined;
  return id?.startsWith('"') ? JSON.parse(id) : id;
}

/** The tokens of the document that an answer carries; undefined where it carries none. */
function documentIn({ text }) {
  const tokens = tokensOf(text);
  return isJson(text) && idOf(tokens) !== undefined ? tokens : undefined;
}

function isJson(text) {
  try {
    return JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}

// ---- Ids, times, sizes ---------------------------------------------------------------------------------------------

const pathOf = (id) => `/data/${encodeURIComponent(id)}`;

/** A random UUID. crypto.randomUUID is missing on plain http. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[parseInt(hex[16], 16) % 4];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** When a document was created, if its id tells: a UUIDv7 begins with the time. */
function createdAt(id) {
  const parts = /^([\da-f]{8})-([\da-f]{4})-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i.exec(id);
  return parts && new Date(parseInt(parts[1] + parts[2], 16));
}

function ago(date) {
  const seconds = Math.round((Date.now() - date) / 1000);
  if (seconds < -60 || seconds > 30 * 86_400) return date.toLocaleDateString();
  if (seconds < 5) return "just now";
  const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86_400 ? [3600, "h"] : [86_400, "d"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** A <time> for the date, or null where there is no (valid) date. */
/** Seconds as people say them: 42 s, 7 min, 3 h, 2 d. */
function spanOf(seconds) {
  const [size, unit] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

function timeOf(date) {
  if (!date || Number.isNaN(+date)) return null;
  const title = date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  return make("time", { dateTime: date.toISOString(), title, textContent: ago(date) });
}

function sizeOf(text) {
  const bytes = new TextEncoder().encode(text).length;
  return bytes < 1024 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(1)} KiB`;
}

// ---- Requests and their problems -----------------------------------------------------------------------------------

class Failure extends Error {
  constructor(problem, response) {
    super(problem.title);
    Object.assign(this, { problem, status: response?.status, instance: response?.headers.get("x-tideline-instance") });
  }
}

/** The answer to a request, as { text, headers }; everything but success is thrown, as a Failure. */
async function request(method, path, { headers, body, timeout = 20_000 } = {}) {
  const write = method !== "GET";
  for (let asked = false; ; asked = true) {
    const token = write && sessionStorage.getItem("token");
    const bearer = token && { authorization: `Bearer ${token}` };
    let response, text;
    try {
      const signal = AbortSignal.timeout(timeout);
      response = await fetch(path, { method, body, signal, cache: "no-store", headers: { ...headers, ...bearer } });
      noteInstance(response.headers);
      text = await response.text();
    } catch {
      const detail = write ? "The service could not be reached, or its answer was lost. Nothing you typed is lost, and sending it again is safe."
        : "The service could not be reached. Try again in a moment.";
      throw new Failure({ title: "No answer", detail });
    }
    if (response.ok) return { text, headers: response.headers };
    if (write && response.status === 401) {
      keepToken(null);
      if (!asked && (await askToken(Boolean(token)))) continue;
    }
    throw new Failure(problemIn(response, text), response);
  }
}

/** The problem that an answer describes. One from a proxy in between may be no JSON at all. */
function problemIn(response, text) {
  const after = response.headers.get("retry-after");
  const plain = { title: `Refused with status ${response.status}`, detail: after && `Retry after: ${after}` };
  return isJson(text) ? { ...plain, ...JSON.parse(text) } : plain;
}

function showProblem(place, error, ...actions) {
  const { title, detail, pointer, request_id } = error.problem ?? { title: "The answer could not be read", detail: error.message };
  const parts = [
    make("strong", { textContent: title }),
    detail && make("p", { textContent: detail }),
    pointer && make("p", {}, "At ", make("code", { textContent: pointer })),
    actions.length > 0 && make("div", { className: "actions" }, ...actions),
    request_id && make("small", {}, "Request ", make("code", { textContent: request_id })),
  ];
  place.replaceChildren(...parts.filter(Boolean));
  place.hidden = false;
}

const action = (label, id, onclick) => make("button", { type: "button", textContent: label, id, onclick });

/** Says under an editor whether its text is JSON, before the service is asked. Returns the problem, if any. */
function check(area, note) {
  try {
    JSON.parse(area.value);
    note.textContent = `Valid JSON, ${sizeOf(area.value)}`;
  } catch (error) {
    note.textContent = area.value.trim() ? `Not JSON yet: ${error.message}` : "Nothing here yet";
    return new Failure({ title: "This is not JSON yet", detail: error.message });
  }
}

// ---- The token for writes ------------------------------------------------------------------------------------------

function keepToken(token) {
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
  $("token-forget").hidden = !token;
}

/** Asks for a token; true once there is one. */
function askToken(refused) {
  const dialog = $("token-dialog");
  dialog.returnValue = "";
  $("token-refused").hidden = !refused;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
  });
}

on("token-form", "submit", () => {
  keepToken($("token-text").value);
  $("token-dialog").close("given");
});
on("token-dialog", "close", () => $("token-form").reset());
on("token-forget", "click", () => {
  keepToken(null);
  announce("Token forgotten");
  $("add").focus();
});

// ---- Who answered, and how the service is --------------------------------------------------------------------------

const TRAIL = 36; // how many of the last answers the strips show
const MOST = 8; // how many instances are listed; the one silent for longest gives way
const instances = new Map();
let trail = [], answers = 0;

function noteInstance(headers) {
  const name = headers.get("x-tideline-instance");
  if (!name) return;
  if (!instances.has(name)) {
    if (instances.size === MOST) {
      const [oldest, { row }] = [...instances].reduce((one, other) => (other[1].last < one[1].last ? other : one));
      row.remove();
      instances.delete(oldest);
    }
    const row = $("instance-template").content.firstElementChild.cloneNode(true);
    row.querySelector("b").textContent = row.title = name;
    $("instances").append(row);
    instances.set(name, { row, count: 0 });
  }
  const seen = instances.get(name);
  seen.count++;
  seen.last = ++answers;
  trail = [...trail, name].slice(-TRAIL);
  const facts = [headers.get("x-tideline-zone"), headers.get("x-tideline-version")];
  seen.row.querySelector(".where").textContent = facts.filter(Boolean).join(" · ");
  seen.row.querySelector(".times").textContent = `${seen.count}×`;
  for (const [other, { row }] of instances) {
    row.classList.toggle("latest", other === name);
    const ticks = trail.map((one, at) => (one === other ? `M${(TRAIL - trail.length + at) * 5 + 2.5} 1v9` : ""));
    row.querySelector("path").setAttribute("d", ticks.join(""));
  }
  const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  $("answered-count").textContent = `${many(answers, "answer")}, ${many(instances.size, "instance")}`;
  document.documentElement.dataset.tide = answers % 2 ? "in" : "out"; // the water moves with every answer
}

const STATES = ["healthy", "degraded", "draining"];
let timer;

/** Lists the instances, where there is more than one; a fleet that cannot be asked stays as it was. */
async function showFleet() {
  const fleet = await request("GET", "/fleet", { timeout: 8_000 }).then(({ text }) => JSON.parse(text).instances, () => null);
  if (!fleet) return;
  $("fleet").hidden = fleet.length < 2;
  $("fleet-rows").replaceChildren(...fleet.map((one) => {
    const number = (text) => make("td", { className: "number", textContent: text });
    const cpu = one.cpu_percent ?? 0;
    const row = make("tr", {},
      make("td", { className: "data", textContent: one.id }), make("td", { textContent: one.zone }),
      make("td", { className: "data", textContent: one.version }), make("td", { textContent: one.state }),
      number(spanOf(one.uptime_seconds)), number(one.requests_per_second), number(one.in_flight),
      make("td", {}, make("meter", { max: 100, high: 80, value: cpu, title: `${cpu} %` }), ` ${Math.round(cpu)} %`));
    row.dataset.state = one.state;
    return row;
  }));
}

/** Asks how the service is, now and every 10 s while somebody can see it. */
async function pulse() {
  clearTimeout(timer);
  if (document.hidden) return;
  const state = await request("GET", "/status", { timeout: 8_000 }).then(
    ({ text }) => STATES.find((word) => isJson(text) && word === JSON.parse(text)?.status) ?? "healthy",
    // A refusal may name the state too (503 while draining); one without an instance came from something in between.
    ({ problem, instance }) => STATES.find((word) => word === problem.status) ?? (instance ? "degraded" : "unreachable"),
  );
  if ($("status").textContent !== state) $("status").textContent = state;
  document.documentElement.dataset.state = $("status").dataset.state = state;
  for (const time of document.querySelectorAll("time")) time.textContent = ago(new Date(time.dateTime));
  await showFleet();
  clearTimeout(timer);
  timer = setTimeout(pulse, 10_000);
}

document.addEventListener("visibilitychange", pulse);

// ---- The list ------------------------------------------------------------------------------------------------------

const list = $("list");
let next = null, loading = false;

const rowOf = (id) => list.querySelector(`[data-id="${CSS.escape(id)}"]`);

function makeRow(tokens) {
  const id = idOf(tokens);
  const rest = childrenOf(tokens).filter(([key]) => key !== "id");
  const flat = rest.flatMap(([key, value], at) => [...(at ? [","] : []), JSON.stringify(key), ":", ...value]);
  const summary = ["{", ...flat, "}"].slice(0, 100).map((token) => token.slice(0, 300)); // more never fits on the line
  const row = make("li", {},
    make("a", { className: "data", href: `#${encodeURIComponent(id)}`, title: id, textContent: id }),
    timeOf(createdAt(id)),
    make("p", { className: "data" }, painted(summary)));
  row.dataset.id = id;
  return row;
}

function showRest() {
  const count = list.children.length;
  $("older").hidden = !next;
  $("empty").hidden = count > 0 || Boolean(next);
  $("count").textContent = count === 0 ? "" : next ? `newest ${count}` : `all ${count}`;
}

async function showPage(path, append) {
  if (loading) return;
  loading = true;
  list.ariaBusy = "true";
  $("list-problem").hidden = true;
  try {
    const { text } = await request("GET", path);
    const page = JSON.parse(text);
    const items = childrenOf(new Map(childrenOf(tokensOf(text))).get("items")).map(([, tokens]) => tokens);
    const rows = items.filter((tokens) => !append || !rowOf(idOf(tokens))).map(makeRow);
    if (append) list.append(...rows);
    else list.replaceChildren(...rows);
    next = page.next ?? null;
    showRest();
    announce(`${rows.length} ${append ? "older " : ""}documents`);
    if (append && !next) rows[0]?.querySelector("a").focus(); // the button is gone, and the focus with it
  } catch (error) {
    $("empty").hidden = true;
    showProblem($("list-problem"), error, action("Try again", "list-retry", () => showPage(path, append)));
  } finally {
    loading = false;
    list.ariaBusy = null;
  }
}

const showNewest = () => showPage("/data?limit=20", false);

on("refresh", "click", () => busy($("refresh"), showNewest));
// A time lies above the link that covers its row, to show its title; a click on it means the row all the same.
on("list", "click", ({ target }) => target.tagName === "TIME" && target.parentElement.querySelector("a").click());
on("older", "click", () => busy($("older"), () => showPage(next, true)));

// ---- Adding --------------------------------------------------------------------------------------------------------

const SAMPLE = `{
  "station": "Brest",
  "tide": "rising",
  "level_m": 4.270,
  "gauges": [12, 14]
}`;
let attempt = {}; // the text last sent and its key: the same text sent again must not create a second document

function openAdd() {
  const area = $("add-text");
  if (!area.value.trim()) area.value = SAMPLE; // what was typed before, and not added, is still there
  $("add-problem").hidden = true;
  check(area, $("add-check"));
  $("add-dialog").showModal();
}

async function add() {
  const text = $("add-text").value;
  $("add-problem").hidden = true;
  try {
    const problem = check($("add-text"), $("add-check"));
    if (problem) throw problem;
    if (attempt.text !== text) attempt = { text, key: uuid() };
    const headers = { "content-type": "application/json", "idempotency-key": attempt.key };
    const added = documentIn(await request("POST", "/data", { headers, body: text }));
    attempt = {};
    $("add-text").value = "";
    $("add-dialog").close();
    if (!added) return showNewest(); // the answer does not carry the document, so the list must
    const row = makeRow(added);
    row.classList.add("fresh");
    rowOf(row.dataset.id)?.remove();
    list.prepend(row);
    showRest();
    row.querySelector("a").focus();
    announce(`Added ${row.dataset.id}`);
  } catch (error) {
    showProblem($("add-problem"), error);
  }
}

on("add", "click", openAdd);
on("empty-add", "click", openAdd);
on("add-text", "input", () => check($("add-text"), $("add-check")));
on("add-form", "submit", () => busy($("add-submit"), add));

// ---- One document --------------------------------------------------------------------------------------------------

const sheet = $("document-dialog"), editor = $("document-editor");
const drafts = new Map(); // unsaved edits by id, with the ETag they were based on: closing the sheet loses nothing
let shown = {};

function setMode(mode) {
  shown.mode = mode;
  for (const part of sheet.querySelectorAll("[data-in]")) part.hidden = !part.dataset.in.split(" ").includes(mode);
  $("document-edit").textContent = drafts.has(shown.id) ? "Resume editing" : "Edit";
}

function keepDraft() {
  if (shown.mode === "edit" && editor.value !== shown.source) drafts.set(shown.id, { text: editor.value, etag: shown.base });
}

function openDocument(id) {
  keepDraft();
  shown = { id };
  $("document-title").textContent = id;
  $("document-note").textContent = "Document";
  $("document-draft").hidden = true;
  if (!sheet.open) sheet.showModal();
  return loadDocument();
}

async function loadDocument() {
  const mine = shown;
  setMode("loading");
  $("document-problem").hidden = true;
  try {
    const answer = await request("GET", pathOf(mine.id));
    if (shown === mine) showDocument(answer);
  } catch (error) {
    if (shown !== mine) return;
    setMode("failed");
    showProblem($("document-problem"), error, action("Try again", "document-retry", loadDocument));
  }
}

function showDocument({ text, headers }) {
  JSON.parse(text); // throws if it is none, which is shown as a problem
  const pieces = pretty(tokensOf(text));
  const created = timeOf(createdAt(shown.id)), modified = headers.get("last-modified");
  Object.assign(shown, { etag: headers.get("etag"), source: pieces.join("") });
  $("document-text").replaceChildren(painted(pieces));
  $("document-etag").textContent = shown.etag ?? "none";
  $("document-modified").replaceChildren(timeOf(modified && new Date(modified)) ?? "not known");
  $("document-created").replaceChildren(created ?? "");
  $("document-created").parentElement.hidden = !created;
  $("document-size").textContent = sizeOf(text);
  $("document-curl").textContent = `curl -i '${location.origin}${pathOf(shown.id)}'`;
  setMode("view");
}

function edit() {
  const draft = drafts.get(shown.id) ?? { text: shown.source, etag: shown.etag };
  editor.value = draft.text;
  shown.base = draft.etag;
  $("document-note").textContent = "Document";
  check(editor, $("document-check"));
  setMode("edit");
  editor.focus();
  editor.setSelectionRange(0, 0);
}

function view(focus) {
  $("document-problem").hidden = true;
  setMode("view");
  $(focus).focus();
}

/** Sends a change of the shown document. A 412 says that it has changed meanwhile, which is offered to be looked at. */
async function change(method, etag, body) {
  $("document-problem").hidden = true;
  try {
    const headers = { ...(body && { "content-type": "application/json" }), ...(etag && { "if-match": etag }) };
    return await request(method, pathOf(shown.id), { body, headers });
  } catch (error) {
    if (error.status !== 412) return showProblem($("document-problem"), error);
    error.problem.title = "Somebody else changed this document";
    error.problem.detail = "It is newer than what you were looking at, so nothing was written.";
    showProblem($("document-problem"), error, action("Load the newest", "document-reload", takeNewest));
  }
}

/** Shows the newest version, and keeps at hand what was typed on top of an older one. */
async function takeNewest() {
  const typed = shown.mode === "edit" ? editor.value : "";
  drafts.delete(shown.id);
  $("document-draft").hidden = !typed;
  $("document-draft").querySelector("pre").textContent = typed;
  await loadDocument();
  $("document-edit").focus();
}

async function save() {
  const mine = shown, text = editor.value;
  const problem = check(editor, $("document-check"));
  if (problem) return showProblem($("document-problem"), problem);
  const answer = await change("PUT", shown.base, text);
  if (!answer) return;
  drafts.delete(mine.id);
  rowOf(mine.id)?.replaceWith(makeRow(documentIn(answer) ?? tokensOf(text)));
  if (shown !== mine) return announce(`Saved ${mine.id}`); // closed meanwhile
  $("document-note").textContent = "Document, saved";
  $("document-draft").hidden = true;
  if (documentIn(answer) && answer.headers.get("etag")) showDocument(answer);
  else await loadDocument();
  $("document-edit").focus();
}

async function remove() {
  const { id, etag } = shown;
  if (!(await change("DELETE", etag))) return;
  drafts.delete(id);
  const row = rowOf(id), neighbour = row?.nextElementSibling ?? row?.previousElementSibling;
  row?.remove();
  sheet.close();
  showRest();
  announce(`Deleted ${id}`);
  (neighbour?.querySelector("a") ?? $("add")).focus();
  if (!list.children.length && next) await showNewest();
}

on("document-edit", "click", edit);
on("document-cancel", "click", () => {
  drafts.delete(shown.id);
  view("document-edit");
});
on("document-form", "submit", () => busy($("document-save"), save));
on("document-editor", "input", () => check(editor, $("document-check")));
on("document-delete", "click", () => {
  setMode("delete");
  $("document-keep").focus(); // the harmless one
});
on("document-keep", "click", () => view("document-delete"));
on("document-delete-confirm", "click", () => busy($("document-delete-confirm"), remove));
$("document-copy").hidden = !navigator.clipboard; // it is missing on plain http
on("document-copy", "click", async () => {
  await navigator.clipboard.writeText($("document-curl").textContent);
  $("document-copy").textContent = "Copied";
  setTimeout(() => ($("document-copy").textContent = "Copy"), 2000);
});

// The hash names the open document, so that a document can be linked to and Back closes it.
function followHash() {
  const hash = location.hash.slice(1);
  if (!hash) return sheet.close();
  try {
    openDocument(decodeURIComponent(hash));
  } catch {
    openDocument(hash);
  }
}

window.addEventListener("hashchange", followHash);
on("document-dialog", "close", () => {
  if (sheet.open) return; // opened again already
  keepDraft();
  const { id } = shown;
  shown = {};
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  // A saved row was replaced, so the browser could not give the focus back to it.
  const focused = document.activeElement;
  if (focused === document.body || sheet.contains(focused)) rowOf(id)?.querySelector("a").focus();
});

// ---- Start ---------------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
for (const area of document.querySelectorAll("textarea")) {
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) area.form.requestSubmit();
  });
}

keepToken(sessionStorage.getItem("token"));
showNewest();
pulse();
if (location.hash) followHash();
