"use strict";
// The last calls of each write key, newest first. What came from outside is set
// as text only.
const byId = (id) => document.getElementById(id);
const calls = [];
let last = 0, chosen = null, paused = false, token = "";

function make(tag, className, ...children) {
	const e = document.createElement(tag);
	if (className) e.className = className;
	e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
	return e;
}

const named = (source) => source === "" ? "no key of ours" : source;

function showSources(sources) {
	const all = [null, ...sources];
	if (calls.some((c) => c.source === "")) all.push("");
	byId("sources").replaceChildren(...all.map((source) => {
		const b = make("button", "", source === null ? "all" : named(source));
		b.setAttribute("aria-pressed", String(source === chosen));
		b.onclick = () => { chosen = source; draw(sources); };
		return b;
	}));
}

// body is the part of an event that says what it is.
const body = (event) => Object.keys(event).find((k) => event[k] !== null && typeof event[k] === "object" && !Array.isArray(event[k])) || "";

function showItem(item) {
	const became = item.became.map(body).filter((k) => k && k !== item.type);
	const notes = (item.notes || []).map((n) => make("li", "", make("code", "", n.field), ": ", n.costs));
	return make("div", "item",
		item.customer ? make("span", "who", "→ customer ", make("b", "", item.customer)) : "",
		make("h2", "", item.name || item.type),
		make("span", "kind", " ", item.name ? item.type : "", became.length ? " became " + became.join(", ") : ""),
		notes.length ? make("ul", "notes", ...notes) : "",
		item.became.length ? make("details", "", make("summary", "", "what was understood"),
			...item.became.map((b) => make("pre", "", JSON.stringify(b, null, 1)))) : "");
}

function showCall(call) {
	const ok = call.status === 200;
	const problems = call.problems || [];
	return make("article", ok ? "" : "refused",
		make("div", "head", make("span", "status", String(call.status)), make("b", "", call.path), make("span", "", named(call.source)),
			make("time", "", new Date(call.at).toLocaleTimeString()), make("span", "", call.bytes ? call.bytes + " bytes" : ""),
			make("span", "", call.origin || ""), make("span", "", call.agent || "")),
		problems.length
			? make("ul", "error", ...problems.map((p) => make("li", "", make("code", "", p.field), ": got ", p.got, ", want ", p.want)))
			: call.error ? make("p", "error", call.error) : "",
		...call.items.map(showItem),
		call.left ? make("p", "kind", "and " + call.left + " more, not kept") : "");
}

function draw(sources) {
	showSources(sources);
	const shown = calls.filter((c) => chosen === null || c.source === chosen).slice(-50).reverse();
	byId("calls").replaceChildren(...shown.map((c) => c.shown ??= showCall(c))); // what is unfolded stays so
}

async function poll() {
	const answer = await fetch("calls?after=" + last, { headers: token ? { Authorization: "Bearer " + token } : {}, cache: "no-store" });
	if (answer.status === 401) {
		byId("login").hidden = false;
		byId("state").textContent = "Who may see this has admin.token.";
		return false;
	}
	if (!answer.ok) throw new Error(await answer.text());
	byId("login").hidden = true;
	const told = await answer.json();
	if (told.last < last) { last = 0; calls.length = 0; } // the collector began anew
	if (told.calls.length || !byId("sources").children.length) {
		last = told.last;
		calls.push(...told.calls);
		calls.splice(0, calls.length - 50 * (told.sources.length + 1));
		draw(told.sources);
	}
	byId("state").textContent = calls.length ? "live" : "Waiting for the first call.";
	return true;
}

async function run() {
	for (;;) {
		try {
			if (!paused && !document.hidden && !await poll()) return;
		} catch (e) {
			byId("state").textContent = "The collector does not answer: " + e.message;
		}
		await new Promise((r) => setTimeout(r, 1000));
	}
}

byId("pause").onclick = (e) => {
	paused = !paused;
	e.target.textContent = paused ? "Go on" : "Pause";
	if (paused) byId("state").textContent = "paused";
};
byId("login").onsubmit = (e) => {
	e.preventDefault();
	token = byId("login").querySelector("input").value;
	run();
};
run();
