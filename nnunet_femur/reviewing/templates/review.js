"use strict";
// The page reads only what is inside of it; with --serve it sends marks to the server that it came from.
const $ = (selector) => document.querySelector(selector);
const cases = JSON.parse($("#cases").textContent);
const server = $("meta[name=review-server]").content;
const views = [...document.querySelectorAll("canvas[data-axis]")];
const surfaceView = $("#surface");
const SIGNS = { accept: "✓", correct: "✎", reject: "✗", "": "" };
const WINDOWS = [[0, 255], [15, 90]]; // Grey values of -250 to 1250 HU: bone; -160 to 280 HU: soft tissue.
const KEPT = "nnfemur-review:" + cases.id;
let marks = new Map(cases.entries.map((entry) => [entry.case, { ...entry }]));
let current = 0, shown = null, at = [0, 0, 0], zoom = 1, outline = true, contrast = 0, turn = [0, 0], unsaved = false, loading = 0;
const pending = new Set(); // Cases whose marks the server has not saved.

// ---- marks ----
const entryOf = (number) => marks.get(cases.cases[number].case);

async function mark(value) {
  const entry = entryOf(current), seen = cases.entries.find((each) => each.case === entry.case);
  // The same key removes a mark only if it is about the mask in this page: a changed mask is marked anew.
  const next = value === entry.mark && entry.mask_sha256 === seen.shown_sha256 ? "" : value;
  // A mark is about the mask in this page, whatever an earlier mark was about.
  Object.assign(entry, { mask: seen.mask, mask_sha256: seen.shown_sha256, ct: seen.ct, mark: next, status: STATUS[next] });
  await keep(entry);
}

const STATUS = { accept: "accepted", correct: "to correct", reject: "rejected", "": "unmarked" };

async function keep(entry) {
  unsaved = true;
  pending.add(entry.case);
  showMarks();
  if (!server) {
    try { localStorage.setItem(KEPT, JSON.stringify(record())); } catch { /* A browser may forbid it; the download remains. */ }
    return;
  }
  try {
    const answer = await fetch(`${server}/mark`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ case: entry.case, mark: entry.mark, note: entry.note, mask_sha256: entry.mask_sha256 }) });
    if (!answer.ok) throw new Error(await answer.text());
    pending.delete(entry.case);
    unsaved = pending.size > 0;
    showMarks();
  } catch (error) {
    $("#save").hidden = false;
    showMarks(`Not saved (${error.message}). Mark it again. If that fails, download the marks, and start nnfemur review --serve again.`);
  }
}

function record() {
  const fields = ["case", "mask", "mask_sha256", "ct", "mark", "note"];
  const plain = [...marks.values(), ...cases.others].map((entry) => Object.fromEntries(fields.map((name) => [name, entry[name] ?? ""])));
  return { made_by: "nnunet_femur", version: cases.version, cases: plain };
}

function take(content) {
  for (const entry of content.cases) {
    const mine = marks.get(entry.case);
    if (mine) Object.assign(mine, entry, { status: statusOf(entry) });
  }
  showMarks();
}

function takeOthers(content) {
  const loaded = new Map(content.cases.map((entry) => [entry.case, entry]));
  cases.others = cases.others.map((entry) => loaded.get(entry.case) ?? entry);
}

function statusOf(entry) {
  const seen = cases.entries.find((each) => each.case === entry.case), same = seen.shown_sha256 === entry.mask_sha256;
  return { accept: same ? "accepted" : "changed", correct: same || seen.as_predicted ? "to correct" : "corrected", reject: "rejected", "": "unmarked" }[entry.mark];
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(record(), null, 1) + "\n"], { type: "application/json" }));
  link.download = "review.json";
  link.click();
  URL.revokeObjectURL(link.href);
  unsaved = false;
  showMarks();
}

