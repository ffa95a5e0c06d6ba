// The network as one picture to scale; dropout's cells go dark and batch normalization moves its values, step by step.

import { cuboid, dropCells, histogram } from "./architecture_drawing.js";

const STEP_MILLISECONDS = 1800;
const MOVE_MILLISECONDS = 900;
const pictures = new WeakMap(); // by the element that Streamlit gives to each place on the page
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
let playedByItself = false; // once for each page that is loaded

class Picture {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.${name}`);
    this.find("play").onclick = () => (this.timer ? this.pause() : this.play());
    this.find("forward").onclick = () => { this.pause(); this.show(this.step + 1); };
    this.seen = new IntersectionObserver((entries) => this.onSeen(entries[0].isIntersecting), { threshold: 0.6 });
    this.seen.observe(root);
  }

  load(data) {
    this.pause();
    this.colors = data.colors;
    this.dropouts = [];
    this.norms = [];
    this.find("blocks").replaceChildren(...data.blocks.map((block) => this.block(block)));
    this.find("controls").hidden = !this.dropouts.length && !this.norms.length;
    this.show(0);
  }

  block(block) {
    const item = document.createElement("li");
    const body = document.createElement(block.opens ? "button" : "div");
    if (block.opens) {
      body.type = "button";
      body.title = `Open the maps of ${block.name}`;
      body.onclick = () => this.open(block.name);
    }
    const drawing = document.createElement("div");
    drawing.className = "drawing";
    const { svg, dropped } = cuboid(block);
    drawing.append(svg);
    const name = document.createElement("b");
    name.textContent = block.name;
    body.append(drawing, name, line(block.shape), line(block.parameters));
    for (const layer of block.layers) body.append(this.chip(block, layer, dropped));
    item.append(body);
    return item;
  }

  chip(block, layer, dropped) {
    const chip = line(layer, "chip");
    if (layer === block.dropout?.name) {
      chip.style.borderLeftColor = this.colors.dropout;
      const words = line("");
      chip.append(words);
      this.dropouts.push({ block, dropped, words, masks: block.dropout.masks.map(bytesOf) });
    }
    if (layer === block.bn?.name) {
      chip.style.borderLeftColor = this.colors.bn;
      const values = block.bn.values.map((text) => new Float32Array(bytesOf(text).buffer));
      const words = line("");
      const bars = histogram(values, this.colors.bn);
      chip.append(bars.svg, words);
      this.norms.push({ ...block.bn, words, draw: bars.draw });
    }
    return chip;
  }

  show(step, moving = false) {
    this.step = step;
    this.root.classList.toggle("moving", moving);
    const told = [];
    for (const { block, dropped, words, masks } of this.dropouts) {
      const count = dropCells(block, dropped, masks[step % masks.length], this.colors.dropout);
      words.textContent = `${count} of ${block.units} dropped`;
    }
    if (this.dropouts.length) told.push(`random mask ${(step % this.dropouts[0].masks.length) + 1} of ${this.dropouts[0].masks.length}`);
    const side = step % 2;
    for (const norm of this.norms) {
      const [mean, spread] = norm.moments[side].map((value) => value.toFixed(2));
      norm.words.textContent = `${side ? "after" : "before"}: mean ${mean}, std ${spread}`;
    }
    if (this.norms.length) told.push(side ? "after batch normalization" : "before batch normalization");
    this.find("status").textContent = told.join(", ");
    if (moving && !reducedMotion.matches) this.move(side);
    else this.norms.forEach((norm) => norm.draw(side));
  }

  // Move the values of each batch normalization from the other side to this one.
  move(side) {
    const started = performance.now();
    const frame = (now) => {
      const share = Math.min((now - started) / MOVE_MILLISECONDS, 1);
      const eased = share * share * (3 - 2 * share);
      this.norms.forEach((norm) => norm.draw(side ? eased : 1 - eased));
      if (share < 1) this.frame = requestAnimationFrame(frame);
    };
    cancelAnimationFrame(this.frame);
    if (this.norms.length) this.frame = requestAnimationFrame(frame);
  }

  onSeen(visible) {
    if (!visible) this.pause();
    else if (!playedByItself && !reducedMotion.matches && !this.find("controls").hidden) this.play(8);
  }

  play(steps = Infinity) {
    playedByItself = true;
    let left = steps;
    this.find("play").textContent = "Pause";
    this.timer = setInterval(() => {
      this.show(this.step + 1, true);
      left -= 1;
      if (left <= 0) this.pause();
    }, STEP_MILLISECONDS);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.find("play").textContent = "Play";
  }

  stop() {
    this.pause();
    cancelAnimationFrame(this.frame);
    this.seen.disconnect();
  }
}

function line(text, name = "") {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

export default function ({ parentElement, data: [data], setTriggerValue }) {
  const root = parentElement.querySelector(".architecture");
  let picture = pictures.get(root);
  if (!picture) pictures.set(root, (picture = new Picture(root)));
  picture.open = (name) => setTriggerValue("block", name);
  const version = JSON.stringify(data);
  if (picture.version !== version) picture.load(data);
  picture.version = version;
  return () => { picture.stop(); pictures.delete(root); };
}
