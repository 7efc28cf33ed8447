package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// consoleLog shows what the packages below log, warnings and above, as messages of sonde. Groups are not shown: nothing
// below uses them.
type consoleLog struct {
	console *console
	attrs   []slog.Attr
}

var _ slog.Handler = consoleLog{}

// Enabled implements slog.Handler.
func (consoleLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (h consoleLog) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&text, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.console.warn("%s", text.String())
	return nil
}

// WithAttrs implements slog.Handler.
func (h consoleLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

// WithGroup implements slog.Handler.
func (h consoleLog) WithGroup(string) slog.Handler { return h }
