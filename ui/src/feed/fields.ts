/** The checks that turn an unknown answer into types: whatever is not as agreed is an error that names the field. */

import { DECIMAL_PATTERN } from "../decimal";
import type { Level, QueueEntry } from "./wire";

export type Fields = Readonly<Record<string, unknown>>;

export class WireError extends Error {
  override readonly name = "WireError";
}

function wrong(where: string, expected: string, value: unknown): never {
  const got = JSON.stringify(value) as string | undefined;
  throw new WireError(`${where}: expected ${expected}, got ${(got ?? "nothing").slice(0, 60)}`);
}

export function fields(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong(where, "an object", value);
  return value as Fields;
}

export function list(value: unknown, where: string): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : wrong(where, "a list", value);
}

export function text(value: unknown, where: string): string {
  return typeof value === "string" ? value : wrong(where, "a string", value);
}

export function price(value: unknown, where: string): string {
  const found = text(value, where);
  return DECIMAL_PATTERN.test(found) ? found : wrong(where, "a decimal string", value);
}

export function number(value: unknown, where: string): number {
  return typeof value === "number" ? value : wrong(where, "a number", value);
}

export function flag(value: unknown, where: string): boolean {
  return typeof value === "boolean" ? value : wrong(where, "true or false", value);
}

export function nullable<T>(value: unknown, where: string, parse: (value: unknown, where: string) => T): T | null {
  return value === null || value === undefined ? null : parse(value, where);
}

export function oneOf<T extends string>(value: unknown, where: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  return found ?? wrong(where, choices.join(", "), value);
}

/** Throws for an entry that is not as agreed, and names what is wrong of it. */
function checkQueueEntry(value: unknown, where: string): void {
  const entry = list(value, where);
  text(entry[0], `${where} order_id`);
  number(entry[1], `${where} size`);
  text(entry[2], `${where} ts_event`);
}

function isQueueEntry(value: unknown): value is QueueEntry {
  return Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "number" && typeof value[2] === "string";
}

/** Entries are kept as they came, not copied: there may be thousands, twenty times a second. */
function parseQueue(value: unknown, where: string): readonly QueueEntry[] {
  const queue = list(value, where);
  for (const entry of queue) if (!isQueueEntry(entry)) checkQueueEntry(entry, where);
  return queue as readonly QueueEntry[];
}

export function parseLevel(value: unknown, where: string): Level {
  const level = list(value, where);
  return {
    price: price(level[0], `${where} price`),
    size: number(level[1], `${where} size`),
    count: number(level[2], `${where} count`),
    queue: level[3] === undefined ? [] : parseQueue(level[3], `${where} queue`),
  };
}
