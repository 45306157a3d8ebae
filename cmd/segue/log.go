package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
)

// logger writes to w as configured.
func (l *Log) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// kafkaLogger tells of the client's warnings; its every step only with debug.
func kafkaLogger(log *slog.Logger) kgo.Logger {
	quiet := kafkaLog{kslog.New(log), kgo.LogLevelWarn}
	if log.Enabled(context.Background(), slog.LevelDebug) {
		quiet.level = kgo.LogLevelDebug
	}
	return quiet
}

type kafkaLog struct {
	kgo.Logger
	level kgo.LogLevel
}

// Level is what the client asks before it tells anything.
func (l kafkaLog) Level() kgo.LogLevel { return l.level }
