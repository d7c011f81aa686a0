"use strict";
// The values under the pointer, in all charts at once. Arrow keys move it when the charts have the focus.
(() => {
  const stack = document.getElementById("stack");
  const source = document.getElementById("points");
  const plots = stack ? [...stack.querySelectorAll(".plot")] : [];
  if (!source || plots.length === 0) return;
  const { at, span, series, states, builds, names, steps } = JSON.parse(source.textContent);
  if (at.length === 0) return;

  const line = stack.appendChild(Object.assign(document.createElement("div"), { className: "cross" }));
  const pill = line.appendChild(document.createElement("span"));
  const tip = line.appendChild(document.createElement("span"));
  const instances = stack.querySelector(".plot:has(.builds)");
  const slots = [...stack.querySelectorAll("[data-key]")];
  stack.classList.add("live");
  stack.tabIndex = 0;
  let current = -1;

  const units = { p50: " ms", p99: " ms", cpu: " %" };
  const digits = (value) =>
    value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
  const text = (key, index) => {
    const value = series[key]?.[index];
    return value === null || value === undefined ? "–" : digits(value) + (units[key] ?? "");
  };
  const build = (name, number, index) => {
    const now = builds[number].findLast((change) => change[0] <= index);
    const told = states.flatMap((state, nth) => (now?.[nth + 1] ? [`${now[nth + 1]} ${state}`] : []));
    return told.length > 0 ? [`${name}: ${told.join(", ")}`] : [];
  };
  const clock = (seconds) => {
    const pad = (value) => String(value).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds % 60)];
    return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
  };

  const hide = () => {
    current = -1;
    line.hidden = true;
    for (const slot of slots) slot.textContent = "";
  };
  const show = (index) => {
    current = Math.min(Math.max(index, 0), at.length - 1);
    const time = at[current];
    const [box, plot] = [stack.getBoundingClientRect(), plots[0].getBoundingClientRect()];
    const share = Math.min((time + 0.5) / span, 1);
    line.hidden = false;
    line.style.left = `${plot.left - box.left + share * plot.width}px`;
    line.style.top = `${plot.top - box.top}px`;
    line.style.height = `${plots.at(-1).getBoundingClientRect().bottom - plot.top}px`;
    line.classList.toggle("left", share > 0.5);
    const step = steps.find(([from, to]) => time >= from && time < to);
    const speed = series.speed[current];
    pill.textContent = [clock(time), step?.[2], speed > 1 ? `time ×${digits(speed)}` : ""].filter(Boolean).join(" · ");
    for (const slot of slots) slot.textContent = text(slot.dataset.key, current);
    tip.textContent = names.flatMap((name, number) => build(name, number, current)).join("\n");
    tip.hidden = tip.textContent === "";
    if (instances) tip.style.top = `${instances.getBoundingClientRect().top - plot.top + 4}px`;
  };
  const under = (time) => {
    let [low, high] = [0, at.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (at[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  stack.addEventListener("pointermove", (event) => {
    const plot = plots[0].getBoundingClientRect();
    const share = (event.clientX - plot.left) / plot.width;
    if (share < -0.02 || share > 1.02) hide();
    else show(under(share * span));
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
