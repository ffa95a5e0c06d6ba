// The forward pass of a network, and the gradient that Grad-CAM needs: the twin of cnnlab/models/numpy_forward.py.
// An activation is {data: Float32Array, shape: [height, width, channels] or [units]}, for one image.

const EPSILON = 1e-3; // Keras's default of batch normalization

function conv2d(input, kernel, kernelShape, bias, padding) {
  const [kh, kw, channels, filters] = kernelShape;
  const [height, width] = input.shape;
  const [top, left] = padding === "same" ? [kh >> 1, kw >> 1] : [0, 0];
  const outHeight = padding === "same" ? height : height - kh + 1;
  const outWidth = padding === "same" ? width : width - kw + 1;
  const out = new Float32Array(outHeight * outWidth * filters);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const target = (y * outWidth + x) * filters;
      out.set(bias, target);
      for (let i = 0; i < kh; i++) {
        const row = y + i - top;
        if (row < 0 || row >= height) continue;
        for (let j = 0; j < kw; j++) {
          const column = x + j - left;
          if (column < 0 || column >= width) continue;
          const source = (row * width + column) * channels;
          for (let c = 0; c < channels; c++) {
            const value = input.data[source + c];
            if (value === 0) continue;
            const first = ((i * kw + j) * channels + c) * filters;
            for (let f = 0; f < filters; f++) out[target + f] += value * kernel[first + f];
          }
        }
      }
    }
  }
  return { data: out, shape: [outHeight, outWidth, filters] };
}

function batchNorm(input, gamma, beta, mean, variance) {
  const channels = gamma.length;
  const scale = gamma.map((value, c) => value / Math.sqrt(variance[c] + EPSILON));
  return { data: input.data.map((value, i) => (value - mean[i % channels]) * scale[i % channels] + beta[i % channels]), shape: input.shape };
}

function relu(input) {
  return { data: input.data.map((value) => Math.max(value, 0)), shape: input.shape };
}

// For each value of a pooled map: the index of the largest value of its 2x2 square, the first one of equal ones.
function poolSources(input) {
  const [height, width, channels] = input.shape;
  const [outHeight, outWidth] = [height >> 1, width >> 1];
  const sources = new Int32Array(outHeight * outWidth * channels);
  for (let y = 0; y < outHeight; y++)
    for (let x = 0; x < outWidth; x++)
      for (let c = 0; c < channels; c++) {
        let best = ((2 * y) * width + 2 * x) * channels + c;
        for (const [i, j] of [[0, 1], [1, 0], [1, 1]]) {
          const other = ((2 * y + i) * width + 2 * x + j) * channels + c;
          if (input.data[other] > input.data[best]) best = other;
        }
        sources[(y * outWidth + x) * channels + c] = best;
      }
  return { sources, shape: [outHeight, outWidth, channels] };
}

function maxPool(input) {
  const { sources, shape } = poolSources(input);
  return { data: Float32Array.from(sources, (source) => input.data[source]), shape };
}

function dense(input, kernel, units, bias) {
  const out = Float32Array.from(bias);
  for (let i = 0; i < input.data.length; i++) {
    const value = input.data[i];
    if (value === 0) continue;
    for (let unit = 0; unit < units; unit++) out[unit] += value * kernel[i * units + unit];
  }
  return { data: out, shape: [units] };
}

function applyLayer(network, layer, input) {
  const [first, second, third, fourth] = variablesOf(network, layer);
  switch (layer.kind) {
    case "rescale": return { data: input.data.map((value) => value / 255), shape: input.shape };
    case "conv": return conv2d(input, first, network.weights[`${layer.name}/kernel`].shape, second, layer.padding);
    case "bn": return batchNorm(input, first, second, third, fourth);
    case "relu": return relu(input);
    case "pool": return maxPool(input);
    case "dropout": return input;
    case "flatten": return { data: input.data, shape: [input.data.length] };
    case "dense": {
      const out = dense(input, first, layer.output_shape[0], second);
      return layer.activation === "relu" ? relu(out) : out;
    }
  }
  throw new Error(`This page knows no layer of the kind ${layer.kind}.`);
}

