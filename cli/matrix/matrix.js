/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matrix.js - the third part of the page: the map, and what hands do with it.
 *
 * Only what is in view is drawn: the cells on one canvas, the names beside it as elements. For readers of the screen the
 * grid holds the one cell that is active.
 */
/* ---- what is in view ------------------------------------------------------------------------- */

// An axis: lines, each of one row of the matrix (some of its parties) or, unfolded, of one party.
const axis = { from: { open: new Set(), lines: [], words: [] }, to: { open: new Set(), lines: [], words: [] } };

function matches(p, words) {
	return words.every((w) => p.find.includes(w));
}

function layOut(a) {
	a.lines = [];
	D.rows.forEach((members, row) => {
		const hit = a.words.length ? members.filter((i) => matches(parties[i], a.words)) : members;
		if (!hit.length)
			return;
		a.lines.push({ row, party: hit[0], hit, fold: hit.length > 1, open: a.open.has(row) });
		if (hit.length > 1 && a.open.has(row))
			for (const i of hit)
				a.lines.push({ row, party: i, hit: [i], member: true });
	});
}

const SIZES = [2, 3, 4, 6, 8, 11, 14, 18, 24, 30];
let size = 18, active = [0, 0], chosen = false, hover = null;

function lineText(l) {
	const p = parties[l.party];
	return l.fold ? `${p.text} and ${l.hit.length - 1} alike` : p.text;
}

function nsOf(l) {
	return parties[l.party].ns;
}

// A pod and those alike: its cell with itself is that of two of them.
function kindAt(r, c) {
	const a = axis.from.lines[r], b = axis.to.lines[c];
	if (a.row === b.row && (a.hit.length > 1 || b.hit.length > 1) && a.party === b.party) {
		const other = a.hit.find((i) => i !== b.party) ?? b.hit.find((i) => i !== a.party);
		return kindOf(a.party, other);
	}
	return kindOf(a.party, b.party);
}

function pairAt(r, c) {
	const a = axis.from.lines[r], b = axis.to.lines[c];
	if (a.party !== b.party || (a.hit.length === 1 && b.hit.length === 1))
		return [a.party, b.party];
	const other = b.hit.find((i) => i !== a.party);
	return other !== undefined ? [a.party, other] : [a.hit.find((i) => i !== b.party), b.party];
}

/* ---- drawing --------------------------------------------------------------------------------- */

const canvas = $("map"), scroll = $("scroll"), context = canvas.getContext("2d", { alpha: false });
let colors = {}, headWidth = 140, headHeight = 90;

function readColors() {
	const style = getComputedStyle(document.documentElement);
	for (const k of [...KINDS, "page", "line", "quiet", "mark"])
		colors[k] = style.getPropertyValue("--" + k).trim();
}

function textWidth(text) {
	context.font = "bold 12px " + getComputedStyle(document.body).fontFamily;
	return context.measureText(text).width;
}

function longest(lines, least, most) {
	let widest = "";
	for (const l of lines) {
		const t = named() ? lineText(l) : nsOf(l);
		if (t.length > widest.length)
			widest = t;
	}
	return Math.min(Math.max(Math.ceil(textWidth(widest)) + 26, least), most);
}

const named = () => size >= 14;

function measure() {
	const v = $("view");
	headWidth = longest(axis.from.lines, 96, Math.min(280, v.clientWidth * 0.4));
	headHeight = longest(axis.to.lines, 60, Math.min(190, v.clientHeight * 0.4));
	const put = (e, x, y, w, h) => Object.assign(e.style, {
		left: x + "px", top: y + "px", width: w + "px", height: h + "px" });
	put($("corner"), 0, 0, headWidth, headHeight);
	put($("cols"), headWidth, 0, v.clientWidth - headWidth, headHeight);
	put($("rows"), 0, headHeight, headWidth, v.clientHeight - headHeight);
	put(scroll, headWidth, headHeight, v.clientWidth - headWidth, v.clientHeight - headHeight);
	put($("space"), 0, 0, axis.to.lines.length * size, axis.from.lines.length * size);
}

function visible(at, extent, n) {
	const first = Math.min(Math.floor(at / size), n);
	return [first, Math.min(Math.ceil((at + extent) / size), n)];
}

function drawCells(r0, r1, c0, c1) {
	const gap = size >= 8 ? 1 : 0;
	for (let r = r0; r < r1; r++)
		for (let c = c0; c < c1;) {
			const kind = kindAt(r, c);
			let end = c + 1;
			while (!gap && end < c1 && kindAt(r, end) === kind)
				end++;
			const x = c * size - scroll.scrollLeft, y = r * size - scroll.scrollTop;
			context.fillStyle = colors[KINDS[kind]];
			context.fillRect(x, y, (end - c) * size - gap, size - gap);
			if (size >= 14)
				drawSign(kind, x, y);
			if (size >= 11 && D.pairs && kind === SOME)
				drawShare(r, c, x, y);
			c = end;
		}
}

