package main

import (
	"context"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// fileConfig says where OTLP goes as JSON, a line for what came at once.
type fileConfig struct {
	Path string `mapstructure:"path"`
}

// file is shared by all signals: a line is written at once.
type file struct {
	component.StartFunc
	component.ShutdownFunc
	lock sync.Mutex
	to   *os.File
}

var files sync.Map

func newFileFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("file"),
		func() component.Config { return &fileConfig{} },
		exporter.WithTraces(func(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Traces, error) {
			to, err := open(config)
			return to, err
		}, component.StabilityLevelStable),
		exporter.WithMetrics(func(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Metrics, error) {
			to, err := open(config)
			return to, err
		}, component.StabilityLevelStable),
		exporter.WithLogs(func(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Logs, error) {
			to, err := open(config)
			return to, err
		}, component.StabilityLevelStable),
	)
}

func open(config component.Config) (*file, error) {
	path := config.(*fileConfig).Path
	if known, is := files.Load(path); is {
		return known.(*file), nil
	}
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	made := &file{to: to}
	files.Store(path, made)
	return made, nil
}

func (f *file) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (f *file) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	return f.write(line, err)
}

func (f *file) ConsumeMetrics(_ context.Context, metrics pmetric.Metrics) error {
	line, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(metrics)
	return f.write(line, err)
}

func (f *file) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	line, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
	return f.write(line, err)
}

func (f *file) write(line []byte, err error) error {
	if err != nil {
		return err
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	_, err = f.to.Write(append(line, '\n'))
	return err
}
