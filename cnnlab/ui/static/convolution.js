// The kernel slides over its input: input, kernel, products and output map, linked under the pointer and the keyboard.
import { decode, outputMap, roundedParts, tracePixel } from "./convolution_math.js";
import { colorOf, fillGrid, linkLines, mapPanel, moveFrame, numberGrid, paint, pixelUnder } from "./convolution_drawing.js";
import { DIGITS, describe, describeStep, fixed, sign, signedNumber, term } from "./convolution_text.js";

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const TINTS = { red: [1, 0, 0], green: [0, 1, 0], blue: [0, 0, 1] };
const animations = new WeakMap(); // by the element that Streamlit gives to each place on the page
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
let playedByItself = false; // once for each page that is loaded

class Animation {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.${name}`);
    this.find("play").onclick = () => (this.timer ? this.pause() : this.play());
    this.find("back").onclick = () => this.step(-1);
    this.find("forward").onclick = () => this.step(1);
    this.find("choose").onclick = () => this.choosePixel([this.row, this.column]);
    this.find("speed").onchange = () => { if (this.timer) this.play(); };
    root.onkeydown = (event) => this.onKey(event);
    this.resized = new ResizeObserver(() => this.drawLinks());
    this.resized.observe(this.find("stage"));
    this.seen = new IntersectionObserver((entries) => this.onSeen(entries[0].isIntersecting), { threshold: 0.6 });
    this.seen.observe(this.find("stage"));
  }

  load(data) {
    this.pause();
    this.network = decode(data);
    this.values = outputMap(this.network);
    this.build();
    this.show(data.start[0], data.start[1]);
  }

  stop() {
    this.pause();
    this.resized.disconnect();
    this.seen.disconnect();
  }

  // ---- the drawing ----

  build() {
    const { network } = this;
    const own = !network.image;
    this.picture = network.image && this.inputPanel(this.find("input"), null, "the image");
    this.find("input").hidden = own;
    if (own) this.find("input").replaceChildren();
    this.rows = network.channels.map((channel) => this.channelRow(channel, own));
    this.find("rows").replaceChildren(...this.rows.map((row) => row.line));
    const { height, width, name } = network.output;
    this.output = mapPanel(`map ${network.map} of ${name}, ${height}x${width}`);
    this.find("output").replaceChildren(this.output.panel);
    this.describeOutput();
    this.output.area.onpointermove = (event) => this.pointAt(pixelUnder(this.output.canvas, event));
    this.output.area.onpointerdown = this.output.area.onpointermove;
  }

  describeOutput() {
    const { area } = this.output;
    area.tabIndex = 0;
    area.setAttribute("role", "slider");
    area.setAttribute("aria-label", `Pixel of map ${this.network.map} of ${this.network.output.name}: arrow keys move, space plays`);
    area.setAttribute("aria-valuemin", 0);
    area.setAttribute("aria-valuemax", this.values.length - 1);
  }

  inputPanel(place, channel, caption) {
    const { network } = this;
    const { height, width } = network.input;
    const found = mapPanel(`${caption}, ${height}x${width}`);
    const color = channel ? (at) => this.inputColor(channel, channel.values[at]) : (at) => network.image.subarray(3 * at, 3 * at + 3);
    paint(found.canvas, height, width, color, network.padding);
    found.area.onpointermove = (event) => {
      const middle = Math.floor(network.kernelSize / 2);
      this.pointAt(pixelUnder(found.canvas, event).map((at) => at - middle));
    };
    found.area.onpointerdown = found.area.onpointermove;
    place.replaceChildren(found.panel);
    return found;
  }

  inputColor(channel, value) {
    const tint = this.network.image && TINTS[channel.name];
    if (tint) return tint.map((share) => Math.round(255 * share * value));
    return colorOf(this.network.palettes, value, this.network.scales.input, this.network.signed.input);
  }

  channelRow(channel, own) {
    const { kernelSize: size } = this.network;
    const line = document.createElement("div");
    line.className = "row";
    const place = document.createElement("figure");
    const panel = own ? this.inputPanel(place, channel, channel.name) : null;
    const [patch, kernel, products] = [own ? "patch" : channel.name, "kernel", "products"].map((label) => numberGrid(size, label));
    fillGrid(kernel, channel.kernel, size, (value) => colorOf(this.network.palettes, value, this.network.scales.kernel, true));
    const sum = sign("");
    sum.classList.add("total");
    const result = document.createElement("div");
    result.append(sign("="), products.block, sum);
    line.append(...(own ? [place] : []), patch.block, sign("×"), kernel.block, result);
    line.onpointerover = (event) => this.mark(event.target.dataset?.at);
    line.onpointerleave = () => this.mark(undefined);
    return { line, panel, patch, kernel, products, sum };
  }

  mark(at) {
    for (const { patch, kernel, products } of this.rows)
      for (const part of [patch, kernel, products])
        part.cells.forEach((cell) => cell.classList.toggle("marked", cell.dataset.at === at));
  }

  paintOutput(filled) {
    const { height, width } = this.network.output;
    const { palettes, scales, signed } = this.network;
    paint(this.output.canvas, height, width, (at) => [
      ...colorOf(palettes, this.values[at], scales.output, signed.output), at < filled ? 255 : 40,
    ]);
  }

  show(row, column, filled = this.values.length) {
    const { network } = this;
    [this.row, this.column] = [row, column];
    const found = tracePixel(network, row, column);
    const shown = roundedParts(found.parts.map((part) => part.value), DIGITS);
    this.paintOutput(filled);
    moveFrame(this.output, row, column, 1);
    for (const panel of [this.picture, ...this.rows.map((one) => one.panel)])
      if (panel) moveFrame(panel, row, column, network.kernelSize);
    this.rows.forEach((one, at) => this.fillRow(one, network.channels[at], found.channels[at], shown[at]));
    this.showSum(found, shown);
    this.drawLinks();
    const words = describe(found, row, column);
    this.output.area.setAttribute("aria-valuenow", row * network.output.width + column);
    this.output.area.setAttribute("aria-valuetext", words);
    this.tell(words);
  }

  // A screen reader reads the value of the focused map by itself, and not every pixel of the animation.
  tell(words) {
    const focused = this.root.getRootNode().activeElement === this.output.area;
    this.find("status").setAttribute("aria-live", focused || this.timer ? "off" : "polite");
    this.find("status").textContent = words;
  }

  fillRow(row, channel, found, sum) {
    const { kernelSize: size, palettes, scales } = this.network;
    fillGrid(row.patch, found.patch, size, (value) => this.inputColor(channel, value));
    fillGrid(row.products, found.products, size, (value) => colorOf(palettes, value, scales.product, true));
    row.products.cells.forEach((cell, at) => {
      cell.title = `${found.patch[at].toFixed(5)} × ${channel.kernel[at].toFixed(5)} = ${found.products[at].toFixed(5)}`;
    });
    row.sum.textContent = `sum ${signedNumber(sum)}`;
  }

  showSum(found, shown) {
    const total = shown.reduce((sum, value) => sum + value, 0);
    const items = found.parts.map((part, at) => term(part.name, signedNumber(shown[at])));
    items.push(term(this.network.layer, `= ${fixed(total)}`, "result"));
    for (const step of found.steps) items.push(term(step.name, `→ ${fixed(step.after)}`, "result"));
    this.find("sum").replaceChildren(...items);
    this.find("steps").textContent = found.steps.map(describeStep).join(" ");
  }

  drawLinks() {
    if (!this.rows) return;
    const pairs = this.rows.map((row) => [(row.panel ?? this.picture).frame, row.patch.grid]);
    const middle = this.rows[Math.floor(this.rows.length / 2)];
    linkLines(this.find("stage"), this.find("links"), [...pairs, [middle.sum, this.output.frame]]);
  }

  // ---- moving ----

  pointAt([row, column]) {
    const { height, width } = this.network.output;
    const [y, x] = [Math.min(Math.max(row, 0), height - 1), Math.min(Math.max(column, 0), width - 1)];
    if (!this.timer && y === this.row && x === this.column) return;
    this.pause();
    this.show(y, x);
  }

  step(count) {
    this.pause();
    this.showPlace((this.row * this.network.output.width + this.column + count + this.values.length) % this.values.length);
  }

  showPlace(place, filled) {
    const { width } = this.network.output;
    this.show(Math.floor(place / width), place % width, filled);
  }

  onKey(event) {
    const inControl = event.target.matches("button, select");
    if (event.key === " " && !inControl) {
      if (this.timer) this.pause();
      else this.play();
    } else if (MOVES[event.key] && !event.target.matches("select")) {
      const [down, right] = MOVES[event.key];
      this.pointAt([this.row + down, this.column + right]);
    } else if (event.key === "Home" || event.key === "End") {
      this.pause();
      this.showPlace(event.key === "Home" ? 0 : this.values.length - 1);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  onSeen(visible) {
    if (!visible) this.pause();
    else if (!playedByItself && !reducedMotion.matches) {
      playedByItself = true;
      this.play();
    }
  }

  play() {
    clearInterval(this.timer);
    playedByItself = true;
    let place = this.row * this.network.output.width + this.column;
    if (place >= this.values.length - 1) place = -1;
    this.root.classList.toggle("gliding", Number(this.find("speed").value) > 100 && !reducedMotion.matches);
    this.find("play").textContent = "Pause";
    this.timer = setInterval(() => {
      place += 1;
      this.showPlace(place, place + 1);
      if (place >= this.values.length - 1) this.pause();
    }, Number(this.find("speed").value));
  }

  pause() {
    playedByItself ||= Boolean(this.timer);
    clearInterval(this.timer);
    this.timer = undefined;
    this.root.classList.remove("gliding");
    this.find("play").textContent = "Play";
    if (this.output) this.tell(this.output.area.getAttribute("aria-valuetext"));
  }
}

export default function ({ parentElement, data: [data], setTriggerValue }) {
  const root = parentElement.querySelector(".convolution");
  let animation = animations.get(root);
  if (!animation) animations.set(root, (animation = new Animation(root)));
  animation.choosePixel = (pixel) => setTriggerValue("pixel", pixel);
  const version = JSON.stringify(data);
  if (animation.version !== version) animation.load(data);
  animation.version = version;
  return () => { animation.stop(); animations.delete(root); };
}
