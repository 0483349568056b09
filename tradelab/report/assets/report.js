// Draw each chart when it comes into view, in the colours of the page; fold code; print everything in light colours.
(() => {
  "use strict";
  const root = document.documentElement;
  const night = matchMedia("(prefers-color-scheme: dark)");
  const finger = matchMedia("(pointer: coarse)").matches;
  const PRINT_WIDTH = 686; // A4 less its margins, in CSS pixels
  const PRINT_HEIGHT = 0.78; // of the height on the screen

  const button = document.getElementById("show-code");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      button.textContent = on ? "Hide all code" : "Show all code";
      for (const fold of document.querySelectorAll("details.code")) fold.open = on;
    });
  }

  const figures = [...document.querySelectorAll("figure.chart")];
  const packedLibrary = document.querySelector("script[type='application/x-tradelab-plotly']");
  if (!figures.length || !packedLibrary || !("DecompressionStream" in window)) return;
  root.classList.add("js");

  const inflate = (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  let library;
  const plotly = () => (library ??= inflate(packedLibrary.textContent).then((code) => {
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
    if (!window.Plotly) throw new Error("plotly.js did not load");
    return window.Plotly;
  }));

  const charts = new Map(figures.map((figure) => [figure, {
    figure,
    plot: figure.querySelector(".chart-plot"),
    canvas: null,
    spec: null,
    read: null,
  }]));
  const read = (chart) => (chart.read ??= inflate(chart.figure.querySelector("script").textContent).then((text) => {
    chart.spec = JSON.parse(text);
  }));

  const colour = () => {
    const style = getComputedStyle(root);
    return (name) => style.getPropertyValue("--" + name).trim();
  };
  const own = (colours, theirs) => (!theirs || /^#636efa$/i.test(theirs[0]) ? colours : theirs);

  // The figure's own template with the page's colours laid over it; what the layout itself says still wins.
  function template(theirs) {
    const c = colour();
    const axis = { gridcolor: c("grid"), linecolor: c("line"), zerolinecolor: c("line"), tickcolor: c("line") };
    const layout = theirs?.layout ?? {};
    const data = theirs?.data ?? {};
    const table = {
      header: { fill: { color: c("wash") }, line: { color: c("line") }, font: { color: c("ink") } },
      cells: { fill: { color: c("card") }, line: { color: c("grid") }, font: { color: c("ink") } },
    };
    const candle = { increasing: { line: { color: c("up") } }, decreasing: { line: { color: c("down") } } };
    const plainBar = { marker: { line: { width: 0 } } };
    return {
      layout: {
        ...layout,
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { ...layout.font, color: c("soft"), family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" },
        colorway: own([0, 1, 2, 3, 4, 5, 6, 7].map((n) => c("c" + n)), layout.colorway),
        xaxis: { ...layout.xaxis, ...axis },
        yaxis: { ...layout.yaxis, ...axis },
        hoverlabel: { ...layout.hoverlabel, bgcolor: c("card"), bordercolor: c("line"), font: { color: c("ink") } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: c("faint"), activecolor: c("ink") },
        legend: { ...layout.legend, bgcolor: "rgba(0,0,0,0)" },
      },
      data: {
        ...data,
        bar: [plainBar],
        histogram: [plainBar],
        table: [table],
        candlestick: [candle],
        ohlc: [candle],
        pie: [{ marker: { line: { color: c("paper"), width: 1.5 } } }],
        waterfall: [{
          increasing: { marker: { color: c("up") } },
          decreasing: { marker: { color: c("down") } },
          totals: { marker: { color: c("c0") } },
          connector: { line: { color: c("line"), width: 1 } },
        }],
      },
    };
  }

  function layoutOf(chart, width) {
    const theirs = chart.spec.layout ?? {};
    const room = width ?? chart.plot.clientWidth;
    const layout = { ...theirs, autosize: !width, width, height: chart.plot.clientHeight, uirevision: "keep" };
    delete layout.title;
    if (!width) delete layout.width;
    layout.margin = { l: 56, r: 20, b: 44, t: theirs.annotations?.length ? 44 : 24, ...theirs.margin };
    if (theirs.title && !(theirs.margin && "t" in theirs.margin)) layout.margin.t = theirs.annotations?.length ? 40 : 20;
    if (room < 560) layout.margin = { ...layout.margin, l: Math.min(layout.margin.l, 46), r: Math.min(layout.margin.r, 12) };
    if (room < 560 && !theirs.legend) layout.legend = { orientation: "h", y: -0.16, x: 0 };
    // A page that was given its own background keeps its own colours.
    if (!theirs.paper_bgcolor && !theirs.plot_bgcolor) layout.template = template(theirs.template);
    if (finger) layout.dragmode = false;
    return layout;
  }

  function paint(chart, width) {
    chart.height ??= chart.plot.clientHeight;
    chart.plot.style.height = (width ? Math.round(chart.height * PRINT_HEIGHT) : chart.height) + "px";
    const config = {
      ...chart.spec.config, responsive: !width, displaylogo: false, displayModeBar: finger || width ? false : "hover",
      // nothing leaves the page: no button that uploads the chart
      modeBarButtonsToRemove: ["lasso2d", "select2d", "sendChartToCloud", "sendDataToCloud"], plotlyServerURL: "",
      staticPlot: Boolean(width),
    };
    if (!chart.canvas) {
      chart.canvas = document.createElement("div");
      chart.canvas.style.cssText = "position:absolute;inset:0";
      chart.plot.append(chart.canvas);
    }
    const draw = window.Plotly.react(chart.canvas, structuredClone(chart.spec.data), structuredClone(layoutOf(chart, width)), config);
    chart.figure.classList.add("is-drawn");
    return draw;
  }

  async function show(chart) {
    try {
      await Promise.all([plotly(), read(chart)]);
      await paint(chart);
    } catch (reason) { // the sketch stays, and the words come out
      chart.figure.classList.remove("is-drawn");
      chart.figure.querySelector(".chart-words").classList.add("shown");
      console.warn("tradelab: a chart could not be drawn:", reason);
    }
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      show(charts.get(entry.target));
    }
  }, { rootMargin: "500px" });
  figures.forEach((figure) => watcher.observe(figure));

  // Printing cannot wait, so everything is unpacked beforehand, when the browser has nothing else to do.
  const idle = window.requestIdleCallback ?? ((task) => setTimeout(task, 200));
  const waiting = [...charts.values()];
  const unpackNext = () => {
    const chart = waiting.shift();
    if (chart) read(chart).then(() => idle(unpackNext), () => idle(unpackNext));
    else root.dataset.charts = "unpacked";
  };
  idle(() => plotly().then(unpackNext, () => {}));

  const repaint = (width) => {
    for (const chart of charts.values()) {
      if (chart.spec && window.Plotly && (width || chart.canvas)) paint(chart, width);
    }
  };
  night.addEventListener("change", () => repaint());
  addEventListener("beforeprint", () => {
    root.dataset.theme = "light";
    repaint(PRINT_WIDTH);
  });
  addEventListener("afterprint", () => {
    delete root.dataset.theme;
    repaint();
  });
})();
