// What runs now and what ran: one's own, and everybody's for those who may.

/** The pages' own lists say what they are, and stay out of themselves. */
const RUNNING = `SELECT /* console */ pid, "user", state, protocol, application_name, started_at, rows_out, statement
    FROM moat_system.running_queries WHERE statement NOT LIKE 'SELECT /* console */%' ORDER BY started_at`;
const PAST = `SELECT /* console */ finished_at, "user", state, sqlstate, rows_out, duration_us, statement
    FROM moat_system.queries WHERE statement IS NULL OR statement NOT LIKE 'SELECT /* console */%' ORDER BY finished_at DESC LIMIT 300`;

const columnsNamed = (...names) => names.map((name) => ({ name, isPlain: true, type: /^(Rows|Number|Time taken)$/.test(name) ? "BIGINT" : "" }));

/** What asks, and through which door: of a browser that it is one. */
function programName(protocol, application) {
    const name = /^Mozilla\//.test(application ?? "") ? "browser" : (application ?? "").slice(0, 40);
    return [protocol, name].filter(Boolean).join(" · ");
}

async function stopQuery(button, pid) {
    button.disabled = true;
    try {
        const answer = await ask_rows("SELECT pg_cancel_backend($1)", pid);
        button.textContent = answer.rows[0][0] === true ? "Stopped" : "Gone";
    } catch (failure) {
        button.textContent = "Failed";
        button.title = failure.message;
    }
}

function drawRunning(rows) {
    if (rows.length === 0) return make("div", { class: "grid-box empty" }, "Nothing runs.");
    const columns = [{ name: "", isPlain: true, isButton: true }, ...columnsNamed("Person", "State"),
        { name: "Statement", isPlain: true, isWide: true }, ...columnsNamed("Since", "Rows", "By")];
    return tableOf(columns, rows.map((row) => [row[0], row[1], row[2], row[7], formatTime(row[5]), row[6], programName(row[3], row[4])]), {
        label: "Running queries",
        draw(column, value, row) {
            if (column.name === "State") return mark(value);
            if (!column.isButton) return null;
            const button = make("button", { class: "small danger", "aria-label": `Stop the query of ${row[1]}` }, "Stop");
            button.addEventListener("click", () => stopQuery(button, value));
            return button;
        },
    });
}

/** Those who are not granted the list of all have what this browser remembers of theirs. */
function ownPast() {
    const rows = history_.read().map((entry) => [formatDate(new Date(entry.at)), person.user, entry.state, formatMs(entry.ms), entry.sql]);
    const note = make("p", { class: "dim" }, "Your own, as this browser remembers them. Those of everybody are in moat_system.queries, for who is granted it.");
    if (rows.length === 0) return [note];
    return [note, pastTable(rows)];
}

function pastTable(rows) {
    const columns = [{ name: "", isPlain: true, isButton: true }, ...columnsNamed("Ended", "Person", "State", "Time taken"),
        { name: "Statement", isPlain: true, isWide: true }];
    return tableOf(columns, rows.map((row) => [row[4], ...row]), {
        label: "Past queries",
        draw(column, value) {
            if (column.name === "State") return mark(value);
            return column.isButton && value
                ? make("button", { class: "small", on: { click: () => useStatement(value) } }, "Use") : null;
        },
    });
}

const isHidden = (failure) => ["42P01", "42501", "3F000"].includes(failure.error?.sqlstate);

async function refreshRunning() {
    try {
        const running = await ask_rows(RUNNING);
        const kept = byId("running");
        if (!kept.contains(document.activeElement)) kept.replaceChildren(drawRunning(running.rows));
    } catch (failure) {
        byId("running").replaceChildren(errorBox(failure));
    }
}

async function refreshPast() {
    try {
        const past = await ask_rows(PAST);
        byId("past").replaceChildren(pastTable(past.rows.map((row) =>
            [formatTime(row[0]), row[1], row[2], row[5] === null ? "" : formatMs(Number(row[5]) / 1000), row[6] ?? ""])));
    } catch (failure) {
        byId("past").replaceChildren(...(isHidden(failure) ? ownPast() : [errorBox(failure)]));
    }
}

let activityTimer = null;

async function openActivity() {
    await Promise.all([refreshRunning(), refreshPast()]);
    clearInterval(activityTimer);
    activityTimer = setInterval(() => {
        if (byId("activity-live").checked && !byId("view-activity").hidden && person.user !== null && !document.hidden) void refreshRunning();
    }, 3000);
}

function closeActivity() {
    clearInterval(activityTimer);
}

function startActivity() {
    byId("activity-refresh").addEventListener("click", () => {
        byId("activity-refresh").blur();
        void openActivity();
    });
}
