/* The atlas of a variant: a map and a list of all units, and a page per unit, class, case and image.
 *
 * Nothing is fetched: data/*.js call take(name, data) when a script tag has loaded them, so that the page works
 * from the disk. Text of others (names, notes, paths) is only ever set as textContent.
 */
"use strict";

(() => {
  // ---- data: chunks by name, each loaded once

  const taken = new Map();
  const loading = new Map();
  window.take = (name, data) => taken.set(name, data);

  function load(name) {
    if (!loading.has(name)) {
      loading.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        script.onload = () => (taken.has(name) ? resolve(taken.get(name)) : script.onerror());
        script.onerror = () => {
          loading.delete(name);
          reject(new Error(`data/${name}.js is missing or damaged: build the atlas again`));
        };
        document.head.append(script);
      }));
    }
    return loading.get(name);
  }

  const counts = (entries) => entries.filter((entry) => Math.abs(entry[1]) >= 0.0005); // shares that are not 0.0 %

  async function record(kind, place) {
    const size = core.chunks[kind];
    return (await load(`${kind}/${Math.floor(place / size)}`))[place % size];
  }

  let core, units, rowOf, classRow, caseOf, casesOfUnit, casesOfClass, text;
  const live = document.documentElement.dataset.live;

  const name = (row) => units.words[units.label[row]] || "rarely fires";
  const className = (id) => (classRow.has(id) ? core.classes.name[classRow.get(id)] : "no class");
  const isToss = (row) => units.sure[row] !== null && units.sure[row] < 60;  // naming/stability.py
  const isNamed = (row) => units.words[units.label[row]] !== "";

  function index(data) {
    core = data;
    units = data.units;
    rowOf = new Map(units.id.map((id, row) => [id, row]));
    classRow = new Map(data.classes.id.map((id, row) => [id, row]));
    caseOf = new Map(data.cases.map((one, place) => [one.id, place]));
    casesOfUnit = group(core.own ? data.cases : [], (one) => one.unit);
    casesOfClass = group(data.cases, (one) => one.class);
    text = units.id.map((id, row) => [`#${id}`, name(row), units.drives[row] < 0 ? "" : className(units.drives[row]), ...(casesOfUnit.get(id) || []).map((one) => className(one.class))].join(" ").toLowerCase());
    units.score = units.id.map((id) => (casesOfUnit.get(id) || [{ score: null }])[0].score);
    units.kind = units.id.map((id) => (casesOfUnit.has(id) ? casesOfUnit.get(id)[0].kind : null));
  }

  function group(items, key) {
    const found = new Map();
    for (const item of items) found.set(key(item), [...(found.get(key(item)) || []), item]);
    return found;
  }

  // ---- elements

  function h(tag, given = {}, ...children) {
    const element = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
    for (const [key, value] of Object.entries(given)) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key === "style") for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
      else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
    return element;
  }

  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits).replace("-", "−")} %`;
  const fixed = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−"));
  const signed = (value, digits = 3) => (value > 0 ? "+" : "") + fixed(value, digits);
  const count = (value) => value.toLocaleString("en");
  const unitHref = (id) => `#/unit/${id}`;
  const classHref = (id) => `#/class/${id}`;
  const caseHref = (id) => `#/case/${encodeURIComponent(id)}`;
  const imageHref = (split, id) => `#/image/${split}/${id}`;
  const numbers = new Map(); // "split/image_id" -> number of the image

  /* A picture of a sheet; box: a patch of it that is outlined, [left, top, right, bottom] in thousandths. */
  function picture(number, label, href, extra = "", box = null) {
    const across = 8, per = core.chunks.images, sheet = Math.floor(number / per), place = number % per;
    const down = Math.ceil(Math.min(per, core.counts.images - sheet * per) / across);
    const column = place % across, row = Math.floor(place / across);
    const style = {
      "background-image": `url("sheets/${sheet}.webp")`,
      "background-size": `${100 * across}% ${100 * down}%`,
      "background-position": `${(100 * column) / (across - 1)}% ${down > 1 ? (100 * row) / (down - 1) : 0}%`,
    };
    const shape = { class: `pic ${extra}`, style, title: label };
    const element = href ? h("a", { ...shape, href, "aria-label": label }) : h("span", { ...shape, role: "img", "aria-label": label });
    if (box) element.append(patch(box));
    return element;
  }

  function patch([left, top, right, bottom]) {
    const share = (value) => `${value / 10}%`;
    return h("i", { class: "patch", title: "the patch on which the unit is strongest", style: { left: share(left), top: share(top), width: share(right - left), height: share(bottom - top) } });
  }

  function imageLink([number, split, id], label, extra, box) {
    numbers.set(`${split}/${id}`, number);
    return picture(number, label, imageHref(split, id), extra, box);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      showFace(entry.target);
    }
  }, { rootMargin: "100px" });

  async function showFace(element) {
    const unit = await record("units", rowOf.get(Number(element.dataset.unit))).catch(() => null);
    if (!unit || !unit.examples.length) return;
    const found = picture(unit.examples[0][0], "", null);
    for (const property of ["background-image", "background-size", "background-position"]) element.style.setProperty(property, found.style.getPropertyValue(property));
  }

  /* The strongest image of a unit; its chunk is loaded when it comes into view. */
  function face(id) {
    const element = h("span", { class: "pic face", "data-unit": id, "aria-hidden": "true" });
    if (rowOf.has(id)) seen.observe(element);
    return element;
  }

  function unitLink(id, ...more) {
    const row = rowOf.get(id);
    return h("a", { class: "unit", href: unitHref(id) }, face(id),
      h("span", { class: "who" }, h("b", {}, `#${id}`), " ", row === undefined ? "" : h("bdi", { class: isNamed(row) ? "" : "muted" }, name(row)), ...more));
  }

  /* How sure the name of a unit is, in small; nothing where it is not known. */
  function sureOf(id) {
    const row = rowOf.get(id);
    if (row === undefined || units.sure[row] === null) return "";
    return h("small", { class: "muted", title: "how often its name comes out again from halves of its images and of the vocabulary" }, isToss(row) ? ` name a coin toss (${units.sure[row]} %)` : ` name ${units.sure[row]} % sure`);
  }

  const kindBadge = (kind) => h("span", { class: "badge", style: { "--kind": shade(core.kinds[kind].color) } }, core.kinds[kind].one);

  function bar(value, most, label, title) {
    const width = Math.min(100, (100 * Math.abs(value)) / (most || 1));
    return h("span", { class: "bar", title }, h("i", { class: value < 0 ? "minus" : "", style: { width: `${width}%` } }), h("em", {}, label));
  }

  function diverging(value, most, label, of) {
    const width = Math.min(50, (50 * Math.abs(value)) / (most || 1));
    const place = value < 0 ? { right: "50%", width: `${width}%` } : { left: "50%", width: `${width}%` };
    return h("span", { class: "diverging", "data-of": of }, h("i", { class: value < 0 ? "minus" : "", style: place }), h("em", {}, label));
  }

  function section(title, note, ...children) {
    return h("section", {}, h("h2", {}, title), note && h("p", { class: "note" }, note), ...children);
  }

  const facts = (pairs) => h("dl", { class: "facts" }, pairs.map(([term, value, note]) => h("div", {}, h("dt", {}, term), h("dd", {}, value, note && h("small", {}, note)))));

  // ---- colours

  const RAMPS = {
    light: ["#cdd6e2", "#93c6d6", "#3fa0bd", "#2c74b3", "#4b47a3", "#7a1f7d"],
    dark: ["#2c3a70", "#3c62ad", "#2f95b5", "#45bf9d", "#a6e07e", "#fdf2a0"],
  };
  const FIRE = { light: ["#f3c58f", "#ef8f45", "#d9541e", "#9c2712", "#5d0f10"], dark: ["#74331d", "#b04a1c", "#e8702a", "#ffa552", "#ffe2a8"] };
  const isDark = () => getComputedStyle(document.documentElement).getPropertyValue("--scheme").trim() === "dark";

  function mix(a, b, share) {
    const parts = [1, 3, 5].map((i) => Math.round(parseInt(a.slice(i, i + 2), 16) * (1 - share) + parseInt(b.slice(i, i + 2), 16) * share));
    return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
  }

  const shade = (color) => (isDark() ? mix(color, "#ffffff", 0.38) : color);

  function ramp(stops, share) {
    const at = Math.max(0, Math.min(0.9999, share)) * (stops.length - 1);
    return mix(stops[Math.floor(at)], stops[Math.floor(at) + 1], at % 1);
  }

  // ---- what is listed: filters, order, search

  const MEASURES = {
    clarity: { label: "clarity", values: () => units.clarity, unit: 1000, digits: 2, hint: "how alike its strongest images are" },
    alignment: { label: "alignment", values: () => units.alignment, unit: 1000, digits: 3, hint: "how well its name fits" },
    activation: { label: "activation", values: () => units.activation, unit: 100, digits: 1, hint: "mean over its 20 strongest images" },
    rate: { label: "firing rate", values: () => units.rate, unit: 1e6, digits: 4, hint: "share of the images that it fires on" },
  };
  const ORDERS = {
    first: ["failures first", null],
    activation: ["strongest", (a, b) => units.activation[b] - units.activation[a]],
    clarity: ["clearest", (a, b) => (units.clarity[b] ?? -1) - (units.clarity[a] ?? -1)],
    astray: ["hardest to name", (a, b) => (units.alignment[a] ?? 1e9) - (units.alignment[b] ?? 1e9)],
    share: ["most relied on", (a, b) => (units.share[b] ?? -1) - (units.share[a] ?? -1)],
    rate: ["most frequent", (a, b) => units.rate[b] - units.rate[a]],
    name: ["by name", (a, b) => (isNamed(b) - isNamed(a)) || (units.label[a] - units.label[b])],
    id: ["by number", (a, b) => units.id[a] - units.id[b]],
  };
  const COLORS = { clarity: "clarity", alignment: "alignment", activation: "activation", kind: "kind of failure", failure: "strength of failure" };
  const START = { q: "", order: "first", color: "clarity", places: "direction", kind: "", case: "", hidden: "", class: "" };
  let state = { ...START }, shownRows = [], shownSet = null, classUnits = null;

  function homeHash() {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) if (value !== "" && value !== START[key]) query.set(key, value);
    const said = query.toString();
    return said ? `#/?${said}` : "#/";
  }

  async function filter() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    classUnits = null;
    if (state.class !== "" && classRow.has(Number(state.class))) {
      const found = await record("classes", classRow.get(Number(state.class)));
      classUnits = new Set([...counts(found.expected), ...found.unexpected].map((entry) => entry[0]));
      for (const one of casesOfClass.get(Number(state.class)) || []) if (core.own) classUnits.add(one.unit);
    }
    const limits = Object.entries(MEASURES).flatMap(([key, measure]) => [
      state[`${key}.from`] === undefined || state[`${key}.from`] === "" ? null : (row) => measure.values()[row] !== null && measure.values()[row] >= state[`${key}.from`] * measure.unit - 1e-6,
      state[`${key}.to`] === undefined || state[`${key}.to`] === "" ? null : (row) => measure.values()[row] !== null && measure.values()[row] <= state[`${key}.to`] * measure.unit + 1e-6,
    ]).filter(Boolean);
    shownRows = [];
    for (let row = 0; row < units.id.length; row++) {
      if (!words.every((word) => text[row].includes(word))) continue;
      if (state.kind && !(casesOfUnit.get(units.id[row]) || []).some((one) => one.kind === state.kind)) continue;
      if (state.case && units.kind[row] === null) continue;
      if (state.hidden && !units.hidden[row]) continue;
      if (classUnits && !classUnits.has(units.id[row])) continue;
      if (!limits.every((holds) => holds(row))) continue;
      shownRows.push(row);
    }
    const order = ORDERS[state.order][1];
    if (order) shownRows.sort((a, b) => order(a, b) || a - b);
    shownSet = shownRows.length === units.id.length ? null : new Set(shownRows);
  }

  // ---- the list: only the rows in view exist

  const ROW = 64;
  const list = h("div", { class: "list", tabindex: "-1" });
  const spacer = h("div", { class: "spacer" });
  const total = h("p", { class: "total", "aria-live": "polite" });
  let cursor = -1, current = null;
  list.append(spacer);
  list.addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });

  function drawList() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(shownRows.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    spacer.style.height = `${shownRows.length * ROW}px`;
    const kept = new Map([...spacer.children].map((child) => [child.dataset.key, child]));
    const wanted = [];
    for (let place = first; place < last; place++) {
      const key = `${place}:${shownRows[place]}`;
      wanted.push(kept.get(key) || listRow(place, key));
      wanted.at(-1).classList.toggle("here", place === cursor || units.id[shownRows[place]] === current);
    }
    spacer.replaceChildren(...wanted);
  }

  function listRow(place, key) {
    const row = shownRows[place], id = units.id[row];
    const clarity = units.clarity[row];
    const said = [clarity === null ? "fires rarely" : `clarity ${fixed(clarity / 1000)}`, ...(units.sure[row] === null ? [] : [isToss(row) ? `name a coin toss (${units.sure[row]} %)` : `name ${units.sure[row]} % sure`]), `activation ${fixed(units.activation[row] / 100, 1)}`];
    if (units.drives[row] >= 0) said.unshift(`→ ${className(units.drives[row])}`);
    const fooled = (casesOfUnit.get(id) || []).map((one) => `“${className(one.class)}”`);
    if (fooled.length) said.unshift(`fools ${fooled.slice(0, 2).join(", ")}`);
    return h("a", { class: "row", href: unitHref(id), "data-key": key, style: { top: `${place * ROW}px` } }, face(id),
      h("span", { class: "who" }, h("span", { class: "line", title: name(row) }, h("b", {}, `#${id}`), " ", h("bdi", { class: isNamed(row) ? "" : "muted" }, name(row))),
        h("small", { title: said.join(" · ") }, h("bdi", {}, said.join(" · ")))),
      units.kind[row] && h("i", { class: "dot", title: core.kinds[units.kind[row]].one, style: { background: shade(core.kinds[units.kind[row]].color) } }));
  }

  function reveal(place) {
    const top = place * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    drawList();
  }

  // ---- controls

  let typing = 0;

  function changed(values, soon = false) {
    Object.assign(state, values);
    clearTimeout(typing);
    typing = setTimeout(async () => {
      await filter();
      cursor = -1;
      list.scrollTop = 0;
      drawList();
      total.textContent = shownSet ? `${count(shownRows.length)} of ${count(units.id.length)} units` : `${count(units.id.length)} units that fire, of ${count(core.counts.units)}`;
      none.hidden = shownRows.length > 0;
      if (!none.hidden) none.replaceChildren(...nothing());
      drawMap();
      mapLink.setAttribute("href", homeHash());
      reset.hidden = homeHash() === "#/";
      if (route().page === "") history.replaceState(null, "", homeHash());
    }, soon ? 60 : 0);
  }

  const none = h("p", { class: "none", hidden: true });

  /* What to do where nothing is listed. */
  function nothing() {
    const words = state.q.trim();
    const more = words && live ? [" ", h("a", { href: `#/find/${encodeURIComponent(words)}` }, "Find"), " looks for what units show, whatever they are called."]
      : words ? [" By meaning, whatever units are called: ", command(`reliance find ${core.about.variant} ${quoted(words)}`)] : "";
    return [words ? `No unit has “${words}” in its number, its name, its classes or the prompts it fools.` : "No unit passes these filters.", ...more];
  }

  const command = (text) => h("code", {}, text);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`; // for a shell

  const search = h("input", { type: "search", id: "search", placeholder: "name, number, class or prompt", "aria-label": "search units by name, number, class or fooled prompt", autocomplete: "off", spellcheck: "false",
    oninput: (event) => changed({ q: event.target.value }, true) });
  const reset = h("button", { class: "plain", hidden: true, onclick: () => { state = { ...START, color: state.color, places: state.places }; controls(); changed({}); } }, "clear filters");
  const panel = h("div", { class: "panel" });
  const mapLink = h("a", { href: "#/", "data-page": "" }, "Map");

  function choice(label, key, options) {
    return h("label", {}, label, h("select", { onchange: (event) => changed({ [key]: event.target.value }) },
      options.map(([value, said]) => h("option", { value, selected: String(state[key]) === String(value) }, said))));
  }

  const tick = (label, key) => h("label", { class: "tick" }, h("input", { type: "checkbox", checked: state[key] === "1", onchange: (event) => changed({ [key]: event.target.checked ? "1" : "" }) }), label);

  function between(key) {
    const measure = MEASURES[key], values = measure.values().filter((value) => value !== null).sort((a, b) => a - b);
    if (!values.length) return null;
    const at = (place) => values[Math.round((place / 100) * (values.length - 1))] / measure.unit;
    const said = h("output", {});
    const limit = (end) => { const given = state[`${key}.${end}`]; return given === undefined || given === "" ? "" : Number(given).toFixed(measure.digits); };
    const tell = () => { said.textContent = limit("from") || limit("to") ? `${limit("from")} – ${limit("to")}` : "any"; };
    const place = (name, otherwise) => (state[name] === undefined || state[name] === "" ? otherwise : Math.round((100 * values.findIndex((value) => value / measure.unit >= state[name] - 1e-9)) / Math.max(1, values.length - 1)));
    const slider = (end, edge) => h("input", { type: "range", min: 0, max: 100, value: place(`${key}.${end}`, edge), "aria-label": `${measure.label} ${end}`,
      oninput: (event) => { const at100 = Number(event.target.value); changed({ [`${key}.${end}`]: at100 === edge ? "" : at(at100).toFixed(measure.digits + 1) }, true); tell(); } });
    tell();
    return h("div", { class: "between", title: measure.hint }, h("span", {}, measure.label, said), h("div", { class: "sliders" }, slider("from", 0), slider("to", 100)));
  }

  function controls() {
    search.value = state.q;
    const classes = core.classes.id.map((id, row) => [id, core.classes.name[row]]).sort((a, b) => a[1].localeCompare(b[1]));
    const kinds = Object.entries(core.kinds).filter(([kind]) => core.cases.some((one) => one.kind === kind)).map(([kind, about]) => [kind, about.one]);
    panel.replaceChildren(
      choice("order", "order", Object.entries(ORDERS).map(([key, [said]]) => [key, said])),
      choice("class", "class", [["", "any class"], ...classes]),
      core.own && core.cases.length ? choice("failure", "kind", [["", "any kind"], ...kinds]) : "",
      h("div", { class: "ticks" }, core.own && core.cases.length ? tick("in a failure case", "case") : "", tick("hidden concepts", "hidden")),
      ...Object.keys(MEASURES).map(between).filter(Boolean));
  }

  // ---- the map

  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": "map of all units; the list beside it has the same units" });
  const card = h("a", { class: "card", hidden: true });
  const legend = h("div", { class: "legend" });
  const stage = h("div", { class: "stage" }, canvas, card, legend);
  const mapTools = h("div", { class: "tools" });
  const map = h("div", { class: "map" }, mapTools, stage);
  const view = { scale: 1, x: 0, y: 0 };
  let places = null, hovered = -1, drawing = 0;

  function tools() {
    const select = (label, key, options) => h("label", {}, label, h("select", { "aria-label": label, onchange: (event) => changed({ [key]: event.target.value }) },
      Object.entries(options).map(([value, said]) => h("option", { value, selected: state[key] === value }, said))));
    const step = (label, said, action) => h("button", { "aria-label": label, title: label, onclick: action }, said);
    mapTools.replaceChildren(select("colour", "color", core.own && core.cases.length ? COLORS : { clarity: "clarity", alignment: "alignment", activation: "activation" }),
      select("near", "places", { direction: "by direction", examples: "by images" }),
      h("span", { class: "zoom" }, step("zoom in", "+", () => zoom(1.5)), step("zoom out", "−", () => zoom(1 / 1.5)), step("whole map", "⤢", () => { Object.assign(view, { scale: 1, x: 0, y: 0 }); drawMap(); })));
  }

  function range(values) {
    const known = values.filter((value) => value !== null).sort((a, b) => a - b);
    return known.length ? [known[Math.floor(0.02 * (known.length - 1))], known[Math.ceil(0.98 * (known.length - 1))]] : [0, 1];
  }

  /* [colour of a row, legend] for the chosen colouring. */
  function coloring() {
    const side = isDark() ? "dark" : "light", grey = isDark() ? "#45506b" : "#c3c8d0";
    if (state.color === "kind") {
      const used = Object.entries(core.kinds).filter(([kind]) => core.cases.some((one) => one.kind === kind));
      return [(row) => (units.kind[row] ? shade(core.kinds[units.kind[row]].color) : grey), used.map(([, about]) => [shade(about.color), about.one])];
    }
    const failure = state.color === "failure", values = failure ? units.score : units[state.color], stops = (failure ? FIRE : RAMPS)[side];
    const [low, high] = range(values), unit = failure ? 1 : MEASURES[state.color].unit;
    const color = (row) => (values[row] === null ? grey : ramp(stops, Math.round(20 * ((values[row] - low) / (high - low || 1))) / 20));
    return [color, { stops, low: low / unit, high: high / unit, digits: failure ? 1 : MEASURES[state.color].digits }];
  }

  function drawMap() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(paintMap);
  }

  let frame = { width: 0, height: 0 }; // of the stage; measured when it changes, not for every unit
  const size = () => frame;
  const measure = () => { frame = { width: stage.clientWidth, height: stage.clientHeight }; };

  function project(row) {
    const { width, height } = size(), side = Math.min(width, height) - 48, source = places || units;
    const x = (source.x[row] / 10000 - 0.5) * side * view.scale + width / 2 + view.x;
    const y = (source.y[row] / 10000 - 0.5) * side * view.scale + height / 2 + view.y;
    return [x, y];
  }

  async function paintMap() {
    if (!map.isConnected) return;
    measure();
    places = state.places === "examples" ? await load("map") : null;
    const { width, height } = size(), ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    canvas.style.setProperty("touch-action", view.scale > 1 ? "none" : "pan-y");
    const pen = canvas.getContext("2d"), [color, key] = coloring();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const base = Math.max(1.6, Math.min(5.2, 90 / Math.sqrt(units.id.length))) * Math.sqrt(view.scale);
    const [low, high] = range(units.activation);
    const groups = [new Map(), new Map()]; // faint ones below, then those of the list; by colour
    let lit = 0;
    for (let row = units.id.length - 1; row >= 0; row--) {
      const [x, y] = project(row);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      const listed = !shownSet || shownSet.has(row), group = groups[Number(listed)], said = color(row);
      if (!group.has(said)) group.set(said, []);
      const strength = Math.max(0, Math.min(1, (units.activation[row] - low) / (high - low || 1)));
      group.get(said).push(x, y, base * (isNamed(row) ? 0.65 + 0.7 * strength : 0.5));
      lit += listed;
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    dots(pen, groups[0], 1, isDark() ? 0.3 : 0.13);
    if (isDark() && lit < 4000) for (const [wider, alpha] of [[2.6, 0.07], [1.7, 0.16]]) dots(pen, groups[1], wider, alpha);
    dots(pen, groups[1], 1, 0.92);
    pen.globalAlpha = 1;
    label(pen, ratio, width, height);
    drawLegend(key);
  }

  function dots(pen, group, wider, alpha) {
    pen.globalAlpha = alpha;
    for (const [color, points] of group) {
      pen.fillStyle = color;
      pen.beginPath();
      for (let i = 0; i < points.length; i += 3) {
        pen.moveTo(points[i] + points[i + 2] * wider, points[i + 1]);
        pen.arc(points[i], points[i + 1], points[i + 2] * wider, 0, 7);
      }
      pen.fill();
    }
  }

  /* Names of the units that come first in the list, where there is room. */
  function label(pen, ratio, width, height) {
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "600 11.5px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    const boxes = [], style = getComputedStyle(document.documentElement), most = Math.round((width * height) / 14000);
    let tried = 0;
    for (const row of shownRows) {
      if (boxes.length >= most || ++tried > 4000) break;
      if (!isNamed(row)) continue;
      const [x, y] = project(row);
      if (x < 0 || y < 8 || y > height - 8) continue;
      const whole = name(row), said = whole.length > 26 ? `${whole.slice(0, 25).trimEnd()}…` : whole, wide = pen.measureText(said).width + 8;
      if (x + 8 + wide > width) continue;
      const box = [x + 6, y - 8, x + 8 + wide, y + 8];
      if (boxes.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
      boxes.push(box);
      pen.lineWidth = 3.5;
      pen.strokeStyle = style.getPropertyValue("--ground");
      pen.strokeText(said, x + 8, y);
      pen.fillStyle = style.getPropertyValue("--ink");
      pen.fillText(said, x + 8, y);
    }
    if (hovered >= 0) {
      const [x, y] = project(hovered);
      pen.strokeStyle = style.getPropertyValue("--ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x, y, 9, 0, 7);
      pen.stroke();
    }
  }

  function drawLegend(key) {
    legend.replaceChildren(...(Array.isArray(key)
      ? key.map(([color, said]) => h("span", {}, h("i", { class: "dot", style: { background: color } }), said))
      : [h("span", {}, COLORS[state.color]), h("span", {}, fixed(key.low, key.digits)), h("i", { class: "ramp", style: { background: `linear-gradient(90deg, ${key.stops.join(",")})` } }), h("span", {}, fixed(key.high, key.digits))]));
  }

  function nearest(x, y, within) {
    let best = -1, least = within * within;
    for (let row = 0; row < units.id.length; row++) {
      if (shownSet && !shownSet.has(row)) continue;
      const [px, py] = project(row), far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [best, least] = [row, far];
    }
    return best;
  }

  function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const scale = Math.max(1, Math.min(60, view.scale * factor)), real = scale / view.scale, { width, height } = size();
    view.x = x - width / 2 - (x - width / 2 - view.x) * real;
    view.y = y - height / 2 - (y - height / 2 - view.y) * real;
    view.scale = scale;
    if (scale === 1) view.x = view.y = 0;
    drawMap();
  }

  async function hover(row) {
    if (row === hovered) return;
    hovered = row;
    drawMap();
    card.hidden = row < 0;
    if (row < 0) return;
    const id = units.id[row], [x, y] = project(row), { width, height } = size();
    card.setAttribute("href", unitHref(id));
    const pictures = h("span", { class: "strip" });
    card.replaceChildren(h("b", {}, `#${id} `), h("bdi", {}, name(row)), units.kind[row] ? kindBadge(units.kind[row]) : "", pictures,
      h("small", {}, units.clarity[row] === null ? "fires rarely" : `clarity ${fixed(units.clarity[row] / 1000)} · alignment ${signed(units.alignment[row] / 1000)}`));
    card.style.left = `${Math.max(8, Math.min(width - 216, x + 16 + 208 > width ? x - 224 : x + 16))}px`;
    card.style.top = `${Math.max(8, Math.min(height - 150, y - 60))}px`;
    const unit = await record("units", row);
    if (hovered === row) pictures.replaceChildren(...unit.examples.slice(0, 4).map(([number]) => picture(number, "", null)));
  }

  function listen() {
    const pointers = new Map();
    let moved = 0, spread = 0;
    const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), ...at(event)); }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, at(event)); moved = 0; spread = 0; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event), before = pointers.get(event.pointerId);
      if (!before) return event.pointerType === "mouse" ? hover(nearest(x, y, 16)) : undefined;
      pointers.set(event.pointerId, [x, y]);
      moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
      if (pointers.size === 2) {
        const [a, b] = [...pointers.values()], wide = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (spread) zoom(wide / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
        spread = wide;
      } else if (moved > 4 && view.scale > 1) {
        view.x += x - before[0];
        view.y += y - before[1];
        drawMap();
      }
      return undefined;
    });
    const end = (event) => { pointers.delete(event.pointerId); spread = 0; };
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerup", (event) => {
      end(event);
      if (moved > 6) return;
      const row = nearest(...at(event), event.pointerType === "mouse" ? 16 : 26);
      if (row < 0) hover(-1);
      else if (event.pointerType === "mouse") go(unitHref(units.id[row]));
      else hover(row);
    });
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && !card.matches(":hover")) hover(-1); });
    card.addEventListener("pointerleave", () => hover(-1));
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (event.key === "+" || event.key === "=") zoom(1.4);
      else if (event.key === "-") zoom(1 / 1.4);
      else if (moves[event.key] && view.scale > 1) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; drawMap(); } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    new ResizeObserver(() => { measure(); drawMap(); drawList(); }).observe(stage);
    new ResizeObserver(() => drawList()).observe(list);
  }

  // ---- pages

  const prompt = (id) => h("a", { href: classHref(id) }, "“", h("bdi", {}, className(id)), "”");

  /* What the images of a case show: their commonest classes, or how many there are if none is common. */
  function said({ fooled, n, classes }) {
    const known = fooled.filter(([id, images]) => id >= 0 && images >= 0.1 * n).slice(0, 3).map(([id]) => className(id));
    return known.length ? known.join(", ") : classes > 1 ? `images of ${classes} other classes` : `${count(n)} images`;
  }

  function caseCard(one) {
    return h("a", { class: "case", href: caseHref(one.id), style: { "--kind": shade(core.kinds[one.kind].color) } },
      h("span", { class: "strip" }, one.images.map((number) => picture(number, "", null))),
      h("span", { class: "badge" }, core.kinds[one.kind].one),
      h("strong", {}, "“", h("bdi", {}, className(one.class)), "”"),
      h("span", {}, "fires on ", h("bdi", {}, said(one))),
      h("small", {}, `through #${one.unit} `, h("bdi", {}, one.label), ` · ${count(one.n)} images`, one.score === null ? "" : ` · score ${fixed(one.score, 1)}`));
  }

  const caseGrid = (cases) => h("div", { class: "cases" }, cases.map(caseCard));

  function shares(listed, link, most, noun) {
    const entries = counts(listed);
    if (!entries.length) return h("p", { class: "muted" }, "nothing that counts");
    return h("div", { class: "shares" }, entries.map(([id, share, often]) => h("div", {}, link(id), bar(share, most, percent(share)), h("small", { class: "muted" }, `${percent(often, 0)} of ${noun}`))));
  }

  const classLink = (id) => h("a", { class: "name", href: classHref(id) }, h("bdi", {}, className(id)));
  const largest = (...lists) => Math.max(...lists.flat().map((entry) => Math.abs(entry[1])), 1e-9);

  function table(heads, rows) {
    return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head, i) => h("th", { class: i ? "n" : "" }, head)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => h("td", { class: i ? "n" : "" }, cell)))))));
  }

  function histogram(counts, most) {
    const high = Math.max(...counts.map((n) => Math.log1p(n)), 1);
    return h("div", { class: "histogram", role: "img", "aria-label": `activations from 0 to ${most}, images per bin: ${counts.join(", ")}` },
      h("div", { class: "bins" }, counts.map((n, i) => h("i", { style: { height: `${(100 * Math.log1p(n)) / high}%` }, title: `${count(n)} images from ${fixed((most * i) / counts.length, 1)} to ${fixed((most * (i + 1)) / counts.length, 1)}` }))),
      h("div", { class: "axis" }, h("span", {}, "0"), h("span", {}, "activation, images on a log scale"), h("span", {}, fixed(most, 1))));
  }

  const located = (examples) => (examples.some((entry) => entry[4]) ? ", the patch outlined on which it is strongest" : "");
  const example = ([n, image, activation, label, box]) => imageLink([n, "train", image], `${className(label)}, activation ${fixed(activation, 2)}`, "", box);

  /* The strongest images of a unit, and maps of it over them: drawn by the server, or how to have them. */
  function strongest(unit, examples) {
    const pictures = examples.map(example), gallery = h("div", { class: "gallery" }, pictures);
    if (core.site === "embedding") return [gallery]; // units of an image embedding have no maps
    if (!live) return [gallery, h("p", { class: "note" }, "Where in them it is: ", command(`reliance show ${core.about.variant} ${unit} --where --html unit.html`))];
    return [gallery, mapSwitch(async (on, note) => {
      for (const [i, entry] of examples.entries()) {
        if (!on()) break;
        const { maps: [found] } = await api(`where?image=train:${entry[1]}&unit=${unit}`);
        if (on()) pictures[i].append(h("img", { class: "over", src: found.picture, alt: `map over train image ${entry[1]}` }));
        note.textContent = found.meaning;
      }
    }, () => gallery.querySelectorAll(".over").forEach((map) => map.remove()))];
  }

  async function unitPage(id) {
    const row = rowOf.get(Number(id));
    if (row === undefined) return missing(`unit ${id}`, "It never fires, or the number is too large.");
    const unit = await record("units", row), number = Number(id), cases = casesOfUnit.get(number) || [];
    const place = shownRows.indexOf(row), step = (delta, words) => {
      const other = shownRows[place + delta];
      return place < 0 || other === undefined ? h("span", { class: "muted" }, words) : h("a", { href: unitHref(units.id[other]), rel: delta < 0 ? "prev" : "next" }, words);
    };
    const [testClarity, testActivation, testRate] = unit.test;
    return ["unit", `#${id} ${name(row)}`,
      h("nav", { class: "steps", "aria-label": "units in the order of the list" }, step(-1, "← previous"), place >= 0 && h("span", { class: "muted" }, `${count(place + 1)} of ${count(shownRows.length)}`), step(1, "next →")),
      h("h1", {}, h("span", { class: "muted" }, `#${id} `), h("bdi", {}, name(row))),
      h("p", { class: "lead" }, isNamed(row) ? ["next best name: ", h("bdi", {}, unit.next || "none")] : "It fires on too few images to be given a name.",
        " ", units.hidden[row] ? h("span", { class: "badge", title: "it matters for a class or fires strongly, and fits none of the names that were asked for (Figs. 10 and 11)" }, "hidden concept") : "", [...new Set(cases.map((one) => one.kind))].map(kindBadge)),
      facts([
        ["clarity", fixed(units.clarity[row] === null ? null : units.clarity[row] / 1000), testClarity === null || testClarity === undefined ? "" : `${fixed(testClarity)} on test`],
        ["alignment", units.alignment[row] === null ? "–" : signed(units.alignment[row] / 1000), "of its name"],
        ["name", units.sure[row] === null ? "–" : `${units.sure[row]} % sure`, !isToss(row) ? "over halves of its images and of the vocabulary" : `a coin toss${unit.rival ? `, else ${unit.rival}` : ""}`],
        ["activation", fixed(units.activation[row] / 100), testActivation === undefined ? "" : `${fixed(testActivation)} on test`],
        ["fires on", count(unit.n), `${percent(units.rate[row] / 1e6, 2)} of images${testRate === undefined ? "" : `, ${percent(testRate, 2)} on test`}`],
      ]),
      section("Strongest images", `Where it is most active on train, the strongest first${located(unit.examples)}. Click one to see what drives it.`, ...strongest(number, unit.examples)),
      cases.length ? section("Failure cases through it", "", caseGrid(cases)) : "",
      h("div", { class: "two" },
        section("Serves", "Classes by what leaving it out takes from their mean output (exact, over all images of the class), as a share of that output; the largest effect first.",
          unit.drives.length ? shares(unit.drives, classLink, largest(unit.drives, unit.against), "its images") : h("p", { class: "muted" }, "no class"),
          unit.against.length ? [h("h3", {}, "Speaks against"), shares(unit.against, classLink, largest(unit.drives, unit.against), "its images")] : ""),
        section("How strongly it fires", "", histogram(unit.histogram, unit.max))),
      unit.fools.length ? section("Stands out where it is not expected", "Prompts that images of other classes reach through it: images flagged, mean relevance, and by how many standard deviations it exceeds what the class explains.",
        table(["prompt", "images", "relevance", "z", "q"], unit.fools.map(([c, n, z, relevance, q]) => [prompt(c), count(n), signed(relevance), fixed(z, 1), q === null ? "–" : q.toExponential(1)]))) : "",
      h("div", { class: "two" },
        section("Near it by direction", "Cosine of decoder directions.", h("div", { class: "nears" }, unit.near.map(([other, cosine]) => h("div", {}, unitLink(other), bar(cosine, 1, fixed(cosine)))))),
        section("Fires on the same images", "Share of its strongest images on which they fire too; those first that usually do not.", unit.with.length ? h("div", { class: "nears" }, unit.with.map(([other, share]) => h("div", {}, unitLink(other), bar(share, 1, fixed(share))))) : h("p", { class: "muted" }, "no unit"))),
    ];
  }

  async function classPage(id) {
    const row = classRow.get(Number(id));
    if (row === undefined) return missing(`class ${id}`, "");
    const found = await record("classes", row), cases = casesOfClass.get(Number(id)) || [], most = largest(found.expected, found.against);
    const flagged = new Map((core.own ? cases : []).map((one) => [one.unit, one]));
    return ["class", className(Number(id)),
      h("h1", {}, "“", h("bdi", {}, className(Number(id))), "”"),
      h("p", { class: "lead" }, h("bdi", {}, found.full), found.definition ? [" – ", h("bdi", {}, found.definition)] : ""),
      facts([["output for its own images", fixed(found.y[0], 3), found.y[1] === null ? "" : `± ${fixed(found.y[1], 3)}`], ["images explained", count(found.n), ""],
        ["alignment of its name", found.alignment === null ? "–" : signed(found.alignment), "with its images"], ["failure cases", String(cases.length), ""]]),
      h("div", { class: "gallery" }, found.images.map((entry) => imageLink(entry, className(Number(id))))),
      cases.length ? section("Failure cases of this prompt", "Images of something else that reach it.", caseGrid(cases)) : "",
      h("div", { class: "two" },
        section("What is expected", "Units by what leaving them out takes from the mean output of the class's own images (exact), as a share of it.", found.expected.length ? shares(found.expected, unitLink, most, "its images") : h("p", { class: "muted" }, "nothing"),
          found.against.length ? [h("h3", {}, "What speaks against it"), shares(found.against, unitLink, most, "its images")] : ""),
        section("What is not expected", "Units through which images of other classes reach this prompt, though its own images do not explain it.",
          found.unexpected.length ? h("div", { class: "shares" }, found.unexpected.map(([unit, n, z, relevance]) => h("div", {}, unitLink(unit),
            bar(relevance, Math.max(...found.unexpected.map((entry) => Math.abs(entry[3]))), signed(relevance)),
            h("small", { class: "muted" }, `${count(n)} images, z ${fixed(z, 1)} `, flagged.has(unit) ? h("a", { href: caseHref(flagged.get(unit).id) }, core.kinds[flagged.get(unit).kind].one) : "")))) : h("p", { class: "muted" }, "Nothing stood out."))),
    ];
  }

  const PROBES = ["short name", "short name in templates", "full name", "full name in templates", "linear probe"];

  /* Taken for a class are images for which it has the largest output of all: said where that holds for most. */
  const takenFor = ({ taken: [best, known] }) => (2 * best > known ? "Taken for" : "Too high for");
  const takenBy = ({ taken: [best, known] }) => (known ? `For ${count(best)} of the ${count(known)} shown no other prompt has a larger output.` : "");

  async function casePage(key) {
    const place = caseOf.get(key);
    if (place === undefined) return missing(`case ${key}`, "Cases get new numbers when they are mined again.");
    const one = await record("cases", place), own = await record("classes", classRow.get(one.class));
    const steps = [[place - 1, "← stronger", "prev"], [place + 1, "weaker →", "next"]].map(([other, words, rel]) => (core.cases[other] ? h("a", { href: caseHref(core.cases[other].id), rel }, words) : h("span", { class: "muted" }, words)));
    return ["case", `${className(one.class)}: ${core.kinds[one.kind].one}`,
      h("nav", { class: "steps", "aria-label": "cases by score" }, steps[0], h("span", { class: "muted" }, `${place + 1} of ${core.cases.length}`), steps[1]),
      h("p", { class: "above" }, kindBadge(one.kind), one.reviewed ? h("span", { class: "badge" }, "reviewed") : ""),
      h("h1", {}, "“", h("bdi", {}, className(one.class)), "” fires on ", h("bdi", {}, said(one))),
      h("p", { class: "lead" }, "through ", core.own ? h("a", { href: unitHref(one.unit) }, `#${one.unit} `, h("bdi", {}, one.label)) : [`#${one.unit} of ${core.about.mined_by}: `, h("bdi", {}, one.label)]),
      one.note ? h("p", { class: "quote" }, h("bdi", {}, one.note)) : "",
      h("div", { class: "versus" },
        section(`${takenFor(one)} ${className(one.class)}`, `${count(one.n)} images of something else, the most relevant first. ${takenBy(one)}`,
          h("div", { class: "gallery" }, one.images.map(([n, split, image, label, y, relevance, z, box]) => imageLink([n, split, image], `${className(label)}${y === null ? "" : `, output ${fixed(y, 3)}, relevance ${signed(relevance)}, z ${fixed(z, 1)}`}`, "", box)))),
        section(h("span", {}, "What ", prompt(one.class), " is"), "Images of the class itself.", h("div", { class: "gallery small" }, own.images.map((entry) => imageLink(entry, className(one.class)))))),
      h("div", { class: "two" },
        section("Can the two be told apart?", "Area under the ROC curve of the class's own images against those of the case: 1 always, 0.5 is chance.",
          h("div", { class: "shares" }, PROBES.map((probe, i) => (one.areas[i] === null || one.areas[i] === undefined ? "" : h("div", {}, h("span", {}, probe), h("span", { class: "bar area" }, h("i", { class: one.areas[i] < 0.5 ? "minus" : "", style: { width: `${100 * one.areas[i]}%` } }), h("em", {}, fixed(one.areas[i], 3))))))),
          h("p", { class: "note" }, one.score === null ? "" : `Score ${fixed(one.score)} (mean relevance times flagged images)${one.q === null ? "" : `, q ${one.q.toExponential(1)} (share of false cases among those as strong)`}.`)),
        section("Whose images they are", "", one.fooled.length ? h("div", { class: "shares" }, one.fooled.map(([c, n]) => h("div", {}, c < 0 ? h("span", {}, "no class") : classLink(c), bar(n, one.fooled[0][1], count(n))))) : h("p", { class: "muted" }, "They have no class."))),
      core.own && rowOf.has(one.unit) ? section("The unit", "", h("div", { class: "gallery small" }, (await record("units", rowOf.get(one.unit))).examples.map(example))) : "",
    ];
  }

  async function imagePage(split, id, chosen) {
    if (!numbers.has(`${split}/${id}`)) {
      const [ids, numbered] = (await load("find"))[split] || [[], []], at = ids.indexOf(Number(id));
      if (at < 0) return missing(`image ${id} of ${split}`, "The atlas has the strongest images of units, those of cases, and some of each class.");
      numbers.set(`${split}/${id}`, numbered[at]);
    }
    const number = numbers.get(`${split}/${id}`), image = await record("images", number);
    const prompts = Object.keys(image.r).map(Number).sort((a, b) => (b === image.c) - (a === image.c) || image.r[b][0] - image.r[a][0]);
    const asked = prompts.includes(Number(chosen)) ? Number(chosen) : prompts[0], values = asked === undefined ? [] : image.r[asked].slice(1);
    const order = image.u.map((unit, i) => [unit, image.a[i] / 100, asked === undefined ? 0 : values[i] / 1e5]).sort((a, b) => b[2] - a[2]), most = largest(order.map((entry) => [0, entry[2]]));
    const high = Math.max(...order.map((entry) => entry[1]), 1e-9), about = asked ?? (image.top[0] || [-1])[0];
    const question = about < 0 || live ? "" : h("p", { class: "note" }, ["For any prompt: ", command(`reliance explain ${core.about.variant} ${split}:${id} --prompt ${quoted(className(about))}`), core.site === "embedding" ? "" : ["; with maps over it: ", command("--where --html FILE")], ". With units off: ", command(`reliance serve ${core.about.variant}`), "."]);
    const shares = core.cases.filter((one) => prompts.includes(one.class) && one.images.includes(number));
    return ["image", `image ${id} of ${split}`,
      h("div", { class: "imagehead" }, live ? served(`${split}:${id}`, className(image.c), "big") : picture(number, className(image.c), null, "big"),
        h("div", {}, h("p", { class: "above muted" }, `${split} image ${id}`), h("h1", {}, image.c < 0 ? "no class" : h("bdi", {}, className(image.c))),
          live ? h("p", {}, h("a", { href: askHref(`${split}:${id}`, prompts.includes(Number(chosen)) ? className(Number(chosen)) : "") }, "Ask about this image: other prompts, units off")) : "",
          image.ok ? "" : h("p", { class: "quote" }, "Its file is gone, or another one by now."),
          h("h3", {}, "What the model would call it"),
          image.top.length ? h("div", { class: "shares" }, image.top.map(([c, y]) => h("div", {}, h("span", {}, classLink(c), c === image.c ? " ✓" : ""), bar(y / 1e4, Math.max(image.top[0][1] / 1e4, 1e-9), fixed(y / 1e4, 3))))) : h("p", { class: "muted" }, "It could not be embedded."))),
      order.length && asked === undefined ? section("What fires on it", "What each of them does to an output was not computed for this image: behind an earlier block the network runs once for every unit.", question,
        h("div", { class: "nears" }, order.map(([unit, activation]) => h("div", {}, unitLink(unit, sureOf(unit)), bar(activation, high, fixed(activation)))))) : "",
      order.length && asked !== undefined ? section("What drives the output", "Relevance: by how much the output falls if the unit alone is switched off.", question,
        h("div", { class: "tabs", role: "tablist" }, prompts.map((c) => h("a", { role: "tab", "aria-selected": String(c === asked), href: `${imageHref(split, id)}/${c}`, "data-replace": "1" }, "“", h("bdi", {}, className(c)), "” ", h("em", {}, fixed(image.r[c][0] / 1e4, 3))))),
        h("div", { class: "drivers" }, order.map(([unit, activation, relevance]) => h("div", {}, unitLink(unit), h("small", { class: "muted" }, `activation ${fixed(activation)}`), diverging(relevance, most, signed(relevance, 4)))))) : "",
      shares.length ? section("Failure cases it is in", "", caseGrid(shares)) : "",
    ];
  }

  async function casesPage() {
    const kinds = Object.entries(core.kinds).map(([kind, about]) => [about, core.cases.filter((one) => one.kind === kind)]).filter(([, cases]) => cases.length);
    return ["cases", "Failure cases", h("h1", {}, "Failure cases"),
      h("p", { class: "lead" }, core.cases.length ? `${core.cases.length} prompts that images of something else reach, through units that their own images do not explain.` : "No case passed the thresholds."),
      core.own ? "" : h("p", { class: "note" }, "They were mined in ", h("bdi", {}, core.about.mined_by), ", whose units they name."),
      kinds.map(([about, cases]) => section(`${about.title} (${cases.length})`, "", caseGrid(cases)))];
  }

  async function classesPage() {
    const order = core.classes.id.map((id, row) => [id, core.classes.name[row]]).sort((a, b) => a[1].localeCompare(b[1]));
    const grid = h("div", { class: "names" });
    const listed = (q) => order.filter(([, said]) => said.toLowerCase().includes(q));
    const show = (q) => grid.replaceChildren(listed(q).length ? "" : h("p", { class: "muted" }, `No class has “${q}” in its name.`), ...listed(q).map(([id, said]) => h("a", { href: classHref(id) }, h("bdi", {}, said), casesOfClass.has(id) ? h("span", { class: "dots" }, casesOfClass.get(id).map((one) => h("i", { class: "dot", title: core.kinds[one.kind].one, style: { background: shade(core.kinds[one.kind].color) } }))) : "")));
    show("");
    return ["classes", "Classes", h("h1", {}, "Classes"), h("p", { class: "lead" }, "Dots are failure cases of the prompt."),
      h("input", { type: "search", class: "wide", placeholder: "search classes", "aria-label": "search classes", oninput: (event) => show(event.target.value.toLowerCase()) }), grid];
  }

  // ---- what a server answers: texts, images, switches (`reliance serve`)

  async function api(path, options) {
    const answer = await fetch(`api/${path}`, options), found = await answer.json();
    if (found.error) throw Object.assign(new Error(found.error.found), { parts: found.error });
    return found;
  }

  function trouble(error) {
    const { where, rule, found, allowed, next_step } = error.parts || { where: "the server", rule: "it answers", found: error.message, allowed: "", next_step: "is `reliance serve` still running?" };
    return h("div", { class: "quote", role: "alert" }, h("b", {}, `${where}: `), rule, h("dl", {}, [["found", found], ["allowed", allowed], ["next", next_step]].map(([term, words]) => words && [h("dt", {}, term), h("dd", {}, h("bdi", {}, words))])));
  }

  const moment = () => h("p", { class: "lead", role: "status" }, "One moment", live ? ": the first question loads a model, which takes some seconds." : ".");
  const served = (key, label, extra = "") => h("img", { class: `pic ${extra}`, src: `api/image?image=${encodeURIComponent(key)}`, alt: label, loading: "lazy" });

  /* Prompts that were typed last: they go along to the next image. */
  let typed = [];

  function askHref(key, prompt = "") {
    const query = new URLSearchParams();
    const asked = typed.some(Boolean) ? typed : [prompt];
    for (const words of asked) if (words) query.append("prompt", words);
    return `#/ask/${key}${query.size ? `?${query}` : ""}`;
  }

  async function findPage(words) {
    const [found, failed] = await api(`find?text=${encodeURIComponent(words || "")}`).then((data) => [data, null], (error) => [null, error]);
    const box = h("input", { type: "search", class: "wide", value: words || "", placeholder: "a written word; a striped background", "aria-label": "look for units and images", onkeydown: (event) => event.key === "Enter" && go(`#/find/${encodeURIComponent(event.target.value)}`) });
    const head = [h("h1", {}, "Look for anything"), h("p", { class: "lead" }, "The labeller reads the text: units that are called so, units whose strongest images look like it, and images."), box];
    if (failed) return ["find", "Find", ...head, trouble(failed)];
    const rows = (hits, most) => h("div", { class: "nears" }, hits.map((hit) => h("div", {}, unitLink(hit.about.component, sureOf(hit.about.component)), bar(hit.alignment, most, signed(hit.alignment)))));
    const highest = (one) => Math.max(...[...one.hits, ...one.named].map((hit) => Math.abs(hit.alignment)));
    const asked = (words || "").trim();
    const hint = asked ? "" : h("p", { class: "note" }, "Write what you look for, and press Enter; “;” stands between several texts. Until then: units by how well their own names fit.");
    return ["find", asked ? `Find ${asked}` : "Find", ...head, hint,
      found.units.map((one) => h("div", { class: "two" },
        one.named.length ? section("Units with such a name", "Bars: alignment, on one scale.", rows(one.named.slice(0, 12), highest(one))) : "",
        section(h("span", {}, "Units that look like “", h("bdi", {}, one.text || "their own names"), "”"), "By alignment with it, whatever their name.", rows(one.hits.slice(0, 12), highest(one))))),
      asked && section("Images", "Test images nearest to the text for the model itself. Click one to ask about it.",
        h("div", { class: "gallery" }, found.images.map((image) => h("a", { href: askHref(`${image.split}:${image.image_id}`), title: `${image.class_name}, cosine ${fixed(image.score, 3)}` }, served(`${image.split}:${image.image_id}`, image.class_name)))))];
  }

  /* An image under questions: its units can be switched off, its prompts be changed, and everything moves. */
  async function askPage(key) {
    const query = new URLSearchParams(route().query || "");
    const asking = { image: key || "", prompts: [...(key ? query.getAll("prompt") : typed), "", ""].slice(0, 2), off: new Set((query.get("off") || "").split(",").filter(Boolean).map(Number)) };
    const picked = h("input", { type: "file", accept: "image/*", class: "sr", onchange: (event) => event.target.files.length && hand(event.target.files[0]) });
    const drop = h("label", { class: "drop", tabindex: "0", onkeydown: (event) => (event.key === "Enter" || event.key === " ") && picked.click() }, picked);
    const head = h("div", { class: "outputs", "aria-live": "polite" }), top = h("div", { class: "shares" }), table = h("div", { class: "switches" }), note = h("div", {});
    let turn = 0, waiting = 0, step = "replaceState"; // a step is an entry of the history, so that Back undoes it

    const field = (place, words) => h("label", {}, words, h("input", { type: "text", list: "names", maxlength: 300, value: asking.prompts[place], placeholder: place ? "another, to compare" : "the best class",
      onfocus: (event) => { event.target.dataset.before = asking.prompts[place]; },
      oninput: (event) => { if (asking.prompts[place] === event.target.dataset.before) step = "pushState"; asking.prompts[place] = event.target.value; soon(); } }));
    const fields = h("div", { class: "fields" }, field(0, "prompt"), field(1, "against"), h("datalist", { id: "names" }, core.classes.name.map((value) => h("option", { value }))));

    function soon() { clearTimeout(waiting); waiting = setTimeout(ask, 250); }

    async function hand(file) {
      drop.classList.add("busy");
      try {
        const { image } = await api("image", { method: "POST", body: file });
        if (asking.image) step = "pushState";
        asking.image = image;
        asking.off.clear();
        await ask();
      } catch (error) { note.replaceChildren(trouble(error)); }
      drop.classList.remove("busy");
    }

    async function ask() {
      const mine = ++turn, query = new URLSearchParams();
      typed = asking.prompts.map((words) => words.trim());
      for (const words of asking.prompts) if (words.trim()) query.append("prompt", words.trim());
      if (asking.off.size) query.set("off", [...asking.off].join(","));
      drop.replaceChildren(picked, ...(asking.image ? [served(asking.image, "the image", "big"), h("small", {}, "drop or choose another")] : [h("strong", {}, "Drop an image here"), h("small", {}, "or click to choose one; or open any image of the atlas and ask about it")]));
      if (!asking.image) return;
      if (route().page === "ask") history[step](null, "", `#/ask/${asking.image}${query.size ? `?${query}` : ""}`);
      step = "replaceState";
      query.set("image", asking.image);
      const slow = setTimeout(() => mine === turn && note.replaceChildren(moment()), 400);
      try {
        const found = await api(`explain?${query}`).finally(() => clearTimeout(slow));
        if (mine === turn) tell(found);
      } catch (error) { if (mine === turn) note.replaceChildren(trouble(error)); }
    }

    /* Maps of the prompts, and of the units that add most to each. */
    async function draw(current, note) {
      const query = new URLSearchParams({ image: asking.image }), most = told.prompts.flatMap((one) => one.units.slice(0, 3).map((unit) => unit.component));
      for (const words of asking.prompts) if (words.trim()) query.append("prompt", words.trim());
      if (!query.has("prompt")) query.append("class", told.prompts[0].class_id);
      const show = (found) => current() && drawn.append(...found.maps.map((one) => h("figure", {}, h("img", { class: "pic", src: one.picture, alt: `map of ${one.caption}` }), h("figcaption", {}, h("bdi", {}, one.caption), h("small", {}, fixed(one.total, 3))))));
      const of = await api(`where?${query}`);
      show(of);
      note.textContent = of.maps[0].meaning;
      if (core.site === "embedding") { note.textContent += ". Units of an image embedding have no maps."; return; }
      const units = await api(`where?image=${encodeURIComponent(asking.image)}&unit=${[...new Set(most)].join(",")}`);
      show(units);
      if (units.maps[0] && units.maps[0].meaning !== of.maps[0].meaning) note.textContent += `. Units: ${units.maps[0].meaning}`;
    }

    const drawn = h("div", { class: "maps" }), maps = mapSwitch(draw, () => drawn.replaceChildren());
    let told = null, drawnOf = "";
    maps.hidden = true;

    function tell(found) {
      const prompts = found.prompts, off = asking.off, now = found.switched;
      note.replaceChildren(...found.notes.map((words) => h("p", { class: "note" }, words)));
      told = found;
      maps.hidden = false;
      const of = JSON.stringify([asking.image, asking.prompts]); // units that are off change no map
      if (of !== drawnOf) maps.again();
      drawnOf = of;
      head.replaceChildren(...prompts.map((one, i) => h("div", {}, h("span", {}, "“", h("bdi", {}, one.prompt), "”"), h("b", {}, fixed(off.size ? now.y[i] : one.y, 3)),
        h("small", {}, off.size ? `${fixed(one.y, 3)} with all units on, ${signed(now.y[i] - one.y)}` : `${fixed(one.without, 3)} without all its units`))));
      const most = Math.max(...now.classes.map((c) => Math.max(c.before, c.after)), 1e-9);
      top.replaceChildren(...now.classes.map((c) => h("div", {}, classLink(c.class_id), h("span", { class: "bar" }, h("i", { class: "was", style: { width: `${Math.max(0, 100 * c.before / most)}%` } }), h("i", { style: { width: `${Math.max(0, 100 * c.after / most)}%` } }), h("em", {}, fixed(c.after, 3))), h("small", { class: "muted" }, off.size ? signed(c.after - c.before) : ""))));
      const effect = prompts.map((one) => new Map(one.units.map((unit) => [unit.component, unit])));
      const difference = (unit) => unit.ablation - (effect[1] ? effect[1].get(unit.component).ablation : 0);
      const order = [...effect[0].values()].sort((a, b) => Math.abs(difference(b)) - Math.abs(difference(a)));
      const high = Math.max(...prompts.flatMap((one) => one.units.map((unit) => Math.abs(unit.ablation))), ...order.map((unit) => Math.abs(difference(unit))), 1e-9);
      const line = (unit) => h("div", { class: off.has(unit.component) ? "off" : "" },
        h("label", { class: "switch" }, h("input", { type: "checkbox", role: "switch", checked: !off.has(unit.component), "aria-label": `unit ${unit.component}`, onchange: (event) => { if (event.target.checked) off.delete(unit.component); else off.add(unit.component); step = "pushState"; ask(); } })),
        h("span", { class: "told" }, unitLink(unit.component, sureOf(unit.component)), unit.case ? h("a", { class: "badge", href: caseHref(unit.case) }, "failure case") : "", Number.isFinite(unit.z) && unit.z > 3 ? h("span", { class: "badge", title: "standard deviations above what the class explains" }, `z ${fixed(unit.z, 0)}`) : ""),
        effect.map((units, i) => diverging(units.get(unit.component).ablation, high, signed(units.get(unit.component).ablation, 4), prompts[i].prompt)), effect[1] ? diverging(difference(unit), high, signed(difference(unit), 4), "difference") : "");
      table.className = `switches n${prompts.length}`;
      table.replaceChildren(h("div", { class: "heads" }, h("span", {}, "on"), h("span", {}, "unit"), prompts.map((one) => h("span", {}, "“", h("bdi", {}, one.prompt), "”")), effect[1] ? h("span", {}, "difference") : ""), ...order.map(line),
        h("p", {}, off.size ? h("button", { onclick: () => { off.clear(); step = "pushState"; ask(); } }, "all on again") : h("span", { class: "note" }, "Switch units off and see the outputs move. Bars: by how much the output falls without the unit.")));
    }

    for (const kind of ["dragover", "dragleave", "drop"]) drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) hand(event.dataTransfer.files[0]);
    });
    ask();
    return ["ask", "Ask", h("h1", {}, "Ask about an image"), h("p", { class: "lead" }, "What drives its output for a prompt, and what it would be without some of that."),
      h("div", { class: "asking" }, drop, h("div", {}, fields, note, head, h("h3", {}, "What the model would call it"), top)), maps, drawn, table];
  }

  /* A switch that has maps drawn over images, and clears them; it tells what they mean, or why there are none. */
  function mapSwitch(draw, clear) {
    const note = h("div", { class: "note" }), button = h("button", { "aria-pressed": "false", onclick: () => turned(!isOn()) }, "where in the image");
    const isOn = () => button.getAttribute("aria-pressed") === "true";
    let turn = 0;

    async function turned(on) {
      const mine = ++turn, current = () => mine === turn && button.isConnected;
      button.setAttribute("aria-pressed", String(on));
      clear();
      note.textContent = on ? "drawing …" : "";
      if (!on) return;
      try { await draw(current, note); } catch (error) {
        if (!current()) return;
        button.setAttribute("aria-pressed", "false");
        note.replaceChildren(trouble(error));
      }
    }

    const element = h("div", { class: "mapping" }, button, note);
    element.again = () => (isOn() ? turned(true) : undefined); // what they are of has changed
    return element;
  }

  const missing = (what, why) => ["missing", "Not here", h("h1", {}, "Not here"), h("p", { class: "lead" }, `The atlas has no ${what}. `, why)];
  const LIVE = ["ask", "find"]; // pages of `reliance serve` alone
  const pages = { unit: unitPage, class: classPage, case: casePage, image: imagePage, cases: casesPage, classes: classesPage, ...(live ? { ask: askPage, find: findPage } : {}) };

  // ---- going about

  const main = h("main", { tabindex: "-1" });
  const aside = h("aside", { "aria-label": "units" }, h("div", { class: "find" }, search, h("details", { class: "filters" }, h("summary", {}, "filters and order"), panel), h("div", { class: "found" }, total, reset), none), list);
  const header = h("header", {});
  const scrolled = new Map();
  let turn = 0, clicked = false, last = "";

  function route() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    const [page, ...rest] = path.split("/");
    return { page, rest: rest.map((part) => { try { return decodeURIComponent(part); } catch { return part; } }), query };
  }

  function go(hash) {
    clicked = true;
    location.hash = hash;
  }

  async function show() {
    const mine = ++turn, { page, rest, query } = route();
    scrolled.set(last, window.scrollY);
    last = location.hash;
    let found;
    if (page !== "" && !Object.hasOwn(pages, page)) {
      found = LIVE.includes(page) ? missing(`page “${page}” on the disk`, ["It asks the model: ", command(`reliance serve ${core.about.variant}`)]) : missing(`page “${page}”`, [h("a", { href: homeHash() }, "The map"), " and the lists above lead to those that there are."]);
    } else if (page === "") {
      const before = homeHash();
      if (query !== undefined || before !== "#/") {
        const given = Object.fromEntries(new URLSearchParams(query || ""));
        state = { ...START, ...given, order: ORDERS[given.order] ? given.order : "first", color: COLORS[given.color] ? given.color : "clarity" };
        controls();
        tools();
        changed({});
      }
      found = ["", "Map", map];
    } else {
      const slow = setTimeout(() => mine === turn && main.replaceChildren(moment()), 400);
      found = await pages[page](...rest).finally(() => clearTimeout(slow)).catch((error) => ["missing", "Error", h("h1", {}, "This page could not be shown"), h("p", { class: "quote" }, error.message)]);
    }
    if (mine !== turn) return;
    const [kind, title, ...content] = found;
    current = kind === "unit" ? Number(rest[0]) : null;
    if (current !== null) cursor = shownRows.indexOf(rowOf.get(current));
    document.body.dataset.page = kind;
    document.title = kind ? `${title} – atlas of ${core.about.variant}` : `Atlas of ${core.about.variant}`;
    for (const link of header.querySelectorAll("[data-page]")) link.setAttribute("aria-current", link.dataset.page === kind ? "page" : "false");
    hovered = -1;
    card.hidden = true;
    const same = main.dataset.key === `${page}/${rest.slice(0, 2).join("/")}`;
    main.dataset.key = `${page}/${rest.slice(0, 2).join("/")}`;
    main.replaceChildren(...content.flat(Infinity).filter((child) => child !== "" && child !== false && child !== null && child !== undefined));
    if (cursor >= 0) reveal(cursor);
    else drawList();
    if (kind === "") drawMap();
    if (!same) window.scrollTo(0, clicked ? 0 : scrolled.get(location.hash) || 0);
    clicked = false;
  }

  function theme() {
    const root = document.documentElement, next = isDark() ? "light" : "dark";
    root.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch { /* a page from the disk may have no storage */ }
    show();
  }

  const help = h("dialog", { class: "help" }, h("h2", {}, "Keys"), h("dl", {}, [["/", "search"], ["j, k", "next, previous unit of the list"], ["Enter", "open it"], ["m", "map"], ["c", "failure cases"], ["Esc", "back to the map"], ["+ −", "zoom, on the map"], ["t", "light or dark"]].map(([key, words]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, words)])), h("form", { method: "dialog" }, h("button", {}, "close")));

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.matches("input, select, textarea");
    if (field) {
      if (event.key === "Escape") event.target.blur();
      if (event.target === search && event.key === "Enter") filter().then(() => {
        search.blur();
        if (shownRows.length) go(unitHref(units.id[shownRows[Math.max(0, Math.min(cursor, shownRows.length - 1))]]));
      });
      if (event.target === search && (event.key === "ArrowDown" || event.key === "ArrowUp")) { move(event.key === "ArrowDown" ? 1 : -1); event.preventDefault(); }
      return;
    }
    const actions = {
      "/": () => { search.focus(); search.select(); }, j: () => step(1), k: () => step(-1), m: () => go(homeHash()), c: () => go("#/cases"), t: theme, "?": () => help.showModal(),
      Escape: () => route().page && go(homeHash()), Enter: () => cursor >= 0 && route().page === "" && event.target === document.body && go(unitHref(units.id[shownRows[cursor]])),
    };
    if (!actions[event.key] || help.open) return;
    if (event.key === "/") event.preventDefault();
    actions[event.key]();
  }

  function move(delta) {
    cursor = Math.max(0, Math.min(shownRows.length - 1, cursor + delta));
    reveal(cursor);
    if (route().page === "" && shownRows.length) hover(shownRows[cursor]);
  }

  function step(delta) {
    move(delta);
    if (route().page === "unit" && shownRows.length) go(unitHref(units.id[shownRows[cursor]]));
  }

  async function start() {
    try {
      const kept = localStorage.getItem("theme");
      if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
    } catch { /* as above */ }
    try {
      index(await load("core"));
    } catch (error) {
      document.body.append(h("p", { class: "quote" }, error.message));
      return;
    }
    header.append(h("a", { class: "brand", href: "#/" }, h("span", {}, "What does "), h("bdi", {}, core.about.variant), h("span", {}, " rely on?")),
      h("nav", {}, mapLink, h("a", { href: "#/cases", "data-page": "cases" }, "Cases ", h("small", {}, String(core.cases.length))), h("a", { href: "#/classes", "data-page": "classes" }, "Classes ", h("small", {}, String(core.classes.id.length))),
      live && [h("a", { href: "#/find/", "data-page": "find" }, "Find"), h("a", { href: "#/ask", "data-page": "ask" }, "Ask")]),
      h("span", { class: "right" }, h("button", { class: "plain", "aria-label": "light or dark", title: "light or dark (t)", onclick: theme }, "◐"), h("button", { class: "plain", "aria-label": "keys", title: "keys (?)", onclick: () => help.showModal() }, "?")));
    document.body.append(header, aside, main, help);
    const given = Object.fromEntries(new URLSearchParams(route().page === "" ? route().query || "" : ""));
    state = { ...START, ...given, order: ORDERS[given.order] ? given.order : "first", color: COLORS[given.color] ? given.color : "clarity" };
    aside.querySelector("details").open = window.innerWidth > 1100 && window.innerHeight > 850;
    controls();
    tools();
    listen();
    await filter();
    changed({});
    document.addEventListener("keydown", keys);
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link) return;
      if (link.dataset.replace) { event.preventDefault(); history.replaceState(null, "", link.getAttribute("href")); show(); } else clicked = true;
    });
    window.addEventListener("hashchange", show);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show);
    await show();
    document.body.dataset.ready = "1";
  }

  start();
})();