function showMarks(problem = "") {
  const entries = cases.cases.map((each) => marks.get(each.case)), count = (value) => entries.filter((entry) => entry.mark === value).length;
  const where = server ? (unsaved ? "saving" : "saved") : unsaved ? "kept in this browser, not downloaded" : "";
  $("#progress").textContent = problem || `${entries.length - count("")} of ${entries.length} marked: ${count("accept")} accept, ${count("correct")} correct, ${count("reject")} reject${where ? " · " + where : ""}`;
  $("#progress").classList.toggle("failed", Boolean(problem));
  [...$("#list").children].forEach((item, number) => {
    const button = item.firstChild, entry = entryOf(number);
    button.dataset.shown = entry.mark;
    button.setAttribute("aria-current", String(number === current));
    button.querySelector("i").textContent = SIGNS[entry.mark];
    button.setAttribute("aria-label", `${entry.case}, ${entry.status}`);
  });
  const entry = entryOf(current);
  document.querySelectorAll("[data-mark]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mark === entry.mark)));
  $("#state").textContent = { unmarked: "", changed: "The mask was changed after it was accepted. Mark it again.", "to correct": "To correct: the mask is still as it was marked or predicted.", corrected: "The mask was changed since it was marked: it counts as corrected." }[entry.status] ?? "";
  $("#state").classList.toggle("warning", entry.status === "changed");
  if (document.activeElement !== $("#note")) $("#note").value = entry.note;
}

// ---- cases ----
function list() {
  cases.cases.forEach((each, number) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    for (const [tag, text] of [["i", ""], ["b", each.case], ["span", each.score.toFixed(2)], ["small", [...new Set(each.doubts.map(([code]) => code))].join(", ") || each.problem && "problem" || ""]]) {
      const part = document.createElement(tag);
      part.textContent = text;
      button.append(part);
    }
    button.addEventListener("click", () => show(number));
    item.append(button);
    $("#list").append(item);
  });
}

async function show(number) {
  current = (number + cases.cases.length) % cases.cases.length;
  const each = cases.cases[current], turnOf = ++loading;
  $("#case").textContent = each.case;
  $("#facts").textContent = each.facts;
  fill($("#doubts"), [...each.doubts, ...(each.problem ? [["", each.problem]] : [])].map(([code, text]) => {
    const item = document.createElement("li");
    if (code) item.append(Object.assign(document.createElement("code"), { textContent: code }), " ");
    item.append(text);
    return item;
  }));
  measured(each.measured);
  showMarks();
  $("#list").children[current].scrollIntoView({ block: "nearest" });
  shown = null;
  const picture = $(`#picture-${current}`), content = picture && JSON.parse(picture.textContent);
  const volume = content && (await decoded(content.volume)), surface = content && content.surface && meshOf(content.surface);
  if (turnOf !== loading) return; // Another case was chosen meanwhile.
  shown = content && { volume, surface };
  if (shown) {
    at = volume.middle.slice();
    // Both hips are wider than high, and get two rows of views.
    const [high, deep, wide] = volume.shape.map((length, axis) => length * volume.spacing_mm_zyx[axis]);
    $(".views").classList.toggle("broad", Math.max(deep, wide) > high);
  }
  zoom = 1; turn = [0, 0];
  draw();
  document.body.dataset.shown = each.case;
}

const fill = (parent, children) => parent.replaceChildren(...children);

function measured(rows) {
  const outside = rows.filter((row) => row.outside).length;
  $("#measured").hidden = !rows.length;
  $("#measured summary").textContent = `Measurements: ${outside} of ${rows.length} outside of the range of adults`;
  fill($("#measured tbody"), rows.map((row) => {
    const line = document.createElement("tr"), digits = (value) => Number(value.toPrecision(4)).toString();
    for (const text of [row.side, row.label, `${digits(row.value)} ${row.unit}`, `${row.low} to ${row.high}`]) line.append(Object.assign(document.createElement("td"), { textContent: text }));
    line.classList.toggle("outside", row.outside);
    return line;
  }));
}

// ---- volumes ----
async function channels(uri) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return { pixels: context.getImageData(0, 0, image.width, image.height).data, width: image.width };
}

function fromMosaic({ pixels, width }, [slices, height, across], columns, channel) {
  const voxels = new Uint8Array(slices * height * across);
  for (let z = 0, i = 0; z < slices; z++) {
    const top = Math.floor(z / columns) * height, left = (z % columns) * across;
    for (let y = 0; y < height; y++) for (let x = 0, from = ((top + y) * width + left) * 4 + channel; x < across; x++, from += 4) voxels[i++] = pixels[from];
  }
  return voxels;
}

