    {# Input of the time line, by pointer and by keyboard: this is in the function of time_line.js. #}
    for (const lane of lanes) {
      const { svg, pointing } = lane;
      svg.tabIndex = 0;
      svg.setAttribute("aria-keyshortcuts", "+ - 0 ArrowLeft ArrowRight Shift+ArrowLeft Shift+ArrowRight Enter Escape Backspace");
      svg.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && marked && pointing.items.includes(marked)) {
          const { begin, end, call, count } = found(lane, marked);
          if (count === 1 && call) zoomTo(call.begin, call.end);
          else if (count > 0) zoomTo(begin, end);
          if (call && count === 1) select(lane, call);
        } else if (event.key === "Enter" && selected?.lane === lane) {
          zoomTo(selected.call.begin, selected.call.end);
        } else if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
          pan(event.key === "ArrowLeft" ? -1 / 4 : 1 / 4);
        } else if (!isWhole() && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
          next(event.key === "ArrowLeft" ? -1 : 1, lane);
        } else if (!isWhole() && (event.key === "Home" || event.key === "End")) {
          const call = event.key === "Home" ? lane.calls[0] : lane.calls.at(-1);
          if (call) moveTo(lane, call);
        } else return;
        event.preventDefault();
        event.stopImmediatePropagation();
      }, { capture: true });
    }
    axis.tabIndex = 0;
    axis.addEventListener("keydown", (event) => {
      const action = { ArrowLeft: "left", ArrowRight: "right", Home: "whole" }[event.key];
      if (!action) return;
      event.preventDefault();
      actions[action]();
    });
    document.getElementById("time-line").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const action = { "+": "in", "=": "in", "-": "out", 0: "whole", Backspace: "back" }[event.key];
      if (action) {
        event.preventDefault();
        actions[action]();
      } else if (event.key === "Escape") close();
    });
    tools.addEventListener("click", (event) => {
      actions[event.target.closest("button")?.dataset.do]?.();
    });
    detail.addEventListener("click", (event) => {
      const what = event.target.closest("button")?.dataset.do;
      if (what === "close") close();
      else if (what === "next") next(1);
      else if (what === "previous") next(-1);
      else if (what === "enlarge" && selected) zoomTo(selected.call.begin, selected.call.end);
    });

    const edges = () => axis.getBoundingClientRect();
    const timeAt = (x) => {
      const { left, width } = edges();
      return view.from + (Math.max(0, Math.min(x - left, width)) / width) * length();
    };
    const isOver = (event) => event.target.closest(".lane, .axis") !== null;
    figure.addEventListener("wheel", (event) => {
      if (!isOver(event)) return;
      const line = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        if (isWhole()) return;
        const by = ((event.deltaX || event.deltaY) * line) / edges().width;
        if (setView(view.from + by * length(), view.to + by * length())) drawSoon();
      } else {
        {# The page scrolls on over a time line that is shown as a whole. #}
        if (event.deltaY >= 0 && isWhole()) return;
        if (setView(...zoom(1.002 ** (event.deltaY * line), timeAt(event.clientX)))) drawSoon();
      }
      event.preventDefault();
    }, { passive: false });

    {# Dragging chooses a part: on the axis, and where the whole is shown. Elsewhere it moves the view. #}
    let drag = null;
    figure.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch" || !isOver(event)) return;
      const isChoice = isWhole() || event.target.closest(".axis") !== null;
      drag = { x: event.clientX, view, isChoice, isMoved: false, target: event.target };
    });
    addEventListener("pointermove", (event) => {
      if (!drag) return;
      const by = event.clientX - drag.x;
      if (Math.abs(by) < 4 && !drag.isMoved) return;
      if (!drag.isMoved) changed = -Infinity;
      drag.isMoved = true;
      event.preventDefault();
      if (!drag.isChoice) {
        const { from, to } = drag.view;
        const moved = (by / edges().width) * (to - from);
        if (setView(from - moved, to - moved)) drawSoon();
        return;
      }
      const { left, right } = edges();
      const x = Math.max(left, Math.min(event.clientX, right));
      const start = Math.max(left, Math.min(drag.x, right));
      band.hidden = false;
      band.style.left = `${Math.min(start, x) - figure.getBoundingClientRect().left}px`;
      band.style.width = `${Math.abs(x - start)}px`;
    });
    addEventListener("pointerup", (event) => {
      if (!drag) return;
      const { x, isChoice, isMoved, target } = drag;
      drag = null;
      band.hidden = true;
      if (isMoved && isChoice) {
        const [from, to] = [timeAt(x), timeAt(event.clientX)].sort((a, b) => a - b);
        step(from, to);
      } else if (!isMoved) {
        const lane = lanes.find(({ svg }) => svg.contains(target));
        const item = lane?.pointing.nearest(event);
        if (item) choose(lane, item);
      }
    });
    addEventListener("pointercancel", () => {
      drag = null;
      band.hidden = true;
    });
    addEventListener("resize", () => {
      if (!isWhole()) drawSoon();
    });

