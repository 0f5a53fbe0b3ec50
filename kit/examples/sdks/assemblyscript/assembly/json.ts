// The part of JSON that the configuration uses.

const HEX_DIGITS = "0123456789abcdefABCDEF";

// Reads a text from its beginning. After the first error, the position is the end, so that loops end, and
// that error is kept.
export class Parser {
  error: string = "";
  private at: i32 = 0;

  constructor(private text: string) {}

  // Keeps an error, if there is one, with the place where it is.
  fail(problem: string): void {
    if (problem.length == 0 || this.error.length > 0) return;
    let line = 1;
    let column = 0;
    for (let i = 0; i <= this.at && i < this.text.length; i++) {
      column++;
      if (i < this.at && this.text.charCodeAt(i) == 0x0a) {
        line++;
        column = 0;
      }
    }
    this.error = problem + " at line " + line.toString() + " column " + column.toString();
    this.at = this.text.length;
  }

  // Skips white space, and returns the next character without reading it; at the end, nothing.
  private next(): string {
    while (" \t\r\n".includes(this.text.charAt(this.at)) && this.at < this.text.length) this.at++;
    return this.text.charAt(this.at);
  }

  expect(character: string): void {
    if (this.next() == character) {
      this.at++;
    } else {
      this.fail("invalid JSON: expected " + character);
    }
  }

  // Whether there is another element. Reads the comma before it, or else the closing character.
  more(close: string, isFirst: bool): bool {
    if (this.error.length > 0) return false;
    if (this.next() == close) {
      this.at++;
      return false;
    }
    if (!isFirst) this.expect(",");
    return this.error.length == 0;
  }

  // Checks that only white space follows.
  end(): void {
    if (this.next().length > 0) this.fail("invalid JSON: text after the end");
  }

  // A string, or an array of strings.
  strings(): string[] {
    const next = this.next();
    const values: string[] = [];
    if (next == '"') {
      values.push(this.string());
    } else if (next == "[") {
      this.at++;
      while (this.more("]", values.length == 0)) values.push(this.element());
    } else {
      this.element();
    }
    return values;
  }

  // A string. A value of another type is valid JSON, so it has an error of its own.
  private element(): string {
    if ("-0123456789tfn{[".includes(this.next()) && this.at < this.text.length) {
      this.fail("a header's value must be a string or an array of strings; write it in quotes");
    } else if (this.next() != '"') {
      this.fail("invalid JSON: expected a value");
    }
    return this.string();
  }

  string(): string {
    this.expect('"');
    let value = "";
    while (this.error.length == 0) {
      const c = this.text.charAt(this.at);
      if (c.length == 0) {
        this.fail("invalid JSON: a string without an end");
      } else if (c.charCodeAt(0) < 0x20) {
        this.fail("invalid JSON: a control character in a string");
      } else if (c == "\\") {
        value += this.escaped();
      } else {
        this.at++;
        if (c == '"') break;
        value += c;
      }
    }
    return value;
  }

  // A character that is written with a backslash.
  private escaped(): string {
    const c = this.text.charAt(this.at + 1);
    const index = c.length > 0 ? '"\\/bfnrt'.indexOf(c) : -1;
    if (index >= 0) {
      this.at += 2;
      return '"\\/\b\f\n\r\t'.charAt(index);
    }
    let code = 0;
    for (let i = 2; i < 6; i++) {
      const digit = this.text.charAt(this.at + i);
      const number = digit.length > 0 ? HEX_DIGITS.indexOf(digit) : -1;
      if (c != "u" || number < 0) {
        this.fail("invalid JSON: an unknown escape");
        return "";
      }
      code = code * 16 + (number < 16 ? number : number - 6);
    }
    this.at += 6;
    return String.fromCharCode(code);
  }
}
