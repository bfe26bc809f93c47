  {# Enlarges the time line down to single calls with their arguments. What is drawn for the whole stays as it is; a
     part is drawn from the calls that the page has one by one. #}
  const svgOf = (name, attributes = {}) => {
    const element = document.createElementNS(document.querySelector("svg").namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  {# Numbers as the rest of the page has them: three digits and a unit. #}
  const digits = (number) => number.toFixed(number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2);
  const time = (nanoseconds) => {
    const units = [[1, "ns"], [1e3, "us"], [1e6, "ms"], [1e9, "s"]];
    const [scale, unit] = units.find(([scale]) => nanoseconds / scale < 999.5) ?? units[3];
    return `${scale === 1 ? nanoseconds.toFixed(0) : digits(nanoseconds / scale)} ${unit}`;
  };
  const scaled = (number, unit) => {
    const prefixes = ["", "k", "M", "G", "T", "P", "E"];
    let place = 0;
    while (number >= 999.5 && place + 1 < prefixes.length) [number, place] = [number / 1000, place + 1];
    return `${place === 0 ? number.toFixed(0) : digits(number)} ${prefixes[place]}${unit}`;
  };
  {# Of more digits than microseconds where these do not tell two ends of the view apart. #}
  const place = (nanoseconds, step = 1e3) => {
    const decimals = Math.max(6, Math.min(9, Math.ceil(Math.log10(1e9 / step))));
    return `${(nanoseconds / 1e9).toFixed(decimals)} s`;
  };

  const figure = document.getElementById("time");
  if (figure) (() => {
    {# What would do nothing without a script is not in the page without one. #}
    all("template.scripted").forEach((template) => template.replaceWith(template.content));
    {# As in picture.rs: pixels of a lane, above its bars, and between calls within each other. #}
    const HEIGHT = 30;
    const STRIP = 6;
    const STEP = 5;
    {# Nobody asks for less, in nanoseconds: a clock's ticks. #}
    const LEAST = 50;

    const whole = { from: Number(figure.dataset.from), to: Number(figure.dataset.to) };
    const axis = figure.querySelector(".axis");
    const labels = [...axis.childNodes];
    const tools = document.querySelector(".tools");
    const output = tools.querySelector("output");
    const detail = document.querySelector(".detail");
    const band = document.createElement("div");
    band.className = "band";
    band.hidden = true;
    figure.append(band);
    let view = { ...whole };
    let past = [];
    let changed = 0;
    let selected = null;

    const texts = document.getElementById("texts").content.textContent.split("\n").map((line) => {
      const [colour, operations, bytes, ...words] = line.split(" ");
      const amount = (text) => (text === "-" ? null : Number(text));
      return { colour, operations: amount(operations), bytes: amount(bytes), text: words.join(" ") };
    });
    const callsOf = (encoded) => {
      let [clock, sequence] = [0, 0];
      return (encoded === "" ? [] : encoded.split(" ")).map((call) => {
        const numbers = call.split(".").map((number) => parseInt(number, 36));
        const [gap, length, line, flags = 0, between = 0, gpu = 0] = numbers;
        clock += gap;
        sequence += 1 + between;
        return {
          begin: clock, end: clock + length, said: texts[line], sequence,
          isFailed: (flags & 1) !== 0, isFirst: (flags & 2) !== 0, depth: flags >> 2, gpu: gpu - 1,
        };
      });
    };

    const length = () => view.to - view.from;
    const isWhole = () => view.from <= whole.from && view.to >= whole.to;
    const percent = (at) => ((at - view.from) / length()) * 100;
    const told = (call) => call.of
      ? `${call.of.said.text}  GPU ${time(call.of.gpu)}, host ${time(call.of.end - call.of.begin)}`
      : `${call.said.text}  ${time(call.end - call.begin)}` + (call.gpu >= 0 ? `, GPU ${time(call.gpu)}` : "") +
        `, at ${place(call.begin, length())}` + (call.isFirst ? ", the first of its shape" : "");

    {# To find calls that begin before a part of time and reach into it. #}
    const reachesOf = (calls) => {
      let reach = -Infinity;
      return calls.map((call) => (reach = Math.max(reach, call.end)));
    };
    const lanes = all(".lane", figure).map((svg) => {
      const calls = callsOf(svg.parentNode.querySelector("template").content.textContent);
      const reaches = reachesOf(calls);
      const drawn = svg.querySelector(".drawn");
      const singles = svgOf("g", { class: "singles" });
      drawn.after(singles);
      const open = all(".open", svg).map((mark) => ({ mark, begin: Number(mark.dataset.b) }));
      for (const { mark } of open) for (const part of mark.children) {
        part.dataset.x = part.getAttribute("x");
        part.dataset.width = part.getAttribute("width");
      }
      return {
        svg, calls, reaches, drawn, singles, open,
        box: drawn.getAttribute("viewBox"),
        columns: drawn.viewBox.baseVal.width,
        isComplete: svg.dataset.complete === "true",
        name: svg.dataset.thread,
        lines: all(".mark", svg),
        pointing: pointing(svg),
      };
    });

    {# What the GPU did for the calls of a lane. When it began is not recorded: a time is drawn as early as it can
       have been, after its call was entered and after the one before it. #}
    for (const lane of [...lanes]) {
      const timed = lane.calls.filter((call) => call.gpu >= 0);
      if (timed.length === 0) continue;
      let end = -Infinity;
      const calls = timed.map((call) => {
        const begin = Math.max(call.begin, end);
        end = begin + call.gpu;
        return { begin, end, of: call, said: call.said, depth: 0, isFailed: false, isFirst: call.isFirst };
      });
      const row = document.createElement("div");
      row.className = "row";
      const who = document.createElement("div");
      who.className = "who quiet";
      who.textContent = `GPU, ${timed.length} of ${lane.calls.length} calls measured`;
      who.title = "When the GPU began is not recorded: each time is drawn as early as it can have been";
      const svg = svgOf("svg", { class: "lane", role: "img", "aria-label": `GPU times of the calls of thread ${lane.name}` });
      const singles = svgOf("g", { class: "singles" });
      svg.append(singles);
      row.append(who, svg);
      lane.svg.parentNode.after(row);
      lanes.push({
        svg, calls, reaches: reachesOf(calls), singles, open: [], host: lane, lines: [], name: lane.name,
        pointing: pointing(svg),
      });
    }

    const firstIn = (lane, at) => {
      let [low, high] = [0, lane.calls.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (lane.reaches[middle] < at) low = middle + 1;
        else high = middle;
      }
      return low;
    };

    {# Calls of a lane in a part of time; those that would share a pixel together. #}
    const partsOf = (lane, from, to, pixel) => {
      const parts = [];
      for (let n = firstIn(lane, from); n < lane.calls.length && lane.calls[n].begin < to; n += 1) {
        const call = lane.calls[n];
        if (call.end < from) continue;
        const isShort = call.end - call.begin < pixel;
        const last = parts.at(-1);
        if (isShort && last?.isShort && call.end - last.begin < pixel) {
          last.count += 1;
          last.end = Math.max(last.end, call.end);
          last.isFailed ||= call.isFailed;
          if (call.end - call.begin > last.call.end - last.call.begin) last.call = call;
        } else {
          parts.push({ begin: call.begin, end: call.end, call, count: 1, isShort, isFailed: call.isFailed });
        }
      }
      return parts;
    };

    const rectangle = (begin, end, depth, kind) => {
      const y = STRIP + STEP * Math.min(depth, 3);
      const [from, to] = [Math.max(percent(begin), -1), Math.min(percent(end), 101)];
      return svgOf("rect", { class: kind, x: `${from}%`, y, width: `${to - from}%`, height: HEIGHT - y });
    };
    const drawPart = (lane) => {
      const pixels = lane.svg.clientWidth || 1000;
      const items = [];
      const group = document.createDocumentFragment();
      for (const part of partsOf(lane, view.from, view.to, length() / pixels)) {
        const { call, count } = part;
        const first = call.isFirst && count === 1 ? " first" : "";
        const isWide = (part.end - part.begin) / length() > 4 / pixels;
        const kind = `f${call.said.colour}${first || (isWide ? " in" : "")}`;
        const mark = rectangle(part.begin, part.end, call.depth, kind);
        group.append(mark);
        if (part.isFailed) {
          const triangle = svgOf("svg", { x: `${percent(part.begin)}%`, overflow: "visible" });
          triangle.append(svgOf("path", { class: "x", d: "M-3 0h6l-3 5z" }));
          group.append(triangle);
        }
        const text = () => count === 1
          ? told(call)
          : `${count} calls in ${time(part.end - part.begin)} at ${place(part.begin, length())}: enlarge to tell them apart`;
        items.push({ mark, text, part });
      }
      lane.singles.replaceChildren(group);
      if (lane.host) {
        lane.pointing.set(items);
        return;
      }
      const column = (whole.to - whole.from) / lane.columns;
      const x = (view.from - whole.from) / column;
      lane.drawn.setAttribute("viewBox", `${x} 0 ${length() / column} ${HEIGHT}`);
      {# Where the page has all calls, what sums them up would only be in the way. #}
      lane.drawn.style.display = lane.isComplete ? "none" : "";
      lane.drawn.classList.add("dim");
      for (const { mark, begin } of lane.open) {
        const from = Math.max(percent(begin), -1);
        mark.style.display = from > 100 ? "none" : "";
        for (const part of mark.children) {
          part.setAttribute("x", `${Math.min(from, 100)}%`);
          part.setAttribute("width", `${Math.max(101 - from, 0)}%`);
        }
      }
      const open = lane.pointing.titled.filter(({ mark }) => mark.classList.contains("open"));
      lane.pointing.set([...items, ...open.filter(({ mark }) => mark.style.display === "")]);
    };
    const drawWhole = (lane) => {
      lane.singles.replaceChildren();
      lane.drawn.setAttribute("viewBox", lane.box);
      lane.drawn.style.display = "";
      lane.drawn.classList.remove("dim");
      for (const { mark } of lane.open) {
        mark.style.display = "";
        for (const part of mark.children) {
          part.setAttribute("x", part.dataset.x);
          part.setAttribute("width", part.dataset.width);
        }
      }
      lane.pointing.set(lane.pointing.titled);
    };

    {# Round times within the view, chosen as in picture.rs. #}
    const marks = () => {
      const rough = length() / 9;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
      const found = [];
      for (let n = Math.ceil(view.from / step); n * step <= view.to; n += 1) found.push(n * step);
      return { found, step };
    };
    const drawAxis = () => {
      const { found, step } = marks();
      const units = [[1, "ns"], [1e3, "us"], [1e6, "ms"], [1e9, "s"]];
      const largest = Math.max(Math.abs(view.from), Math.abs(view.to));
      const [scale, unit] = units.findLast(([scale]) => largest >= scale) ?? units[0];
      const decimals = Math.max(0, Math.ceil(Math.log10(scale / step) - 1e-9));
      const drawn = found.map((at, n) => {
        const x = percent(at);
        const anchor = x < 6 ? "start" : x > 94 ? "end" : "middle";
        const label = svgOf("text", { x: `${x}%`, y: 13, "text-anchor": anchor });
        if (n % 2) label.classList.add("odd");
        label.textContent = `${(at / scale).toFixed(decimals)} ${unit}`;
        return label;
      });
      const part = (at) => ((at - whole.from) / (whole.to - whole.from)) * 100;
      const width = Math.max(part(view.to) - part(view.from), 0.4);
      const where = svgOf("rect", { class: "where", x: `${part(view.from)}%`, y: 16, width: `${width}%`, height: 2 });
      axis.replaceChildren(...drawn, where);
      for (const lane of lanes) {
        lane.lines.forEach((line) => line.remove());
        lane.lines = found.map((at) => svgOf("line", { class: "mark", x1: `${percent(at)}%`, x2: `${percent(at)}%`, y2: "100%" }));
        (lane.drawn ?? lane.singles).before(...lane.lines);
      }
    };

    const button = (name) => tools.querySelector(`[data-do=${name}]`);
    const draw = () => {
      hide();
      const shown = isWhole();
      for (const lane of lanes) {
        if (shown && !lane.host) drawWhole(lane);
        else drawPart(lane);
      }
      drawAxis();
      if (shown) axis.replaceChildren(...labels);
      for (const name of ["out", "whole", "left", "right"]) button(name).disabled = shown;
      button("in").disabled = length() <= LEAST;
      button("back").disabled = past.length === 0;
      const total = time(whole.to - whole.from);
      output.textContent = shown
        ? `all of ${total}`
        : `${place(view.from, length())} to ${place(view.to, length())}: ${time(length())} of ${total}`;
      figure.dataset.from = view.from;
      figure.dataset.to = view.to;
      mark();
    };

    {# A frame at most for each; turns of a wheel come faster. #}
    let frame = 0;
    const drawSoon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        draw();
      });
    };
    const setView = (from, to) => {
      let wanted = Math.max(LEAST, Math.min(to - from, whole.to - whole.from));
      let start = (from + to - wanted) / 2;
      start = Math.max(whole.from, Math.min(start, whole.to - wanted));
      const now = { from: start, to: start + wanted };
      if (now.from === view.from && now.to === view.to) return false;
      {# What a wheel or a held key does is one step back. #}
      const at = performance.now();
      if (at - changed > 600) past = [...past.slice(-50), view];
      changed = at;
      view = now;
      return true;
    };
    const go = (from, to) => {
      if (setView(from, to)) draw();
    };
    const step = (from, to) => {
      changed = -Infinity;
      go(from, to);
    };
    const zoom = (factor, at) => {
      const part = (at - view.from) / length();
      const wanted = Math.max(LEAST, length() * factor);
      return [at - part * wanted, at + (1 - part) * wanted];
    };
    {# Keys and buttons enlarge around what is selected, if it is seen. #}
    const centre = () => {
      const at = selected && (selected.call.begin + selected.call.end) / 2;
      return selected && at >= view.from && at <= view.to ? at : (view.from + view.to) / 2;
    };
    const pan = (part) => go(view.from + part * length(), view.to + part * length());
    const actions = {
      in: () => step(...zoom(1 / 2, centre())),
      out: () => step(...zoom(2, centre())),
      left: () => pan(-1 / 4),
      right: () => pan(1 / 4),
      whole: () => step(whole.from, whole.to),
      back: () => {
        const last = past.pop();
        if (!last) return;
        view = last;
        changed = -Infinity;
        draw();
      },
    };
    {# A call with some of what is around it. #}
    const zoomTo = (begin, end) => {
      const around = Math.max(end - begin, LEAST);
      step(begin - around, end + around);
    };

    const mark = () => {
      all(".selected", figure).forEach((old) => old.remove());
      if (!selected) return;
      const { lane, call } = selected;
      if (call.end < view.from || call.begin > view.to) return;
      const rect = rectangle(call.begin, call.end, call.depth, "selected");
      lane.svg.append(rect);
      return rect;
    };
    const select = (lane, call) => {
      if (call.of) {
        select(lane.host, call.of);
        return;
      }
      selected = { lane, call };
      mark();
      const rows = [];
      const row = (name, value, kind = "") => {
        const [term, text] = [document.createElement("dt"), document.createElement("dd")];
        term.textContent = name;
        text.textContent = value;
        text.className = kind;
        rows.push(term, text);
      };
      const [signature, ...outcome] = call.said.text.split(" = ");
      const opening = signature.indexOf("(");
      const words = signature.slice(opening + 1, -1).split(/, (?![^[]*\])/).filter((word) => word !== "");
      const [nanoseconds, whose] = call.gpu >= 0 ? [call.gpu, "GPU"] : [call.end - call.begin, "host"];
      const seconds = nanoseconds / 1e9;
      row("Arguments", words.join(", ") || "none", "wide");
      row("Outcome", outcome.join(" = ") || "done");
      row("Host time", time(call.end - call.begin) + (call.isFirst ? ", the first call of its shape: kernels may have been loaded" : ""));
      if (call.gpu >= 0) row("GPU time", time(call.gpu));
      row("At", place(call.begin, call.end - call.begin));
      row("Thread", lane.name);
      row("Call", `${parseInt(lane.name, 10)}:${call.sequence}`);
      for (const [name, of, unit] of [["Operations", call.said.operations, "FLOP"], ["Bytes", call.said.bytes, "B"]]) {
        if (of > 0) row(name, scaled(of, unit) + (seconds > 0 ? `, ${scaled(of / seconds, `${unit}/s`)} of ${whose} time` : ""));
      }
      detail.querySelector("strong").textContent = opening < 0 ? signature : signature.slice(0, opening);
      detail.querySelector("dl").replaceChildren(...rows);
      detail.hidden = false;
    };
    const close = () => {
      selected = null;
      detail.hidden = true;
      mark();
    };
    {# The call after or before the selected one; the view follows it. #}
    const next = (by, lane = selected?.lane) => {
      if (lane?.host) {
        next(by, lane.host);
        return;
      }
      if (!lane || lane.calls.length === 0) return;
      let at = selected?.lane === lane ? lane.calls.indexOf(selected.call) + by : null;
      if (at === null) {
        const first = lane.calls.findIndex((call) => call.end >= view.from);
        at = by > 0 ? first : lane.calls.findLastIndex((call) => call.begin <= view.to);
      }
      moveTo(lane, lane.calls[Math.max(0, Math.min(at, lane.calls.length - 1))]);
    };
    const moveTo = (lane, call) => {
      if (call.begin < view.from || call.begin > view.to) {
        const middle = (call.begin + call.end) / 2;
        go(middle - length() / 2, middle + length() / 2);
      }
      select(lane, call);
      const rect = mark();
      if (rect) {
        const { left, right } = rect.getBoundingClientRect();
        show({ mark: rect, text: () => told(call) }, (left + right) / 2);
      }
    };

    {# The part of time that a mark of the whole takes, and its call if it is one. #}
    const found = (lane, item) => {
      if (item.part) return item.part;
      const box = lane.svg.getBoundingClientRect();
      const { left, right } = item.mark.getBoundingClientRect();
      const at = (x) => view.from + ((x - box.left) / box.width) * length();
      {# Strokes are wider than what they are around. #}
      const [begin, end] = [at(left + 0.4), at(right - 0.4)];
      const pixel = length() / box.width;
      const inside = [];
      for (let n = firstIn(lane, begin); n < lane.calls.length && lane.calls[n].begin <= end; n += 1) {
        const call = lane.calls[n];
        if (call.end >= begin && call.begin >= begin - pixel) inside.push(call);
      }
      const wide = inside.filter((call) => call.end - call.begin >= (end - begin) / 2);
      const call = inside.length === 1 ? inside[0] : wide.length === 1 ? wide[0] : null;
      return { begin, end, call, count: call ? 1 : inside.length };
    };
    const choose = (lane, item) => {
      if (item.mark.classList.contains("open")) return;
      const { begin, end, call, count } = found(lane, item);
      if (count === 1) select(lane, call);
      else if (count > 0) zoomTo(begin, end);
    };

{% include "time_line_input.js" %}
    draw();
  })();
