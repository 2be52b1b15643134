// Gauges of the server, for who looks after it; and sessions: one's own, or all.

const SESSIONS = `SELECT /* console */ pid, "user", protocol, client, application_name, state, connected_at, statement, is_self
    FROM moat_system.sessions ORDER BY connected_at`;

/** Prometheus' text as a map of "name{labels}" to numbers. */
function parseMetrics(text) {
    const values = new Map();
    for (const line of text.split("\n")) {
        const at = line.lastIndexOf(" ");
        if (line !== "" && !line.startsWith("#") && at > 0) values.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
    return values;
}

function gauge(value, name, part) {
    const box = make("div", { class: "gauge" }, make("strong", {}, value), make("span", {}, name));
    if (part !== undefined && part.max > 0) {
        const meter = make("meter", { min: "0", max: String(part.max), value: String(part.value), high: String(part.max * 0.85), "aria-label": name });
        box.append(meter);
    }
    return box;
}

/** Mean of a histogram, in text. */
function mean(values, name) {
    const count = values.get(`${name}_count`) ?? 0;
    return count === 0 ? "—" : formatMs(((values.get(`${name}_sum`) ?? 0) / count) * 1000);
}

function drawGauges(values) {
    const of = (name) => values.get(name) ?? 0;
    const sum = (prefix) => [...values].filter(([name]) => name === prefix || name.startsWith(`${prefix}{`)).reduce((all, [, value]) => all + value, 0);
    const memoryMax = of("moat_admission_memory_limit_bytes");
    const placesMax = of("moat_admission_places_limit");
    const running = of('moat_queries_active{state="running"}');
    const hosts = ["busy", "idle", "starting", "draining"].map((state) => [state, of(`moat_engine_hosts{state="${state}"}`)]);
    return [
        gauge(formatCount(of("moat_sessions")), "sessions"),
        gauge(placesMax > 0 ? `${running} of ${placesMax}` : String(running), "statements running", { value: running, max: placesMax }),
        gauge(formatCount(of('moat_queries_active{state="queued"}')), "statements waiting"),
        gauge(formatBytes(of("moat_admission_memory_bytes")), memoryMax > 0 ? `granted of ${formatBytes(memoryMax)}` : "memory granted",
            { value: of("moat_admission_memory_bytes"), max: memoryMax }),
        gauge(formatBytes(of("moat_engine_memory_bytes")), "memory of the engine"),
        gauge(formatBytes(of("moat_engine_spill_bytes")), "spilled to disk"),
        gauge(formatCount(hosts.reduce((all, [, count]) => all + count, 0)),
            `engine hosts: ${hosts.filter(([, count]) => count > 0).map(([state, count]) => `${count} ${state}`).join(", ") || "none"}`),
        gauge(formatCount(sum("moat_queries_total")), "statements ended"),
        gauge(mean(values, "moat_query_plan_seconds"), "to plan one, mean"),
        gauge(mean(values, "moat_query_run_seconds"), "to run one, mean"),
        gauge(formatBytes(of("moat_query_read_bytes_total")), "read from tables"),
        gauge(formatCount(sum("moat_policy_denied_total")), "statements denied"),
        gauge(of("moat_audit_writable") === 1 ? "writable" : "not writable", `audit trail, ${formatCount(of("moat_audit_records_total"))} records`),
    ];
}

async function refreshGauges() {
    try {
        byId("gauges").replaceChildren(...drawGauges(parseMetrics(await ask("GET", "/v1/metrics"))));
    } catch (failure) {
        byId("gauges").replaceChildren(isHidden(failure)
            ? make("p", { class: "dim" }, "Gauges are for the owner, moat_admin and moat_operator.") : errorBox(failure));
    }
}

async function endSession(button, pid) {
    button.disabled = true;
    try {
        const answer = await ask_rows("SELECT pg_terminate_backend($1)", pid);
        button.textContent = answer.rows[0][0] === true ? "Ended" : "Gone";
    } catch (failure) {
        button.textContent = "Failed";
        button.title = failure.message;
    }
}

async function refreshSessions() {
    try {
        const answer = await ask_rows(SESSIONS);
        const rows = answer.rows.filter((row) => !row[8]).map((row) =>
            [row[0], row[1], programName(row[2], row[4]), row[3], row[5], formatTime(row[6]), row[7] ?? ""]);
        byId("sessions").replaceChildren(rows.length === 0 ? make("div", { class: "grid-box empty" }, "No other session.")
            : tableOf([{ name: "", isPlain: true, isButton: true }, ...columnsNamed("Person", "By", "From", "State", "Since"),
                { name: "Statement", isPlain: true, isWide: true }], rows, {
                label: "Sessions",
                draw(column, value, row) {
                    if (column.name === "State") return mark(value);
                    if (!column.isButton) return null;
                    const button = make("button", { class: "small danger", "aria-label": `End the session of ${row[1]}` }, "End");
                    button.addEventListener("click", () => endSession(button, value));
                    return button;
                },
            }));
    } catch (failure) {
        byId("sessions").replaceChildren(errorBox(failure));
    }
}

const openSystem = () => Promise.all([refreshGauges(), refreshSessions()]);

function startSystem() {
    byId("system-refresh").addEventListener("click", openSystem);
}
