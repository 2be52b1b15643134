// Rows as a table, a page at a time.

const NUMBERS = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\b.*)$/;
const PAGE_ROWS = 100;

function cellText(value) {
    if (value === null) return "NULL";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function cellOf(value, column) {
    const isNumber = NUMBERS.test(column.type ?? "");
    const text = cellText(value);
    const classes = [value === null ? "null" : "", isNumber ? "number" : "", column.isWide ? "wide" : ""].filter(Boolean).join(" ");
    const title = text.length > 40 ? text : null;
    return column.isWide ? make("td", { class: classes, title }, make("div", {}, text)) : make("td", { class: classes, title }, text);
}

/**
 * A table for `columns` ({name, type}) and rows that are lists. `draw(row, index)` may give an element for a cell, or
 * nothing. `more`, if given, fetches rows beyond those that are here: it appends to `rows` and says whether that was all.
 */
class Grid {
    constructor(columns, { draw, more, isNumbered = false, label = "Rows" } = {}) {
        this.columns = columns;
        this.rows = [];
        this.draw = draw;
        this.more = more;
        this.isNumbered = isNumbered;
        this.isWhole = more === undefined;
        this.first = 0;
        this.body = make("tbody");
        this.scroll = make("div", { class: "grid-scroll", tabindex: "0", role: "region", "aria-label": label },
            make("table", {}, make("thead", {}, this.head()), this.body));
        this.count = make("span", { role: "status" });
        this.previous = make("button", { class: "small", on: { click: () => this.turn(-PAGE_ROWS) } }, "‹ Previous");
        this.next = make("button", { class: "small", on: { click: () => this.turn(PAGE_ROWS) } }, "Next ›");
        this.foot = make("div", { class: "grid-foot bar" }, this.count, make("span", { class: "space" }), this.previous, this.next);
        this.element = make("div", { class: "grid-box" }, this.scroll, this.foot);
    }

    head() {
        const cells = this.columns.map((column) => make("th", { scope: "col", class: NUMBERS.test(column.type ?? "") ? "number" : "" },
            column.name, column.type && !column.isPlain ? make("small", {}, column.type) : null));
        if (this.isNumbered) cells.unshift(make("th", { class: "row", "aria-label": "Row" }));
        return make("tr", {}, ...cells);
    }

    setRows(rows) {
        this.rows = rows;
        this.first = Math.min(this.first, Math.max(0, Math.floor((rows.length - 1) / PAGE_ROWS) * PAGE_ROWS));
        this.render();
        return this;
    }

    async turn(by) {
        const first = Math.max(0, this.first + by);
        this.previous.disabled = this.next.disabled = true;
        try {
            while (!this.isWhole && this.rows.length < first + PAGE_ROWS) {
                this.isWhole = await this.more();
            }
        } finally {
            if (first < this.rows.length) this.first = first;
            this.render();
        }
        this.scroll.scrollTop = 0;
    }

    render() {
        const rows = this.rows.slice(this.first, this.first + PAGE_ROWS);
        this.body.replaceChildren(...rows.map((row, index) => {
            const cells = this.columns.map((column, at) => {
                const drawn = this.draw?.(column, row[at], row);
                return drawn ? make("td", { class: "act" }, drawn) : cellOf(row[at], column);
            });
            if (this.isNumbered) cells.unshift(make("td", { class: "row" }, formatCount(this.first + index + 1)));
            return make("tr", {}, ...cells);
        }));
        const last = this.first + rows.length;
        const total = `${formatCount(this.rows.length)}${this.isWhole ? "" : "+"}`;
        this.count.textContent = this.rows.length === 0 ? "No rows"
            : this.rows.length <= PAGE_ROWS && this.isWhole ? `${total} ${this.rows.length === 1 ? "row" : "rows"}`
                : `Rows ${formatCount(this.first + 1)}–${formatCount(last)} of ${total}`;
        this.previous.disabled = this.first === 0;
        this.next.disabled = this.isWhole && last >= this.rows.length;
        const isOnePage = this.isWhole && this.rows.length <= PAGE_ROWS;
        show(this.previous, !isOnePage);
        show(this.next, !isOnePage);
    }
}

/** A table of rows that are all here. */
function tableOf(columns, rows, options) {
    return new Grid(columns, options).setRows(rows).element;
}

function mark(text) {
    const word = (text ?? "").toLowerCase();
    return make("span", { class: `mark ${/^[a-z_]+$/.test(word) ? word : ""}` }, word);
}
