"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // The choice of theme survives a reload where the browser lets a local file remember anything.
  const remember = (value) => { try { localStorage.setItem("espalier-theme", value); } catch { /* private mode */ } };
  const recall = () => { try { return localStorage.getItem("espalier-theme"); } catch { return null; } };
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = document.getElementById("theme");
  const show = () => { button.textContent = isDark() ? "☀" : "☾"; button.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme"); };
  const toggle = () => { root.dataset.theme = isDark() ? "light" : "dark"; remember(root.dataset.theme); show(); };
  const chosen = recall();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  button.addEventListener("click", toggle);
  show();

  const crops = [...document.querySelectorAll(".crop")];
  const stage = document.querySelector(".stage");
  const slider = stage?.querySelector("input");
  const radios = (side) => [...document.querySelectorAll(`.pick input[name=${side}]`)];
  const picked = (side) => radios(side).find((r) => r.checked)?.value;
  const picture = (version) => crops[current].querySelector(`figure[data-version="${version}"]`);
  let current = 0;

  const cut = () => {
    stage.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % ${picked("left")}`);
  };

  const draw = () => {
    for (const side of ["left", "right"]) {
      const version = picked(side);
      const image = stage.querySelector(`img.${side}`);
      image.src = picture(version).querySelector("img").src;
      image.alt = version;
      stage.querySelector(`.name-${side}`).textContent = version;
      for (const radio of radios(side)) radio.closest("label").querySelector(".db").textContent = picture(radio.value)?.dataset.db ?? "";
    }
    const { width, height } = crops[current].dataset;
    stage.style.setProperty("--ratio", `${width} / ${height}`);
    stage.style.maxWidth = `calc(78vh * ${width / height})`;
    cut();
  };

  const choose = (index) => {
    current = (index + crops.length) % crops.length;
    crops.forEach((crop, k) => crop.classList.toggle("chosen", k === current));
    document.querySelectorAll(".thumbs button").forEach((b, k) => {
      b.setAttribute("aria-pressed", String(k === current));
      // Only the strip moves: scrollIntoView would take the whole page along.
      if (k === current) b.parentElement.scrollLeft = b.offsetLeft - (b.parentElement.clientWidth - b.offsetWidth) / 2;
    });
    draw();
  };

  const pick = (side, index) => {
    const radio = radios(side)[index];
    if (radio) { radio.checked = true; draw(); }
  };

  if (stage && crops.length) {
    const thumbs = document.querySelector(".thumbs");
    crops.forEach((crop, k) => {
      const item = document.createElement("button");
      const image = document.createElement("img");
      image.src = crop.querySelector("figure img").src;
      image.alt = crop.querySelector("h3").textContent;
      item.append(image);
      item.addEventListener("click", () => choose(k));
      thumbs.append(item);
    });
    slider.addEventListener("input", cut);
    document.querySelectorAll(".pick input").forEach((radio) => radio.addEventListener("change", draw));
    choose(0);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (event.key === "t") toggle();
    else if (!crops.length) return;
    else if (event.key === "j") choose(current + 1);
    else if (event.key === "k") choose(current - 1);
    else if (digit) pick(event.shiftKey ? "left" : "right", Number(digit[1]) - 1);
  });
})();
