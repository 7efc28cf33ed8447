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
