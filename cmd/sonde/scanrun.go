package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"sonde/report"
	"sonde/scan"
)

// scanTargets runs a scan whose output is open, and tells of its end: summary, metadata, exit code.
func (o *scanOptions) scanTargets(ctx context.Context, s *scan.Scan, records report.Sink) error {
	console := o.p.stderr
	m, err := o.newMonitor(s)
	if err != nil {
		return err
	}
	ctx, stop := stopOnSignal(ctx,
		func(error) { console.note("stopping: %d in flight, again to stop at once", s.Snapshot().InFlight) },
		s.Abort)
	m.start()
	run, err := o.work(ctx, s)
	stop()
	monitorErr := m.stop()
	if closeErr := records.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("write the records: %w", closeErr)
	}
	if run == nil {
		return err
	}
	failures := []error{err}
	run.Version = versionWord()
	if !o.quiet {
		report.WriteSummary(console, run, console.style()) // a closed stderr has nobody to be told
	}
	if o.metadata != "" {
		metadata := run.Metadata()
		if metadataErr := report.WriteMetadata(o.metadata, &metadata); metadataErr != nil {
			failures = append(failures, fmt.Errorf("write the metadata: %w", metadataErr))
		}
	}
	return o.verdict(run, append(failures, monitorErr))
}

// work runs the scan, in this process or in workers.
func (o *scanOptions) work(ctx context.Context, s *scan.Scan) (*report.Run, error) {
	if o.crew != nil {
		return s.RunWorkers(ctx, o.crew.config())
	}
	spareProcessor(s.Loops())
	return s.Run(ctx)
}

// spareProcessor has the Go scheduler hold one processor more than there are loops. A loop that sleeps in epoll_wait(2)
// keeps its own, and where no other is idle the runtime's monitor takes it away after 20 us and starts a thread that
// looks for work: at one event a sleep that is two switches of threads more for each, measured as 120 us a target instead
// of 75 at --tls-depth hello.
func spareProcessor(loops int) {
	if runtime.GOMAXPROCS(0) <= loops {
		runtime.GOMAXPROCS(loops + 1)
	}
}

// verdict is what the exit code tells.
func (o *scanOptions) verdict(run *report.Run, failures []error) error {
	all := len(failures)
	failures = slices.DeleteFunc(failures, isClosedPipe) // the reader has seen enough; of the other failures it knows nothing
	err := errors.Join(failures...)
	switch {
	case err != nil:
		return err
	case len(failures) < all || run.Stopped != "":
		return exitStatus(exitStopped)
	case o.failOnError && run.Summary.Failed() > 0:
		return exitStatus(exitFailures)
	}
	if run.Targets == 0 {
		o.p.stderr.warn("there was no target")
	}
	return nil
}
