package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// bridge writes certmagic's log to slog.
type bridge struct {
	handler slog.Handler
}

var _ zapcore.Core = bridge{}

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled implements [zapcore.Core].
func (b bridge) Enabled(l zapcore.Level) bool {
	return b.handler.Enabled(context.Background(), level(l))
}

// With implements [zapcore.Core].
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.handler.WithAttrs(attrs(fields))}
}

// Check implements [zapcore.Core].
func (b bridge) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(entry.Level) {
		return checked.AddCore(entry, b)
	}
	return checked
}

// Write implements [zapcore.Core].
func (b bridge) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	record := slog.NewRecord(entry.Time, level(entry.Level), "certificates: "+entry.Message, 0)
	record.AddAttrs(attrs(fields)...)
	return b.handler.Handle(context.Background(), record)
}

// Sync implements [zapcore.Core].
func (bridge) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	encoder := zapcore.NewMapObjectEncoder()
	all := make([]slog.Attr, 0, len(fields))
	for _, field := range fields {
		field.AddTo(encoder)
		if value, ok := encoder.Fields[field.Key]; ok {
			all = append(all, slog.Any(field.Key, value))
		}
	}
	return all
}
