// Search in the audit trail, for who may read it. What is typed goes to the server as parameters.

const AUDIT_MAX = 500;

async function openAudit() {
    const kinds = byId("audit-kind");
    if (kinds.options.length > 1) return;
    try {
        const answer = await ask_rows("SELECT /* console */ DISTINCT kind FROM moat_system.audit ORDER BY kind");
        kinds.append(...answer.rows.map((row) => make("option", { value: row[0] }, row[0])));
        await searchAudit();
    } catch (failure) {
        byId("audit-status").replaceChildren();
        byId("audit-answer").replaceChildren(isHidden(failure)
            ? make("p", { class: "dim" }, "The audit trail is for who is granted moat_system.audit.") : errorBox(failure));
    }
}

function auditStatement() {
    const parameters = [];
    const conditions = [];
    const add = (value, condition) => {
        if (value === "") return;
        parameters.push(value);
        conditions.push(condition.replaceAll("$?", `$${parameters.length}`));
    };
    add(byId("audit-user").value.trim(), `("user" = $? OR actor = $?)`);
    add(byId("audit-table").value.trim(), "contains(lower(CAST(tables AS VARCHAR)), lower($?))");
    add(byId("audit-text").value, "contains(lower(statement), lower($?))");
    add(byId("audit-kind").value, "kind = $?");
    for (const [id, operator] of [["audit-from", ">="], ["audit-to", "<"]]) {
        const value = byId(id).value;
        add(value === "" ? "" : new Date(value).toISOString(), `"time" ${operator} CAST($? AS TIMESTAMPTZ)`);
    }
    return {
        sql: `SELECT /* console */ "time", "user", actor, kind, command, state, sqlstate, rows_out, client, tables, reason, statement
            FROM moat_system.audit ${conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : ""}
            ORDER BY seq DESC LIMIT ${AUDIT_MAX}`,
        parameters,
    };
}

const tableNames = (tables) => (Array.isArray(tables) ? tables.map((table) => table?.name ?? "").filter(Boolean).join(", ") : "");

async function searchAudit() {
    const { sql, parameters } = auditStatement();
    byId("audit-status").textContent = "Searching";
    try {
        const answer = await ask_rows(sql, ...parameters);
        const rows = answer.rows.map((row) => [formatTime(row[0]), row[2] && row[2] !== row[1] ? `${row[2]} as ${row[1]}` : row[1], row[3], row[5] ?? "",
            row[7], tableNames(row[9]), row[11] ?? row[10] ?? "", row[8]]);
        byId("audit-status").textContent = rows.length === AUDIT_MAX ? `The newest ${AUDIT_MAX}.` : `${formatCount(rows.length)} found.`;
        byId("audit-answer").replaceChildren(tableOf([...columnsNamed("Time", "Person", "What", "State", "Rows", "Tables"),
            { name: "Statement or reason", isPlain: true, isWide: true }, { name: "From", isPlain: true }], rows, {
            label: "Audit trail",
            draw: (column, value) => (column.name === "State" && value ? mark(value) : null),
        }));
    } catch (failure) {
        byId("audit-status").replaceChildren();
        byId("audit-answer").replaceChildren(errorBox(failure));
    }
}

function startAudit() {
    byId("audit-form").addEventListener("submit", (event) => {
        event.preventDefault();
        void searchAudit();
    });
}
