// The editor: a statement, its rows or its plan, and what was run before.

const ROWS_HELD_MAX = 500000;
const HISTORY_MAX = 100;

// ---- which statement is meant

/** Where the quoted text, quoted name or comment that begins at `at` ends; `at` if none begins there. */
function skipQuoted(text, at) {
    const two = text.slice(at, at + 2);
    if (two === "--") {
        const end = text.indexOf("\n", at);
        return end < 0 ? text.length : end;
    }
    if (two === "/*") {
        const end = text.indexOf("*/", at + 2);
        return end < 0 ? text.length : end + 2;
    }
    if (text[at] === "'" || text[at] === '"') {
        const end = text.indexOf(text[at], at + 1);
        return end < 0 ? text.length : end + 1;
    }
    const dollar = /^\$([A-Za-z_]\w*)?\$/.exec(text.slice(at, at + 70));
    if (dollar) {
        const end = text.indexOf(dollar[0], at + dollar[0].length);
        return end < 0 ? text.length : end + dollar[0].length;
    }
    return at;
}

/** The parts of a text between its semicolons: [{from, text}]. */
function splitStatements(text) {
    const parts = [];
    let from = 0;
    let at = 0;
    while (at <= text.length) {
        const next = at < text.length ? skipQuoted(text, at) : at;
        if (next > at) {
            at = next;
            continue;
        }
        if (at === text.length || text[at] === ";") {
            parts.push({ from, text: text.slice(from, at), end: at });
            from = at + 1;
        }
        at++;
    }
    return parts.filter((part) => part.text.trim() !== "");
}

/** What is selected, or else the statement that the cursor is in, or behind. */
function chosenStatement() {
    const editor = byId("sql");
    if (editor.selectionStart !== editor.selectionEnd) {
        return { from: editor.selectionStart, text: editor.value.slice(editor.selectionStart, editor.selectionEnd) };
    }
    const parts = splitStatements(editor.value);
    const cursor = editor.selectionStart;
    return parts.find((part) => cursor <= part.end + 1) ?? parts.at(-1) ?? { from: 0, text: "" };
}

// ---- what was run before, in this browser and by this person

const history_ = {
    key: () => `moat.history.${person.user}`,
    read() {
        try {
            const list = JSON.parse(localStorage.getItem(this.key()) ?? "[]");
            return Array.isArray(list) ? list : [];
        } catch {
            return [];
        }
    },
    /** What mentions a password or a key stays out, even misspelt. */
    add(entry) {
        if (/passw|secret|api\s*key/i.test(entry.sql)) return;
        const list = this.read().filter((old) => old.sql !== entry.sql);
        list.unshift({ ...entry, sql: entry.sql.slice(0, 20000) });
        try {
            localStorage.setItem(this.key(), JSON.stringify(list.slice(0, HISTORY_MAX)));
        } catch {
            // No place: it is not kept.
        }
    },
    clear() {
        localStorage.removeItem(this.key());
    },
    draw() {
        const list = this.read();
        byId("history-list").replaceChildren(...(list.length === 0 ? [make("li", { class: "empty" }, "Nothing yet.")] : list.map((entry) =>
            make("li", {}, make("button", { title: entry.sql, on: { click: () => useStatement(entry.sql) } },
                mark(entry.state), make("code", {}, entry.sql.replace(/\s+/g, " ").trim()),
                make("small", {}, `${formatDate(new Date(entry.at))}, ${formatMs(entry.ms)}`))))));
    },
};

function useStatement(sql) {
    const editor = byId("sql");
    editor.value = sql;
    showHistory(false);
    openTab("query");
    editor.focus();
}

function showHistory(isShown) {
    show(byId("history"), isShown);
    byId("history-button").setAttribute("aria-expanded", String(isShown));
    if (isShown) history_.draw();
}

// ---- a query

let current = null; // the query that the page shows
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

function setBusy(isBusy) {
    for (const id of ["run", "explain", "analyze"]) byId(id).disabled = isBusy;
    show(byId("cancel"), isBusy);
    byId("cancel").disabled = false;
    show(byId("progress"), isBusy);
}

function setProgress(percent) {
    const bar = byId("progress");
    const isKnown = percent !== undefined && percent > 0;
    bar.classList.toggle("unknown", !isKnown);
    byId("progress-bar").style.width = isKnown ? `${Math.min(100, percent)}%` : "";
    if (isKnown) bar.setAttribute("aria-valuenow", String(Math.round(percent)));
    else bar.removeAttribute("aria-valuenow");
}

function say(...parts) {
    byId("status").replaceChildren(...parts.filter((part) => part !== null));
}

/** A query of the server's that outlives its request: pages of rows, progress, and an end. */
class Query {
    constructor(sql) {
        this.sql = sql;
        this.begun = performance.now();
        this.isOver = false;
        this.isCancelled = false;
        this.rows = [];
    }

    get ms() {
        return performance.now() - this.begun;
    }

    async start() {
        const answer = await ask("POST", "/v1/sql", { sql: this.sql, async: true, numbers: "text" });
        this.id = answer.id;
        this.next = answer.next;
        if (this.isCancelled) await this.drop();
    }

    /** The next page that has something to say. */
    async page() {
        for (;;) {
            const page = await ask("GET", `${this.next}?wait=1000`);
            this.next = page.next;
            this.columns ??= page.columns;
            this.tag = page.tag ?? this.tag;
            this.notice = page.notice ?? this.notice;
            for (const row of page.rows) this.rows.push(row);
            this.isOver = page.next === undefined;
            if (page.error) {
                this.isOver = true;
                throw new Refusal(page.error, 200);
            }
            if (this.isOver || page.rows.length > 0) return;
        }
    }

