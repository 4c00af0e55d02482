/* SPDX-License-Identifier: Apache-2.0 */
/* matrixwhy.js - the second part of the page: why a cell is what it is. All text goes in as text, never as markup. */
/* ---- the explanation ------------------------------------------------------------------------- */

function ruleName(i) {
	const [policy, dir, index] = D.rule[i];
	return `${S(D.policy[policy][0])} spec.${dir ? "egress" : "ingress"}[${index}]`;
}

function ruleLine(i, tag) {
	const e = element(tag, ""), r = D.rule[i];
	e.append(element("code", "", ruleName(i)), ` allows ${S(r[5])} ${r[1] ? "to" : "from"} ${S(r[4])} `);
	if (r[3] >= 0)
		e.append(element("span", "where", S(r[3])));
	return e;
}

// A rule for the asked port first, then one that holds this peer; of alike ones the one whose peers come nearer.
function closest(rules, why, peer) {
	const met = new Set();
	for (let i = 0; i < why.length; i += 4)
		met.add(why[i + 3]);
	const rank = (i) => {
		const r = D.rule[i], near = peer.isWorld ? r[9] : r[7].some((n) => D.near[n].includes(peer.nsNumber)) ? 3 : r[8];
		return (r[6] ? 8 : met.has(i) ? 4 : 1) + (met.has(i) ? 3 : near);
	};
	return rules.reduce((best, i) => (rank(i) > rank(best) ? i : best));
}

function explainAllowed(s, why) {
	const list = element("ul");
	for (let i = 0; i < why.length; i += 4) {
		if (why[i + 3] < 0)
			continue;
		const li = ruleLine(why[i + 3], "li");
		li.prepend(element("b", "", range(why[i], why[i + 1], why[i + 2])), " by ");
		list.append(li);
	}
	if (list.children.length)
		s.append(list);
}

function names(list) {
	return list.length < 3 ? list.join(" and ") : list.slice(0, -1).join(", ") + " and " + list[list.length - 1];
}

function explainHalf(title, dir, g, peer, unit, server) {
	const s = element("section"), h = element("h3", "", `${dir ? "Egress" : "Ingress"} of ${title}: `);
	s.append(h);
	if (!g) {
		h.append(element("span", "quiet", "not judged"));
		s.append(element("p", "quiet", `${title} is no pod: no policy judges it there.`));
		return s;
	}
	const [given, whyNumber] = half(g, unit), why = D.why[whyNumber], n = D.port === null ? given : asked(given, server);
	const policies = g.policies.map((i) => S(D.policy[i][0]));
	const rules = g.policies.flatMap((i) => D.policy[i][dir ? 3 : 2]);
	h.append(n === 0 ? element("span", "no", "DENY") : n === 1 ? element("span", "yes", "ALLOW")
		: element("span", "part", "ALLOW " + (D.port === null ? portsText(portLists[n]) : "some of " + D.port)));
	if (!g.isolated) {
		s.append(element("p", "", `No policy isolates its ${dir ? "egress" : "ingress"}.`));
		return s;
	}
	if (g.over) {
		s.append(element("p", "", "Its policies need more cells than can be enforced: everything is denied."));
		return s;
	}
	s.append(element("p", "", policies.length ? `Isolated by ${names(policies)}.`
		: "Nobody knows its labels, so it is closed."));
	if (n === 0 && rules.length) {
		const what = (D.port === null ? "" : D.port + (dir ? " to " : " from ")) + peer.text;
		const p = element("p", "", `None of ${policies.length === 1 ? "its" : "their"} rules allows ${what}. Closest: `);
		p.append(ruleLine(closest(rules, why, peer.party), "span"));
		s.append(p);
		if (peer.party.labels)
			s.append(element("p", "quiet", `${peer.text} has ${peer.party.labels}`));
	} else if (n === 0) {
		s.append(element("p", "", `They have no ${dir ? "egress" : "ingress"} rule: a policy is needed that allows ${peer.text}.`));
	} else {
		explainAllowed(s, why);
	}
	if (rules.length > 1) {
		const more = element("details"), list = element("ul");
		more.append(element("summary", "", `All ${rules.length} ${dir ? "egress" : "ingress"} rules of its policies`), list);
		more.addEventListener("toggle", () => {
			if (more.open && !list.children.length)
				list.append(...rules.slice(0, 200).map((i) => ruleLine(i, "li")));
		});
		s.append(more);
	}
	return s;
}