async function decoded(volume) {
  const shape = volume.shape_zyx, [mask, ct] = await Promise.all([channels(volume.mask), volume.ct && channels(volume.ct)]);
  const found = { ...volume, shape, mask: fromMosaic(mask, shape, volume.columns, 0).map((value) => (value > 127 ? 1 : 0)), ct: ct && fromMosaic(ct, shape, volume.columns, 0) };
  const sums = shape.map((length) => new Uint32Array(length));
  for (let z = 0, i = 0; z < shape[0]; z++) for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[2]; x++, i++) if (found.mask[i]) { sums[0][z]++; sums[1][y]++; sums[2][x]++; }
  found.middle = sums.map((sum) => { const largest = Math.max(...sum); return largest ? sum.indexOf(largest) : Math.floor(sum.length / 2); });
  return found;
}

// Rows and columns of each plane as axes of z, y, x; all are reversed on the screen, as radiologists read them.
const PLANES = [[1, 2], [0, 2], [0, 1]];
const EDGES = [["A", "P", "R", "L"], ["S", "I", "R", "L"], ["S", "I", "A", "P"]];

function placed(canvas, axis) {
  const { shape, spacing_mm_zyx: mm } = shown.volume, [rows, columns] = PLANES[axis];
  const scale = Math.min(canvas.width / (shape[columns] * mm[columns]), canvas.height / (shape[rows] * mm[rows])) * zoom;
  const width = shape[columns] * mm[columns] * scale, height = shape[rows] * mm[rows] * scale;
  const centre = (axisOf, size, room) => (zoom === 1 ? (room - size) / 2 : room / 2 - size * (1 - (at[axisOf] + 0.5) / shape[axisOf]));
  return { rows, columns, width, height, left: centre(columns, width, canvas.width), top: centre(rows, height, canvas.height) };
}

function drawPlane(canvas) {
  const axis = Number(canvas.dataset.axis), context = fitted(canvas), { volume } = shown, { shape, ct, mask } = volume;
  const { rows, columns, width, height, left, top } = placed(canvas, axis), steps = [shape[1] * shape[2], shape[2], 1];
  const h = shape[rows], w = shape[columns], from = at[axis] * steps[axis], [low, high] = WINDOWS[contrast];
  const inside = (r, c) => r >= 0 && c >= 0 && r < h && c < w && mask[from + (h - 1 - r) * steps[rows] + (w - 1 - c) * steps[columns]];
  const slice = new ImageData(w, h);
  for (let r = 0, i = 0; r < h; r++) for (let c = 0; c < w; c++, i += 4) {
    const place = from + (h - 1 - r) * steps[rows] + (w - 1 - c) * steps[columns];
    const grey = ct ? ((ct[place] - low) * 255) / (high - low) : mask[place] ? 150 : 40;
    slice.data[i] = slice.data[i + 1] = slice.data[i + 2] = grey;
    slice.data[i + 3] = 255;
  }
  const small = new OffscreenCanvas(w, h);
  small.getContext("2d").putImageData(slice, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, left, top, width, height);
  const px = width / w, py = height / h;
  if (outline) {
    context.beginPath();
    for (let r = 0; r <= h; r++) for (let c = 0; c <= w; c++) {
      const here = inside(r, c), x = left + c * px, y = top + r * py;
      if (here !== inside(r - 1, c) && Boolean(here) !== Boolean(inside(r - 1, c))) { context.moveTo(x, y); context.lineTo(x + px, y); }
      if (Boolean(here) !== Boolean(inside(r, c - 1))) { context.moveTo(x, y); context.lineTo(x, y + py); }
    }
    context.strokeStyle = "#ff8c00";
    context.lineWidth = Math.max(1, devicePixelRatio);
    context.stroke();
  }
  context.strokeStyle = "#56b4e966";
  context.lineWidth = 1;
  context.beginPath();
  const x = left + (w - at[columns] - 0.5) * px, y = top + (h - at[rows] - 0.5) * py;
  context.moveTo(x, 0); context.lineTo(x, canvas.height); context.moveTo(0, y); context.lineTo(canvas.width, y);
  context.stroke();
  letters(context, canvas, EDGES[axis]);
  canvas.previousElementSibling.querySelector("output").textContent = `${at[axis] + 1}/${shape[axis]}`;
}

