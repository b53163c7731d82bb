const panel = document.getElementById("panel");
const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
const related = read("related");
const data = read("data");
const form = document.getElementById("filter");
const grid = document.querySelector(".grid");
const rows = grid ? [...grid.tBodies[0].rows] : [];
let opener = null;

function element(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function icon(verdict) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("class", "lattice icon");
  made.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#mark-${verdict.replaceAll(" ", "-")}`);
  made.append(use);
  return made;
}

/* What is chosen is marked wherever it stands, and its relatives in the picture stay lit. */
function light(id) {
  for (const one of document.querySelectorAll(".chosen, .near")) one.classList.remove("chosen", "near");
  const group = /^group-(\d+)$/.exec(id ?? "");
  for (const picture of document.querySelectorAll("svg.lattice:not(.icon, .defs)")) picture.classList.toggle("lit", Boolean(group));
  if (!group) return;
  const near = new Set(related[Number(group[1])].map((index) => `#group-${index}`));
  for (const link of document.querySelectorAll(".lattice a, .matrix a")) {
    const target = link.getAttribute("href");
    if (target === `#${id}`) link.classList.add("chosen");
    else if (near.has(target)) link.classList.add("near");
  }
}

function open(parts, from) {
  const close = element("button", "×", "close");
  close.type = "button";
  close.setAttribute("aria-label", "close");
  close.addEventListener("click", shut);
  panel.replaceChildren(close, ...parts);
  panel.hidden = false;
  panel.scrollTop = 0;
  document.body.classList.add("opened");
  opener = from ?? opener;
  // On narrow windows the panel covers the lower part: what was chosen stays in sight.
  const hidden = getComputedStyle(panel).position === "fixed" && from
    ? from.getBoundingClientRect().bottom + 16 - panel.getBoundingClientRect().top : 0;
  if (hidden > 0) scrollBy(0, hidden);
}

function shut() {
  panel.hidden = true;
  document.body.classList.remove("opened");
  light(null);
  history.replaceState(null, "", location.pathname + location.search);
  opener?.focus({ preventScroll: true });
}

/* Shows a card that stands on the page. */
function show(id, from) {
  const card = document.getElementById(id);
  if (!card?.classList.contains("card")) return false;
  light(id);
  const copy = card.cloneNode(true);
  for (const who of copy.querySelectorAll(".who")) {
    const button = element("button", "show in the table");
    button.type = "button";
    button.style.textDecoration = "underline";
    button.addEventListener("click", () => choose(who.dataset.group, who.dataset.verdict));
    who.querySelector("p").append(" ", button);
  }
  open([...copy.childNodes], from);
  history.replaceState(null, "", `#${id}`);
  return true;
}

function choose(group, verdict) {
  form.group.value = group;
  form.verdict.value = verdict;
  filter();
  grid.closest(".scroll").scrollIntoView({ block: "nearest" });
}

/* What was measured for one mark of the table. */
function showCell(cell) {
  const row = cell.parentElement;
  const optimizer = Number(row.querySelector("a").hash.slice("#optimizer-".length));
  const group = Number(cell.dataset.group);
  const [verdict, first, last, floor, condition, growth, slope, exact, hint, example, reason] = data.found[optimizer][group];
  const name = data.verdicts[verdict];
  light(`group-${group}`);
  for (const one of grid.querySelectorAll("td.chosen")) one.classList.remove("chosen");
  cell.classList.add("chosen");
  const title = element("h3", `${data.optimizers[optimizer]}: ${data.groups[group]}`);
  const head = element("p", "", `verdict ${name.replaceAll(" ", "-")}`);
  head.append(icon(name), ` ${name}`);
  const parts = [title, head];
  if (reason) {
    parts.push(element("p", data.texts[reason]));
  } else {
    const list = element("dl", "", "numbers");
    for (const [key, value] of [
      ["discrepancy after 1 step", first], [`after ${data.steps[optimizer]} steps`, last], ["what round-off explains", floor],
      ["condition number", condition], ["growth, float64 to float32", growth],
      ["slope in the learning rate", slope || "not taken"], ["exact arithmetic", data.texts[exact] || "not asked"],
    ]) list.append(element("dt", key), element("dd", value));
    parts.push(list);
  }
  if (hint) parts.push(element("p", `Repair: ${data.texts[hint]}.`, "hint"));
  if (example) parts.push(element("p", "Counterexample, to type in:"), element("pre", data.texts[example]));
  const links = element("p", "", "soft");
  for (const [text, id] of [["the group", `group-${group}`], ["the optimizer", `optimizer-${optimizer}`]]) {
    const link = element("a", text);
    link.href = `#${id}`;
    links.append(link, " ");
  }
  open([...parts, links], cell);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const id = link?.getAttribute("href")?.slice(1);
  if (id && show(id, panel.contains(link) ? null : link)) event.preventDefault();
  const cell = event.target.closest(".grid td[data-group]");
  if (cell) focusCell(cell), showCell(cell);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !panel.hidden) return shut();
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const node = document.activeElement?.closest(".lattice a");
  if (node && step) {
    const next = neighbour(node, step);
    if (next) next.focus();
    event.preventDefault();
  }
  const cell = document.activeElement?.closest(".grid td[data-group]");
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") {
    showCell(cell);
    event.preventDefault();
  } else if (step) {
    const shown = rows.filter((row) => !row.hidden).sort((a, b) => a.sectionRowIndex - b.sectionRowIndex);
    const row = shown[shown.indexOf(cell.parentElement) + step[1]];
    const next = row?.cells[cell.cellIndex + step[0]];
    if (next?.dataset.group !== undefined) focusCell(next);
    event.preventDefault();
  }
});

