package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	defaultName  = "custom-header"
	defaultValue = "append-header"
)

// framingHeaders frame or route a message.
var framingHeaders = strings.Fields(`connection content-length host keep-alive proxy-connection te
	trailer transfer-encoding upgrade`)

// singleHeaders occur at most once in a response. Envoy joins a second value to the first with a comma.
var singleHeaders = strings.Fields(`age content-location content-range content-type date etag expires
	grpc-message grpc-status last-modified location retry-after server`)

// header is a header to append: its name in lower case, and one value.
type header struct{ name, value string }

// parse reads the plugin configuration. Its first character decides what it is: nothing (the default),
// a JSON object, a JSON string, or plain text.
func parse(text []byte) ([]header, error) {
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	if bytes.HasPrefix(text, []byte{0x0A}) && bytes.IndexByte(text, 0x12) >= 0 {
		return nil, errors.New("this looks like an encoded protobuf message; in Envoy's configuration, " +
			"use google.protobuf.StringValue instead of google.protobuf.Struct")
	}
	if !utf8.Valid(text) {
		return nil, errors.New("not UTF-8; save it as UTF-8 text")
	}
	trimmed := strings.TrimSpace(string(text))
	switch {
	case trimmed == "":
		return []header{{defaultName, defaultValue}}, nil
	case trimmed[0] == '{' || trimmed[0] == '"':
		return parseJSON(text)
	case trimmed[0] == '[':
		return nil, fmt.Errorf(`a JSON array has no header names; write an object: {"%s": "value"}`, defaultName)
	default:
		return withValue(nil, defaultName, trimmed)
	}
}

// parseJSON reads an object or a string.
func parseJSON(text []byte) ([]header, error) {
	var whole any
	if err := json.Unmarshal(text, &whole); err != nil {
		offset := int64(len(text))
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			offset = syntax.Offset
		}
		return nil, fmt.Errorf("invalid JSON: %w at %s; correct it there", err, place(text, offset))
	}
	if value, ok := whole.(string); ok {
		return withValue(nil, defaultName, value)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	headers, err := parseObject(decoder)
	if err != nil {
		return nil, fmt.Errorf("%w at %s", err, place(text, decoder.InputOffset()))
	}
	return headers, nil
}

// place returns the line and column of an offset.
func place(text []byte, offset int64) string {
	before := text[:min(int(offset), len(text))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Sprintf("line %d column %d", line, column)
}

// parseObject reads name → value, or name → array of values, of an object without syntax errors. It
// reads tokens, because a map has neither the order nor the duplicates of the text.
func parseObject(decoder *json.Decoder) ([]header, error) {
	if _, err := decoder.Token(); err != nil { // The opening brace.
		return nil, err
	}
	var headers []header
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		written, _ := token.(string) // Every key is a string.
		name := strings.ToLower(written)
		if err := checkName(written, name); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("%q is written twice (case does not matter); put its values in one array", written)
		}
		seen[name] = true
		values, err := parseValues(decoder)
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			if headers, err = withValue(headers, name, value); err != nil {
				return nil, err
			}
		}
	}
	return headers, nil
}

// parseValues reads a string, or an array of strings.
func parseValues(decoder *json.Decoder) ([]string, error) {
	wrong := errors.New("a header's value must be a string or an array of strings; write it in quotes")
	var written any
	if err := decoder.Decode(&written); err != nil {
		return nil, err
	}
	switch written := written.(type) {
	case string:
		return []string{written}, nil
	case []any:
		values := make([]string, len(written))
		for i := range written {
			value, ok := written[i].(string)
			if !ok {
				return nil, wrong
			}
			values[i] = value
		}
		return values, nil
	default:
		return nil, wrong
	}
}

// checkName checks a header's name, which is written in lower case in HTTP/2.
func checkName(written, name string) error {
	switch {
	case name == "":
		return errors.New("a name is empty; write a header name")
	case name[0] == ':':
		return fmt.Errorf("%q is a pseudo-header, which only the proxy sets; remove it", written)
	case strings.ContainsFunc(name, func(r rune) bool { return !isTokenCharacter(r) }):
		return fmt.Errorf("%q is not a header name; use only letters, digits, - and _", written)
	case slices.Contains(framingHeaders, name):
		return fmt.Errorf("%q frames or routes the message and must not be appended; remove it", written)
	case slices.Contains(singleHeaders, name):
		return fmt.Errorf("%q may occur only once in a response and must not be appended; remove it", written)
	}
	return nil
}

// isTokenCharacter reports whether a header's name may contain this character (tchar of RFC 9110, 5.6.2).
func isTokenCharacter(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
}

// withValue adds a header, without the white space around the value (RFC 9110, 5.5).
func withValue(headers []header, name, value string) ([]header, error) {
	value = strings.Trim(value, " \t")
	for _, r := range value {
		if unicode.IsControl(r) && r != '\t' {
			return nil, fmt.Errorf("the value %q contains the control character U+%04X; remove it", value, r)
		}
	}
	return append(headers, header{name, value}), nil
}