    async watch() {
        while (!this.isOver && current === this && this.isWaiting) {
            await sleep(400);
            if (this.isOver || current !== this || !this.isWaiting) return;
            const state = await ask("GET", `/v1/queries/${this.id}`).catch(() => null);
            if (current !== this || !this.isWaiting) return;
            setProgress(state?.progress);
            say(make("span", {}, `${state?.state ?? "running"}, ${formatMs(this.ms)}`));
        }
    }

    async drop() {
        this.isCancelled = true;
        if (this.id !== undefined && !this.isOver) {
            this.isOver = true;
            await ask("DELETE", `/v1/queries/${this.id}`).catch(() => null);
        }
    }

    async more() {
        if (this.rows.length >= ROWS_HELD_MAX) {
            say(make("span", {}, `The page holds no more than ${formatCount(ROWS_HELD_MAX)} rows: ask for fewer.`));
            return true;
        }
        try {
            await this.page();
        } catch (failure) {
            byId("answer").append(errorBox(failure, this.sql));
        }
        return this.isOver;
    }
}

function drawRows(query) {
    const grid = new Grid(query.columns, {
        isNumbered: true, label: "Result", more: query.isOver ? undefined : () => query.more(),
    });
    byId("answer").replaceChildren(grid.setRows(query.rows).element);
}

function drawEnd(query, ms) {
    const count = query.columns === undefined ? null
        : make("span", {}, `${formatCount(query.rows.length)}${query.isOver ? "" : "+"} ${query.rows.length === 1 ? "row" : "rows"}`);
    say(make("span", { class: "good" }, query.tag ?? "Done"), count, make("span", {}, formatMs(ms)),
        query.notice ? make("span", {}, query.notice) : null);
}

function showFailure(query, failure, from) {
    const isCancel = failure.error?.sqlstate === "57014" || query.isCancelled;
    if (isCancel) {
        say(make("span", {}, `Cancelled after ${formatMs(query.ms)}`));
        return "cancelled";
    }
    say(make("span", {}, `Failed after ${formatMs(query.ms)}`));
    byId("answer").replaceChildren(errorBox(failure, query.sql));
    if (from !== undefined && failure.error?.position !== undefined) {
        const at = from + offsetOfCharacter(query.sql, failure.error.position);
        byId("sql").setSelectionRange(at, at);
    }
    return "failed";
}

/** Runs `prefix` and what is chosen in the editor; `draw` makes the answer of it. */
async function runChosen(prefix, draw) {
    const chosen = chosenStatement();
    const statement = chosen.text.trim();
    if (statement === "" || byId("run").disabled) return;
    const from = prefix === "" ? chosen.from + chosen.text.indexOf(statement) : undefined;
    void current?.drop();
    const query = new Query(prefix + statement);
    current = query;
    query.isWaiting = true;
    setBusy(true);
    setProgress(undefined);
    say(make("span", {}, "starting"));
    byId("answer").replaceChildren();
    let state = "done";
    try {
        await query.start();
        void query.watch();
        await query.page();
        query.isWaiting = false;
        const ms = query.ms;
        if (query.columns !== undefined) draw(query);
        drawEnd(query, ms);
    } catch (failure) {
        state = showFailure(query, failure, from);
    } finally {
        query.isWaiting = false;
        setBusy(false);
        if (prefix === "") history_.add({ sql: statement, at: Date.now(), ms: query.ms, state });
        if (!byId("history").hidden) history_.draw();
    }
}

const runQuery = () => runChosen("", drawRows);
const explainQuery = (prefix) => runChosen(prefix, (query) => byId("answer").replaceChildren(planOf(query.rows.map((row) => row[0]))));

// ---- plans

/** "  NAME (12 rows)  what": lines of the engine's plan, by how far they stand in. */
function planLine(line) {
    const found = /^( *)([A-Z][A-Z_0-9]*)( \([^)]*\))?(?:(?:  |; )(.*))?$/.exec(line);
    return found && { depth: found[1].length / 2, name: found[2], rows: found[3]?.trim().slice(1, -1), what: found[4] };
}

function planOf(lines) {
    const box = make("div", { class: "plan" });
    const lists = [];
    for (const line of lines) {
        const step = planLine(line);
        if (step === null) {
            box.append(make("div", { class: "note" }, line));
            lists.length = 0;
            continue;
        }
        lists.length = Math.min(lists.length, step.depth + 1);
        while (lists.length <= step.depth) {
            const list = make("ul");
            (lists.at(-1)?.lastElementChild ?? box).append(list);
            lists.push(list);
        }
        lists.at(-1).append(make("li", {}, make("span", { class: "op" }, step.name.replaceAll("_", " ")),
            step.rows ? make("span", { class: "rows" }, step.rows) : null,
            step.what ? make("span", { class: "what" }, step.what) : null));
    }
    return box;
}

function startQueries() {
    byId("run").addEventListener("click", runQuery);
    byId("explain").addEventListener("click", () => explainQuery("EXPLAIN "));
    byId("analyze").addEventListener("click", () => explainQuery("EXPLAIN ANALYZE "));
    byId("cancel").addEventListener("click", () => {
        byId("cancel").disabled = true;
        void current?.drop();
    });
    byId("history-button").addEventListener("click", () => showHistory(byId("history").hidden));
    byId("history-clear").addEventListener("click", () => {
        history_.clear();
        history_.draw();
    });
    byId("view-query").addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            void runQuery();
        } else if (event.key === "Escape" && !byId("cancel").hidden) {
            byId("cancel").click();
        }
    });
}