// Never colour alone: a corner for some ports, a ring for open, a bar for itself.
function drawSign(kind, x, y) {
	const s = size - 1;
	context.fillStyle = colors.page;
	context.strokeStyle = kind === SELF ? colors.quiet : colors.mark;
	context.globalAlpha = kind === SOME ? 1 : 0.4;
	context.lineWidth = 1.5;
	context.beginPath();
	if (kind === SOME) {
		context.moveTo(x + s, y);
		context.lineTo(x + s, y + s * 0.4);
		context.lineTo(x + s * 0.6, y);
		context.fill();
	} else if (kind === OPEN) {
		context.arc(x + s / 2, y + s / 2, s * 0.24, 0, 7);
		context.stroke();
	} else if (kind === SELF) {
		context.moveTo(x + s * 0.3, y + s * 0.5);
		context.lineTo(x + s * 0.7, y + s * 0.5);
		context.stroke();
	}
	context.globalAlpha = 1;
}

// How many of the pairs have a port open: a strip along the bottom.
function drawShare(r, c, x, y) {
	const [all, some, none] = pairsOf(...pairAt(r, c)), s = size - 1;
	context.fillStyle = colors.all;
	context.fillRect(x, y + s - Math.round(s / 5), s * (all + some) / (all + some + none), Math.round(s / 5));
}

// Between namespaces.
function drawBands(lines, first, last, along) {
	context.fillStyle = colors.quiet;
	context.globalAlpha = 0.45;
	for (let i = Math.max(first, 1); i < last; i++)
		if (D.by !== "namespace" && nsOf(lines[i]) !== nsOf(lines[i - 1]))
			along(i * size);
	context.globalAlpha = 1;
}

function drawNames(box, lines, first, last, at, offset, name) {
	const out = document.createDocumentFragment();
	let before = null;
	for (let i = first; i < last; i++) {
		const l = lines[i], p = parties[l.party];
		const band = !named();
		if (band && nsOf(l) === before)
			continue;
		let to = i + 1;
		while (band && to < last && nsOf(lines[to]) === nsOf(l))
			to++;
		before = nsOf(l);
		if (band && (to - i) * size < 13)
			continue;
		const e = element(l.fold && !band ? "button" : "div", "name");
		if (band) {
			e.classList.add("band");
			e.textContent = p.isWorld ? "world" : p.ns;
		} else {
			label(e, l, p);
			e.title = lineText(l) + (p.labels ? "\n" + p.labels : "");
			e.tabIndex = -1;
			if (l.fold)
				e.onclick = () => unfold(name, l.row);
			if (l.member)
				e.classList.add("member");
			if (i === active[name === "from" ? 0 : 1])
				e.classList.add("on");
		}
		at(e, i * size - offset, (band ? to - i : 1) * size);
		out.append(e);
	}
	box.replaceChildren(out);
}

function label(e, l, p) {
	if (l.fold)
		e.append(element("span", "more", l.open ? "\u25be " : "\u25b8 "));
	if (p.ns && p.text.startsWith(p.ns + "/")) {
		e.append(element("span", "ns", p.ns + "/"), element("span", "", p.text.slice(p.ns.length + 1)));
	} else {
		e.append(element("span", "", p.text));
	}
	if (l.fold)
		e.append(element("span", "more", " +" + (l.hit.length - 1)));
}

function draw() {
	const w = scroll.clientWidth, h = scroll.clientHeight, dpr = window.devicePixelRatio || 1;
	const rows = axis.from.lines, cols = axis.to.lines;
	if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) {
		canvas.width = Math.round(w * dpr);
		canvas.height = Math.round(h * dpr);
		canvas.style.width = w + "px";
		canvas.style.height = h + "px";
	}
	context.setTransform(dpr, 0, 0, dpr, 0, 0);
	context.fillStyle = colors.page;
	context.fillRect(0, 0, w, h);
	const [r0, r1] = visible(scroll.scrollTop, h, rows.length);
	const [c0, c1] = visible(scroll.scrollLeft, w, cols.length);
	drawCells(r0, r1, c0, c1);
	const right = c1 * size - scroll.scrollLeft, bottom = r1 * size - scroll.scrollTop;
	drawBands(rows, r0, r1, (y) => context.fillRect(0, y - scroll.scrollTop - 1, right, 1));
	drawBands(cols, c0, c1, (x) => context.fillRect(x - scroll.scrollLeft - 1, 0, 1, bottom));
	drawNames($("rows"), rows, r0, r1, (e, y, s) => Object.assign(e.style, {
		top: y + "px", right: "8px", maxWidth: headWidth - 12 + "px", lineHeight: s - 1 + "px", height: s + "px" }),
	scroll.scrollTop, "from");
	drawNames($("cols"), cols, c0, c1, (e, x, s) => Object.assign(e.style, {
		left: x + "px", bottom: "6px", maxHeight: headHeight - 12 + "px", lineHeight: s - 1 + "px", width: s + "px" }),
	scroll.scrollLeft, "to");
	$("empty").hidden = rows.length && cols.length;
	placeActive();
}

