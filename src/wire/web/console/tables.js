// Catalogs, schemas and tables, each asked for when it is opened; of a table its columns and what holds for the person.

function branch(text, load) {
    const inside = make("div");
    const details = make("details", {}, make("summary", {}, text), inside);
    details.addEventListener("toggle", async () => {
        if (!details.open || details.dataset.isLoaded) return;
        details.dataset.isLoaded = "1";
        inside.replaceChildren(make("p", { class: "dim" }, "…"));
        try {
            const items = await load();
            inside.replaceChildren(...(items.length > 0 ? items : [make("p", { class: "dim" }, "Nothing that you may see.")]));
        } catch (failure) {
            delete details.dataset.isLoaded;
            inside.replaceChildren(errorBox(failure));
        }
    });
    return details;
}

const columnOf = (answer, name) => answer.columns.findIndex((column) => column.name === name);

async function loadTables(catalog, schema) {
    const answer = await ask_rows(`SHOW TABLES IN ${quoteNames(catalog, schema)}`);
    const name = columnOf(answer, "name");
    const kind = columnOf(answer, "kind");
    return answer.rows.map((row) => {
        const button = make("button", { title: quoteNames(catalog, schema, row[name]) }, make("span", {}, row[name]),
            make("span", { class: "kind" }, kind < 0 || row[kind] === "table" ? "" : row[kind]));
        button.addEventListener("click", () => {
            for (const other of byId("tree").querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
            button.setAttribute("aria-current", "true");
            void openTable(catalog, schema, row[name]);
        });
        return button;
    });
}

async function loadSchemas(catalog) {
    const answer = await ask_rows(`SHOW SCHEMAS IN ${quoteName(catalog)}`);
    const at = Math.max(0, columnOf(answer, "schema"));
    return answer.rows.map((row) => branch(row[at], () => loadTables(catalog, row[at])));
}

async function openTables() {
    const tree = byId("tree");
    if (tree.dataset.isLoaded) return;
    try {
        const answer = await ask_rows("SHOW CATALOGS");
        tree.dataset.isLoaded = "1";
        const branches = answer.rows.map((row) => branch(row[0], () => loadSchemas(row[0])));
        tree.replaceChildren(...branches);
        if (branches.length > 0) branches[0].open = true;
    } catch (failure) {
        tree.replaceChildren(errorBox(failure));
    }
}

/** "access" of a column beside what the policy says of it. */
function drawColumns(described, policy) {
    const rules = new Map();
    const part = columnOf(policy, "part");
    for (const row of policy.rows) {
        if (row[part] === "column") rules.set(row[columnOf(policy, "name")], row);
    }
    const rows = described.rows.map((row) => {
        const rule = rules.get(row[0]);
        return [row[0], row[1], rule?.[columnOf(policy, "access")] ?? row[2] ?? "", rule?.[columnOf(policy, "expression")] ?? ""];
    });
    const hasMasks = rows.some((row) => row[3] !== "");
    return tableOf([{ name: "Column" }, { name: "Type" }, { name: "What you see" }, ...(hasMasks ? [{ name: "Mask", isWide: true }] : [])], rows, {
        label: "Columns",
        draw: (column, value) => (column.name === "What you see" ? mark(value) : null),
    });
}

function drawRows_(policy) {
    const part = columnOf(policy, "part");
    return policy.rows.filter((row) => row[part] !== "column").map((row) => {
        const expression = row[columnOf(policy, "expression")];
        return make("div", { class: "rule" }, make("strong", {}, `${row[part]} `), mark(row[columnOf(policy, "access")]),
            expression ? make("div", {}, make("code", {}, expression)) : null);
    });
}

async function openTable(catalog, schema, name) {
    const box = byId("table");
    const full = quoteNames(catalog, schema, name);
    box.dataset.name = full;
    const use = make("button", { class: "main", on: { click: () => useStatement(`SELECT * FROM ${full} LIMIT 100`) } }, "Query it");
    const facts = make("div", { class: "facts" }, make("p", { class: "dim" }, "…"));
    box.replaceChildren(make("div", { class: "bar" }, make("h2", {}, name), make("span", { class: "space" }), use),
        make("p", { class: "dim" }, [catalog, schema].join(" › ")), facts);
    try {
        const [described, policy] = await Promise.all([ask_rows(`DESCRIBE ${full}`), ask_rows(`SHOW EFFECTIVE POLICY ON ${full}`)
            .catch((failure) => ({ columns: [], rows: [], failure }))]);
        if (box.dataset.name !== full) return;
        facts.replaceChildren(...drawRows_(policy), policy.failure ? errorBox(policy.failure) : "", drawColumns(described, policy));
    } catch (failure) {
        if (box.dataset.name === full) facts.replaceChildren(errorBox(failure));
    }
}
