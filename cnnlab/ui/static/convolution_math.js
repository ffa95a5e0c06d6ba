// The arithmetic of one pixel of a convolution: patch, products, sums, batch normalization and ReLU, in float64.

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The numbers of `data` as arrays: see animation_data in cnnlab/inspect/convolution_animation.py. */
export function decode(data) {
  const channels = data.channels.map((channel) => ({
    name: channel.name,
    values: new Float32Array(bytesOf(channel.values).buffer),
    kernel: new Float32Array(bytesOf(channel.kernel).buffer),
  }));
  return {
    ...data,
    channels,
    others: data.others && { count: data.others.count, sums: new Float64Array(bytesOf(data.others.sums).buffer) },
    image: data.image && bytesOf(data.image),
    palettes: data.palettes.map(bytesOf),
  };
}

/** The values of a channel under the kernel at a pixel, row by row; zero where the kernel lies outside. */
export function patchAt(network, channel, row, column) {
  const { kernelSize: size, padding, input: { height, width } } = network;
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [y, x] = [row - padding + Math.floor(at / size), column - padding + (at % size)];
    return y >= 0 && x >= 0 && y < height && x < width ? channel.values[y * width + x] : 0;
  });
}

/** Everything that a pixel is computed from: parts, their total, the value after each step, and the last value. */
export function tracePixel(network, row, column) {
  const channels = network.channels.map((channel) => {
    const patch = patchAt(network, channel, row, column);
    const products = patch.map((value, at) => value * channel.kernel[at]);
    return { name: channel.name, patch, products, sum: products.reduce((sum, value) => sum + value, 0) };
  });
  const parts = channels.map(({ name, sum }) => ({ name, value: sum }));
  if (network.others) {
    const value = network.others.sums[row * network.output.width + column];
    parts.push({ name: `${network.others.count} other maps`, value });
  }
  parts.push({ name: "bias", value: network.bias });
  const total = parts.reduce((sum, part) => sum + part.value, 0);
  let value = total;
  const steps = network.steps.map((step) => {
    const before = value;
    value = step.kind === "bn" ? normalize(step, before) : Math.max(before, 0);
    return { ...step, before, after: value };
  });
  return { channels, parts, total, steps, value };
}

const normalize = (step, value) =>
  ((value - step.mean) / Math.sqrt(step.variance + step.epsilon)) * step.gamma + step.beta;

/** The map that the kernel fills, row by row. */
export function outputMap(network) {
  const { height, width } = network.output;
  return Float64Array.from(
    { length: height * width },
    (_, at) => tracePixel(network, Math.floor(at / width), at % width).value,
  );
}

/**
 * Numbers rounded to `digits` decimals so that they add up to the rounded sum: rounded down first, then up where the
 * remainder is largest (the method of largest remainders).
 */
export function roundedParts(values, digits) {
  const scale = 10 ** digits;
  const floors = values.map((value) => Math.floor(value * scale));
  const total = Math.round(values.reduce((sum, value) => sum + value, 0) * scale);
  const missing = total - floors.reduce((sum, value) => sum + value, 0);
  const order = values.map((_, at) => at).sort((a, b) => values[b] * scale - floors[b] - (values[a] * scale - floors[a]));
  order.slice(0, Math.max(missing, 0)).forEach((at) => { floors[at] += 1; });
  return floors.map((value) => value / scale);
}
