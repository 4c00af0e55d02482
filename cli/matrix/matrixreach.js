/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matrixreach.js - the first part of the page of `ripstop matrix -o html`: who reaches whom, and how it is said. The shape
 * of its data stands in matrixdata.c. The three parts run as one function, in the order of matrix.html.
 */
const D = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const NONE = 0, SOME = 1, ALL = 2, OPEN = 3, SELF = 4;
const KINDS = ["none", "some", "all", "open", "self"];
const S = (i) => (i < 0 ? "" : D.s[i]);

/* ---- who reaches whom ------------------------------------------------------------------------ */

const MIXED = -1;
const portLists = D.ports.slice(); // new ones are added as they are met
const numbers = new Map(portLists.map((v, i) => [v.join(), i]));
const joined = new Map();

function group(list) {
	const cells = new Map();
	for (let i = 0; i < list[5].length; i += 3)
		cells.set(list[5][i], i);
	return { isolated: !!list[0], over: !!list[1], policies: list[2], ports: list[3], why: list[4], raw: list[5], cells };
}
const outGroups = D.out.map(group), inGroups = D.in.map(group);

// What a group gives a unit: [ports, why], as numbers.
function half(g, unit) {
	if (!g)
		return [1, -1];
	let at = g.cells.get(unit[2]);
	if (at === undefined)
		at = g.cells.get(unit[3]);
	return at === undefined ? [g.ports, g.why] : [g.raw[at + 1], g.raw[at + 2]];
}

function both(a, b) {
	if (a === 0 || b === 1 || a === b)
		return a;
	if (b === 0 || a === 1)
		return b;
	const key = a < b ? a * 1e6 + b : b * 1e6 + a;
	let n = joined.get(key);
	if (n === undefined) {
		const x = portLists[a], y = portLists[b], v = [];
		for (let i = 0, j = 0; i < x.length && j < y.length;) {
			const lo = Math.max(x[i + 1], y[j + 1]), hi = Math.min(x[i + 2], y[j + 2]);
			if (x[i] === y[j] && lo <= hi)
				v.push(x[i], lo, hi);
			if (x[i] < y[j] || (x[i] === y[j] && x[i + 2] < y[j + 2]))
				i += 3;
			else
				j += 3;
		}
		n = numbers.get(v.join());
		if (n === undefined) {
			n = portLists.push(v) - 1;
			numbers.set(v.join(), n);
		}
		joined.set(key, n);
	}
	return n;
}

// The answer for the asked port: 1, 0, or MIXED where a range is open in part.
function asked(n, server) {
	const v = portLists[n], [, , , , proto, lo, hi] = server;
	let some = false;
	if (proto < 0)
		return 0;
	for (let i = 0; i < v.length; i += 3) {
		if (v[i] === 0)
			return 1;
		if (v[i] !== proto || v[i + 2] < lo || v[i + 1] > hi)
			continue;
		if (v[i + 1] <= lo && v[i + 2] >= hi)
			return 1;
		some = true;
	}
	return some ? MIXED : 0;
}

// A row of halves for each unit, made when it is first wanted: then a pair is two look-ups.
const outRows = new Map(), inRows = new Map();
function halves(rows, groups, at) {
	let v = rows.get(at);
	if (!v) {
		v = Int32Array.from(D.unit, (u) => half(groups[at], u)[0]);
		rows.set(at, v);
	}
	return v;
}

function reach(u, v) {
	const n = both(halves(outRows, outGroups, D.unit[u][0])[v], halves(inRows, inGroups, D.unit[v][1])[u]);
	return D.port === null ? n : asked(n, D.unit[v]);
}

const parties = D.party.map((p) => ({
	ns: S(p[0]), text: S(p[1]), kind: S(p[2]), labels: S(p[3]), row: p[4], alone: !!p[5], ends: p[6], units: p[7],
	find: (S(p[1]) + " " + S(p[3]) + " " + S(p[2])).toLowerCase(), isWorld: p[0] < 0, nsNumber: p[0],
}));

const isolatedOut = parties.map((p) => unitsOf(p).some((u) => outGroups[D.unit[u][0]]?.isolated));
const isolatedIn = parties.map((p) => unitsOf(p).some((u) => inGroups[D.unit[u][1]]?.isolated));

function unitsOf(p) {
	return p.units.filter((x, i) => i % 3 === 0);
}

function pairsOf(i, k) {
	const at = (parties[i].row * D.rows.length + parties[k].row) * 3;
	return D.pairs ? D.pairs.slice(at, at + 3) : null;
}

const mixedCells = new Map();
function mixedReach(i, k) {
	const key = i * parties.length + k;
	let n = mixedCells.get(key);
	if (n !== undefined)
		return n;
	for (const u of unitsOf(parties[i]))
		for (const v of unitsOf(parties[k])) {
			const x = reach(u, v);
			n = n === undefined || n === x ? x : MIXED;
		}
	mixedCells.set(key, n);
	return n;
}

function reachOf(i, k) {
	const a = parties[i].units, b = parties[k].units;
	return a.length === 3 && b.length === 3 ? reach(a[0], b[0]) : mixedReach(i, k);
}

// What colour a cell of two parties has.
function kindOf(i, k) {
	if (i === k && parties[i].alone)
		return SELF;
	if (D.pairs) {
		const [all, some, none] = pairsOf(i, k);
		if (!some && (!all || !none))
			return none ? NONE : !isolatedOut[i] && !isolatedIn[k] ? OPEN : ALL;
		return SOME;
	}
	const n = reachOf(i, k);
	if (n === 0)
		return NONE;
	if (n !== 1)
		return SOME;
	return !isolatedOut[i] && !isolatedIn[k] ? OPEN : ALL;
}

/* ---- words ----------------------------------------------------------------------------------- */

const PROTOS = { 0: "any", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" };

function range(proto, lo, hi) {
	const name = PROTOS[proto] || "proto " + proto;
	return lo === 0 && hi === 65535 ? name : name + "/" + (lo === hi ? lo : lo + "-" + hi);
}

function portsText(v) {
	const words = [];
	for (let i = 0; i < v.length; i += 3)
		words.push(i && v[i - 3] === v[i] ? words.pop() + "," + range(v[i], v[i + 1], v[i + 2]).split("/")[1]
			: range(v[i], v[i + 1], v[i + 2]));
	return words.join(" ") || "none";
}

function answerText(n) {
	if (D.port !== null)
		return D.port + (n === 1 ? " allowed" : n === 0 ? " denied" : " allowed for some");
	return n === MIXED ? "differs from pair to pair" : n === 0 ? "denied" : n === 1 ? "allowed, every port"
		: "allowed " + portsText(portLists[n]);
}

function cellText(i, k) {
	if (i === k && parties[i].alone)
		return "itself";
	const pairs = pairsOf(i, k);
	if (pairs && kindOf(i, k) === SOME)
		return `of ${pairs[0] + pairs[1] + pairs[2]} pairs ${pairs[0]} on every port, ${pairs[1]} on some, ` +
			`${pairs[2]} on none`;
	return answerText(reachOf(i, k)) + (kindOf(i, k) === OPEN ? ", no policy isolates them" : "");
}

function element(tag, className, text) {
	const e = document.createElement(tag);
	if (className)
		e.className = className;
	if (text !== undefined)
		e.textContent = text;
	return e;
}