function letters(context, canvas, [up, down, left, right]) {
  context.fillStyle = "#56b4e9";
  context.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const edge = 9 * devicePixelRatio, { width, height } = canvas;
  for (const [text, x, y] of [[up, width / 2, edge], [down, width / 2, height - edge], [left, edge, height / 2], [right, width - edge, height / 2]]) {
    context.textAlign = "center";
    context.fillText(text, x, y);
  }
}

function fitted(canvas) {
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  return canvas.getContext("2d");
}

function draw() {
  for (const canvas of [...views, surfaceView]) {
    if (!shown) { fitted(canvas); canvas.previousElementSibling.querySelector("output").textContent = ""; }
  }
  if (!shown) return;
  views.forEach(drawPlane);
  drawSurface();
}

// ---- surface ----
function bytes(text) { return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)); }

function meshOf(surface) {
  const raw = new Uint16Array(bytes(surface.points).buffer), ends = bytes(surface.triangles).buffer;
  const triangles = surface.wide ? new Uint32Array(ends) : new Uint16Array(ends);
  const points = Float32Array.from(raw, (value, i) => (value / 65535) * surface.scale_mm - surface.size_mm[i % 3] / 2);
  const normals = new Float32Array(points.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [triangles[t] * 3, triangles[t + 1] * 3, triangles[t + 2] * 3];
    const u = [0, 1, 2].map((i) => points[b + i] - points[a + i]), v = [0, 1, 2].map((i) => points[c + i] - points[a + i]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const corner of [a, b, c]) for (let i = 0; i < 3; i++) normals[corner + i] += n[i];
  }
  for (let i = 0; i < normals.length; i += 3) {
    const length = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
    for (let k = 0; k < 3; k++) normals[i + k] /= length;
  }
  return { points, normals, triangles, deviation: surface.deviation && bytes(surface.deviation), low: surface.low_mm, size: surface.size_mm };
}

