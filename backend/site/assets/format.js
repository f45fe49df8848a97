// What the page says, as pure functions: sizes, times, names, estimates. Nothing here touches the document.

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units, as the desktop window says them: "86 MB", "1.4 MB", "42.6 GB". */
export function size(bytes) {
  let unit = 0;
  let value = bytes;
  while (unit < UNITS.length - 1 && Number(rounded(value, unit)) >= 1000) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return bytes === 1 ? "1 byte" : `${value} bytes`;
  return `${rounded(value, unit)} ${UNITS[unit]}`;
}

function rounded(value, unit) {
  const fine = unit > 0 && (value < 9.95 || (unit >= 3 && value < 99.95));
  return value.toFixed(fine ? 1 : 0).replace(/\.0$/, "");
}

/** "412 MB of 1.2 GB", and "12 of 40 MB" where both have one unit. */
export function sizeOf(part, whole) {
  const [left, right] = [size(part), size(whole)];
  const [number, unit] = left.split(" ");
  return right.endsWith(` ${unit}`) ? `${number} of ${right}` : `${left} of ${right}`;
}

/** "21 s", "4 min", "1 h 20 min", "3 days". */
export function duration(seconds) {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** "expires in 30 days"; both times are milliseconds since the epoch. */
export function expiry(expiresMs, nowMs) {
  const minutes = (expiresMs - nowMs) / 60_000;
  if (minutes <= 0) return "expired";
  if (minutes < 1) return "expires in less than a minute";
  return `expires in ${span(minutes)}`;
}

function span(minutes) {
  if (minutes < 59.5) return plural(Math.round(minutes), "minute");
  if (minutes < 47.5 * 60) return plural(Math.round(minutes / 60), "hour");
  return plural(Math.round(minutes / 1440), "day");
}

export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A date in the reader's own manner. */
export function day(ms) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }).format(ms);
}

/** A date and time in the reader's own manner, to the minute. */
export function moment(ms) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" }).format(ms);
}

// Characters that change the direction of what follows: in a file name they only serve to dress an .exe as a .jpg.
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu;

/** A name as it may be shown: one line, in its true order, nothing invisible left in it. */
export function shownName(name) {
  return name.replace(/\r\n|[\r\n]/g, "↵").replace(DIRECTION, "\ufffd").replace(CONTROL, "\ufffd");
}

const FAMILIES = {
  video: "mp4 m4v webm mpg mpeg 3gp",
  footage: "mov avi mkv mxf braw r3d",
  archive: "zip gz tgz bz2 xz zst 7z rar tar iso dmg jar",
  image: "png jpg jpeg gif webp avif heic svg tif tiff bmp psd raw cr2 nef dng ico",
  document: "pdf doc docx odt rtf pages xls xlsx ods csv tsv ppt pptx odp key numbers epub txt md tex",
  audio: "wav mp3 flac aac m4a ogg opus aif aiff mid",
};

/** The badge of a file: at most five letters, and the family that gives it its colours. */
export function badge(name) {
  const extension = /[^.]\.([a-z0-9]{1,5})$/i.exec(name)?.[1]?.toLowerCase();
  if (!extension) return { label: "FILE", family: "other" };
  const family = Object.keys(FAMILIES).find((key) => FAMILIES[key].split(" ").includes(extension));
  return { label: extension.toUpperCase(), family: family ?? "other" };
}

const WINDOW_MS = 15_000;

/** `samples` with one more {at, sent}, kept to the last 15 s (and never to fewer than two). */
export function withSample(samples, sample) {
  const last = samples.at(-1);
  if (last && sample.sent < last.sent) return [sample]; // sent again from the start
  const kept = samples.filter((old) => sample.at - old.at <= WINDOW_MS);
  return [...(kept.length ? kept : samples.slice(-1)), sample];
}

/** {rate, secondsLeft}: bytes per second and seconds, null where the samples do not tell. */
export function estimate(samples, whole) {
  const [first, last] = [samples[0], samples.at(-1)];
  const seconds = samples.length > 1 ? (last.at - first.at) / 1000 : 0;
  const rate = seconds >= 0.5 ? (last.sent - first.sent) / seconds : null;
  const secondsLeft = rate && whole ? Math.max(0, whole - last.sent) / rate : null;
  return { rate, secondsLeft };
}

/** "412 MB of 1.2 GB · 38 MB/s · 21 s left", as much of it as is known. */
export function progressLine(sent, whole, { rate, secondsLeft }) {
  if (!sent) return whole ? `Waiting for the first of ${size(whole)}` : "Waiting for the first bytes";
  const words = [whole ? sizeOf(sent, whole) : `${size(sent)} so far`];
  if (whole && sent >= whole) return `${size(whole)} · finishing`;
  if (rate) words.push(`${size(Math.round(rate))}/s`);
  else if (rate === 0) words.push("waiting for the sender");
  if (secondsLeft) words.push(`${duration(secondsLeft)} left`);
  return words.join(" · ");
}

/** What a screen reader should hear when progress went from one share (0 to 1) to another: every quarter, once. */
export function heard(before, after) {
  const quarter = Math.floor(after * 4);
  if (before === null || quarter <= Math.floor(before * 4) || quarter >= 4) return "";
  return `${quarter * 25} % has arrived`;
}

/** Milliseconds until the next look at a link, or null for never. `polls` were made, the last `unchanged` in vain. */
export function pollDelay({ kind, state, polls, unchanged, empty = false, pages = 1 }) {
  if (state === "arriving") {
    const base = polls < 10 ? 1000 : polls < 40 ? 2000 : 5000;
    return Math.min(15_000, base * pages * (1 + Math.floor(unchanged / 10)));
  }
  // Files may still come into a folder, and nobody can say whether: look for some 13 minutes after the last one came,
  // and on and on while there is none.
  if (kind !== "folder" || state !== "ready" || (unchanged >= 24 && !empty)) return null;
  return Math.min(60_000, 5_000 * pages * (1 + Math.floor(unchanged / 2)));
}

/** Milliseconds until trying again after `failures` failures in a row; the service may ask for more. */
export function retryDelay(failures, retryAfterSeconds = 0) {
  return Math.max(Math.min(60_000, 2500 * 2 ** Math.min(failures, 8)), retryAfterSeconds * 1000);
}
