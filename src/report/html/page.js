"use strict";
// Whatever an agent wrote only ever becomes text: elements are made by name, and nothing is parsed as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("main");
  const { runs, findings, factors, patterns, names } = data;
  const SVG = "http://www.w3.org/2000/svg";
  const SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const LOST = "!", ABSENT = "-", OTHER = "*";
  const PHASES = { c: "cover", e: "explain", f: "confirm" };

  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(3)) if (child !== null && child !== undefined) node.append(child);
    return node;
  };
  const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
  const hex = (point) => "U+" + point.toString(16).toUpperCase().padStart(4, "0");
  const called = (point) => hex(point) + (names[point] ? " " + names[point][0] : "");

  // Text in which nothing hides: what cannot be seen is a box with its code point; `labels` says which others have theirs
  // beside them.
  const drawn = (text, labels) => {
    const out = document.createDocumentFragment();
    let plain = "";
    const flush = () => { if (plain) out.append(plain); plain = ""; };
    for (const sign of text) {
      const point = sign.codePointAt(0), known = names[point];
      if (known && known[1]) {
        flush();
        out.append(el("span", { class: "box", title: called(point) }, hex(point)));
      } else if (labels && labels(hex(point))) {
        flush();
        out.append(el("span", { class: "glyph", title: called(point) }, sign === " " ? "\u2423" : sign, el("i", { "aria-hidden": "true" }, hex(point).slice(2))));
      } else plain += sign;
    }
    flush();
    return out;
  };
  // The same with places where a long level may break: not in the middle of a word.
  const breaking = (text) => text.split(/(?<=[\/._@:,=-])(?![\/._@:,=-])/).map((part, at) => [at ? el("wbr") : null, drawn(part)]);
  const short = (text, most) => (Array.from(text).length > most ? Array.from(text).slice(0, most - 1).join("") + "\u2026" : text);
  // A value of a few signs in a finding that no reader would notice is labelled with its code points.
  const labelled = (finding, value) => finding && finding.class === "covert" && Array.from(value).length <= 3;
  const shown = (value, most, finding) => {
    if (value === null || value === undefined) return el("span", { class: "none" }, "(absent)");
    if (value === "") return el("span", { class: "none" }, "(empty)");
    return el("span", { class: "mono", title: value.length > (most || 99999) ? value : null }, drawn(short(value, most || 99999), labelled(finding, value) ? () => true : null));
  };

  // What a run showed at a place: its sign, and the value that the sign stands for.
  const valueOf = (place, sign) => (sign === ABSENT ? null : sign === OTHER ? "(another value)" : place.values[SIGNS.indexOf(sign)]);
  // The same, short. Of long values that begin alike only the rest is told; those that still look alike are numbered.
  const brief = (place, sign, most, finding) => {
    const value = valueOf(place, sign), texts = place.values;
    if (sign === OTHER || typeof value !== "string" || texts.length < 2) return shown(value, most, finding);
    let alike = 0;
    while (alike < texts[0].length && texts.every((text) => text[alike] === texts[0][alike])) alike += 1;
    const rest = Math.max(...texts.map((text) => text.length)) - alike;
    const cut = (text) => short(alike > 12 && rest > 4 && text.length > most ? "\u2026" + text.slice(alike - 4) : text, most);
    const own = cut(value), same = texts.filter((text) => cut(text) === own);
    if (own === value) return shown(value, most, finding);
    return el("span", { class: "mono", title: value }, same.length > 1 ? "#" + (SIGNS.indexOf(sign) + 1) + " " : null, drawn(own));
  };
  const seenAt = (place) => (place && place.pattern !== null ? patterns[place.pattern] : null);
  // The line of the rule that holds in a cell; -1 where none does.
  const line = (finding, levels) => {
    for (let at = finding.matching.length - 1; at >= 0; at -= 1) {
      const when = Object.entries(finding.matching[at][0]);
      if (when.length && when.every(([factor, known]) => known.includes(levels[factor]))) return at;
    }
    return -1;
  };
  // One colour a value: the value of the baseline is neutral.
  const colours = (place) => {
    const pattern = seenAt(place), colour = new Map();
    if (!pattern) return colour;
    const base = runs.levels.findIndex((levels, at) => levels.every((level) => level === 0) && pattern[at] !== LOST);
    if (base >= 0) colour.set(pattern[base], 0);
    let next = 1;
    for (const sign of pattern) if (sign !== LOST && !colour.has(sign)) { colour.set(sign, next); next = next >= 9 ? 9 : next + 1; }
    return colour;
  };

  // Cramér's V between one factor and what was seen. Counted in flat arrays: there may be many cells and places.
  const columns = factors.map((_, factor) => Uint16Array.from(runs.levels, (levels) => levels[factor] || 0));
  const association = new Map();
  const cramer = (pattern, factor) => {
    const key = pattern + ":" + factor;
    if (association.has(key)) return association.get(key);
    const signs = patterns[pattern], own = columns[factor], WIDE = 128;
    const both = new Float64Array(WIDE * Math.max(1, factors[factor].levels.length)), rows = new Float64Array(factors[factor].levels.length), across = new Float64Array(WIDE);
    let total = 0;
    for (let at = 0; at < signs.length; at += 1) {
      if (signs[at] === LOST) continue;
      const sign = signs.charCodeAt(at) % WIDE;
      rows[own[at]] += 1;
      across[sign] += 1;
      both[own[at] * WIDE + sign] += 1;
      total += 1;
    }
    const smaller = Math.min(rows.filter(Boolean).length, across.filter(Boolean).length);
    let sum = -1;
    both.forEach((count, at) => { if (count) sum += (count * count) / (rows[Math.floor(at / WIDE)] * across[at % WIDE]); });
    const value = smaller < 2 || !total ? 0 : Math.min(1, Math.sqrt(Math.max(0, sum) / (smaller - 1)));
    association.set(key, value);
    return value;
  };

  // What is far down the page is drawn when a reader comes near, or prints.
  const waiting = new Map();
  const near = new IntersectionObserver((seen) => { for (const one of seen) if (one.isIntersecting) draw(one.target); }, { rootMargin: "1200px" });
  const draw = (node) => { const work = waiting.get(node); if (work) { waiting.delete(node); near.unobserve(node); work(); } };
  const later = (node, work) => { waiting.set(node, work); near.observe(node); return node; };

  const facts = () => {
    const first = new Set(["target", "executable", "engine", "seed", "began", "cells"]);
    const one = ([name, value]) => el("div", null, el("dt", null, name), el("dd", null, drawn(value)));
    const most = data.facts.filter(([name]) => first.has(name)), rest = data.facts.filter(([name]) => !first.has(name));
    return el("section", { class: "run", "aria-label": "The run" },
      el("dl", { class: "facts" }, most.map(one)),
      rest.length ? el("details", { class: "more" }, el("summary", null, "Versions and digests"), el("dl", { class: "facts" }, rest.map(one))) : null,
      guide(),
      data.notes.length ? el("div", { class: "notes", role: "note" }, data.notes.map((note) => el("p", null, drawn(note)))) : null);
  };

  // The words of this page, for who meets them here for the first time.
  const WORDS = [
    ["cell", "One run of the agent, in one environment, with nothing kept from the runs before."],
    ["factor, level", "What was varied, such as the time zone, and what it was set to. The first level of each is the baseline."],
    ["covert", "The text reads the same: another apostrophe, an invisible character, the same date in another format."],
    ["overt", "The text reads differently."],
    ["structural", "A request, a header, a tool or a part of a message is there or is not, or stands elsewhere."],
    ["behavioural", "The program acts differently: it ends otherwise, retries, or asks for another host."],
    ["explained", "What any program would be expected to send: the name of the host in a line about the host, the local date."],
    ["disclosed", "What the vendor says openly. Neither this nor what is explained counts for the verdict."],
    ["rule", "Which levels give which value. Elsewhere it is as at the baseline."],
    ["E, coins", "After a rule was learned, fresh cells were run in which coins decided the levels. E is what a gambler who bet on the rule would have made of 1. Chance, noise and drift do not make it large."],
    ["p, q", "p is 1/E: with no dependence there, so much would be won at most that often. q is p adjusted for all rules of the run."],
    ["bits", "How much whoever receives the value learns from it about the environment. One bit halves what is possible."],
    ["Cram\u00e9r\u2019s V", "How strongly value and levels go together: 0 is not at all, 1 is completely."],
  ];
  const guide = () => el("details", { class: "more guide" }, el("summary", null, "How to read this page"),
    el("dl", null, WORDS.map(([word, means]) => el("div", null, el("dt", null, word), el("dd", null, means)))));

  const difference = (finding) => {
    // What no reader sees is labelled; a digit of a date that changed with it is only marked.
    const told = new Set(finding.points.map(([, point]) => point));
    const labels = finding.class === "covert" ? (point) => told.has(point) : null;
    const side = (own, name, text) => {
      const body = el("span", { class: "text" });
      if (text === null || text === "") body.append(shown(text));
      else for (const [sign, piece] of finding.pieces) {
        if (sign === "=") body.append(drawn(piece));
        else if (sign === own) {
          body.append(el(own === "-" ? "del" : "ins", null, drawn(piece, Array.from(piece).length <= 12 ? labels : null)));
        }
      }
      return [el("span", { class: "side" }, name), body];
    };
    return [
      el("div", { class: "diff" }, side("-", "baseline", finding.baseline), side("+", "variant", finding.variant)),
      finding.points.length ? el("ul", { class: "points", "aria-label": "Code points in which the two differ" },
        finding.points.map(([where, point, name]) => el("li", null, where + " has ", el(where === "baseline" ? "del" : "ins", null, el("code", null, point)), " " + name))) : null,
    ];
  };

  // Lines are numbered where there are several, the one that is asked first on top.
  const numbered = (finding) => finding.matching.length > 1;
  const rule = (finding) => el("div", { class: "scroll" }, el("table", { class: "rule" },
    el("thead", null, el("tr", null, numbered(finding) ? el("th", { scope: "col" }, "line") : null, el("th", { scope: "col" }, "when"), el("th", { scope: "col" }, "then"))),
    el("tbody", null, finding.rule.map(([when, then], at) => el("tr", null, numbered(finding) ? el("td", { class: "number" }, String(at + 1)) : null, el("td", null, drawn(when)), el("td", null, shown(then, 0, finding)))),
      el("tr", { class: "else" }, numbered(finding) ? el("td") : null, el("td", null, "otherwise"), el("td", null, "as at the baseline")))));

  // What was seen for each pair of levels, over whatever the other factors were.
  const matrix = (finding, place, down, across) => {
    const pattern = seenAt(place), colour = colours(place), cells = new Map();
    runs.levels.forEach((levels, at) => {
      if (pattern[at] === LOST) return;
      const key = levels[down] + "," + (across < 0 ? 0 : levels[across]);
      const cell = cells.get(key) || { seen: new Map(), runs: [], total: 0 };
      cell.seen.set(pattern[at], (cell.seen.get(pattern[at]) || 0) + 1);
      cell.total += 1;
      if (cell.runs.length < 12) cell.runs.push(runs.id[at]);
      cells.set(key, cell);
    });
    const one = (row, column) => {
      const cell = cells.get(row + "," + column);
      if (!cell) return el("td", { class: "unrun" }, "not run");
      const seen = Array.from(cell.seen).sort((a, b) => b[1] - a[1]);
      const title = cell.total + " cells: " + cell.runs.join(" ") + (cell.total > cell.runs.length ? " \u2026" : "");
      return el("td", { class: "c" + colour.get(seen[0][0]), title },
        seen.slice(0, 4).map(([sign, count], n) => [n ? el("br") : null, brief(place, sign, 28, finding), el("small", null, " \u00d7" + count)]),
        seen.length > 4 ? [el("br"), el("small", null, "and " + (seen.length - 4) + " more")] : null);
    };
    const rows = factors[down].levels, columns = across < 0 ? ["what was seen"] : factors[across].levels;
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Values by levels" }, el("table", { class: "matrix" },
      el("thead", null, el("tr", null, el("th", { scope: "col" }, factors[down].name + (across < 0 ? "" : " \\ " + factors[across].name)), columns.map((level) => el("th", { scope: "col" }, breaking(level))))),
      el("tbody", null, rows.map((level, row) => el("tr", null, el("th", { scope: "row" }, breaking(level)), columns.map((_, column) => one(row, column)))))));
  };

  const truth = (finding, place) => {
    const pattern = seenAt(place), rows = new Map();
    runs.levels.forEach((levels, at) => {
      if (pattern[at] === LOST) return;
      const key = finding.factorIds.map((factor) => levels[factor]).join(",");
      const row = rows.get(key) || { levels, seen: new Map(), total: 0 };
      row.seen.set(pattern[at], (row.seen.get(pattern[at]) || 0) + 1);
      row.total += 1;
      rows.set(key, row);
    });
    const order = (row) => finding.factorIds.map((factor) => String(row.levels[factor]).padStart(5, "0")).join();
    const sorted = Array.from(rows.values()).sort((a, b) => (order(a) < order(b) ? -1 : 1)), colour = colours(place);
    const most = 400;
    const box = el("div", { class: "scroll" }, el("table", { class: "matrix" },
      el("thead", null, el("tr", null, finding.factorIds.map((factor) => el("th", { scope: "col" }, factors[factor].name)), el("th", { scope: "col" }, "rule"), el("th", { scope: "col" }, "seen"), el("th", { scope: "col" }, "cells"))),
      el("tbody", null, sorted.slice(0, most).map((row) => {
        const seen = Array.from(row.seen).sort((a, b) => b[1] - a[1]), at = line(finding, row.levels);
        return el("tr", null, finding.factorIds.map((factor) => el("td", null, breaking(factors[factor].levels[row.levels[factor]] || ""))),
          el("td", null, at < 0 ? "otherwise" : numbered(finding) ? "line " + (finding.reversed ? finding.matching.length - at : at + 1) : "matches"),
          el("td", { class: "c" + colour.get(seen[0][0]) }, seen.slice(0, 3).map(([sign, count], n) => [n ? ", " : null, brief(place, sign, 40, finding), seen.length > 1 ? " \u00d7" + count : null])),
          el("td", null, String(row.total)));
      }))));
    return [box, sorted.length > most ? el("p", { class: "none" }, "and " + (sorted.length - most) + " more combinations") : null, sorted.length];
  };

  const select = (label, options, chosen, change) => el("label", null, label,
    el("select", { change: (event) => change(Number(event.target.value)) }, options.map(([value, text]) => el("option", { value, selected: value === chosen }, short(text, 70)))));

  const levelsView = (finding) => {
    const places = finding.places.map((place, at) => [at, place.name]).filter(([at]) => seenAt(finding.places[at]));
    if (!places.length || !finding.factorIds.length) return el("p", { class: "none" }, "What each cell showed is not here: the stored records were not read with this page.");
    const state = { place: places[0][0], down: finding.factorIds[0], across: finding.factorIds.length > 1 ? finding.factorIds[1] : -1 };
    const box = el("div", { class: "levels" }), picks = el("div", { class: "pick" });
    const show = () => {
      const place = finding.places[state.place], [table, more, count] = truth(finding, place);
      box.replaceChildren(matrix(finding, place, state.down, state.across),
        el("details", { class: "more" }, el("summary", null, "Truth table: the " + count + " combinations of " + finding.factors.join(" \u00d7 ") + " that were run"), table, more || ""));
    };
    const all = factors.map((factor, at) => [at, factor.name]);
    const set = (name) => (value) => { state[name] = value; show(); };
    picks.append(select("place", places, state.place, set("place")), select("rows", all, state.down, set("down")), select("columns", [[-1, "\u2014"], ...all], state.across, set("across")));
    return [picks, later(box, show)];
  };

  const evidence = (finding) => {
    const one = (name, value, title) => el("div", { title }, el("dt", null, name), el("dd", null, value));
    return el("dl", { class: "evidence" },
      one("E", finding.e, "What a gambler who bet on the rule would have made of 1"), one("p", finding.p, "1/E, valid whenever one stops"),
      one("q", finding.q, "p, adjusted for all rules of the run"), one("coins", String(finding.coins), "Fresh cells in which coins decided the levels"),
      one("cells agree", finding.agree + " of " + (finding.agree + finding.disagree), "Cells in which the value is what the rule says"),
      one("bits", finding.bits, "What the receiver can learn from the value about the factors"), one("Cram\u00e9r\u2019s V", finding.v, "0: no association, 1: the factors decide"));
  };

  // E after each run with coins, on a logarithmic scale, and what it takes for q to reach α.
  const curve = (finding) => {
    const course = finding.course.filter((e) => typeof e === "number" && e > 0);
    if (course.length < 2) return null;
    const bar = finding.claims / data.alpha, all = [1, bar, ...course].map(Math.log10);
    const least = Math.floor(Math.min(...all)), most = Math.max(least + 1, Math.ceil(Math.max(...all)));
    const WIDTH = 460, HEIGHT = 150, LEFT = 46, FOOT = 22, TOP = 8;
    const x = (n) => LEFT + (n / course.length) * (WIDTH - LEFT - 12), y = (log) => TOP + ((most - log) / (most - least)) * (HEIGHT - TOP - FOOT);
    const say = (e) => (e >= 1000 || e < 0.01 ? e.toExponential(1) : e >= 100 ? e.toFixed(0) : e.toFixed(2));
    const last = course[course.length - 1];
    const picture = svg("svg", { class: "curve", viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img", "aria-label": "E after each of " + course.length + " runs with coins: from 1 to " + say(last) + "; q reaches alpha at " + say(bar) });
    const every = Math.max(1, Math.ceil((most - least) / 5));
    for (let log = least; log <= most; log += every) picture.append(svg("line", { class: "tick", x1: LEFT, x2: WIDTH - 12, y1: y(log), y2: y(log) }), svg("text", { x: LEFT - 6, y: y(log) + 4, "text-anchor": "end" }, log < 0 || log > 3 ? "1e" + log : String(10 ** log)));
    const step = Math.max(1, Math.ceil(course.length / 10));
    for (let n = 0; n <= course.length; n += step) picture.append(svg("text", { x: x(n), y: HEIGHT - 6, "text-anchor": "middle" }, String(n)));
    picture.append(svg("line", { class: "bar", x1: LEFT, x2: WIDTH - 12, y1: y(Math.log10(bar)), y2: y(Math.log10(bar)) }, svg("title", null, "q = " + data.alpha + " at E = " + say(bar))));
    picture.append(svg("polyline", { class: "course", points: [1, ...course].map((e, n) => x(n).toFixed(1) + "," + y(Math.log10(e)).toFixed(1)).join(" ") }));
    course.forEach((e, n) => picture.append(svg("circle", { cx: x(n + 1).toFixed(1), cy: y(Math.log10(e)).toFixed(1), r: 3 }, svg("title", null, "run " + (n + 1) + ": E = " + say(e)))));
    return el("figure", null, picture, el("figcaption", null, "E after each run with coins on this finding\u2019s factors; at the dashed line q is " + data.alpha + "."));
  };

  // Places of a finding that are printed: the style sheet leaves out the others.
  const PAPER = 20;
  const byHand = (finding) => finding.byHand ? el("details", { class: "more hand" }, el("summary", null, "By hand, without this program (bash)"),
    finding.byHand.map(([what, command]) => [el("p", null, what + ":"), el("pre", { tabindex: "0", "aria-label": what }, command.split("\n").map((line) => [drawn(line), "\n"]))]),
    finding.leavesOut.length ? el("ul", { class: "limits" }, finding.leavesOut.map((left) => el("li", null, "not as in the run: ", drawn(left)))) : null) : null;

  const body = (finding) => [
    el("p", { class: "links" }, el("a", { href: "#" + finding.id }, finding.id), finding.class + ": " + finding.means,
      finding.why ? el("span", null, finding.status + ": ", drawn(finding.why)) : null),
    el("h4", null, "What differs"), difference(finding),
    el("h4", null, "Rule"), rule(finding), finding.suggested ? el("p", { class: "none" }, drawn(finding.suggested)) : null,
    el("h4", null, "What was seen, by level"), levelsView(finding),
    el("h4", null, "Evidence"), evidence(finding), el("p", { class: "lead" }, drawn(finding.effect), "."), curve(finding),
    el("h4", null, "See it again"), el("p", { class: "again" }, "cells ", el("code", null, finding.cells[0]), " and ", el("code", null, finding.cells[1]), " of ", el("code", null, drawn(finding.command)), el("br"), "both again, fresh, in the run\u2019s folder: ", el("code", null, "parallax replay . " + finding.id)), byHand(finding),
    el("h4", null, finding.places.length + finding.more === 1 ? "Place" : finding.places.length + finding.more + " places"),
    el("ol", { class: "places", tabindex: "0", "aria-label": "Places" }, finding.places.map((place) => el("li", null, drawn(place.name)))),
    finding.more ? el("p", { class: "none screen" }, "and " + finding.more + " more, in findings.json") : null,
    finding.places.length > PAPER ? el("p", { class: "none paper" }, "and " + (finding.places.length + finding.more - PAPER) + " more, in findings.json") : null,
  ];

  const card = (finding) => {
    const content = el("div", { class: "body" });
    const fillBody = () => { if (!content.firstChild) fill(content, null, body(finding)); };
    const details = el("details", { toggle: () => { if (details.open) fillBody(); } },
      el("summary", null,
        el("div", { class: "headline" }, el("span", { class: "tag " + finding.class }, finding.class), el("h3", null, finding.channel + " depends on ", drawn(finding.factors.join(" \u00d7 "))),
          el("span", { class: "value" }, finding.severity === "none" ? "" : "severity " + finding.severity + " \u00b7 ", "E " + finding.e + " \u00b7 " + (finding.places.length + finding.more) + (finding.places.length + finding.more === 1 ? " place" : " places"))),
        el("p", { class: "sentence" }, drawn(finding.sentence))),
      content);
    if (finding.status === "open") { details.open = true; fillBody(); }
    const node = el("article", { id: finding.id, class: "finding " + finding.class + " " + finding.status, tabindex: "-1", "aria-label": finding.class + " finding " + finding.id }, details);
    const words = [finding.id, finding.sentence, finding.class, "severity " + finding.severity, finding.channel, finding.status, finding.why, finding.baseline, finding.variant, finding.rule.flat(), finding.points.flat(), finding.places.map((place) => [place.name, place.values])];
    return { finding, node, details, open: () => { fillBody(); details.open = true; }, text: words.flat(4).join(" ").toLowerCase() };
  };

  const cards = findings.map(card);
  const GROUPS = [["open", "Neither explained nor disclosed"], ["disclosed", "Disclosed by the vendor"], ["explained", "Explained"]];
  const chosen = { words: [], factor: -1, classes: new Set(["covert", "overt", "structural", "behavioural"]), groups: new Set(GROUPS.map(([name]) => name)) };
  const headings = new Map(GROUPS.map(([name, title]) => [name, el("p", { class: "group", role: "heading", "aria-level": "3" }, title)]));
  const count = el("span", { class: "count", role: "status", "aria-live": "polite" });
  const search = el("input", { type: "search", placeholder: "Search places, values, code points \u2026", "aria-label": "Search the findings", input: () => { chosen.words = search.value.toLowerCase().split(/\s+/).filter(Boolean); filter(); } });
  const filter = () => {
    let visible = 0;
    const inGroup = new Map();
    for (const { finding, node, text } of cards) {
      const on = chosen.classes.has(finding.class) && chosen.groups.has(finding.status)
        && (chosen.factor < 0 || finding.factorIds.includes(chosen.factor)) && chosen.words.every((word) => text.includes(word));
      node.hidden = !on;
      visible += on ? 1 : 0;
      inGroup.set(finding.status, (inGroup.get(finding.status) || 0) + (on ? 1 : 0));
    }
    for (const [name, heading] of headings) heading.hidden = !inGroup.get(name);
    count.textContent = visible + " of " + cards.length + " findings";
  };
  const toggles = (label, set, options) => el("span", { class: "chips", role: "group", "aria-label": label }, options.map(([name, title]) => el("button", {
    type: "button", class: name, "aria-pressed": "true", "data-filter": name,
    click: (event) => { const on = !set.has(name); if (on) set.add(name); else set.delete(name); event.currentTarget.setAttribute("aria-pressed", String(on)); filter(); },
  }, title)));

  const list = () => {
    const present = (name) => findings.some((finding) => finding.class === name);
    const toolbar = el("div", { class: "toolbar", role: "search", "aria-label": "Filter the findings" }, search,
      toggles("Class", chosen.classes, ["covert", "overt", "structural", "behavioural"].filter(present).map((name) => [name, name])),
      toggles("Group", chosen.groups, GROUPS.filter(([name]) => findings.some((finding) => finding.status === name)).map(([name]) => [name, name])),
      el("select", { "aria-label": "Factor", change: (event) => { chosen.factor = Number(event.target.value); filter(); } }, el("option", { value: -1 }, "every factor"), factors.map((factor, at) => el("option", { value: at }, factor.name))),
      count);
    return el("section", { id: "findings", "aria-labelledby": "findings-title" }, el("h2", { id: "findings-title" }, "Findings"),
      el("p", { class: "keys" }, el("kbd", null, "/"), " search \u00b7 ", el("kbd", null, "j"), " ", el("kbd", null, "k"), " next, previous \u00b7 ", el("kbd", null, "o"), " open or close \u00b7 ", el("kbd", null, "Esc"), " clear"),
      findings.length ? toolbar : el("p", { class: "none" }, "Nothing was found to depend on what was varied. What that is worth stands below."),
      GROUPS.map(([name]) => { const own = cards.filter(({ finding }) => finding.status === name); return own.length ? [headings.get(name), own.map(({ node }) => node)] : null; }));
  };

  const map = () => {
    if (!findings.some((finding) => finding.places.some(seenAt)) || !factors.length) return null;
    const FEW = 3;
    const row = (finding, place) => {
      const cells = factors.map((factor, at) => {
        if (!seenAt(place)) return el("td", { class: "v h0" }, "\u2013");
        const value = cramer(place.pattern, at), own = finding.factorIds.includes(at);
        return el("td", { class: "v h" + Math.round(value * 10), title: factor.name + ": V " + value.toFixed(2) + (own ? ", in the rule" : "") }, value.toFixed(2), own ? el("span", { "aria-label": " in the rule" }, "\u2009\u2022") : null);
      });
      return el("tr", null, el("th", { scope: "row", class: "place" }, breaking(short(place.name, 110))), cells);
    };
    const bodies = () => findings.map((finding) => {
      const part = el("tbody", null, el("tr", { class: "first" }, el("th", { scope: "rowgroup", colspan: factors.length + 1 }, el("span", { class: "tag " + finding.class }, finding.class), " ", el("a", { href: "#" + finding.id }, finding.factors.join(" \u00d7 ")), finding.status === "open" ? "" : " (" + finding.status + ")")),
        finding.places.slice(0, FEW).map((place) => row(finding, place)));
      if (finding.places.length > FEW) {
        const more = el("tr", null, el("td", { colspan: factors.length + 1 }, el("button", { type: "button", click: () => { more.replaceWith(...finding.places.slice(FEW).map((place) => row(finding, place))); } }, "show the other " + (finding.places.length - FEW))));
        part.append(more);
      }
      return part;
    });
    const table = el("table", { class: "heat" }, el("thead", null, el("tr", null, el("th", { scope: "col" }, "place"), factors.map((factor) => el("th", { scope: "col" }, factor.name)))));
    return el("section", { id: "map", "aria-labelledby": "map-title" }, el("h2", { id: "map-title" }, "Factor \u00d7 place"),
      el("p", { class: "lead" }, "Cram\u00e9r\u2019s V between each factor alone and what was seen at a place, over all cells: 0 is no association, 1 is complete. A dot marks the factors of the rule. A factor that only acts together with another shows less than 1; one that is not in the rule should show little."),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Factor by place" }, later(table, () => fill(table, null, bodies()))));
  };

  const timeline = () => {
    const total = runs.id.length;
    if (!total) return null;
    // Cells in the order of their start; a long pause (a run that was gone on with) is cut short.
    const order = runs.id.map((_, at) => at).filter((at) => runs.lost[at] !== "!").sort((a, b) => runs.start[a] - runs.start[b] || a - b);
    const lost = runs.id.map((_, at) => at).filter((at) => runs.lost[at] === "!");
    const begin = new Map(), gaps = [], lanes = [], laneOf = new Map();
    let shift = 0, until = 0, end = 1;
    for (const at of order) {
      const pause = runs.start[at] - shift - until;
      if (pause > 30000) { gaps.push(until + 1000); shift += pause - 2000; }
      const from = runs.start[at] - shift, to = from + Math.max(1, runs.wall[at]);
      begin.set(at, from);
      let lane = lanes.findIndex((busy) => busy <= from);
      if (lane < 0) { lane = lanes.length; lanes.push(0); }
      lanes[lane] = to;
      laneOf.set(at, lane);
      until = Math.max(until, to);
      end = Math.max(end, to);
    }
    const WIDTH = 1000, LEFT = 8, HIGH = lanes.length > 12 ? 12 : lanes.length > 4 ? 18 : 30, height = lanes.length * (HIGH + 3) + 34 + (lost.length ? HIGH + 8 : 0);
    const x = (time) => LEFT + (time / end) * (WIDTH - 2 * LEFT);
    const rects = new Map();
    const picture = svg("svg", { class: "line", viewBox: "0 0 " + WIDTH + " " + height, role: "application", tabindex: "0", "aria-label": total + " cells in " + lanes.length + " slots, " + lost.length + " lost to the engine. Left and right arrow keys go from cell to cell." });
    const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36000].find((seconds) => end / 1000 / seconds <= 10) || 86400;
    for (let time = 0; time * 1000 <= end; time += step) {
      picture.append(svg("line", { class: "tick", x1: x(time * 1000), x2: x(time * 1000), y1: 0, y2: height - 20 }), svg("text", { x: x(time * 1000) + 3, y: height - 7 }, time + " s"));
    }
    for (const gap of gaps) picture.append(svg("line", { class: "gap", x1: x(gap), x2: x(gap), y1: 0, y2: height - 20 }));
    for (const at of order) {
      const rect = svg("rect", { x: x(begin.get(at)).toFixed(2), y: 6 + laneOf.get(at) * (HIGH + 3), width: Math.max(1, x(begin.get(at) + runs.wall[at]) - x(begin.get(at))).toFixed(2), height: HIGH, rx: 1.5, "data-at": at });
      rects.set(at, rect);
      picture.append(rect);
    }
    lost.forEach((at, n) => {
      const rect = svg("rect", { class: "flost", x: LEFT + (n * (WIDTH - 2 * LEFT)) / Math.max(40, lost.length), y: 10 + lanes.length * (HIGH + 3), width: Math.min(16, (WIDTH - 2 * LEFT) / Math.max(40, lost.length) - 1), height: HIGH, "data-at": at });
      rects.set(at, rect);
      picture.append(rect);
    });
    const all = [...order, ...lost], readout = el("p", { class: "readout", role: "status", "aria-live": "polite" }, el("span", { class: "none" }, "Point at a cell, or use the arrow keys.")), legend = el("div", { class: "legend" });
    let by = -1, now = -1;
    const show = (at) => {
      if (rects.has(now)) rects.get(now).classList.remove("now");
      now = at;
      rects.get(at).classList.add("now");
      const levels = factors.map((factor, n) => factor.name + " = " + (factor.levels[runs.levels[at][n]] || "?")).join(" \u00b7 ");
      const place = by >= 0 ? findings[by].places[0] : null, pattern = seenAt(place);
      readout.replaceChildren(el("b", null, runs.id[at]), " \u00b7 " + PHASES[runs.phase[at]] + " \u00b7 ", runs.lost[at] === "!" ? el("span", null, "lost to the engine: ", drawn(runs.failures[at] || "")) : (runs.wall[at] / 1000).toFixed(1) + " s, " + runs.requests[at] + " requests",
        pattern && pattern[at] !== LOST ? el("span", null, " \u00b7 seen: ", brief(place, pattern[at], 60)) : "", el("br"), drawn(levels));
    };
    const paint = () => {
      const keys = new Map(), place = by >= 0 ? findings[by].places[0] : null, pattern = seenAt(place), colour = place ? colours(place) : null;
      for (const at of order) {
        const number = pattern ? colour.get(pattern[at]) : { c: 0, e: 1, f: 2 }[runs.phase[at]];
        rects.get(at).setAttribute("class", "f" + number + (at === now ? " now" : ""));
        if (!keys.has(number)) keys.set(number, pattern ? brief(place, pattern[at], 40) : PHASES[runs.phase[at]]);
      }
      legend.replaceChildren(...Array.from(keys).sort((a, b) => a[0] - b[0]).map(([number, text]) => el("span", null, el("span", { class: "key c" + number }), text)));
      if (now >= 0) show(now);
    };
    // Not what lies under a pointer that rests while the page scrolls.
    const point = (event) => { const at = event.target.getAttribute("data-at"); if (at !== null && Number(at) !== now) show(Number(at)); };
    picture.addEventListener("pointermove", point);
    picture.addEventListener("pointerdown", point);
    picture.addEventListener("keydown", (event) => {
      const go = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!go) return;
      event.preventDefault();
      show(all[Math.min(all.length - 1, Math.max(0, all.indexOf(now) + (now < 0 ? Math.max(0, go) + (go < 0 ? 1 : 0) : go)))]);
    });
    const options = [[-1, "phase"], ...findings.map((finding, at) => [at, finding.class + " \u00b7 " + finding.channel + " \u00b7 " + finding.factors.join(" \u00d7 ")]).filter(([at]) => seenAt(findings[at].places[0]))];
    paint();
    return el("section", { id: "cells", "aria-labelledby": "cells-title" }, el("h2", { id: "cells-title" }, "Cells over time"),
      el("p", { class: "lead" }, total + " cells by their start; a row is a slot, found from which cells ran at the same time."),
      el("div", { class: "pick" }, select("colour by", options, -1, (value) => { by = value; paint(); })), legend, picture, readout);
  };

  const limits = () => el("section", { id: "limits", class: "limits", "aria-labelledby": "limits-title" }, el("h2", { id: "limits-title" }, "What this run can and cannot say"),
    el("h4", null, "Power"), el("ul", null, data.power.map((line) => el("li", null, drawn(line)))),
    el("h4", null, "Varied"), el("ul", null, factors.map((factor) => el("li", null, el("b", null, factor.name), ": ", factor.levels.map((level, n) => [n ? ", " : null, drawn(level)])))),
    el("h4", null, "Not varied"), el("p", null, drawn(data.notVaried.join(", ") || "nothing that is known")),
    data.unexplained.length ? [el("h4", null, "Seen, and neither explained by a rule nor confirmed"), el("ul", null, data.unexplained.map((text) => el("li", null, drawn(text))))] : null);

  main.replaceChildren(...[facts(), list(), map(), timeline(), limits()].filter(Boolean));
  filter();

  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1)), found = cards.find(({ finding }) => finding.id === id);
    if (!found) return;
    if (found.node.hidden) {
      chosen.words = []; search.value = ""; chosen.factor = -1;
      main.querySelectorAll(".toolbar select").forEach((node) => { node.value = "-1"; });
      main.querySelectorAll(".toolbar button[aria-pressed=false]").forEach((node) => node.click());
      filter();
    }
    found.open();
    found.node.scrollIntoView();
    found.node.focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  reveal();

  addEventListener("keydown", (event) => {
    const field = event.target.closest && event.target.closest("input, select, textarea");
    if (event.key === "Escape" && event.target === search) { search.value = ""; chosen.words = []; filter(); search.blur(); return; }
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    const visible = cards.filter(({ node }) => !node.hidden), at = visible.findIndex(({ node }) => node.contains(document.activeElement));
    if (event.key === "/") { event.preventDefault(); search.focus(); search.select(); }
    else if (event.key === "j" || event.key === "k") {
      const next = visible[event.key === "j" ? Math.min(visible.length - 1, at + 1) : Math.max(0, at - 1)];
      if (next) { next.node.scrollIntoView(); next.node.focus({ preventScroll: true }); }
    } else if (event.key === "o" && at >= 0) { if (visible[at].details.open) visible[at].details.open = false; else visible[at].open(); }
  });
  addEventListener("beforeprint", () => { main.querySelectorAll(".run > details").forEach((one) => { one.open = true; }); cards.forEach((one) => one.open()); Array.from(waiting.keys()).forEach(draw); });
})();
