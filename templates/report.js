// SPDX-License-Identifier: MIT
// The table of calls. What it shows is in the address (#form=trampoline&sort=key&down=1&page=2), so a link can be
// kept or sent, and the browser's back button works. Text goes in by textContent alone.
"use strict";
(() => {
	const PAGE = 200;
	const [PATH, LINE, COLUMN, FUNCTION, KEYS, FORM, FATE, LEVEL, CODES, WHY, TEXT, CARET, BECAME] = Array(13).keys();
	const { sites, titles } = JSON.parse(document.getElementById("data").textContent);
	const byId = (id) => document.getElementById(id);
	const form = byId("filters"), table = byId("calls"), body = table.tBodies[0], pages = byId("pages");

	const facets = {
		file: (s) => [s[PATH]], key: (s) => s[KEYS], form: (s) => [s[FORM]], code: (s) => s[CODES],
	};
	// Without a prototype: what the address asks for must not find what every object has.
	const orders = {
		__proto__: null,
		place: () => "", function: (s) => s[FUNCTION], key: (s) => s[KEYS].join(" "), form: (s) => s[FORM],
		why: (s) => s[CODES].join(" "),
	};

	const asked = () => new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
	function ask(changes) {
		const now = asked();
		for (const [name, value] of Object.entries(changes))
			value ? now.set(name, value) : now.delete(name);
		// Typing must not fill the history.
		history.replaceState(null, "", "#" + now.toString().replaceAll("+", "%20"));
		show();
	}

	const sorted = (now) => now.get("sort") in orders ? now.get("sort") : "place";

	function chosen(now) {
		const words = (now.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
		const wanted = Object.entries(facets).filter(([name]) => now.get(name));
		const found = sites.filter((s) => wanted.every(([name, of]) => of(s).includes(now.get(name))) &&
			(!words.length || words.every((word) => searched(s).includes(word))));
		const order = orders[sorted(now)], sign = now.get("down") ? -1 : 1;
		const keyed = found.map((s, i) => [order(s), i, s]);
		keyed.sort((a, b) => sign * (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : order === orders.place ? a[1] - b[1] : 0) ||
			a[1] - b[1]);
		return keyed.map((k) => k[2]);
	}
	const texts = new Map();
	function searched(s) {
		if (!texts.has(s))
			texts.set(s, [`${s[PATH]}:${s[LINE]}:${s[COLUMN]}`, s[FUNCTION], s[KEYS], s[FORM], s[FATE], s[CODES], s[WHY],
				s[TEXT], s[BECAME]].flat().join("\n").toLowerCase());
		return texts.get(s);
	}

	function make(name, text, className) {
		const node = document.createElement(name);
		if (text)
			node.textContent = text;
		if (className)
			node.className = className;
		return node;
	}
	function row(s) {
		const line = make("tr", "", s[LEVEL]), where = make("td"), why = make("td"), what = make("td");
		where.append(make("code", `${s[PATH]}:${s[LINE]}:${s[COLUMN]}`));
		if (s[TEXT] !== null) {
			// The blanks before the line say nothing here; a caret has the same before it.
			const cut = s[TEXT].length - s[TEXT].trimStart().length, source = make("pre", s[TEXT].slice(cut) + "\n");
			source.append(make("span", s[CARET].slice(Math.min(cut, s[CARET].length - 1)), "caret"));
			if (s[BECAME])
				source.append("\n", make("span", "→ " + s[BECAME], "became"));
			where.append(source);
		}
		what.append(make("span", s[FORM], "form " + s[FORM].replaceAll(" ", "-")));
		if (s[FATE] !== s[FORM] && s[FATE] !== "rewritten")
			why.append(make("div", s[FATE], "became"));
		s[WHY].forEach((text, i) => {
			const reason = make("div", text + " "), code = make("abbr", s[CODES][i]);
			code.title = titles[s[CODES][i]];
			reason.append(code);
			why.append(reason);
		});
		const fn = make("td"), key = make("td");
		fn.append(make("code", s[FUNCTION]));
		key.append(make("code", s[KEYS].join(", ")));
		line.append(where, fn, key, what, why);
		return line;
	}

	function show() {
		const now = asked(), found = chosen(now), last = Math.max(1, Math.ceil(found.length / PAGE));
		const page = Math.min(last, Math.max(1, parseInt(now.get("page"), 10) || 1));
		body.replaceChildren(...found.slice((page - 1) * PAGE, page * PAGE).map(row));
		for (const name of ["q", ...Object.keys(facets)]) {
			const input = form.elements[name], value = now.get(name) || "";
			if (input !== document.activeElement || input.value.trim() !== value)
				input.value = value;
		}
		const count = (n) => n.toLocaleString("en");
		byId("shown").textContent = !sites.length ? "The sources of this run have no static calls." :
			found.length === sites.length ? `All ${count(sites.length)} calls` :
			`${count(found.length)} of ${count(sites.length)} calls`;
		for (const button of table.tHead.querySelectorAll("button")) {
			const head = button.parentNode;
			if (sorted(now) === button.dataset.sort)
				head.setAttribute("aria-sort", now.get("down") ? "descending" : "ascending");
			else
				head.removeAttribute("aria-sort");
		}
		pages.hidden = last === 1;
		pages.querySelector("span").textContent = `Page ${count(page)} of ${count(last)}`;
		for (const button of pages.querySelectorAll("button")) {
			const to = page + Number(button.dataset.step);
			button.disabled = to < 1 || to > last;
			button.onclick = () => { ask({ page: String(to) }); table.scrollIntoView(); };
		}
	}

	for (const [name, of] of Object.entries(facets)) {
		const counts = new Map();
		for (const value of sites.flatMap(of))
			counts.set(value, (counts.get(value) || 0) + 1);
		form.elements[name].append(new Option("all", ""), ...[...counts].sort((a, b) => a[0] < b[0] ? -1 : 1)
			.map(([value, n]) => new Option(`${value} (${n})`, value)));
		form.elements[name].addEventListener("change", (event) => ask({ [name]: event.target.value, page: "" }));
	}
	let waiting;
	form.elements.q.addEventListener("input", (event) => {
		clearTimeout(waiting);
		waiting = setTimeout(() => ask({ q: event.target.value.trim(), page: "" }), 120);
	});
	form.addEventListener("submit", (event) => event.preventDefault());
	form.addEventListener("reset", () => ask({ q: "", file: "", key: "", form: "", code: "", page: "" }));
	table.tHead.addEventListener("click", (event) => {
		const sort = event.target.dataset.sort, now = asked();
		if (sort)
			ask({ sort, down: sorted(now) === sort && !now.get("down") ? "1" : "", page: "" });
	});
	// The focus goes along, or the next Tab would lead back up to behind the link.
	const enter = () => { byId("calls-h").focus(); byId("calls-h").scrollIntoView(); };
	window.addEventListener("hashchange", () => { show(); enter(); });
	document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); enter(); });

	// Light or dark: as the system has it, until the button says otherwise. A page from a file may have no storage.
	const theme = byId("theme"), root = document.documentElement;
	const stored = (value) => {
		try {
			return value ? localStorage.setItem("theme", value) : localStorage.getItem("theme");
		} catch {
			return null;
		}
	};
	const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
	const name = () => { theme.textContent = dark() ? "Light theme" : "Dark theme"; };
	root.dataset.theme = asked().get("theme") || stored() || "";
	theme.addEventListener("click", () => {
		root.dataset.theme = dark() ? "light" : "dark";
		stored(root.dataset.theme);
		name();
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
	name();

	form.hidden = theme.hidden = !sites.length;
	table.hidden = !sites.length;
	theme.hidden = false;
	show();
})();
