// Who is here: the door, the tabs, and the way out.

const tabs = {
    query: () => byId("sql").focus(), tables: openTables, activity: openActivity, audit: openAudit, system: openSystem,
};

function openTab(name) {
    for (const other of Object.keys(tabs)) {
        const button = byId(`tab-${other}`);
        button.setAttribute("aria-selected", String(other === name));
        button.tabIndex = other === name ? 0 : -1;
        show(byId(`view-${other}`), other === name);
    }
    if (name !== "activity") closeActivity();
    history.replaceState(null, "", `#${name}`);
    void tabs[name]();
}

function startTabs() {
    const names = Object.keys(tabs);
    for (const name of names) byId(`tab-${name}`).addEventListener("click", () => openTab(name));
    byId("tabs").addEventListener("keydown", (event) => {
        const at = names.findIndex((name) => byId(`tab-${name}`) === document.activeElement);
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + names.length, Home: 0, End: names.length - 1 }[event.key];
        if (at < 0 || to === undefined) return;
        event.preventDefault();
        const name = names[to % names.length];
        openTab(name);
        byId(`tab-${name}`).focus();
    });
}

// ---- signing in and out

/** Nothing of the last person's is left in the page. */
function forgetPerson() {
    Object.assign(person, { csrf: "none", user: null, roles: [], isOwner: false });
    void current?.drop();
    current = null;
    closeActivity();
    for (const id of ["answer", "status", "history-list", "running", "past", "audit-status", "audit-answer", "gauges", "sessions", "tree"]) {
        byId(id).replaceChildren();
    }
    delete byId("tree").dataset.isLoaded;
    delete byId("table").dataset.name;
    byId("table").replaceChildren(make("p", { class: "dim" }, "Choose a table: its columns, and what you may see of it."));
    byId("audit-kind").replaceChildren(make("option", { value: "" }, "all"));
    byId("audit-form").reset();
    byId("sql").value = "";
    showHistory(false);
    setBusy(false);
}

function showDoor(message) {
    forgetPerson();
    document.title = "Moat";
    show(byId("house"), false);
    show(byId("door"), true);
    show(byId("door-error"), message !== undefined);
    byId("door-error").textContent = message ?? "";
    byId(byId("door-user").value === "" ? "door-user" : "door-secret").focus();
}

function showHouse(session) {
    Object.assign(person, { csrf: session.csrf, user: session.user, roles: session.roles, isOwner: session.is_owner });
    byId("person").textContent = session.name || session.user;
    byId("person").title = [`${session.user}, by ${session.provider}`, session.is_owner ? "owner of the warehouse" : "",
        session.roles.length > 0 ? `roles: ${session.roles.join(", ")}` : ""].filter(Boolean).join("\n");
    document.title = `Moat: ${session.user}`;
    show(byId("door"), false);
    show(byId("house"), true);
    const name = location.hash.slice(1);
    openTab(Object.hasOwn(tabs, name) ? name : "query");
}

/** After a 401: whether it was the session that ended. */
async function checkSession() {
    const session = await ask("GET", "/v1/session").catch(() => null);
    if (session !== null && session.user !== person.user && person.user !== null) {
        showDoor("Your session is over. Sign in again.");
    }
}

function credentialOf(how) {
    const secret = byId("door-secret").value;
    return { password: { user: byId("door-user").value, password: secret }, token: { token: secret.trim() }, certificate: {} }[how];
}

const chosenWay = () => document.querySelector('input[name="how"]:checked').value;

function changeWay() {
    const how = chosenWay();
    show(byId("door-user-field"), how === "password");
    show(byId("door-secret-field"), how !== "certificate");
    show(byId("door-certificate"), how === "certificate");
    byId("door-secret-label").textContent = how === "token" ? "Token or API key" : "Password";
    byId("door-secret").autocomplete = how === "token" ? "off" : "current-password";
}

async function signIn(event) {
    event.preventDefault();
    byId("door-button").disabled = true;
    show(byId("door-error"), false);
    try {
        const session = await ask("POST", "/v1/session", credentialOf(chosenWay()));
        byId("door-secret").value = "";
        showHouse(session);
    } catch (failure) {
        show(byId("door-error"), true);
        byId("door-error").textContent = [failure.message, failure.error?.hint].filter(Boolean).join(". ");
        byId("door-secret").select();
    } finally {
        byId("door-button").disabled = false;
    }
}

async function signOut() {
    try {
        await ask("DELETE", "/v1/session");
        showDoor();
    } catch (failure) {
        // The cookie may still stand: whoever leaves must know.
        if (failure.status === 401) showDoor();
        else showDoor(`You may still be signed in: ${failure.message}`);
    }
}

async function start() {
    startTabs();
    startQueries();
    startActivity();
    startAudit();
    startSystem();
    byId("door-form").addEventListener("submit", signIn);
    for (const radio of document.querySelectorAll('input[name="how"]')) radio.addEventListener("change", changeWay);
    byId("leave").addEventListener("click", signOut);
    const session = await ask("GET", "/v1/session").catch(() => ({ user: null }));
    if (session.user === null) showDoor();
    else showHouse(session);
}

void start();
