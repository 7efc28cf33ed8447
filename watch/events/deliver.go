package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"sonde/policy/retry"
)

// Times of a delivery.
const (
	// requestTimeout is for one request.
	requestTimeout = 10 * time.Second
	// lastChance is for how long Run goes on delivering when it is told to stop.
	lastChance = 2 * time.Second
)

// waits are those between requests that fail: 1 s on average at first, then twice as long each time, up to 1 min.
var waits = retry.Settings{Delay: time.Second, MaxDelay: time.Minute}

// refusal is an answer that says that the same request need not be made again.
type refusal struct{ status string }

func (r *refusal) Error() string { return "the receiver refuses the events: " + r.status }

// delivery is Run while it runs.
type delivery struct {
	*Queue
	requests context.Context // of the requests; it outlives that of Run by lastChance
	results  chan error      // of the request under way
	batch    []entry         // what it carries; empty: there is none
	retry    *time.Timer     // when the next may be made
	failed   int             // requests in a row
	rng      *rand.Rand
	dropped  uint64 // how many had been dropped at the last look
	isFull   bool   // that events are dropped was told, and the queue was not empty since
}

// Run delivers until ctx is done and then, unless another queue was opened to take its place, for 2 s more as long as nothing fails.
// It is called once.
func (q *Queue) Run(ctx context.Context) {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d := &delivery{
		Queue: q, requests: requests, results: make(chan error, 1), retry: time.NewTimer(0), rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	defer d.retry.Stop()
	d.inherit()
	d.deliver(ctx)
	d.finish(cancel)
}

// deliver is the loop: keep what is new, send what is due, wait.
func (d *delivery) deliver(ctx context.Context) {
	isDue := false // the timer is set; the first time it fires at once
	for {
		d.keep()
		if isDue && len(d.batch) == 0 {
			d.send()
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-d.retry.C:
			isDue = true
		case err := <-d.results:
			if d.settle(err) {
				isDue = false
				d.retry.Reset(waits.Delayed(d.rng, d.failed))
			}
		}
	}
}

// finish gives what is left a last chance, and says what becomes of the rest.
func (d *delivery) finish(cancel context.CancelFunc) {
	defer time.AfterFunc(lastChance, cancel).Stop()
	d.keep()
	for isFailing := false; ; {
		if len(d.batch) == 0 && !isFailing && !d.hasHeir.Load() {
			d.send()
		}
		if len(d.batch) == 0 {
			break
		}
		isFailing = d.settle(<-d.results)
	}
	d.keep()
	isKept := d.spool != nil && !d.spool.isStale
	if d.spool != nil {
		d.tellSpool(d.spool.close(), 0)
	}
	switch left := d.Stats().Waiting; {
	case left == 0 || d.hasHeir.Load():
	case isKept:
		d.options.Log.Warn(fmt.Sprintf("events: %d are not delivered; they wait in %s for the next start", left, d.spool.path))
	case d.spool != nil:
		d.options.Log.Warn(fmt.Sprintf("events: %d are not delivered, and lost but for those that %s has", left, d.spool.path))
	default:
		d.options.Log.Warn(fmt.Sprintf("events: %d are not delivered, and lost: there is no spool", left))
	}
}

// keep puts what is new into the spool, and all that waits if it could not be written before.
func (d *delivery) keep() {
	d.tellDropped()
	s := d.spool
	if s == nil {
		return
	}
	isAnew := s.isStale || s.size > s.limit
	d.mu.Lock()
	first := len(d.waiting)
	for first > 0 && d.waiting[first-1].number > s.through {
		first--
	}
	isNew := first < len(d.waiting)
	if isAnew {
		first = 0
	}
	entries := append([]entry(nil), d.waiting[first:]...)
	d.mu.Unlock()
	if !isNew && !s.isStale {
		return
	}
	for i := range entries {
		d.encode(&entries[i])
	}
	if isNew {
		s.through = entries[len(entries)-1].number // whether or not it can be kept: it is delivered all the same
	}
	if isAnew {
		d.tellSpool(s.rewrite(entries), len(entries))
	} else {
		d.tellSpool(s.add(entries), len(entries))
	}
}

// over has the spool know that all events up to this one are.
func (d *delivery) over(id string) {
	s := d.spool
	if s == nil || s.isStale {
		return
	}
	d.mu.Lock()
	isAll := len(d.waiting) == 0 || d.waiting[0].number > s.through
	d.mu.Unlock()
	if isAll {
		d.tellSpool(s.empty(), 0)
	} else {
		d.tellSpool(s.done(id), 1)
	}
}

// tellSpool notes how the last write to the spool ended, which had so many lines, and logs what is new in it.
func (d *delivery) tellSpool(err error, lines int) {
	d.mu.Lock()
	was := d.stats.SpoolError
	d.stats.Spooled = d.spool.size
	switch {
	case err != nil:
		d.stats.SpoolError = err.Error()
	case lines > 0: // a full disk, too, has room for an empty file
		d.stats.SpoolError = ""
	}
	d.mu.Unlock()
	switch {
	case err != nil && was == "":
		d.options.Log.Warn("events: the spool " + d.spool.path + " can't be written, so a crash would lose what is queued: " + err.Error())
	case err == nil && was != "" && lines > 0:
		d.options.Log.Info("events: the spool " + d.spool.path + " is written again")
	}
}

// tellDropped says once that events are dropped, until the queue has been empty.
func (d *delivery) tellDropped() {
	stats := d.Stats()
	if stats.Dropped > d.dropped && !d.isFull {
		d.options.Log.Warn(fmt.Sprintf("events: the queue of %d is full, so the oldest are dropped", d.options.Queue))
		d.isFull = true
	}
	d.dropped = stats.Dropped
	d.isFull = d.isFull && stats.Waiting > 0
}

// send starts a request with the oldest events, if there are any.
func (d *delivery) send() {
	d.mu.Lock()
	batch := append([]entry(nil), d.waiting[:min(len(d.waiting), MaxBatch)]...)
	for len(batch) > 0 && d.spool != nil && batch[len(batch)-1].number > d.spool.through {
		batch = batch[:len(batch)-1] // it came behind keep
	}
	if len(batch) > 0 {
		d.sending = batch[len(batch)-1].number
	}
	d.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	d.batch = batch
	go func() { d.results <- d.post(batch) }()
}

// post makes one request.
func (d *delivery) post(batch []entry) error {
	body := []byte{'['}
	for i := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		d.encode(&batch[i])
		body = append(body, batch[i].line...)
	}
	body = append(body, ']')
	ctx, cancel := context.WithTimeout(d.requests, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.options.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL makes no request")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "sonde")
	response, err := d.client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest repeats the URL, and that of a web hook is a secret
		}
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	status := fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode))
	switch response.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return &refusal{status}
	}
	if response.StatusCode/100 != 2 {
		return errors.New("the answer is " + status)
	}
	return nil
}

