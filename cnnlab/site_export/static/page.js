// The page: choose a network and an image, look at every feature map, one map, one pixel and Grad-CAM.

import { computeActivations, gradCam, receptiveField, softmax, splitWeights } from "./network.js";

const find = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const state = { network: 0, image: 0, target: null, map: null, pixel: null };
let site, images, activations;

async function fetchNumbers(name, kind) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status}).`);
  return new kind(await answer.arrayBuffer());
}

async function load() {
  try {
    site = await (await fetch("site.json")).json();
    images = await fetchNumbers("images.bin", Uint8Array);
    await loadNetwork();
  } catch (error) {
    find("status").textContent = `This page needs a web server and its data files: ${error.message}`;
    return;
  }
  site.networks.forEach((network, index) => find("network").add(new Option(network.title, index)));
  site.images.forEach((image, index) => find("images").append(imageButton(image, index)));
  find("network").addEventListener("change", chooseNetwork);
  find("map-canvas").addEventListener("pointermove", pointAt);
  find("map-canvas").addEventListener("keydown", moveByKey);
  update();
}

async function loadNetwork() {
  const network = site.networks[state.network];
  if (!network.values) site.networks[state.network] = splitWeights(network, await fetchNumbers(`${network.name}.bin`, Float32Array));
}

async function chooseNetwork(event) {
  state.network = Number(event.target.value);
  state.map = state.target = null;
  await loadNetwork();
  update();
}

// The class of an image of the data set; null for a picture of one's own.
const trueClass = (image) => image.label === null ? null : site.classes[image.label];
const describe = (image) => image.label === null ? image.name : `${image.name}: ${trueClass(image)}`;

function imageButton(image, index) {
  const button = document.createElement("button");
  button.title = describe(image);
  button.setAttribute("aria-label", button.title);
  button.append(colorCanvas(pixelsOf(index)));
  button.addEventListener("click", () => { state.image = index; state.target = null; update(); });
  return button;
}

const pixelsOf = (index) => images.subarray(index * 3072, (index + 1) * 3072);

function colorCanvas(pixels, canvas = document.createElement("canvas")) {
  canvas.width = canvas.height = 32;
  paint(canvas, 32, 32, (i) => [pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]]);
  return canvas;
}

function paint(canvas, width, height, color) {
  const context = canvas.getContext("2d");
  const data = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) data.data.set([...color(i), 255], 4 * i);
  context.putImageData(data, 0, 0);
}

function update() {
  const network = site.networks[state.network];
  const started = performance.now();
  activations = computeActivations(network, pixelsOf(state.image));
  const milliseconds = performance.now() - started;
  const probabilities = softmax(activations.logits.data);
  const best = probabilities.indexOf(Math.max(...probabilities));
  state.target ??= best;
  const image = site.images[state.image];
  find("accuracy").textContent = `${network.accuracy_of} accuracy ${percent(network.accuracy)}`;
  find("status").textContent = `${network.layers.length} layers computed in ${milliseconds.toFixed(0)} ms.`;
  find("prediction").textContent = `Prediction: ${site.classes[best]} (${percent(probabilities[best])})${judge(image, best)}.`;
  [...find("images").children].forEach((button, index) => button.setAttribute("aria-pressed", index === state.image));
  colorCanvas(pixelsOf(state.image), find("image"));
  find("image").setAttribute("aria-label", describe(image));
  find("image-caption").textContent = describe(image);
  find("answer").hidden = false;
  showProbabilities(probabilities);
  showHeat(network);
  showLayers(network);
  showMap(network);
  document.body.dataset.shown = `${network.name} ${state.image}`;
  window.cnnlab = { site, activations, milliseconds, gradCam: (target) => gradCam(network, activations, target, lastMaps(network)) };
}

function judge(image, best) {
  if (image.label === null) return "";
  return image.label === best ? ", correct" : `, wrong: the true class is ${trueClass(image)}`;
}

function showProbabilities(probabilities) {
  const rows = probabilities.map((probability, index) => {
    const row = document.createElement("tr");
    const button = document.createElement("button");
    button.textContent = site.classes[index];
    button.setAttribute("aria-pressed", index === state.target);
    button.addEventListener("click", () => { state.target = index; update(); });
    const meter = document.createElement("meter");
    meter.value = probability;
    meter.setAttribute("aria-label", site.classes[index]);
    for (const content of [button, meter, percent(probability)]) row.insertCell().append(content);
    return row;
  });
  find("probabilities").tBodies[0].replaceChildren(...rows);
}

const reluLayers = (network) => network.layers.filter((layer) => layer.kind === "relu");
const lastMaps = (network) => reluLayers(network).at(-1).name;

// Linear between the centers of the receptive fields, constant beyond the outermost ones.
function interpolate(values, centers, position) {
  const next = centers.findIndex((center) => center >= position);
  if (next === 0) return values[0];
  if (next === -1) return values[values.length - 1];
  const share = (position - centers[next - 1]) / (centers[next] - centers[next - 1]);
  return values[next - 1] * (1 - share) + values[next] * share;
}

function showHeat(network) {
  const name = lastMaps(network);
  const { coarse, height, width } = gradCam(network, activations, state.target, name);
  const centers = network.centers[name];
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: 32 }, (_, x) => interpolate(coarse.subarray(y * width, (y + 1) * width), centers, x)));
  const heat = Array.from({ length: 1024 }, (_, i) => interpolate(rows.map((row) => row[i % 32]), centers, i >> 5));
  const largest = Math.max(...coarse);
  const pixels = pixelsOf(state.image);
  paint(find("heat"), 32, 32, (i) => {
    const gray = 0.3 * pixels[3 * i] + 0.59 * pixels[3 * i + 1] + 0.11 * pixels[3 * i + 2];
    const share = largest > 0 ? heat[i] / largest : 0;
    return [gray * (1 - share) + 230 * share, gray * (1 - share) + 120 * share, gray * (1 - share)];
  });
  const target = site.classes[state.target];
  find("heat-caption").textContent = largest > 0 ? `Grad-CAM at ${name}: orange speaks for ${target}` : `Grad-CAM at ${name}: nothing speaks for ${target}`;
  find("heat").setAttribute("aria-label", find("heat-caption").textContent);
}

function showLayers(network) {
  const sections = reluLayers(network).map((layer) => {
    const [height, width, channels] = layer.output_shape;
    const { data } = activations[layer.name];
    const largest = data.reduce((most, value) => Math.max(most, value), 0);
    const section = document.createElement("section");
    const heading = document.createElement("h2");
    const grid = document.createElement("div");
    grid.className = "grid";
    let inactive = 0;
    for (let channel = 0; channel < channels; channel++) {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [width, height];
      let most = 0;
      paint(canvas, width, height, (i) => {
        const value = data[i * channels + channel];
        most = Math.max(most, value);
        const gray = largest > 0 ? 255 * value / largest : 0;
        return [gray, gray, gray];
      });
      if (most === 0) inactive++;
      button.append(canvas);
      button.setAttribute("aria-label", `${layer.name}, map ${channel + 1}, largest value ${most.toFixed(2)}`);
      button.setAttribute("aria-pressed", state.map?.layer === layer.name && state.map.channel === channel);
      button.addEventListener("click", () => {
        state.map = { layer: layer.name, channel };
        state.pixel = [height >> 1, width >> 1];
        update();
        find("map").scrollIntoView({ block: "nearest" });
      });
      grid.append(button);
    }
    heading.textContent = `${layer.name}: ${channels} feature maps of ${height}x${width}, ${inactive} found nothing here; white is ${largest.toFixed(2)}`;
    section.append(heading, grid);
    return section;
  });
  find("layers").replaceChildren(...sections);
}

function showMap(network) {
  find("map").hidden = !state.map;
  if (!state.map) return;
  const { layer, channel } = state.map;
  const { data, shape: [height, width, channels] } = activations[layer];
  const values = Float32Array.from({ length: height * width }, (_, i) => data[i * channels + channel]);
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  const canvas = find("map-canvas");
  [canvas.width, canvas.height] = [width, height];
  const [row, column] = state.pixel;
  paint(canvas, width, height, (i) => {
    const gray = largest > 0 ? 255 * values[i] / largest : 0;
    return i === row * width + column ? [230, 120, 0] : [gray, gray, gray];
  });
  canvas.setAttribute("aria-label", `map ${channel + 1} of ${layer}`);
  find("map-title").textContent = `Map ${channel + 1} of ${layer}`;
  const [top, left, bottom, right] = receptiveField(network, layer, row, column);
  find("pixel").textContent = `Pixel (${row}, ${column}) is ${values[row * width + column].toFixed(4)}. ` +
    `It depends on ${bottom - top}x${right - left} pixels of the image: rows ${top} to ${bottom - 1}, columns ${left} to ${right - 1}.`;
  outline(find("image"), top, left, bottom, right);
  showTerms(network, network.layers.find((one) => one.kind === "conv" && one.block === network.layers.find((l) => l.name === layer).block), channel, row, column);
}

function outline(canvas, top, left, bottom, right) {
  const context = canvas.getContext("2d");
  context.strokeStyle = "#e67800";
  context.strokeRect(left + 0.5, top + 0.5, right - left - 1, bottom - top - 1);
}

// One pixel of a convolution: for each position of the kernel the sum over its input channels, then the bias.
function showTerms(network, conv, channel, row, column) {
  const input = activations[conv.inputs[0]];
  const kernel = network.values[`${conv.name}/kernel`];
  const [kh, kw, channels, filters] = network.weights[`${conv.name}/kernel`].shape;
  const before = conv.padding === "same" ? kh >> 1 : 0;
  const bias = network.values[`${conv.name}/bias`][channel];
  let sum = bias;
  const rows = Array.from({ length: kh }, (_, i) => {
    const line = document.createElement("tr");
    for (let j = 0; j < kw; j++) {
      const [y, x] = [row + i - before, column + j - before];
      let part = 0;
      if (y >= 0 && x >= 0 && y < input.shape[0] && x < input.shape[1])
        for (let c = 0; c < channels; c++) part += input.data[(y * input.shape[1] + x) * channels + c] * kernel[((i * kw + j) * channels + c) * filters + channel];
      sum += part;
      line.insertCell().textContent = part.toFixed(3);
    }
    return line;
  });
  find("terms").tBodies[0].replaceChildren(...rows);
  find("terms").caption.textContent = `${conv.name}: each cell is kernel times input at one position, summed over ${channels} channels. ` +
    `All ${kh * kw} and the bias ${bias.toFixed(3)} give ${sum.toFixed(3)}` + (sum < 0 && !network.layers.some((layer) => layer.kind === "bn") ? ", which ReLU sets to 0." : ".");
}

function pointAt(event) {
  const canvas = event.target;
  const place = canvas.getBoundingClientRect();
  const row = Math.floor((event.clientY - place.top) / place.height * canvas.height);
  const column = Math.floor((event.clientX - place.left) / place.width * canvas.width);
  choosePixel(canvas, row, column);
}

function moveByKey(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  choosePixel(event.target, state.pixel[0] + step[0], state.pixel[1] + step[1]);
}

function choosePixel(canvas, row, column) {
  const pixel = [Math.min(Math.max(row, 0), canvas.height - 1), Math.min(Math.max(column, 0), canvas.width - 1)];
  if (pixel.join() === state.pixel.join()) return;
  state.pixel = pixel;
  colorCanvas(pixelsOf(state.image), find("image"));
  showMap(site.networks[state.network]);
}

load();
