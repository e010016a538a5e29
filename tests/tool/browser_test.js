/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What browser.sh lets a real browser do to the page of a plot: it moves the pointer, drags, types,
 * and looks at what has become of it. The result is put into the page as text.
 */
"use strict";
{
const failures = [];
const check = (good, what) => { if (!good) failures.push(what); };
window.addEventListener("error", event => failures.push("an error: " + event.message));

const { data, panels } = window.memmapPlot;
const panel = panels[0], front = panel.front, tip = document.getElementById("tip");
front.setPointerCapture = () => {};
const fire = (type, x, y, more = {}) => {
	const box = front.getBoundingClientRect(), kind = type === "wheel" ? WheelEvent : type === "dblclick" ? MouseEvent : PointerEvent;
	front.dispatchEvent(new kind(type, { clientX: box.left + x, clientY: box.top + y, button: 0, bubbles: true, cancelable: true, pointerId: 1, ...more }));
};
const near = (a, b) => Math.abs(a - b) < 1e-6;
const isWhole = () => { const v = panel.view; return near(v.x0, 0) && near(v.x1, 1) && near(v.y0, 0) && near(v.y1, 1); };
const pixel = (x, y) => {
	const ratio = window.devicePixelRatio || 1;
	return [...panel.back.getContext("2d").getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data.slice(0, 3)].join();
};
const rgb = text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16)).join();

panel.draw();
check(data.spaces.length > 0 && panels.length === data.spaces.length, "a panel for each address space");
check(panel.width > 300 && panel.height > 300, "room to draw in");

/* Every region lies where the axes say, and in the order of its addresses and times. */
for (const r of panel.regions) {
	const [x0, x1, y0, y1] = r.box;
	check(x0 >= 0 && x1 <= 1 && y0 >= -1e-9 && y1 <= 1 + 1e-9 && x0 <= x1 && y0 < y1, "a region outside the axes: " + r.text + " " + r.box);
}

/* The stack, from beginning to end: its colour is there, and hovering tells of it. */
const stack = panel.regions.find(r => r.text === "[stack]");
/* In whole pixels of the window: the wheel's events know no others. */
const whole = (value, origin) => Math.round(value + origin) - origin;
const sx = whole(panel.px((stack.box[0] + stack.box[1]) / 4), front.getBoundingClientRect().left);
const sy = whole(panel.py((stack.box[2] + stack.box[3]) / 2), front.getBoundingClientRect().top);
check(pixel(sx, sy) === rgb(data.kinds[stack[4]].write), "the stack's colour: " + pixel(sx, sy));
fire("pointermove", sx, sy);
check(!tip.hidden, "no tip when the pointer is at the stack");
for (const word of ["[stack]", "rw-p", "0x" + stack[0].toString(16) + "-0x" + stack[1].toString(16), "from ", "to "])
	check(tip.textContent.includes(word), "the tip has no " + word + ": " + tip.textContent);
fire("pointerleave", 0, 0);
check(tip.hidden, "the tip stays");

/* Mapped by a call: the tip names it. */
const mapped = panel.regions.find(r => r[7] === "mmap" && r.box[1] - r.box[0] > 0.1 && r.box[3] - r.box[2] > 0.02 &&
	panel.hit(panel.px((r.box[0] + r.box[1]) / 2), panel.py((r.box[2] + r.box[3]) / 2)) === r);
if (mapped) {
	fire("pointermove", panel.px((mapped.box[0] + mapped.box[1]) / 2), panel.py((mapped.box[2] + mapped.box[3]) / 2));
	check(/by mmap, call \d+/.test(tip.textContent), "the tip does not name the call: " + tip.textContent);
} else {
	check(false, "nothing was mapped by mmap");
}

/* A rectangle zooms to just that, and what was there fills it (the middle may have words). */
const before = pixel(sx, sy);
fire("pointerdown", sx - 40, sy - 8);
fire("pointermove", sx + 40, sy + 8);
fire("pointerup", sx + 40, sy + 8);
check(!isWhole(), "dragging does not zoom");
check(near(panel.view.x1 - panel.view.x0, 80 / panel.width), "the width that was dragged: " + (panel.view.x1 - panel.view.x0));
check(pixel(panel.px(panel.view.x0 * 0.9 + panel.view.x1 * 0.1), panel.py((panel.view.y0 + panel.view.y1) / 2)) === before, "the colour of what was zoomed to");
fire("dblclick", sx, sy);
check(isWhole(), "a double click does not show all");

/* The wheel zooms around the pointer: the same address and time stay under it. */
const address = () => panel.address(panel.fromPy(sy)), time = () => panel.time(panel.fromPx(sx));
const a = address(), t = time();
fire("wheel", sx, sy, { deltaY: -400 });
check(isWhole(), "the wheel alone is the page's");
fire("wheel", sx, sy, { deltaY: -400, ctrlKey: true });
check(panel.view.x1 - panel.view.x0 < 0.6 && panel.view.y1 - panel.view.y0 < 0.6, "the wheel does not zoom");
check(Math.abs(address() - a) <= 4096 && Math.abs(time() - t) <= 1 + t * 1e-6, "the pointer's place moves under it");
fire("wheel", sx, sy, { deltaY: -400, ctrlKey: true, shiftKey: true });
const v = panel.view;
check((v.x1 - v.x0) < (v.y1 - v.y0) * 0.9, "with shift, not in time only");
/* As deep as it goes, and out again. */
for (let i = 0; i < 60; i++) fire("wheel", sx, sy, { deltaY: -1000, ctrlKey: true });
check(panel.view.x1 > panel.view.x0 && panel.view.y1 > panel.view.y0, "zoomed to nothing");
for (let i = 0; i < 60; i++) fire("wheel", sx, sy, { deltaY: 1000, ctrlKey: true });
check(isWhole(), "does not come out again: " + JSON.stringify(panel.view));

/* The keyboard, and the buttons. */
const press = key => front.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
press("+");
check(!isWhole(), "the key + does not zoom");
const x0 = panel.view.x0;
press("ArrowRight");
check(panel.view.x0 > x0, "the arrow does not move");
press("0");
check(isWhole(), "the key 0 does not show all");
const [more, less, all] = panel.section.querySelectorAll("button");
more.click();
check(!isWhole(), "the button + does not zoom");
less.click();
check(isWhole(), "the button - does not zoom out");
more.click();
all.click();
check(isWhole(), "the button does not show all");

/* The legend hides a kind, and shows it again; finding dims the rest. */
const button = [...document.querySelectorAll("#legend button")].find(b => b.textContent === "stack");
button.click();
check(pixel(sx, sy) !== before && button.getAttribute("aria-pressed") === "false", "the stack is not hidden");
button.click();
check(pixel(sx, sy) === before, "the stack does not come back");
const find = document.getElementById("find");
find.value = "no such name";
find.dispatchEvent(new Event("input"));
check(pixel(sx, sy) !== before, "finding does not dim");
find.value = "STACK";
find.dispatchEvent(new Event("input"));
check(pixel(sx, sy) === before, "finding dims what was found");

/* Names are text, whatever stands in them. */
check(!window.injected, "a name was run as a script");
check(document.querySelectorAll("script").length === 3, "there are " + document.querySelectorAll("script").length + " scripts");
check(document.title.startsWith("memmap trace: "), "the title");

const result = document.createElement("pre");
result.id = "result";
result.textContent = failures.length ? "FAILED:\n" + failures.join("\n") : "PASSED " + data.spaces.length + " panels";
document.body.append(result);
}