function explainPair(box, i, k, u, v, from, to) {
	const a = D.unit[u], b = D.unit[v], n = reach(u, v);
	box.append(element("p", "verdict " + (n === 0 ? "no" : n === 1 ? "yes" : "part"),
		D.port !== null ? answerText(n).replace(/ (allowed|denied)/, (w) => w.toUpperCase())
			: n === 0 ? "DENIED on every port" : n === 1 ? "ALLOWED on every port"
			: "ALLOWED on " + portsText(portLists[n]) + " only"));
	box.append(explainHalf(from, 1, outGroups[a[0]], { text: to, party: parties[k] }, b, b),
		explainHalf(to, 0, inGroups[b[1]], { text: from, party: parties[i] }, a, b));
	const v0 = portLists[both(half(outGroups[a[0]], b)[0], half(inGroups[b[1]], a)[0])];
	const port = D.port || (n !== 0 && v0[0] ? range(v0[0], v0[1] || 1, v0[1] || 1) : "PORT");
	const word = (p, text) => (p.isWorld ? "world" : text);
	if (parties[i].kind !== "Namespace" && parties[k].kind !== "Namespace")
		box.append(element("code", "cmd", `ripstop explain ${word(parties[i], from)} ${word(parties[k], to)} ${port}`));
}

// Pairs of a cell whose units do not agree, most frequent answer first.
function explainMixed(box, i, k) {
	const sorts = new Map(), A = parties[i], B = parties[k];
	for (let x = 0; x < A.units.length; x += 3)
		for (let y = 0; y < B.units.length; y += 3) {
			const u = A.units[x], v = B.units[y];
			const pairs = i === k && u === v ? (A.ends === 1 ? 1 : A.units[x + 1] * (A.units[x + 1] - 1))
				: A.units[x + 1] * B.units[y + 1];
			if (!pairs)
				continue;
			const n = reach(u, v), s = sorts.get(n) || { n, pairs: 0, u, v, from: A.units[x + 2], to: B.units[y + 2] };
			s.pairs += pairs;
			sorts.set(n, s);
		}
	const list = [...sorts.values()].sort((p, q) => q.pairs - p.pairs), detail = element("div");
	const full = (p, name) => (name < 0 ? p.text : `${p.ns}/${S(name)}`);
	box.append(element("p", "quiet", `The pairs of this cell do not agree: ${list.length} different answers. Choose one:`));
	for (const s of list.slice(0, 40)) {
		const b = element("button", "pick", `${s.pairs} pair${s.pairs === 1 ? "" : "s"}: ${answerText(s.n)}`);
		b.type = "button";
		b.onclick = () => {
			detail.replaceChildren(element("h2", "", `${full(A, s.from)} \u2192 ${full(B, s.to)}`));
			explainPair(detail, i, k, s.u, s.v, full(A, s.from), full(B, s.to));
		};
		box.append(b);
	}
	if (list.length > 40)
		box.append(element("p", "quiet", `and ${list.length - 40} more`));
	box.append(detail);
}

function explain() {
	const box = $("why"), [r, c] = active, close = element("button", "close", "\u00d7");
	if (r >= axis.from.lines.length || c >= axis.to.lines.length)
		return;
	const [i, k] = pairAt(r, c), a = axis.from.lines[r], b = axis.to.lines[c];
	close.type = "button";
	close.setAttribute("aria-label", "Close the explanation (Escape)");
	close.onclick = () => shut();
	box.replaceChildren(close, element("h2", "", `${parties[i].text} \u2192 ${parties[k].text}`));
	const others = [[a, "client"], [b, "server"]].filter(([l]) => l.fold)
		.map(([l, word]) => `for ${l.hit.length - 1} more as ${word}`);
	if (others.length)
		box.append(element("p", "quiet", `The same ${others.join(" and ")}.`));
	if (i === k && parties[i].alone) {
		box.append(element("p", "", parties[i].isWorld ? "Two ends outside: nobody here judges it."
			: "A pod reaches itself, always."));
	} else if (reachOf(i, k) === MIXED && (parties[i].units.length > 3 || parties[k].units.length > 3)) {
		explainMixed(box, i, k);
	} else {
		explainPair(box, i, k, parties[i].units[0], parties[k].units[0], parties[i].text, parties[k].text);
	}
	if (box.hidden) {
		box.hidden = false;
		chosen = true;
		measure();
		move(...active);
	}
	box.scrollTop = 0;
}

function shut() {
	$("why").hidden = true;
	chosen = false;
	measure();
	scroll.focus();
	later();
}
