"use strict";
// What all parts of the console use: elements, and requests as the person who is signed in.
// Whatever comes from data goes into the page as text, never as markup.

const byId = (id) => document.getElementById(id);

/** An element with properties ("class", "title", "on" for listeners) and children: elements, or texts. */
function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties ?? {})) {
        if (name === "on") {
            for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
        } else if (name === "class") {
            element.className = value;
        } else if (value !== false && value !== null && value !== undefined) {
            element.setAttribute(name, value === true ? "" : value);
        }
    }
    element.append(...children.filter((child) => child !== null));
    return element;
}

function show(element, isShown) {
    element.hidden = !isShown;
}

/** What the server said no with. */
class Refusal extends Error {
    constructor(error, status) {
        super(error.message ?? "The server does not answer.");
        this.error = error;
        this.status = status;
    }
}

const person = { csrf: "none", user: null, roles: [], isOwner: false };

async function ask(method, path, body) {
    const headers = { "X-Moat-CSRF": person.csrf };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
        answer = await fetch(path, {
            method, headers, body: body === undefined ? undefined : JSON.stringify(body),
            credentials: "same-origin", cache: "no-store", redirect: "error",
        });
    } catch {
        throw new Refusal({ sqlstate: "08006", message: "The server does not answer." }, 0);
    }
    const isJson = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    if (!answer.ok) {
        const document_ = isJson ? await answer.json() : {};
        const refusal = new Refusal(document_.error ?? { sqlstate: "08P01", message: `The server says ${answer.status}.` }, answer.status);
        if (answer.status === 401 && path !== "/v1/session") void checkSession();
        throw refusal;
    }
    return isJson ? answer.json() : answer.text();
}

/** Rows of a short statement: {columns, rows}. Numbers that a double cannot hold are texts. */
async function ask_rows(sql, ...parameters) {
    const answer = await ask("POST", "/v1/sql", { sql, parameters, numbers: "text" });
    if (answer.error) throw new Refusal(answer.error, 200);
    return answer;
}

const quoteName = (name) => `"${name.replaceAll('"', '""')}"`;
const quoteNames = (...names) => names.filter((name) => name !== "").map(quoteName).join(".");

// ---- texts for people

const wholeNumbers = new Intl.NumberFormat("en");
const formatCount = (count) => wholeNumbers.format(count);

function formatMs(ms) {
    if (ms < 1000) return `${Math.round(ms)} ms`;
    if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
    return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

function formatBytes(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) {
        bytes /= 1024;
        unit++;
    }
    return `${unit === 0 ? bytes : bytes.toFixed(bytes < 10 ? 1 : 0)} ${units[unit]}`;
}

/** In the time of the one who reads it, to be compared down a column. */
function formatDate(at) {
    const two = (number) => String(number).padStart(2, "0");
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The engine's instants are "2024-01-02 01:04:05.5+00". */
function formatTime(text) {
    if (text === null) return "";
    const at = new Date(text.replace(" ", "T").replace(/\+00$/, "Z"));
    return Number.isNaN(at.getTime()) ? text : formatDate(at);
}

/** The n-th character of a text as an offset in UTF-16, which is what editors count in. */
function offsetOfCharacter(text, count) {
    let offset = 0;
    for (const character of text) {
        if (count-- <= 0) break;
        offset += character.length;
    }
    return offset;
}

/** An error as a box: what, where in the statement, and what to do. */
function errorBox(failure, statement) {
    const error = failure.error ?? { message: String(failure.message ?? failure) };
    const box = make("div", { class: "error", role: "alert" }, make("span", {}, error.message),
        error.sqlstate ? make("span", { class: "code" }, error.sqlstate) : null);
    if (error.position !== undefined && statement) {
        const at = offsetOfCharacter(statement, error.position);
        const from = statement.lastIndexOf("\n", at - 1) + 1;
        const end = statement.indexOf("\n", at);
        const line = statement.slice(from, end < 0 ? undefined : end);
        const number = statement.slice(0, from).split("\n").length;
        const head = `${number} | `;
        box.append(make("pre", {}, `${head}${line}\n${" ".repeat(head.length + at - from)}^`));
    }
    for (const more of [error.detail, error.hint]) {
        if (more) box.append(make("div", { class: "more" }, more));
    }
    return box;
}
