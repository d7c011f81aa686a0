"use strict";
// The values under the pointer, in all charts at once. Arrow keys move it when the charts have the focus.
(() => {
  const stack = document.getElementById("stack");
  const source = document.getElementById("points");
  const plots = stack ? [...stack.querySelectorAll(".plot")] : [];
  if (!source || plots.length === 0) return;
  const { at, span, step, series, spans, remarks, tips } = JSON.parse(source.textContent);
  if (at.length === 0) return;

  const line = stack.appendChild(Object.assign(document.createElement("div"), { className: "cross" }));
  const pill = line.appendChild(document.createElement("span"));
  const tip = line.appendChild(document.createElement("span"));
  const tipped = stack.querySelector("[data-tip]")?.closest(".plot");
  const slots = [...stack.querySelectorAll("[data-key]")];
  stack.classList.add("live");
  stack.tabIndex = 0;
  let current = -1;

  const digits = (value) =>
    value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
  const text = (value, unit) => {
    if (value === null || value === undefined) return "–";
    if (unit === "ms" && value >= 1000) return `${(value / 1000).toFixed(2)} s`;
    return unit ? `${digits(value)} ${unit}` : digits(value);
  };
  const clock = (seconds) => {
    const whole = Math.round(seconds);
    const pad = (value) => String(value).padStart(2, "0");
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
  };
  const told = (list) => list.findLast(([from]) => from <= current)?.[1] ?? "";

  const hide = () => {
    current = -1;
    line.hidden = true;
    for (const slot of slots) slot.textContent = "";
  };
  const show = (index) => {
    current = Math.min(Math.max(index, 0), at.length - 1);
    const time = at[current];
    const [box, plot] = [stack.getBoundingClientRect(), plots[0].getBoundingClientRect()];
    const share = Math.min(time / span, 1);
    line.hidden = false;
    line.style.left = `${plot.left - box.left + share * plot.width}px`;
    line.style.top = `${plot.top - box.top}px`;
    line.style.height = `${plots.at(-1).getBoundingClientRect().bottom - plot.top}px`;
    line.classList.toggle("left", share > 0.5);
    // A point stands for the step before it.
    const named = spans.find(([from, to]) => time - step / 2 >= from && time - step / 2 < to);
    pill.textContent = [clock(time), named?.[2], told(remarks)].filter(Boolean).join(" · ");
    tip.textContent = told(tips);
    tip.hidden = tip.textContent === "";
    if (tipped) tip.style.top = `${tipped.getBoundingClientRect().top - plot.top + 4}px`;
    for (const slot of slots) {
      const one = series[slot.dataset.key];
      slot.textContent = one ? text(one.values[current], one.unit) : "";
    }
  };
  const nearest = (time) => {
    let [low, high] = [0, at.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low > 0 && time - at[low - 1] < at[low] - time ? low - 1 : low;
  };

  stack.addEventListener("pointermove", (event) => {
    const plot = plots[0].getBoundingClientRect();
    const share = (event.clientX - plot.left) / plot.width;
    if (share < -0.02 || share > 1.02) hide();
    else show(nearest(share * span));
  });
  stack.addEventListener("pointerleave", hide);
  stack.addEventListener("blur", hide);
  stack.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? Math.max(1, Math.round(at.length / 20)) : 1;
    if (event.key === "ArrowLeft") show((current < 0 ? at.length : current) - far);
    else if (event.key === "ArrowRight") show(current + far);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
  hide();
})();