const ROLES = { conv: ["kernel", "bias"], dense: ["kernel", "bias"], bn: ["gamma", "beta", "moving_mean", "moving_variance"] };

function variablesOf(network, layer) {
  return (ROLES[layer.kind] ?? []).map((role) => network.values[`${layer.name}/${role}`]);
}

// Views of one Float32Array, by the names of the weights.
export function splitWeights(network, numbers) {
  const size = (shape) => shape.reduce((product, length) => product * length, 1);
  const named = Object.entries(network.weights).map(([name, { offset, shape }]) => [name, numbers.subarray(offset, offset + size(shape))]);
  return { ...network, values: Object.fromEntries(named) };
}

// The activation of every layer by its name; `pixels` has 32 x 32 x 3 values from 0 to 255.
export function computeActivations(network, pixels) {
  const activations = { input: { data: Float32Array.from(pixels), shape: [32, 32, 3] } };
  for (const layer of network.layers) activations[layer.name] = applyLayer(network, layer, activations[layer.inputs[0]]);
  return activations;
}

export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - largest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

// The derivative of one logit with respect to an activation: the chain rule from the logits back to `name`.
export function gradient(network, activations, target, name) {
  const layers = network.layers;
  let grad = new Float32Array(activations.logits.data.length);
  grad[target] = 1;
  for (let index = layers.length - 1; layers[index].name !== name; index--) {
    const layer = layers[index];
    const [input, output] = [activations[layer.inputs[0]], activations[layer.name]];
    if (layer.kind === "dense") grad = denseBackward(layer, network.values[`${layer.name}/kernel`], grad, input, output);
    else if (layer.kind === "pool") grad = poolBackward(grad, input);
    else if (layer.kind !== "flatten" && layer.kind !== "dropout") throw new Error(`No gradient through ${layer.kind}.`);
  }
  return grad;
}

function denseBackward(layer, kernel, grad, input, output) {
  const units = grad.length;
  const passed = layer.activation === "relu" ? grad.map((value, unit) => (output.data[unit] > 0 ? value : 0)) : grad;
  return new Float32Array(input.data.length).map((_, i) => {
    let sum = 0;
    for (let unit = 0; unit < units; unit++) sum += passed[unit] * kernel[i * units + unit];
    return sum;
  });
}

function poolBackward(grad, input) {
  const out = new Float32Array(input.data.length);
  poolSources(input).sources.forEach((source, i) => { out[source] += grad[i]; });
  return out;
}

// Grad-CAM (Selvaraju et al. 2017): maps of the layer, weighted by their mean gradients, negative values set to 0.
export function gradCam(network, activations, target, name) {
  const { data, shape: [height, width, channels] } = activations[name];
  const grad = gradient(network, activations, target, name);
  const importance = new Float64Array(channels);
  grad.forEach((value, i) => { importance[i % channels] += value / (height * width); });
  const coarse = new Float32Array(height * width);
  for (let pixel = 0; pixel < coarse.length; pixel++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += importance[c] * data[pixel * channels + c];
    coarse[pixel] = Math.max(sum, 0);
  }
  return { coarse, height, width };
}

// Which pixels of the image one pixel of a layer's maps depends on, by walking back: [top, left, bottom, right).
export function receptiveField(network, name, row, column) {
  let box = [row, column, row + 1, column + 1];
  const byName = Object.fromEntries(network.layers.map((layer) => [layer.name, layer]));
  for (let layer = byName[name]; layer; layer = byName[layer.inputs[0]]) {
    const size = byName[layer.inputs[0]]?.output_shape[0] ?? 32;
    if (layer.kind === "conv") {
      const before = layer.padding === "same" ? layer.kernel >> 1 : 0;
      box = [box[0] - before, box[1] - before, box[2] - before + layer.kernel - 1, box[3] - before + layer.kernel - 1];
    } else if (layer.kind === "pool") box = box.map((edge) => 2 * edge);
    box = box.map((edge) => Math.min(Math.max(edge, 0), size));
  }
  return box;
}
