"""A headless Chromium, driven over its own protocol through a pair of pipes: no driver, no port."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Failure(Exception):
    pass


class Browser:
    """One browser with a profile of its own, in a folder that goes with it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="moat-browser-")
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        command = ["sh", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', find(), "--headless=new", "--no-sandbox", "--disable-gpu",
                   "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars", "--ignore-certificate-errors", "--remote-debugging-pipe",
                   f"--user-data-dir={self.folder}", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.reader, self.writer = os.fdopen(ours_in, "rb"), ours_out
        self.count, self.events = 0, []

    def call(self, method, session=None, **parameters):
        self.count += 1
        wanted = self.count
        message = {"id": wanted, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            got = self.read()
            if got.get("id") == wanted:
                if "error" in got:
                    raise Failure(f"{method}: {got['error']['message']}")
                return got["result"]
            self.events.append(got)

    def read(self):
        data = bytearray()
        while (byte := self.reader.read(1)) != b"\0":
            if not byte:
                raise Failure("the browser is gone")
            data += byte
        return json.loads(data)

    def page(self, width=1280, height=860, dark=False):
        return Page(self, width, height, dark)

    def close(self):
        try:
            self.call("Browser.close")
        except (Failure, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        os.close(self.writer)
        self.reader.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Page:
    """A window with cookies of its own (a context), as another person's browser would have."""

    def __init__(self, browser, width, height, dark):
        self.browser = browser
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.resize(width, height)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def eval(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise Failure(f"{expression}: {got['exceptionDetails'].get('exception', {}).get('description')}")
        return got["result"].get("value")

    def until(self, expression, seconds=120):
        """Waits until it is true, and gives what it was."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.eval(f"(() => {{ const v = {expression}; return v instanceof Node ? true : v; }})()")
            except Failure as failure:
                value = None  # between two documents
                last = failure
            else:
                last = value
            if value:
                return value
            if time.monotonic() > end:
                raise Failure(f"after {seconds} s: {expression}: {last}; {self.text('body')[:2000]}")
            time.sleep(0.05)

    def text(self, selector):
        return self.eval(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def click(self, selector):
        """As a person does, where it is seen."""
        found = self.until(f"""(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e || e.disabled) return null;
            e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();
            return r.width > 0 ? [r.x + r.width / 2, r.y + r.height / 2] : null; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=found[0], y=found[1], button="left", clickCount=1)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def key(self, key, code=None, modifiers=0):
        virtual = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37, " ": 32}[key]
        text = {"Enter": "\r", " ": " "}.get(key) if modifiers == 0 else None
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=virtual, modifiers=modifiers, **more)

    def fill(self, selector, text):
        self.eval(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.focus(); e.select?.(); }})()")
        self.call("Input.insertText", text=text)

    def shot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def cookies(self):
        return self.call("Network.getCookies")["cookies"]

    def complaints(self):
        """What went to the console of the page: exceptions, refused loads, policy violations."""
        self.call("Runtime.evaluate", expression="0")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"]["exception"].get("description"))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                entry = event["params"]["entry"]
                found.append(f"{entry['text']} {entry.get('url', '')}")
        return found

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