// From LPS to the screen, seen from the front: the patient's left is on the right, the head is up.
function rotation() {
  const [a, b] = turn, [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
  return (x, y, z) => { const u = x * ca + y * sa, v = y * ca - x * sa; return [u, z * cb + v * sb, v * cb - z * sb]; };
}

function surfaceScale() {
  const [x, y, z] = shown.surface.size, across = Math.hypot(x, y);
  return 0.94 * Math.min(surfaceView.width / across, surfaceView.height / Math.hypot(z, turn[1] ? across : 0)) * zoom;
}

function drawSurface() {
  const context = fitted(surfaceView), { width, height } = surfaceView, label = surfaceView.previousElementSibling.querySelector("output");
  label.textContent = "";
  if (!shown.surface) return;
  const { points, normals, triangles, deviation } = shown.surface, turned = rotation(), scale = surfaceScale();
  const count = points.length / 3, x = new Float32Array(count), y = new Float32Array(count), depth = new Float32Array(count), light = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const [u, v, w] = turned(points[3 * i], points[3 * i + 1], points[3 * i + 2]), n = turned(normals[3 * i], normals[3 * i + 1], normals[3 * i + 2]);
    x[i] = width / 2 + u * scale; y[i] = height / 2 - v * scale; depth[i] = w;
    light[i] = 0.25 + 0.75 * Math.max(0, -n[2] * 0.85 + n[1] * 0.35 - n[0] * 0.25);
  }
  const picture = context.createImageData(width, height), nearest = new Float32Array(width * height).fill(Infinity);
  for (let t = 0; t < triangles.length; t += 3) {
    const a = triangles[t], b = triangles[t + 1], c = triangles[t + 2], area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a]);
    if (!area) continue;
    const top = Math.max(0, Math.ceil(Math.min(y[a], y[b], y[c]))), bottom = Math.min(height - 1, Math.floor(Math.max(y[a], y[b], y[c])));
    const left = Math.max(0, Math.ceil(Math.min(x[a], x[b], x[c]))), right = Math.min(width - 1, Math.floor(Math.max(x[a], x[b], x[c])));
    for (let py = top; py <= bottom; py++) for (let px = left; px <= right; px++) {
      const beta = ((px - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (py - y[a])) / area, gamma = ((x[b] - x[a]) * (py - y[a]) - (px - x[a]) * (y[b] - y[a])) / area, alpha = 1 - beta - gamma;
      if (alpha < 0 || beta < 0 || gamma < 0) continue;
      const far = alpha * depth[a] + beta * depth[b] + gamma * depth[c], place = py * width + px;
      if (far >= nearest[place]) continue;
      nearest[place] = far;
      const lit = Math.min(1, alpha * light[a] + beta * light[b] + gamma * light[c]), doubt = deviation ? Math.min(1, (alpha * deviation[a] + beta * deviation[b] + gamma * deviation[c]) / 160) : 0;
      picture.data[4 * place] = lit * (236 + 19 * doubt);
      picture.data[4 * place + 1] = lit * (226 - 116 * doubt);
      picture.data[4 * place + 2] = lit * (202 - 192 * doubt);
      picture.data[4 * place + 3] = 255;
    }
  }
  shown.surface.nearest = nearest;
  context.putImageData(picture, 0, 0);
  const mm = mmOf(at), [u, v] = turned(...mm.map((value, i) => value - shown.surface.low[i] - shown.surface.size[i] / 2));
  context.strokeStyle = "#56b4e9";
  context.lineWidth = 2 * devicePixelRatio;
  context.beginPath();
  context.arc(width / 2 + u * scale, height / 2 - v * scale, 7 * devicePixelRatio, 0, 7);
  context.stroke();
  label.textContent = deviation ? "orange: the folds differ" : "";
  if (!turn[0] && !turn[1]) letters(context, surfaceView, ["S", "I", "R", "L"]);
}

function mmOf(index_zyx) {
  const index = [index_zyx[2], index_zyx[1], index_zyx[0]];
  return shown.volume.steps_mm.map((row, i) => row[0] * index[0] + row[1] * index[1] + row[2] * index[2] + shown.volume.origin_mm[i]);
}

function indexOf(mm) {
  const away = mm.map((value, i) => value - shown.volume.origin_mm[i]), { shape, index_of_mm: matrix } = shown.volume;
  return matrix.map((row) => row[0] * away[0] + row[1] * away[1] + row[2] * away[2]).reverse().map((value, axis) => Math.min(shape[axis] - 1, Math.max(0, Math.round(value))));
}

function pickSurface(event) {
  const px = Math.round(event.offsetX * devicePixelRatio), py = Math.round(event.offsetY * devicePixelRatio), depth = shown.surface.nearest[py * surfaceView.width + px];
  if (!Number.isFinite(depth)) return;
  const scale = surfaceScale(), u = (px - surfaceView.width / 2) / scale, v = (surfaceView.height / 2 - py) / scale, [a, b] = turn;
  const z = v * Math.cos(b) - depth * Math.sin(b), back = v * Math.sin(b) + depth * Math.cos(b);
  const local = [u * Math.cos(a) - back * Math.sin(a), u * Math.sin(a) + back * Math.cos(a), z];
  at = indexOf(local.map((value, i) => value + shown.surface.low[i] + shown.surface.size[i] / 2));
  draw();
}

// ---- input ----
function scroll(axis, step) {
  if (!shown) return;
  at[axis] = Math.min(shown.volume.shape[axis] - 1, Math.max(0, at[axis] + step));
  draw();
}

