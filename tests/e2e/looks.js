// What can be measured of how a page looks; each function is called by tests/e2e/looks.py.
({
  // Elements that stick out of the window, or whose words are cut off without a sign.
  overflowing() {
    const found = [];
    const name = (element) => `${element.tagName.toLowerCase()}.${element.className}[${element.dataset?.testid ?? ""}]`;
    const isScrolled = (element) => {
      for (let each = element.parentElement; each !== null; each = each.parentElement) {
        const { overflowX } = getComputedStyle(each);
        if (overflowX !== "visible") return true;
      }
      return false;
    };
    if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
    for (const element of document.body.querySelectorAll("*")) {
      if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
      if (element.closest(".visually-hidden, svg, [aria-hidden=true]") !== null) continue;
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.height === 0) continue;
      if ((box.right > innerWidth + 1 || box.left < -1) && !isScrolled(element)) {
        found.push(`${name(element)} from ${Math.round(box.left)} to ${Math.round(box.right)}`);
      }
      const style = getComputedStyle(element);
      const isCut = element.scrollWidth > element.clientWidth + 1 && style.overflowX === "hidden" && style.textOverflow !== "ellipsis";
      const hasWords = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
      if (isCut && hasWords) found.push(`${name(element)} cuts "${element.textContent.trim().slice(0, 40)}"`);
    }
    return found;
  },

  // Everything that Tab should reach, in the order of the document.
  stops() {
    const selector = "a[href], button, input, select, textarea, summary, [tabindex]";
    return [...document.querySelectorAll(selector)]
      .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility({ visibilityProperty: true }))
      .map((each) => describe(each));
    function describe(each) {
      return each.dataset.testid ?? each.getAttribute("aria-label") ?? each.title ?? each.textContent.trim();
    }
  },

  // The element that has the focus: what it is called, whether one sees that it has it, and whether it is on view.
  focused() {
    const element = document.activeElement;
    if (element === null || element === document.body) return null;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const hasOutline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    const name = element.dataset.testid ?? element.getAttribute("aria-label") ?? element.title ?? element.textContent.trim();
    const label = element.getAttribute("aria-label") ?? element.title ?? "";
    return {
      name,
      isNamed: (label || element.textContent.trim() || element.labels?.length > 0) !== "",
      isSeen: hasOutline || style.boxShadow !== "none",
      isOnView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };
  },

  // How often the page's text changes within so many ms, and how many animations run at most.
  async changes(ms) {
    const seq = document.querySelector('[data-testid="seq"]');
    let changes = 0;
    let animations = 0;
    new MutationObserver(() => (changes += 1)).observe(seq, { childList: true, characterData: true, subtree: true });
    const until = performance.now() + ms;
    while (performance.now() < until) {
      const running = document.getAnimations().filter(({ playState }) => playState === "running");
      animations = Math.max(animations, running.length);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { changes, animations };
  },

  // Colours as the page has them now, by the names of the style sheet.
  colours(names) {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  },
})