/* The nearest group of the picture in a direction; what lies aside counts double. */
function neighbour(node, [dx, dy]) {
  const middle = (one) => {
    const box = one.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = middle(node);
  let best = null;
  let least = Infinity;
  for (const one of node.closest("svg").querySelectorAll("a")) {
    const [u, v] = middle(one);
    const along = (u - x) * dx + (v - y) * dy;
    const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
    if (one !== node && along > 8 && along + 2 * aside < least) [best, least] = [one, along + 2 * aside];
  }
  return best;
}

function focusCell(cell) {
  for (const one of grid.querySelectorAll("td[tabindex]")) one.removeAttribute("tabindex");
  cell.tabIndex = 0;
  cell.focus();
}

function filter() {
  const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const libraries = [...form.querySelectorAll("input[name=library]:checked")].map((box) => box.value);
  const { group, verdict } = { group: form.group.value, verdict: form.verdict.value };
  let shown = 0;
  for (const row of rows) {
    const optimizer = Number(row.querySelector("a").hash.slice("#optimizer-".length));
    const found = data.found[optimizer];
    const fits =
      words.every((word) => data.optimizers[optimizer].toLowerCase().includes(word)) &&
      (!libraries.length || libraries.includes(row.dataset.library)) &&
      (verdict === "" || (group === "" ? found.some((one) => one[0] === Number(verdict)) : found[group][0] === Number(verdict)));
    row.hidden = !fits;
    shown += fits;
  }
  document.getElementById("count").textContent =
    shown === rows.length ? `${shown} optimizers` : `${shown} of ${rows.length} optimizers`;
}

/* A number as it is shown, 1.8·10⁻¹⁴, as one to sort by. */
function size(text) {
  const found = /^(-?[\d.]+)(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?$/.exec(text);
  if (!found) return text === "" ? 0 : Infinity;
  const power = [...(found[2] ?? "")].map((one) => "0123456789-"["⁰¹²³⁴⁵⁶⁷⁸⁹⁻".indexOf(one)]).join("");
  return Number(`${found[1]}e${power || 0}`);
}

/* A second press turns the order around. */
function sort(button) {
  const head = button.closest("th");
  const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const which = button.dataset.group;
  const key = (row) => {
    if (which === "name") return [0];
    if (which === "letter") return [row.cells[1].textContent.length, row.cells[1].textContent];
    const [verdict, first] = data.found[Number(row.querySelector("a").hash.slice("#optimizer-".length))][which];
    return [verdict, size(first)];
  };
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...rows].sort((a, b) => {
    const [one, other] = [key(a), key(b)];
    const order = one.map((value, index) => compare(value, other[index])).find(Boolean) ?? 0;
    return turn * (order || a.cells[0].textContent.localeCompare(b.cells[0].textContent));
  });
  for (const one of grid.querySelectorAll("th[aria-sort]")) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
  grid.tBodies[0].append(...sorted);
  if (which !== "name" && which !== "letter") show(`group-${which}`, button);
}

if (grid) {
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
  grid.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(button);
  });
  rows[0]?.querySelector("td[data-group]")?.setAttribute("tabindex", "0");
}
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
if (location.hash) show(location.hash.slice(1), null);