let wanted = false;
function later() {
	if (wanted)
		return;
	wanted = true;
	requestAnimationFrame(() => {
		wanted = false;
		draw();
	});
}

/* ---- the active cell ------------------------------------------------------------------------- */

function placeActive() {
	const [r, c] = active, rows = axis.from.lines, cols = axis.to.lines;
	const there = r < rows.length && c < cols.length;
	$("cell").hidden = !there;
	scroll.setAttribute("aria-rowcount", rows.length);
	scroll.setAttribute("aria-colcount", cols.length);
	scroll.classList.toggle("chosen", chosen);
	if (!there) {
		scroll.removeAttribute("aria-activedescendant");
		return;
	}
	Object.assign($("cell").style, { left: c * size + "px", top: r * size + "px",
		width: Math.max(size - 1, 2) + "px", height: Math.max(size - 1, 2) + "px" });
	$("arow").setAttribute("aria-rowindex", r + 1);
	$("ahead").textContent = lineText(rows[r]);
	$("cell").setAttribute("aria-colindex", c + 1);
	$("cell").setAttribute("aria-selected", chosen);
	$("cell").setAttribute("aria-label", sentence(r, c));
	$("cell").dataset.kind = KINDS[kindAt(r, c)];
	scroll.setAttribute("aria-activedescendant", "cell");
	read();
}

function sentence(r, c) {
	const a = axis.from.lines[r], b = axis.to.lines[c];
	return `${lineText(a)} to ${lineText(b)}: ${cellText(...pairAt(r, c))}`;
}

function read() {
	const [r, c] = hover || active;
	if (r < axis.from.lines.length && c < axis.to.lines.length)
		$("read").textContent = sentence(r, c).replace(" to ", " \u2192 ");
	else
		$("read").textContent = "";
}

function move(r, c) {
	const rows = axis.from.lines.length, cols = axis.to.lines.length;
	active = [Math.max(0, Math.min(r, rows - 1)), Math.max(0, Math.min(c, cols - 1))];
	hover = null;
	const x = active[1] * size, y = active[0] * size;
	if (x < scroll.scrollLeft || x + size > scroll.scrollLeft + scroll.clientWidth)
		scroll.scrollLeft = Math.max(0, x - (x < scroll.scrollLeft ? 0 : scroll.clientWidth - size));
	if (y < scroll.scrollTop || y + size > scroll.scrollTop + scroll.clientHeight)
		scroll.scrollTop = Math.max(0, y - (y < scroll.scrollTop ? 0 : scroll.clientHeight - size));
	if (!$("why").hidden)
		explain();
	later();
}

function unfold(name, row) {
	const a = axis[name];
	if (!a.open.delete(row))
		a.open.add(row);
	layOut(a);
	measure();
	later();
}

/* ---- hands ----------------------------------------------------------------------------------- */

function at(event) {
	const box = scroll.getBoundingClientRect();
	const r = Math.floor((event.clientY - box.top + scroll.scrollTop) / size);
	const c = Math.floor((event.clientX - box.left + scroll.scrollLeft) / size);
	return r < axis.from.lines.length && c < axis.to.lines.length ? [r, c] : null;
}

scroll.addEventListener("click", (e) => {
	const cell = at(e);
	if (!cell)
		return;
	move(...cell);
	chosen = true;
	explain();
});
scroll.addEventListener("mousemove", (e) => {
	hover = at(e);
	read();
});
scroll.addEventListener("mouseleave", () => {
	hover = null;
	read();
});
scroll.addEventListener("scroll", later);

