/** A real HTTP and WebSocket server whose answers a test can change while a feed runs. */

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPCODE_TEXT = 1;
const OPCODE_BINARY = 2;
const OPCODE_CLOSE = 8;

/** The server's end of one WebSocket: text frames of up to 64 KiB, which is all that these tests need. */
export class ServerSocket {
  readonly protocols: readonly string[];
  readonly received: Record<string, unknown>[] = [];
  onMessage: (message: Record<string, unknown>) => void = () => undefined;
  readonly #socket: Socket;
  #unread = Buffer.alloc(0);

  constructor(request: IncomingMessage, socket: Socket) {
    this.#socket = socket;
    this.protocols = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    const accept = createHash("sha1").update((request.headers["sec-websocket-key"] ?? "") + ACCEPT_SUFFIX).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${this.protocols[0] ?? ""}\r\n\r\n`,
    );
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      this.#unread = Buffer.concat([this.#unread, data]);
      while (this.#read());
    });
  }

  send(message: unknown): void {
    this.#write(OPCODE_TEXT, Buffer.from(JSON.stringify(message)));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#write(OPCODE_BINARY, Buffer.from(bytes));
  }

  close(code: number, reason = ""): void {
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.#write(OPCODE_CLOSE, Buffer.concat([body, Buffer.from(reason)]));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #write(opcode: number, payload: Buffer): void {
    const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.from([0x80 | opcode, 126, 0, 0]);
    if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #read(): boolean {
    const data = this.#unread;
    if (data.length < 6) return false;
    const short = (data[1] ?? 0) & 0x7f;
    const start = short === 126 ? 4 : 2;
    const length = short === 126 ? data.readUInt16BE(2) : short;
    if (data.length < start + 4 + length) return false;
    const mask = data.subarray(start, start + 4);
    const payload = Buffer.from(data.subarray(start + 4, start + 4 + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
    this.#unread = data.subarray(start + 4 + length);
    if (((data[0] ?? 0) & 0xf) === OPCODE_CLOSE) this.#socket.end();
    else {
      const message = JSON.parse(payload.toString()) as Record<string, unknown>;
      this.received.push(message);
      this.onMessage(message);
    }
    return true;
  }
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export class Peer {
  readonly asked: string[] = [];
  readonly routes = new Map<string, Handler>();
  inFlightMax = 0;
  /** Called for each handshake of a WebSocket; null refuses it. */
  onSocket: ((socket: ServerSocket) => void) | null = null;
  readonly sockets: ServerSocket[] = [];
  #server: Server | null = null;
  #port = 0;
  readonly #inFlight = new Map<string, number>();

  get base(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request, response);
    });
    server.on("upgrade", (request, socket: Socket) => {
      if (this.onSocket === null) {
        // The client may be gone before it has read the refusal.
        socket.on("error", () => undefined);
        socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      const accepted = new ServerSocket(request, socket);
      this.sockets.push(accepted);
      this.onSocket(accepted);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    for (const socket of this.sockets.splice(0)) socket.destroy();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? "";
    const path = url.split("?")[0] ?? "";
    this.asked.push(`${url} ${request.headers["if-none-match"] ?? ""}`.trim());
    const now = (this.#inFlight.get(url) ?? 0) + 1;
    this.#inFlight.set(url, now);
    this.inFlightMax = Math.max(this.inFlightMax, now);
    response.on("close", () => this.#inFlight.set(url, (this.#inFlight.get(url) ?? 1) - 1));
    const handler = this.routes.get(path);
    if (handler === undefined) problem(404, "No such thing")(request, response);
    else handler(request, response);
  }
}

export function json(body: unknown, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(200, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
  };
}

export function problem(status: number, title: string, more: object = {}): Handler {
  return (_request, response) => {
    const body = JSON.stringify({ type: "about:blank", title, status, detail: "as told", ...more });
    response.writeHead(status, { "Content-Type": "application/problem+json" }).end(body);
  };
}

export async function until(what: string, condition: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 8_000;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`gave up waiting for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