// settle takes note of how the request under way ended. It reports whether it failed.
func (d *delivery) settle(err error) (isFailed bool) {
	var refused *refusal
	isFailed = err != nil && !errors.As(err, &refused)
	last := &d.batch[len(d.batch)-1]
	d.mu.Lock()
	was := d.stats.Error
	switch {
	case isFailed:
		d.stats.Dropped += d.lost
		d.stats.Failures++
	case refused != nil:
		d.stats.Refused += uint64(len(d.batch))
		d.stats.Failures++
	default:
		d.stats.Delivered += uint64(len(d.batch))
		d.stats.LastSuccess = d.options.Clock.Wall(d.options.Clock.Now())
	}
	d.stats.Error = ""
	if err != nil {
		d.stats.Error = err.Error()
	}
	count := 0
	for !isFailed && count < len(d.waiting) && d.waiting[count].number <= last.number {
		count++
	}
	d.shift(count)
	d.sending, d.lost = 0, 0
	d.mu.Unlock()
	d.batch = nil
	d.failed++
	if !isFailed {
		d.failed = 0
		d.over(last.id)
	}
	switch {
	case err != nil && was == "":
		d.options.Log.Warn("events: " + err.Error())
	case err == nil && was != "":
		d.options.Log.Info("events: delivered again")
	}
	return isFailed
}
