import { describe, expect, it } from "vitest";
import { chordOf, Keys, labelOf } from "../src/keys";

describe("keys", () => {
  it("are told apart by Shift where they have a name, and by what they type where they have none", () => {
    expect(chordOf({ key: "ArrowLeft", shiftKey: true })).toBe("Shift+ArrowLeft");
    expect(chordOf({ key: "ArrowLeft", shiftKey: false })).toBe("ArrowLeft");
    expect(chordOf({ key: "?", shiftKey: true })).toBe("?");
    expect(chordOf({ key: "C", shiftKey: true })).toBe("c");
  });

  it("are listed as people read them, in the order they were bound", () => {
    const keys = new Keys();
    keys.bind(" ", "play", () => undefined);
    keys.bind("Shift+ArrowLeft", "back", () => undefined);
    keys.bind("C", "centre", () => undefined);
    expect(keys.bindings).toEqual([
      { label: "Space", description: "play" },
      { label: "Shift ←", description: "back" },
      { label: "C", description: "centre" },
    ]);
    expect(labelOf("-")).toBe("−");
  });

  it("belong to one act each", () => {
    const keys = new Keys();
    keys.bind("c", "centre", () => undefined);
    expect(() => { keys.bind("C", "close", () => undefined); }).toThrow("the key C is taken");
  });
});
