// The plugin configuration. Its first character decides what it is: nothing (the default), a JSON
// object, a JSON string, or plain text.

import { Parser } from "./json";

const DEFAULT_NAME = "custom-header";
const DEFAULT_VALUE = "append-header";

// Headers that frame or route a message.
const FRAMING_HEADERS = ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te",
  "trailer", "transfer-encoding", "upgrade"];

// Headers that a response has at most once. Envoy joins a second value to the first with a comma.
const SINGLE_HEADERS = ["age", "content-location", "content-range", "content-type", "date", "etag", "expires",
  "grpc-message", "grpc-status", "last-modified", "location", "retry-after", "server"];

export class Header {
  constructor(public name: string, public value: string) {}
}

// The headers to append, or an error: AssemblyScript has no exceptions, and an abort ends the VM.
export class Config {
  headers: Header[] = [];
  error: string = "";

  // The headers for the log, each name once.
  names(): string {
    const names: string[] = [];
    for (let i = 0; i < this.headers.length; i++) {
      const name = this.headers[i].name;
      if (!names.includes(name)) names.push(name);
    }
    return names.length > 0 ? names.join(", ") : "nothing";
  }

  // Adds a header, without the white space around the value (RFC 9110, 5.5). Returns what is wrong with it.
  add(name: string, value: string): string {
    let start = 0;
    let end = value.length;
    while (start < end && isBlank(value.charCodeAt(start))) start++;
    while (start < end && isBlank(value.charCodeAt(end - 1))) end--;
    for (let i = start; i < end; i++) {
      const c = value.charCodeAt(i);
      if ((c < 0x20 && c != 0x09) || (c >= 0x7f && c < 0xa0)) {
        const code = c.toString(16).toUpperCase().padStart(4, "0");
        return "a value contains the control character U+" + code + "; remove it";
      }
    }
    this.headers.push(new Header(name, value.substring(start, end)));
    return "";
  }
}

export function parse(bytes: ArrayBuffer): Config {
  const config = new Config();
  const text = String.UTF8.decode(bytes);
  // Envoy passes a google.protobuf.Struct as an encoded message, which begins with the tag of an entry.
  if (text.startsWith("\n") && text.includes("\u0012")) {
    config.error = "this looks like an encoded protobuf message; in Envoy's configuration, " +
      "use google.protobuf.StringValue instead of google.protobuf.Struct";
  } else if (!isUtf8(bytes, text)) {
    config.error = "not UTF-8; save it as UTF-8 text";
  } else {
    const plain = text.startsWith("\uFEFF") ? text.substring(1) : text;
    const trimmed = plain.trim();
    if (trimmed.length == 0) {
      config.error = config.add(DEFAULT_NAME, DEFAULT_VALUE);
    } else if (trimmed.startsWith("{")) {
      parseObject(new Parser(plain), config);
    } else if (trimmed.startsWith('"')) {
      const parser = new Parser(plain);
      const value = parser.string();
      parser.end();
      config.error = parser.error.length > 0 ? parser.error : config.add(DEFAULT_NAME, value);
    } else if (trimmed.startsWith("[")) {
      config.error = 'a JSON array has no header names; write an object: {"' + DEFAULT_NAME + '": "value"}';
    } else {
      config.error = config.add(DEFAULT_NAME, trimmed);
    }
  }
  return config;
}

// Reads an object: name → value, or name → array of values.
function parseObject(parser: Parser, config: Config): void {
  const names: string[] = [];
  parser.expect("{");
  while (parser.more("}", names.length == 0)) {
    const written = parser.string();
    const name = lowerCase(written);
    if (parser.error.length == 0) parser.fail(nameProblem(written, name, names));
    names.push(name);
    parser.expect(":");
    const values = parser.strings();
    for (let i = 0; i < values.length && parser.error.length == 0; i++) {
      parser.fail(config.add(name, values[i]));
    }
  }
  parser.end();
  config.error = parser.error;
}

// What is wrong with a name, or nothing.
function nameProblem(written: string, name: string, names: string[]): string {
  const quoted = '"' + written + '"';
  if (name.length == 0) return "a name is empty; write a header name";
  if (name.startsWith(":")) return quoted + " is a pseudo-header, which only the proxy sets; remove it";
  for (let i = 0; i < name.length; i++) {
    if (!isTokenCharacter(name.charCodeAt(i))) {
      return quoted + " is not a header name; use only letters, digits, - and _";
    }
  }
  if (names.includes(name)) {
    return quoted + " is written twice (case does not matter); put its values in one array";
  }
  if (FRAMING_HEADERS.includes(name)) {
    return quoted + " frames or routes the message and must not be appended; remove it";
  }
  if (SINGLE_HEADERS.includes(name)) {
    return quoted + " may occur only once in a response and must not be appended; remove it";
  }
  return "";
}

// A name in lower case, which HTTP/2 requires. The standard library's method knows all of Unicode, in
// tables that would make the module several times as large.
function lowerCase(name: string): string {
  let lower = "";
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    lower += String.fromCharCode(c >= 0x41 && c <= 0x5a ? c + 0x20 : c);
  }
  return lower;
}

// Whether a header's name may contain this character (tchar of RFC 9110, 5.6.2).
function isTokenCharacter(c: i32): bool {
  const isDigit = c >= 0x30 && c <= 0x39;
  const isLetter = (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a);
  return isDigit || isLetter || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(c));
}

function isBlank(c: i32): bool {
  return c == 0x20 || c == 0x09;
}

// Whether these bytes are this text in UTF-8. Decoding does not fail; it replaces what is invalid.
function isUtf8(bytes: ArrayBuffer, text: string): bool {
  const encoded = String.UTF8.encode(text);
  return encoded.byteLength == bytes.byteLength &&
    memory.compare(changetype<usize>(encoded), changetype<usize>(bytes), bytes.byteLength) == 0;
}