for (const canvas of views) {
  const axis = Number(canvas.dataset.axis);
  let rolled = 0;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    rolled += event.deltaY;
    // Touchpads send many small steps.
    if (Math.abs(rolled) < 30 && event.deltaMode === 0 && Math.abs(event.deltaY) < 30) return;
    scroll(axis, rolled > 0 ? -1 : 1);
    rolled = 0;
  }, { passive: false });
  canvas.addEventListener("pointerenter", () => { hovered = axis; });
  canvas.addEventListener("click", (event) => {
    if (!shown) return;
    const { rows, columns, width, height, left, top } = placed(canvas, axis), { shape } = shown.volume;
    const index = (value, start, size, length) => Math.min(length - 1, Math.max(0, length - 1 - Math.floor(((value * devicePixelRatio - start) / size) * length)));
    at[columns] = index(event.offsetX, left, width, shape[columns]);
    at[rows] = index(event.offsetY, top, height, shape[rows]);
    draw();
  });
}
var hovered = 0;

let dragged = null;
surfaceView.addEventListener("pointerdown", (event) => { dragged = { x: event.clientX, y: event.clientY, turn: turn.slice(), moved: false }; surfaceView.setPointerCapture(event.pointerId); });
surfaceView.addEventListener("pointermove", (event) => {
  if (!dragged || !shown?.surface) return;
  const dx = event.clientX - dragged.x, dy = event.clientY - dragged.y;
  dragged.moved ||= Math.hypot(dx, dy) > 3;
  if (dragged.moved) { turn = [dragged.turn[0] + dx / 120, Math.max(-1.5, Math.min(1.5, dragged.turn[1] - dy / 120))]; requestAnimationFrame(drawSurface); }
});
surfaceView.addEventListener("pointerup", (event) => { if (dragged && !dragged.moved && shown?.surface) pickSurface(event); dragged = null; });

const ACTIONS = {
  j: () => show(current + 1), k: () => show(current - 1), a: () => mark("accept"), c: () => mark("correct"), r: () => mark("reject"),
  u: () => { for (let step = 1; step <= cases.cases.length; step++) { const number = (current + step) % cases.cases.length; if (!entryOf(number).mark) return show(number); } },
  h: () => { outline = !outline; draw(); }, w: () => { contrast = 1 - contrast; draw(); },
  "+": () => { zoom = Math.min(8, zoom * 1.5); draw(); }, "-": () => { zoom = Math.max(1, zoom / 1.5); if (zoom < 1.01) zoom = 1; draw(); }, 0: () => { zoom = 1; draw(); },
  "?": () => { const help = $("#help"); help.hidden = !help.hidden; $("#keys").setAttribute("aria-expanded", String(!help.hidden)); },
};
ACTIONS["="] = ACTIONS["+"];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.id === "note") { if (event.key === "Enter" || event.key === "Escape") event.target.blur(); return; }
  const axis = Number(document.activeElement?.dataset?.axis ?? hovered);
  if (event.key === "ArrowUp" || event.key === "ArrowDown") { event.preventDefault(); return scroll(axis, event.key === "ArrowUp" ? 1 : -1); }
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") { turn[0] += event.key === "ArrowLeft" ? -0.2 : 0.2; if (shown) drawSurface(); return; }
  const action = ACTIONS[event.key.toLowerCase()];
  if (action && !event.repeat) { event.preventDefault(); action(); }
});
document.querySelectorAll("[data-mark]").forEach((button) => button.addEventListener("click", () => mark(button.dataset.mark)));
$("#note").addEventListener("change", () => { const entry = entryOf(current); entry.note = $("#note").value; keep(entry); });
$("#save").addEventListener("click", download);
$("#keys").addEventListener("click", ACTIONS["?"]);
$("#load").addEventListener("change", async (event) => {
  try { const content = JSON.parse(await event.target.files[0].text()); take(content); takeOthers(content); unsaved = true; showMarks(); } catch { showMarks("This file is not a record of a review."); }
});
addEventListener("resize", () => draw());
addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

list();
if (!server) { try { const kept = localStorage.getItem(KEPT); if (kept) { take(JSON.parse(kept)); unsaved = true; } } catch { /* No marks are kept. */ } }
else fetch(`${server}/review.json`).then((answer) => answer.json()).then((content) => { take(content); }).catch(() => showMarks("The server does not answer. Start nnfemur review --serve again."));
$("#save").hidden = Boolean(server);
$("#load").parentElement.hidden = Boolean(server);
show(0);