scroll.addEventListener("keydown", (e) => {
	const [r, c] = active, page = Math.max(1, Math.floor(scroll.clientHeight / size) - 1), far = e.ctrlKey || e.metaKey;
	const to = { ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1],
		PageUp: [r - page, c], PageDown: [r + page, c], Home: [far ? 0 : r, 0],
		End: [far ? axis.from.lines.length - 1 : r, axis.to.lines.length - 1] }[e.key];
	if (to)
		move(...to);
	else if (e.key === "Enter" || e.key === " ")
		explain();
	else if (e.key === "Escape" && !$("why").hidden)
		shut();
	else if ((e.key === "e" || e.key === "E") && axis.from.lines[r]?.fold)
		unfold(e.key === "e" ? "from" : "to", axis.from.lines[r].row);
	else
		return;
	e.preventDefault();
});
$("why").addEventListener("keydown", (e) => {
	if (e.key === "Escape")
		shut();
});
document.addEventListener("keydown", (e) => {
	if (e.target.tagName === "INPUT" || e.ctrlKey || e.metaKey || e.altKey)
		return;
	const act = { "/": () => $("from").focus(), "+": () => zoom(1), "-": () => zoom(-1), t: () => turn() }[e.key];
	if (act) {
		act();
		e.preventDefault();
	}
});

function filter(name) {
	const a = axis[name];
	a.words = $(name).value.toLowerCase().split(/\s+/).filter(Boolean);
	layOut(a);
	fit();
	measure();
	scroll.scrollTop = scroll.scrollLeft = 0;
	move(...active);
}
for (const name of ["from", "to"]) {
	$(name).addEventListener("input", () => filter(name));
	$(name).addEventListener("keydown", (e) => {
		if (e.key === "Escape") {
			$(name).value = "";
			filter(name);
		} else if (e.key === "Enter" || e.key === "ArrowDown") {
			scroll.focus();
			e.preventDefault();
		}
	});
}

// As large as fits, down to 8 pixels; with names as long as one of the two axes still fits.
let zoomed = false;
function fit() {
	const v = $("view"), rows = (v.clientHeight - 130) / axis.from.lines.length;
	const cols = (v.clientWidth - 200) / axis.to.lines.length;
	const room = Math.max(Math.min(rows, cols), Math.min(Math.max(rows, cols), 14), 8);
	if (!zoomed)
		size = SIZES.filter((s) => s <= Math.min(room, 24)).pop();
}

function zoom(by) {
	const i = SIZES.indexOf(size) + by;
	if (i < 0 || i >= SIZES.length)
		return;
	size = SIZES[i];
	zoomed = true;
	measure();
	move(...active);
}
$("smaller").onclick = () => zoom(-1);
$("larger").onclick = () => zoom(1);

function theme(dark) {
	document.documentElement.dataset.theme = dark ? "dark" : "light";
	$("theme").textContent = dark ? "Light" : "Dark";
	readColors();
	legend();
	later();
}
function turn() {
	turned = true;
	theme(document.documentElement.dataset.theme !== "dark");
}
let turned = false;
const wish = window.matchMedia("(prefers-color-scheme: dark)");
wish.addEventListener("change", () => turned || theme(wish.matches));
$("theme").onclick = turn;
window.addEventListener("resize", () => {
	measure();
	later();
});

/* ---- the beginning --------------------------------------------------------------------------- */

function legend() {
	const words = { none: "denied", some: D.by === "pod" ? "some ports" : "some ports or pairs",
		all: "allowed by policy", open: "open: no policy isolates", self: "itself" };
	if (D.port !== null)
		words.some = "some of it";
	$("legend").replaceChildren(...Object.entries(words).filter(([k]) => k !== "self").map(([k, text]) => {
		const li = element("li"), i = element("i");
		i.style.background = colors[k];
		li.append(i, text);
		return li;
	}));
}

function begin() {
	const n = parties.length - 1;
	performance.mark("begun");
	$("about").textContent = `${D.from}: ${n} ${D.by}${n === 1 ? "" : "s"}` +
		(D.by === "pod" ? "" : ` of ${D.pods} pods`) + `, ${D.policies} policies; ` +
		(D.port === null ? "every port" : D.port) + `, IPv${D.family}. The world is ${D.world}.` +
		(D.rows.length < parties.length ? ` ${D.rows.length} rows, equal ones are folded.` : "");
	document.title = `Who reaches whom \u00b7 ${D.from}`;
	layOut(axis.from);
	layOut(axis.to);
	fit();
	theme(wish.matches);
	measure();
	draw();
	scroll.focus({ preventScroll: true });
	performance.mark("drawn");
}

window.ripstop = { axis, parties, kindAt, go: (r, c) => (move(r, c), explain()), KINDS, sentence, state: () => ({ size, active, headWidth, headHeight,
	left: scroll.scrollLeft, top: scroll.scrollTop }) };
begin();
