// Maps as canvases, numbers as colored squares, the frames on them and the lines between them.

/** The color of a value: of a palette that ends at `end`, zero in its middle where it is signed. */
export function colorOf(palettes, value, end, signed) {
  const share = value / end;
  const index = signed
    ? 128 + Math.round(127 * Math.min(Math.max(share, -1), 1))
    : 1 + Math.round(254 * Math.min(Math.max(share, 0), 1));
  return palettes[Number(signed)].subarray(3 * index, 3 * index + 3);
}

/** Black or white, whichever can be read better on a color (WCAG 2.2). */
function textOn([red, green, blue]) {
  const linear = [red, green, blue]
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "#000" : "#fff";
}

/** A canvas of height x width values with `padding` empty pixels around; `color(at)` is [red, green, blue, alpha]. */
export function paint(canvas, height, width, color, padding = 0) {
  [canvas.width, canvas.height] = [width + 2 * padding, height + 2 * padding];
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let at = 0; at < height * width; at++) {
    const [red, green, blue, alpha = 255] = color(at);
    picture.data.set([red, green, blue, alpha], 4 * at);
  }
  context.putImageData(picture, padding, padding);
}

/** A canvas with a frame over it and a caption under it. */
export function mapPanel(caption) {
  const panel = document.createElement("div");
  panel.className = "panel";
  const area = document.createElement("div");
  area.className = "area";
  const canvas = document.createElement("canvas");
  const frame = document.createElement("div");
  frame.className = "frame";
  area.append(canvas, frame);
  const words = document.createElement("figcaption");
  words.textContent = caption;
  panel.append(area, words);
  return { panel, area, canvas, frame };
}

/** Put a frame around `size` pixels, from a row and column of the canvas. */
export function moveFrame({ canvas, frame }, row, column, size) {
  const percent = (pixels, all) => `${(100 * pixels) / all}%`;
  frame.style.left = percent(column, canvas.width);
  frame.style.top = percent(row, canvas.height);
  frame.style.width = percent(size, canvas.width);
  frame.style.height = percent(size, canvas.height);
}

/** The pixel of a canvas under a pointer: [row, column]. */
export function pixelUnder(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const place = (at, side, count) => Math.min(Math.max(Math.floor((at / side) * count), 0), count - 1);
  return [
    place(event.clientY - box.top, box.height, canvas.height),
    place(event.clientX - box.left, box.width, canvas.width),
  ];
}

/** A square of size x size numbers; `data-at` of each is its place, row by row. */
export function numberGrid(size, label) {
  const grid = document.createElement("div");
  grid.className = "grid";
  grid.style.setProperty("--size", size);
  grid.setAttribute("role", "img");
  const cells = Array.from({ length: size * size }, (_, at) => {
    const cell = document.createElement("span");
    cell.dataset.at = at;
    return cell;
  });
  grid.append(...cells);
  const block = document.createElement("div");
  block.className = "block";
  const words = document.createElement("small");
  words.textContent = label;
  block.append(grid, words);
  return { block, grid, cells, words, label };
}

/** Two decimals; in large kernels without the zero before the point. */
export function shortNumber(value, size) {
  const text = (Math.abs(value) < 0.005 ? 0 : value).toFixed(2);
  return size <= 3 ? text : text.replace(/^(-?)0\./, "$1.");
}

/** Write values into a square of numbers, each on its color. */
export function fillGrid(part, values, size, color) {
  part.cells.forEach((cell, at) => {
    const ground = color(values[at]);
    cell.textContent = shortNumber(values[at], size);
    cell.title = values[at].toFixed(5);
    cell.style.backgroundColor = `rgb(${ground.join(" ")})`;
    cell.style.color = textOn(ground);
  });
  part.grid.setAttribute("aria-label", `${part.label}: ${[...values].map((value) => value.toFixed(2)).join(", ")}`);
}

/** Lines from the right side of one element to the left side of another, inside the stage. */
export function linkLines(stage, links, pairs) {
  const origin = stage.getBoundingClientRect();
  const lines = pairs.flatMap(([from, to]) => {
    const [a, b] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
    if (b.left < a.right) return [];
    return [["top", "top"], ["bottom", "bottom"]].map(([start, end]) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const ends = { x1: a.right - origin.left, y1: a[start] - origin.top, x2: b.left - origin.left, y2: b[end] - origin.top };
      Object.entries(ends).forEach(([name, value]) => line.setAttribute(name, value));
      return line;
    });
  });
  links.replaceChildren(...lines);
}
