package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Why a run stopped, as the metadata tells it.
var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

// stopOnSignal returns a context that ends at the first SIGINT, SIGTERM or SIGHUP, with a cause that says which. onFirst is
// called after that, onSecond at each further signal, both on a goroutine of its own. stop ends the watch; after it neither
// is called.
func stopOnSignal(ctx context.Context, onFirst func(why error), onSecond func()) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1) has it ignored
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for first := true; ; first = false {
			select {
			case <-done:
				return
			case s := <-signals:
				if !first {
					onSecond()
					continue
				}
				why := errTerminated
				if s == os.Interrupt {
					why = errInterrupted
				}
				cancel(why)
				onFirst(why)
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		watch.Wait()
		cancel(nil)
	}
}

// stopAtSecond is stopOnSignal for work that ends by itself after the first signal, which may take seconds. hurry is closed at the
// second. then says what becomes of what was done.
func stopAtSecond(ctx context.Context, console *console, then string) (_ context.Context, hurry <-chan struct{}, stop func()) {
	second := make(chan struct{})
	ctx, stop = stopOnSignal(ctx,
		func(error) { console.note("stopping: %s; again to stop at once", then) },
		sync.OnceFunc(func() { close(second) }))
	return ctx, second, stop
}

// unlessHurried returns what work does, or exit code 3 as soon as hurry is closed. Then work is left to itself: it ends with this
// process, and so do its worker processes.
func unlessHurried[T any](hurry <-chan struct{}, work func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := work()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-hurry:
		var none T
		return none, exitStatus(exitStopped)
	}
}
